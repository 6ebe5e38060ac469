"""Rank chunks by BM25 for a query of words, phrases and prefixes.

A catalog that an early version wrote has a single table of English stems, which is searched as it is. A later one has
terms and words in which only accents are folded, and so is the query.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from echo_index.indexer.catalog.fts_index import has_basic_letters
from echo_index.indexer.catalog.records import LexicalQuery, QueryPart, SearchFilter, TermStatistics
from echo_index.indexer.catalog.visibility_sql import FROM_VISIBLE_CHUNKS, VISIBLE, filter_sql
from echo_index.indexer.storage.sqlite import Database
from echo_index.indexer.text.analyzer import (
    earlier_query_terms,
    exact_text,
    is_unspaced,
    query_terms,
    query_weights,
    split_words,
)
from echo_index.indexer.text.language_detection import ENGLISH
from echo_index.indexer.text.stopwords import STOP_WORDS

_TERMS, _WORDS = "terms", "exact_words"
_ENGLISH_STEMS = "full_text"  # the only full-text table up to schema version 2
_COUNT_EXPONENT = 0.75  # of seven collections, short queries lose with 1, long ones with 0
NO_FACTORS: Mapping[QueryPart, float] = MappingProxyType({})
"""Every part weighs what it weighs in its own catalog."""
_LEAST_INVERSE_FREQUENCY = 1e-6  # FTS5's, of a part that more than half of all rows match


@dataclass(frozen=True, slots=True)
class _Expressions:
    """FTS5 expressions by table: each match in `ranked` adds to a chunk's score, all in `required` must match.

    An expression in `ranked` adds its score as often as its weight says. Everything that the user typed is quoted, so
    none of it can act as an FTS5 operator.
    """

    ranked: dict[str, dict[str, float]] = field(default_factory=dict)
    required: dict[str, list[str]] = field(default_factory=dict)

    def rank_by(self, table: str, expressions: Iterable[str], *, weight: float = 1) -> None:
        weights = self.ranked.setdefault(table, {})
        for expression in expressions:
            weights[expression] = weights.get(expression, 0) + weight

    def require(self, table: str, expression: str) -> None:
        self.required.setdefault(table, []).append(expression)
        self.rank_by(table, [expression])

    def parameters(self) -> dict[str, str]:
        """Return the expressions as the named parameters of `ranking_sql`."""
        ranked = {f"ranked_{number}": " OR ".join(parts) for number, (_, _, parts) in enumerate(self._by_weight())}
        return ranked | {f"required_{table}": " AND ".join(parts) for table, parts in self.required.items()}

    def ranking_sql(self) -> str:
        """Return a SELECT of the id and score of every match; higher scores are better."""
        condition = "".join(
            f" AND +rowid IN (SELECT rowid FROM {table} WHERE {table} MATCH :required_{table})"
            for table in self.required
        )
        rankings = [
            f"SELECT rowid AS id, -{weight!r} * bm25({table}) AS score FROM {table} "
            f"WHERE {table} MATCH :ranked_{number}{condition}"
            for number, (table, weight, _) in enumerate(self._by_weight())
        ]
        if len(rankings) == 1:
            return rankings[0]
        return f"SELECT id, sum(score) AS score FROM ({' UNION ALL '.join(rankings)}) GROUP BY id"

    def times(self, factors: Mapping[QueryPart, float]) -> _Expressions:
        """Return these expressions with weights that are multiplied by factors, 1 where there is none."""
        if not factors:
            return self
        ranked = {
            table: {expression: weight * factors.get((table, expression), 1) for expression, weight in weights.items()}
            for table, weights in self.ranked.items()
        }
        return _Expressions(ranked, self.required)

    def _by_weight(self) -> list[tuple[str, float, list[str]]]:
        """Return the ranked expressions by their table and their weight."""
        grouped: dict[tuple[str, float], list[str]] = {}
        for table, weights in self.ranked.items():
            for expression, weight in weights.items():
                grouped.setdefault((table, float(f"{weight:.6g}")), []).append(expression)
        return [(table, weight, parts) for (table, weight), parts in grouped.items()]


def visible_languages(database: Database) -> list[str]:
    """Return the languages of the documents in a catalog, English first."""
    if not _has_terms(database):
        return [ENGLISH]
    known = json.dumps(list(STOP_WORDS))
    query = "SELECT value FROM json_each(?) WHERE EXISTS (SELECT 1 FROM documents WHERE language = value)"
    return [str(language) for (language,) in database.rows(query, (known,))]


def bm25_search(
    database: Database,
    query: LexicalQuery,
    *,
    k: int,
    where: SearchFilter,
    generation: int,
    factors: Mapping[QueryPart, float] = NO_FACTORS,
) -> list[tuple[int, float]]:
    """Return (chunk id, BM25 score) of the best `k` chunks of a generation, best first; higher scores are better.

    Each part of the query weighs as often as much as `factors` says, see `weight_factors`.
    """
    expressions = _expressions(database, query).times(factors)
    if not expressions.ranked:
        return []
    if where == SearchFilter():
        return _best_without_filter(database, expressions, k=k, generation=generation)
    condition, values = filter_sql(database, where, generation=generation)
    ranked = (
        f"SELECT ranking.id, score FROM ({expressions.ranking_sql()}) AS ranking JOIN chunks ON chunks.id = ranking.id "
        f"JOIN documents ON documents.id = chunks.document WHERE {VISIBLE} {condition} "
        "ORDER BY score DESC, ranking.id LIMIT :k"
    )
    return database.rows(ranked, {**expressions.parameters(), "generation": generation, "k": k, **values})


def bm25_scores(
    database: Database,
    query: LexicalQuery,
    ids: Sequence[int],
    *,
    factors: Mapping[QueryPart, float] = NO_FACTORS,
) -> dict[int, float]:
    """Return the BM25 score of each of these chunks, 0 for chunks that do not match."""
    scores = dict.fromkeys(map(int, ids), 0.0)
    expressions = _expressions(database, query).times(factors)
    if scores and expressions.ranked:
        selected = "SELECT value FROM json_each(:ids)"
        # The plus makes SQLite compute the ranking once instead of once for each id.
        sql = f"SELECT id, score FROM ({expressions.ranking_sql()}) WHERE +id IN ({selected})"
        scores.update(database.rows(sql, {**expressions.parameters(), "ids": json.dumps(list(scores))}))
    return scores


def term_statistics(database: Database, query: LexicalQuery) -> TermStatistics:
    """Return how many rows there are, and how many match each part of a query."""
    ranked = _expressions(database, query).ranked
    return TermStatistics(
        {table: int(database.value(f"SELECT count(*) FROM {table}")) for table in ranked},
        {
            (table, expression): int(
                database.value(f"SELECT count(*) FROM {table} WHERE {table} MATCH ?", (expression,))
            )
            for table, weights in ranked.items()
            for expression in weights
        },
    )


def weight_factors(own: TermStatistics, total: TermStatistics) -> dict[QueryPart, float]:
    """Return by what each part's weight is multiplied so that it is as rare as in several catalogs together."""
    return {
        part: _inverse_frequency(total.rows[part[0]], total.matches[part])
        / _inverse_frequency(own.rows[part[0]], matches)
        for part, matches in own.matches.items()
    }


def _inverse_frequency(rows: int, matches: int) -> float:
    """Return the inverse document frequency as FTS5 computes it for bm25()."""
    frequency = math.log((rows - matches + 0.5) / (matches + 0.5)) if rows >= matches else 0.0
    return frequency if frequency > 0 else _LEAST_INVERSE_FREQUENCY


def _best_without_filter(
    database: Database, expressions: _Expressions, *, k: int, generation: int
) -> list[tuple[int, float]]:
    """Rank first and drop invisible chunks afterwards: twice as fast as a join, because nearly all are visible."""
    ranking = f"{expressions.ranking_sql()} ORDER BY score DESC, id LIMIT :limit"
    visible = f"SELECT chunks.id {FROM_VISIBLE_CHUNKS} AND chunks.id IN (SELECT value FROM json_each(:ids))"
    limit = 2 * k
    while True:
        ranked = database.rows(ranking, {**expressions.parameters(), "limit": limit})
        ids = json.dumps([identifier for identifier, _ in ranked])
        visible_ids = {row[0] for row in database.rows(visible, {"generation": generation, "ids": ids})}
        best = [(identifier, score) for identifier, score in ranked if identifier in visible_ids]
        if len(best) >= k or len(ranked) < limit:
            return best[:k]
        limit *= 4


def _expressions(database: Database, query: LexicalQuery) -> _Expressions:
    expressions = _Expressions()
    if not _has_terms(database):
        _add_english_stems(expressions, query)
        return expressions
    languages = visible_languages(database) or [ENGLISH]
    is_folded = has_basic_letters(database)
    words = (*query.words, *filter(is_unspaced, query.prefixes))
    for expression, weight in damped_sums(_word_terms(word, languages, is_folded=is_folded) for word in words).items():
        expressions.rank_by(_TERMS, [expression], weight=weight)
    for prefix in query.prefixes:
        if not is_unspaced(prefix):
            expressions.rank_by(_WORDS, [f"{_exact(prefix, is_folded=is_folded)} *"])
    for phrase in query.phrases:
        pieces = split_words(phrase)
        if not any(map(is_unspaced, pieces)):
            expressions.require(_WORDS, _exact(phrase, is_folded=is_folded))
            continue
        # `exact_words` cannot find text without spaces: its runs are matched as pairs of characters instead.
        for piece in pieces:
            terms = _word_terms(piece, languages, is_folded=is_folded)
            expressions.require(_TERMS, _run_phrase(piece) if is_unspaced(piece) else f"({' OR '.join(terms)})")
    for phrase in query.optional_phrases:
        runs = [piece for piece in split_words(phrase) if is_unspaced(piece)]
        if runs:
            expressions.rank_by(_TERMS, map(_run_phrase, runs))
        else:
            expressions.rank_by(_WORDS, [_exact(phrase, is_folded=is_folded)])
    return expressions


def _add_english_stems(expressions: _Expressions, query: LexicalQuery) -> None:
    if query.words or query.prefixes:
        prefixes = (f"{_quoted(prefix)} *" for prefix in query.prefixes)
        expressions.rank_by(_ENGLISH_STEMS, [*map(_quoted, query.words), *prefixes])
    for phrase in query.phrases:
        expressions.require(_ENGLISH_STEMS, _quoted(phrase))
    if query.optional_phrases:
        expressions.rank_by(_ENGLISH_STEMS, map(_quoted, query.optional_phrases))


def _word_terms(word: str, languages: Sequence[str], *, is_folded: bool) -> Mapping[str, float]:
    """Return the terms of a word as expressions, with weights; a single Chinese character is the prefix of a term."""
    if is_unspaced(word) and len(word) == 1:
        return {f"{_quoted(word)} *": 1}
    if not is_folded:
        return {_quoted(term): 1 for term in earlier_query_terms(word, languages)}
    return {_quoted(term): weight for term, weight in query_weights(word, languages).items()}


def damped_sums(word_terms: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return the weight of each term of a query: that of one occurrence, times a power of how often it stands there.

    A power, unlike a limit, ranks the same if the whole query is repeated.
    """
    sums: dict[str, float] = {}
    largest: dict[str, float] = {}
    for terms in word_terms:
        for term, weight in terms.items():
            sums[term] = sums.get(term, 0.0) + weight
            largest[term] = max(largest.get(term, 0.0), weight)
    return {term: weight * (sums[term] / weight) ** _COUNT_EXPONENT for term, weight in largest.items()}


def _exact(text: str, *, is_folded: bool) -> str:
    """Return a phrase, or the beginning of a word, as an expression for `exact_words`."""
    return _quoted(exact_text(text) if is_folded else text)


def _run_phrase(run: str) -> str:
    """Return an expression that matches a run of characters without spaces as the sequence of its pairs."""
    [first, *others] = query_terms(run, [ENGLISH])
    return _quoted(" ".join([first, *others])) if others or len(first) > 1 else f"{_quoted(first)} *"


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""').replace("\0", " ") + '"'


def _has_terms(database: Database) -> bool:
    return bool(database.value(f"SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = '{_TERMS}')"))
