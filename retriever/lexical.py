"""Ranks passages by the words that they share with a question. Knows nothing of meaning."""

from __future__ import annotations

import re
from weakref import WeakKeyDictionary

from indexer import Snapshot, Where
from retriever.hits import Scored

_WORD = re.compile(r"\w+")
_MANY = 20_000  # passages: from here on, words that a quarter of them have are passed over

_COUNTED: WeakKeyDictionary[Snapshot, dict[str, int]] = WeakKeyDictionary()


def lexical_ranking(snapshot: Snapshot, query: str, k: int, where: Where) -> Scored:
    """Return (chunk id, BM25 score) of the best `k` passages that have a word of the question."""
    words = telling_words(snapshot, _WORD.findall(query))
    if not words:
        return []
    expression = " OR ".join(f'"{word}"' for word in words)  # quoted: nothing in a question is an operator
    return snapshot.matching(expression, k=k, where=where)


def telling_words(snapshot: Snapshot, words: list[str]) -> list[str]:
    """Return the different words; of a large index without those that more than a quarter of the passages have.

    They tell few passages from another - SQLite's BM25 gives those in more than half no weight at all - yet every
    passage is visited for them, which is most of the time of a search. Where all words are so common, all stay.
    """
    different = list(dict.fromkeys(word.lower() for word in words))
    passages = snapshot.manifest.chunks
    if passages < _MANY:
        return different
    return [word for word in different if _count(snapshot, word) <= passages // 4] or different


def _count(snapshot: Snapshot, word: str) -> int:
    """Return how many passages have a word; asked of the catalog once."""
    counted = _COUNTED.setdefault(snapshot, {})
    if word not in counted:
        counted[word] = snapshot.catalog.count_matching(f'"{word}"')
    return counted[word]
