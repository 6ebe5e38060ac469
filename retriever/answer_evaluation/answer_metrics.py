"""Compare an answer with gold answers, as SQuAD does (Rajpurkar et al., arXiv 1606.05250)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

_PUNCTUATION = re.compile(r"[^\w\s]|_")
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def normalize_answer(text: str) -> str:
    """Return a text in lower case without punctuation and English articles, its words separated by single spaces."""
    return " ".join(_ARTICLES.sub(" ", _PUNCTUATION.sub("", text.lower())).split())


def holds_gold(answer: str, gold: Sequence[str]) -> bool:
    """Return whether a normalized answer contains one of the gold answers, as whole words."""
    words = f" {normalize_answer(answer)} "
    return any(normalized and f" {normalized} " in words for normalized in map(normalize_answer, gold))


def exact_match(answer: str, gold: Sequence[str]) -> bool:
    """Return whether a normalized answer is one of the gold answers."""
    return normalize_answer(answer) in {*map(normalize_answer, gold)}


def token_f1(answer: str, gold: Sequence[str]) -> float:
    """Return the F1 of the words that an answer shares with a gold answer, 0 to 1; the best over all gold answers."""
    return max(_token_f1(normalize_answer(answer).split(), normalize_answer(text).split()) for text in gold)


def _token_f1(answer: list[str], gold: list[str]) -> float:
    shared = sum((Counter(answer) & Counter(gold)).values())
    return 2 * shared / (len(answer) + len(gold)) if shared else 0.0
