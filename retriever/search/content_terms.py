"""Compare texts by the stems of their content words, with the analyzer that full-text search uses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from echo_index.indexer.text.analyzer import is_unspaced, query_terms, split_words
from echo_index.indexer.text.language_detection import is_stop_word, query_language
from echo_index.indexer.text.stopwords import STOP_WORDS

_JOINTS = re.compile(r"[_'’-]+")  # o'clock, max_tokens: only the parts count, not the whole beside them
_HIRAGANA = re.compile(r"[\u3040-\u309f]+")  # alone these are mostly particles and endings


def content_terms(text: str, language: str, *, written_in: str | None = None) -> list[str]:
    """Return the terms of a text's content words, in order, stemmed by the rules of `language` (a Snowball name).

    Stop words of that language and single letters are left out; so are stop words of the language that the text is
    `written_in`, where it is another one. Scripts without spaces give pairs of characters.
    """
    return [term for word in split_words(text) for term in _word_terms(word, language, written_in or language)]


def question_terms(question: str, language: str) -> list[str]:
    """Return the content terms of a question in any language, to be compared with a text in `language`."""
    return content_terms(question, language, written_in=short_text_language(question))


@lru_cache(maxsize=256)
def short_text_language(text: str) -> str:
    """Return the language that has most of a short text's words as stop words; English if none has any."""
    return query_language(split_words(text), tuple(STOP_WORDS))


@lru_cache(maxsize=1 << 16)
def _word_terms(word: str, language: str, written_in: str) -> tuple[str, ...]:
    """Return the content terms of one word. Every search compares some hundred words, most of them the same ones."""
    if is_stop_word(word, language) or is_stop_word(word, written_in):
        return ()
    return tuple(term for part in _JOINTS.split(word) for term in _part_terms(part, language))


def _part_terms(part: str, language: str) -> Iterator[str]:
    for term in query_terms(part, [language]) if part else ():
        if is_unspaced(term):
            if not _HIRAGANA.fullmatch(term):
                yield term
        elif len(term) > 1 or term.isdigit():
            yield term
