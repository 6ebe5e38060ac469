"""Passages ranked by BM25 for a query of words, phrases and beginnings of words. Knows what is kept, no question.

A catalog that an earlier version wrote has one table of English stems instead; it is searched as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from echo_index.indexer.catalog.records import LexicalQuery, SearchFilter
from echo_index.indexer.catalog.visibility_sql import FROM_VISIBLE_CHUNKS, VISIBLE, filter_sql
from echo_index.indexer.storage.sqlite import Database
from echo_index.indexer.text.analyzer import is_unspaced, query_terms, split_words
from echo_index.indexer.text.language_detection import ENGLISH
from echo_index.indexer.text.stopwords import STOP_WORDS

_TERMS, _WORDS, _EARLIER = "terms", "exact_words", "full_text"


@dataclass(frozen=True, slots=True)
class _Expressions:
    """FTS5 expressions by table: any of those `ranked` adds to a passage's score, all that are `required` must match.

    Everything that was typed stands in them between quotes: nothing in it is an operator.
    """

    ranked: dict[str, list[str]] = field(default_factory=dict)
    required: dict[str, list[str]] = field(default_factory=dict)

    def rank_by(self, table: str, expressions: Iterable[str]) -> None:
        self.ranked.setdefault(table, []).extend(expressions)

    def require(self, table: str, expression: str) -> None:
        self.required.setdefault(table, []).append(expression)
        self.rank_by(table, [expression])

    def parameters(self) -> dict[str, str]:
        """Return the expressions as the parameters that `ranking` names."""
        ranked = {f"ranked_{table}": " OR ".join(dict.fromkeys(parts)) for table, parts in self.ranked.items()}
        return ranked | {f"required_{table}": " AND ".join(parts) for table, parts in self.required.items()}

    def ranking(self) -> str:
        """Return a SELECT of the id and the score, higher is better, of all that matches."""
        condition = "".join(
            f" AND +rowid IN (SELECT rowid FROM {table} WHERE {table} MATCH :required_{table})"
            for table in self.required
        )
        rankings = [
            f"SELECT rowid AS id, -bm25({table}) AS score FROM {table} WHERE {table} MATCH :ranked_{table}{condition}"
            for table in self.ranked
        ]
        if len(rankings) == 1:
            return rankings[0]
        return f"SELECT id, sum(score) AS score FROM ({' UNION ALL '.join(rankings)}) GROUP BY id"


def visible_languages(database: Database) -> list[str]:
    """Return the languages of the documents that a catalog holds, English first."""
    if not _has_terms(database):
        return [ENGLISH]
    known = json.dumps(list(STOP_WORDS))
    query = "SELECT value FROM json_each(?) WHERE EXISTS (SELECT 1 FROM documents WHERE language = value)"
    return [str(language) for (language,) in database.rows(query, (known,))]


def bm25_search(
    database: Database, query: LexicalQuery, *, k: int, where: SearchFilter, generation: int
) -> list[tuple[int, float]]:
    """Return (chunk id, BM25 score, higher is better) of the best `k` of a generation, best first."""
    expressions = _expressions(database, query)
    if not expressions.ranked:
        return []
    if where == SearchFilter():
        return _best_anywhere(database, expressions, k=k, generation=generation)
    condition, values = filter_sql(where)
    ranked = (
        f"SELECT ranking.id, score FROM ({expressions.ranking()}) AS ranking JOIN chunks ON chunks.id = ranking.id "
        f"JOIN documents ON documents.id = chunks.document WHERE {VISIBLE} {condition} "
        "ORDER BY score DESC, ranking.id LIMIT :k"
    )
    return database.rows(ranked, {**expressions.parameters(), "generation": generation, "k": k, **values})


def bm25_scores(database: Database, query: LexicalQuery, ids: Sequence[int]) -> dict[int, float]:
    """Return the BM25 score of each of these chunks, 0 for what does not match."""
    scores = dict.fromkeys(map(int, ids), 0.0)
    expressions = _expressions(database, query)
    if scores and expressions.ranked:
        wanted = "SELECT value FROM json_each(:ids)"  # the plus: all is ranked once, not again for each of them
        query_text = f"SELECT id, score FROM ({expressions.ranking()}) WHERE +id IN ({wanted})"
        scores.update(database.rows(query_text, {**expressions.parameters(), "ids": json.dumps(list(scores))}))
    return scores


def _best_anywhere(
    database: Database, expressions: _Expressions, *, k: int, generation: int
) -> list[tuple[int, float]]:
    """Rank first and see what is visible then: as nearly all is, that takes half the time."""
    ranking = f"{expressions.ranking()} ORDER BY score DESC, id LIMIT :limit"
    visible = f"SELECT chunks.id {FROM_VISIBLE_CHUNKS} AND chunks.id IN (SELECT value FROM json_each(:ids))"
    limit = 2 * k
    while True:
        ranked = database.rows(ranking, {**expressions.parameters(), "limit": limit})
        ids = json.dumps([identifier for identifier, _ in ranked])
        shown = {row[0] for row in database.rows(visible, {"generation": generation, "ids": ids})}
        found = [(identifier, score) for identifier, score in ranked if identifier in shown]
        if len(found) >= k or len(ranked) < limit:
            return found[:k]
        limit *= 4


def _expressions(database: Database, query: LexicalQuery) -> _Expressions:
    expressions = _Expressions()
    if not _has_terms(database):
        _add_earlier(expressions, query)
        return expressions
    languages = visible_languages(database) or [ENGLISH]
    words = [*query.words, *(prefix for prefix in query.prefixes if is_unspaced(prefix))]
    if words:
        expressions.rank_by(_TERMS, (part for word in words for part in _any_of(word, languages)))
    for prefix in query.prefixes:
        if not is_unspaced(prefix):
            expressions.rank_by(_WORDS, [f"{_quoted(prefix)} *"])
    for phrase in query.phrases:
        pieces = split_words(phrase)
        if not any(map(is_unspaced, pieces)):
            expressions.require(_WORDS, _quoted(phrase))
            continue
        for piece in pieces:  # the runs as they stand, and the words between them
            expressions.require(_TERMS, _all_of(piece) if is_unspaced(piece) else _either(_any_of(piece, languages)))
    return expressions


def _add_earlier(expressions: _Expressions, query: LexicalQuery) -> None:
    if query.words or query.prefixes:
        expressions.rank_by(_EARLIER, [*map(_quoted, query.words), *(f"{_quoted(part)} *" for part in query.prefixes)])
    for phrase in query.phrases:
        expressions.require(_EARLIER, _quoted(phrase))


def _any_of(word: str, languages: Sequence[str]) -> list[str]:
    """Return the terms of a word, each as an expression; a single Chinese character is a beginning of terms."""
    if is_unspaced(word) and len(word) == 1:
        return [f"{_quoted(word)} *"]
    return [_quoted(term) for term in query_terms(word, languages)]


def _all_of(run: str) -> str:
    """Return an expression for a run of characters without spaces: its pairs, one after the other."""
    [first, *others] = query_terms(run, [ENGLISH])
    return _quoted(" ".join([first, *others])) if others or len(first) > 1 else f"{_quoted(first)} *"


def _either(expressions: Sequence[str]) -> str:
    return f"({' OR '.join(expressions)})"


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""').replace("\0", " ") + '"'


def _has_terms(database: Database) -> bool:
    return bool(database.value(f"SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = '{_TERMS}')"))
