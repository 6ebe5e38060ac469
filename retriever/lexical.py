"""Ranks passages by the words that they share with a question. Knows nothing of meaning."""

from __future__ import annotations

import re
from collections.abc import Sequence

from indexer import Snapshot, Where
from retriever.hits import Scored
from retriever.words import FUNCTION_WORDS

_WORD = re.compile(r"\w+")


def lexical_ranking(snapshot: Snapshot, query: str, k: int, where: Where) -> Scored:
    """Return (chunk id, BM25 score) of the best `k` passages that have a word of the question."""
    expression = _expression(query)
    return snapshot.matching(expression, k=k, where=where) if expression else []


def lexical_scores(snapshot: Snapshot, query: str, ids: Sequence[int]) -> dict[int, float]:
    """Return the BM25 score of each of these chunks for a question; 0 where they have none of its words."""
    expression = _expression(query)
    found = snapshot.scores(expression, ids) if expression and ids else {}
    return {identifier: found.get(identifier, 0.0) for identifier in ids}


def _expression(query: str) -> str:
    """Return the FTS5 expression for the words of a question, '' where it has none.

    Function words count only where there are no others: they tell few passages from another, and most of the time
    would go into visiting all that have them. A capital within the question makes a name of a word: `Where`.
    """
    words = _WORD.findall(query)
    telling = [word for number, word in enumerate(words) if not _is_function_word(word, is_first=number == 0)] or words
    different = dict.fromkeys(word.lower() for word in telling)
    return " OR ".join(f'"{word}"' for word in different)  # quoted: nothing in a question is an operator


def _is_function_word(word: str, *, is_first: bool) -> bool:
    return word.lower() in FUNCTION_WORDS and (is_first or word.islower())
