"""Ranks passages by the words that they share with a question. Knows nothing of meaning."""

from __future__ import annotations

import re
from weakref import WeakKeyDictionary

from indexer import Snapshot, Where
from retriever.hits import Scored

_WORD = re.compile(r"\w+")
_MANY = 20_000  # passages: from here on a word is left out that is in a quarter of them, below in half

_COUNTED: WeakKeyDictionary[Snapshot, dict[str, int]] = WeakKeyDictionary()


def lexical_ranking(snapshot: Snapshot, query: str, k: int, where: Where) -> Scored:
    """Return (chunk id, BM25 score) of the best `k` passages that have a word of the question."""
    words = telling_words(snapshot, _WORD.findall(query))
    if not words:
        return []
    expression = " OR ".join(f'"{word}"' for word in words)  # quoted: nothing in a question is an operator
    return snapshot.matching(expression, k=k, where=where)


def telling_words(snapshot: Snapshot, words: list[str]) -> list[str]:
    """Return the different words without those that so many passages have that they tell none from another.

    SQLite's BM25 gives a word that is in more than half of the passages no weight, yet visits every one of them for
    it, which is most of the time of a search. In a large index words in more than a quarter go as well. Where all
    words are as common as that, all stay.
    """
    different = list(dict.fromkeys(word.lower() for word in words))
    passages = snapshot.manifest.chunks
    most = passages // 4 if passages >= _MANY else passages // 2
    return [word for word in different if _count(snapshot, word) <= most] or different


def _count(snapshot: Snapshot, word: str) -> int:
    """Return how many passages have a word; asked of the catalog once."""
    counted = _COUNTED.setdefault(snapshot, {})
    if word not in counted:
        counted[word] = snapshot.catalog.count_matching(f'"{word}"')
    return counted[word]
