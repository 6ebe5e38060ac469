"""Rank passages by words in Milvus: BM25 of the server, and phrases and beginnings of words looked for in the text."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from echo_index.indexer.catalog.bm25_search import damped_sums
from echo_index.indexer.catalog.records import LexicalQuery
from echo_index.indexer.stores.milvus.connection import MilvusConnection
from echo_index.indexer.stores.milvus.layout import BM25, BM25_B, BM25_K1, Edition
from echo_index.indexer.stores.milvus.rows import encoded_term, exact_phrase, in_list
from echo_index.indexer.text.analyzer import is_unspaced, query_weights, split_words
from echo_index.indexer.text.language_detection import ENGLISH

_REPETITIONS = 4  # of a term with the weight 1: BM25 counts how often a term stands in the query
_MOST_LITERAL = 1000  # passages that are looked at for each phrase or beginning of a word
_LEAST_INVERSE_FREQUENCY = 1e-6


@dataclass(frozen=True, slots=True)
class Literal:
    """A text that is looked for letter by letter: all of `texts` stand in the words of a passage."""

    texts: tuple[str, ...]

    @property
    def condition(self) -> str:
        """The condition that a passage has it."""
        return " and ".join(f'words like "%{text}%"' for text in self.texts)

    def count(self, words: str) -> int:
        """Return how often it stands in the words of a passage."""
        return min(words.count(text) for text in self.texts)


@dataclass(frozen=True, slots=True)
class WordQuery:
    """A query as Milvus ranks it: a text of terms, and literals, some of which every passage must have."""

    terms: str
    required: tuple[Literal, ...]
    optional: tuple[Literal, ...]

    @classmethod
    def of(cls, query: LexicalQuery, languages: Sequence[str]) -> WordQuery:
        """Return a full-text query for an index of documents in these languages."""
        words = (*query.words, *filter(is_unspaced, query.prefixes))
        whole = [word for word in words if not (is_unspaced(word) and len(word) == 1)]
        required = tuple(_phrase(phrase) for phrase in query.phrases)
        weights = damped_sums(query_weights(word, languages or [ENGLISH]) for word in whole)
        terms = [f"{encoded_term(term)} " * max(1, round(_REPETITIONS * weight)) for term, weight in weights.items()]
        optional = [
            *(Literal((word,)) for word in words if word not in whole),
            *(Literal((f" {exact_phrase(prefix)}",)) for prefix in query.prefixes if not is_unspaced(prefix)),
            *map(_phrase, query.optional_phrases),
        ]
        return cls("".join(terms).strip(), required, tuple(optional))


@dataclass(frozen=True, eq=False, slots=True)
class WordSearch:
    """Ranks the passages of an edition that meet a condition; `fresh` says whether all writes before must be seen."""

    connection: MilvusConnection
    edition: Edition
    visible: str
    passages: int
    fresh: Callable[[], bool]

    def best(self, query: WordQuery, *, k: int, where: str) -> list[tuple[int, float]]:
        """Return (passage id, BM25 score) of the `k` best passages that meet the condition `where`, best first."""
        condition = _all([where, *(literal.condition for literal in query.required)])
        scores = self._by_terms(query.terms, k=k, where=condition)
        literal_scores: dict[int, float] = {}
        for literal in (*query.required, *query.optional):
            for identifier, score in self._by_literal(literal, where=condition).items():
                literal_scores[identifier] = literal_scores.get(identifier, 0.0) + score
        missing = [identifier for identifier in literal_scores if identifier not in scores]
        if missing and query.terms:
            scores |= self._by_terms(query.terms, k=len(missing), where=_all([condition, in_list("id", missing)]))
        for identifier, score in literal_scores.items():
            scores[identifier] = scores.get(identifier, 0.0) + score
        return sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:k]

    def scores(self, query: WordQuery, ids: Sequence[int]) -> dict[int, float]:
        """Return the BM25 score of each of these passages, 0 for those that do not match."""
        found = dict(self.best(query, k=len(ids), where=in_list("id", ids))) if ids else {}
        return {identifier: found.get(identifier, 0.0) for identifier in ids}

    def _by_terms(self, terms: str, *, k: int, where: str) -> dict[int, float]:
        if not terms:
            return {}
        hits = self.connection.search(
            self.edition.passages, terms, by=BM25, k=k, where=where, fields=["id"], fresh=self.fresh()
        )
        # Milvus Lite gives the scores with the opposite sign.
        return {identifier: abs(score) / _REPETITIONS for identifier, score, _ in hits if score}

    def _by_literal(self, literal: Literal, *, where: str) -> Mapping[int, float]:
        """Return the BM25 scores of passages with a literal, as if it were a term.

        They are compared with the mean length of those that have it, as that of all is not known.
        """
        collection, fresh = self.edition.passages, self.fresh()
        condition = _all([where, literal.condition])
        rows = self.connection.query(collection, condition, ["id", "words"], limit=_MOST_LITERAL, fresh=fresh)
        if not rows:
            return {}
        matches = self.connection.count(collection, _all([self.visible, literal.condition]), fresh=fresh)
        frequency = math.log(1 + (self.passages - matches + 0.5) / (matches + 0.5))
        rarity = max(frequency, _LEAST_INVERSE_FREQUENCY)
        texts = {int(row["id"]): str(row["words"]) for row in rows}
        mean = sum(text.count(" ") for text in texts.values()) / len(texts)
        scores = {}
        for identifier, text in texts.items():
            count, length = max(1, literal.count(text)), text.count(" ") / mean
            scores[identifier] = rarity * count * (BM25_K1 + 1) / (count + BM25_K1 * (1 - BM25_B + BM25_B * length))
        return scores


def _phrase(phrase: str) -> Literal:
    pieces = split_words(phrase)
    if any(map(is_unspaced, pieces)):  # their words are not divided by blanks
        return Literal(
            tuple(exact_phrase(piece) if is_unspaced(piece) else f" {exact_phrase(piece)} " for piece in pieces)
        )
    return Literal((f" {exact_phrase(phrase)} ",))


def _all(conditions: Sequence[str]) -> str:
    return " and ".join(f"({condition})" for condition in conditions)
