"""Detect the language of a text by its stop words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from echo_index.indexer.text.letters import fold_text
from echo_index.indexer.text.stopwords import STOP_WORDS, stop_words

ENGLISH = "english"
_WORD = re.compile(r"[^\W\d_]{2,}")  # a single letter may be a variable or the label of a list item
_APOSTROPHE = re.compile("['’]")
_SAMPLES, _SAMPLE_LENGTH = 8, 1000  # samples of a text, and characters of each
_MIN_SHARE = 0.08  # of the words must be stop words of the language; in prose about 0.25 are
_MIN_DISTINCT = 3  # stop words
_MIN_RATIO = 2  # to the English stop words: the lists share words, and place names contain foreign ones


def detect_language(text: str) -> str:
    """Return the language of a document, by the name that Snowball uses.

    English if the language is not recognized, as for source code, tables and Chinese. The language only selects a
    stemmer and a list of stop words, which hardly matter for such texts.
    """
    step = max(_SAMPLE_LENGTH, len(text) // _SAMPLES)
    samples = (text[start : start + _SAMPLE_LENGTH] for start in range(0, len(text), step))
    words = Counter(word for sample in samples for word in _WORD.findall(fold_text(sample)))
    found = {language: words.keys() & stop_words(language) for language in STOP_WORDS}
    counts = {language: sum(words[word] for word in matches) for language, matches in found.items()}
    best = max(counts, key=counts.__getitem__)  # English if there is a tie
    required = max(_MIN_RATIO * counts[ENGLISH], _MIN_SHARE * sum(words.values()))
    return best if len(found[best]) >= _MIN_DISTINCT and counts[best] >= required else ENGLISH


def query_language(words: Iterable[str], languages: Sequence[str]) -> str:
    """Return the language, of those given, that has most of a query's words among its stop words.

    The first of them if there is a tie; English if none are given.
    """
    query = list(words)
    return max(languages, key=lambda language: sum(is_stop_word(word, language) for word in query), default=ENGLISH)


def certain_language(text: str) -> str | None:
    """Return the language of a short text, if at least two of its words, and more than for any other language, tell."""
    words = {*_WORD.findall(fold_text(text))}
    counts = {language: len(words & stop_words(language)) for language in STOP_WORDS}
    best, second = sorted(counts, key=counts.__getitem__, reverse=True)[:2]
    return best if counts[best] > max(1, counts[second]) else None


def is_stop_word(word: str, language: str) -> bool:
    """Return whether a word, ignoring case and accents, is a stop word of a language: `what`, `what's`."""
    pieces = _APOSTROPHE.split(fold_text(word))
    return all(piece in stop_words(language) or len(piece) == 1 < len(pieces) for piece in pieces)
