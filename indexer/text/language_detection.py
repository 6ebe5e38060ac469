"""Which language a text is in, by its function words. Knows no model of languages, and takes code for English."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache

from echo_index.indexer.text.analyzer import fold_text
from echo_index.indexer.text.stopwords import STOP_WORDS

ENGLISH = "english"
_WORD = re.compile(r"[^\W\d_]{2,}")  # a single letter says little: it may be a variable or the name of an item
_APOSTROPHE = re.compile("['’]")
_PIECES, _PIECE = 8, 1000  # how many pieces of a text are looked at, and how many characters of each
_LEAST_SHARE = 0.08  # of the words of a text are function words of its language: prose has three times as many
_LEAST_DIFFERENT = 3
_CLEARLY = 2  # times as many as of English: the lists share words, and names of places are full of others'


def detect_language(text: str) -> str:
    """Return the language of a document, as Snowball names it.

    English where there is none that we know, as in source code, tables and Chinese: what is told apart here are the
    endings and the function words of languages, and such texts have none or those of English.
    """
    step = max(_PIECE, len(text) // _PIECES)
    pieces = (text[start : start + _PIECE] for start in range(0, len(text), step))
    words = Counter(word for piece in pieces for word in _WORD.findall(fold_text(piece)))
    held = {language: words.keys() & stop_words(language) for language in STOP_WORDS}
    counted = {language: sum(words[word] for word in found) for language, found in held.items()}
    best = max(counted, key=counted.__getitem__)  # the first of equals: English
    least = max(_CLEARLY * counted[ENGLISH], _LEAST_SHARE * sum(words.values()))
    return best if len(held[best]) >= _LEAST_DIFFERENT and counted[best] >= least else ENGLISH


def query_language(words: Iterable[str], languages: Sequence[str]) -> str:
    """Return the one of some languages, the first of equals, whose function words a question has most of.

    English where there are no languages.
    """
    asked = list(words)
    return max(languages, key=lambda language: sum(is_stop_word(word, language) for word in asked), default=ENGLISH)


def is_stop_word(word: str, language: str) -> bool:
    """Whether a word, whatever its capitals and accents, says little by itself in a language: `what`, `what's`."""
    pieces = _APOSTROPHE.split(fold_text(word))
    return all(piece in stop_words(language) or len(piece) == 1 < len(pieces) for piece in pieces)


@cache
def stop_words(language: str) -> frozenset[str]:
    """Return the words of a language that say little by themselves, in lower case without accents; none if unknown."""
    return frozenset(fold_text(STOP_WORDS.get(language, "")).split())
