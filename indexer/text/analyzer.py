"""Split texts into the terms of full-text search: stems, identifiers whole and in parts, bigrams of CJK characters."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import pairwise
from threading import local
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from Stemmer import Stemmer

TERM_PUNCTUATION = "+#."
"""ASCII characters besides letters and digits that terms may contain: `c++`, `c#`, `3.11`."""

# Scripts without spaces between words: Thai, Lao, Burmese, Khmer, Kana, Han. And Korean, whose words carry particles.
_UNSPACED = (
    "\u0e01-\u0e4e\u0e81-\u0ece\u1000-\u109f\u1780-\u17d3\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\U00020000-\U0003ffff"
)
_MARKS = "\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0963\u0971-\u0dff\u200c\u200d"
_ACCENTS = re.compile("[\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u200c\u200d]")
# Letters and digits of scripts with spaces between words. An underscore alone is not a word.
_LETTERS = rf"_*[^\W_{_UNSPACED}](?:[^\W{_UNSPACED}]|[{_MARKS}])*"
_JOINED = r"{0}(?:[.'’-]{0})*(?:\+\+|\#(?!\w))?"  # no-cache, torch.nn, l'eau, 3.11.2, C++
_WORD = re.compile(rf"[{_UNSPACED}]+|{_JOINED.format(_LETTERS)}")
_ASCII_WORD = re.compile(_JOINED.format(r"_*[^\W_]\w*"))
_IS_UNSPACED = re.compile(f"[{_UNSPACED}]")
_SEPARATOR = re.compile(r"[_'’+#-]+|(?<!\d)\.|\.(?!\d)")  # a period between digits belongs to the number
_COMPOUND = re.compile(r"[^\W\d_]{3,}(?:-[^\W\d_]{3,})+")
_ELISION = re.compile(r"^[^\W\d_]['’]|['’][^\W\d_]$")  # l'eau, whale's
_ASCII_PART = re.compile(r"\d+(?:\.\d+)*|[A-Z]+(?=[A-Z][a-z]{2})|[A-Z]?[a-z]+|[A-Z]+")  # HTTPServer2, getUserName
_PLAIN_WORD = re.compile(rf"(?:[^\W\d_]|[{_MARKS}])+")
_PART = re.compile(rf"\d+(?:\.\d+)*|{_PLAIN_WORD.pattern}")
_MAX_SPLIT_LENGTH = 64  # characters; a longer word is data, such as a key, and becomes one term
_stemmers = local()  # a stemmer is not thread-safe


def split_words(text: str) -> list[str]:
    """Return the words of a text in order, in Unicode's NFKC form.

    An identifier (`getUserName`, `no-cache`, `3.11.2`, `C++`) is one word, and so is a run of Chinese characters.
    """
    if text.isascii():
        return _ASCII_WORD.findall(text)
    return _WORD.findall(unicodedata.normalize("NFKC", text))


def document_terms(text: str, language: str) -> list[str]:
    """Return the terms under which a text is indexed, in order and with repetitions.

    `language` is a name that Snowball uses. A run of Chinese, Japanese or Korean becomes its overlapping bigrams and
    its last character, so that every character begins a term.
    """
    terms: list[str] = []
    for word in split_words(text):
        terms += _terms(word, language)
        if is_unspaced(word) and len(word) > 1:
            terms.append(word[-1])
    return terms


def query_terms(word: str, languages: Iterable[str]) -> list[str]:
    """Return the distinct terms to search for, given a word of a query and the languages of the documents.

    A compound such as `boundary-layer` is searched by its parts only: the whole would count them twice. Compounds with
    a short part, such as `e-mail` and `co-operate`, are often written as one word, so the whole is searched too.
    """
    is_compound = bool(_COMPOUND.fullmatch(word))
    terms_by_language = (_terms(word, language)[is_compound:] for language in languages)
    return list(dict.fromkeys(term for terms in terms_by_language for term in terms))


def is_unspaced(word: str) -> bool:
    """Return whether a word begins with a character of a script that has no spaces between words."""
    return bool(_IS_UNSPACED.match(word))


def fold_text(text: str) -> str:
    """Return a text in lower case and without accents, the form in which words are compared."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return unicodedata.normalize("NFKC", _ACCENTS.sub("", decomposed))


@lru_cache(maxsize=1 << 16)
def _terms(word: str, language: str) -> tuple[str, ...]:
    if is_unspaced(word):
        return tuple(first + second for first, second in pairwise(word)) or (word,)
    if _PLAIN_WORD.fullmatch(word) and (word.isupper() or word[1:] == word[1:].lower()):
        return (_stem(word, language),)
    if len(word) > _MAX_SPLIT_LENGTH:
        return (fold_text(_SEPARATOR.sub("", word)),)
    return tuple(dict.fromkeys(term for term in _identifier_terms(word, language) if term))


def _identifier_terms(word: str, language: str) -> Iterator[str]:
    """Yield the terms of an identifier: the whole without punctuation, then its parts."""
    whole = _SEPARATOR.sub("", word)
    yield _stem(whole, language) if whole.isalpha() else fold_text(whole)
    if word.endswith(("+", "#")):
        yield fold_text(whole) + word[len(word.rstrip("+#")) :]
    for piece in _SEPARATOR.split(_ELISION.sub("", word)):
        for part in (_ASCII_PART if piece.isascii() else _PART).findall(piece):
            yield part if part[0].isdigit() else _stem(part, language)
            if "." in part:  # a search for 3.11 or for 3 finds 3.11.2
                numbers = part.split(".")
                yield from (".".join(numbers[:length]) for length in range(2, len(numbers)))
                yield from numbers


def _stem(word: str, language: str) -> str:
    stemmer = _stemmer(language)
    lower = word.lower()
    return fold_text(stemmer.stemWord(lower) if stemmer else lower)


def _stemmer(language: str) -> Stemmer | None:
    """Return this thread's stemmer for a language; None if Snowball has none."""
    stemmers: dict[str, Stemmer | None] = _stemmers.__dict__
    if language not in stemmers:
        from Stemmer import Stemmer, algorithms

        stemmers[language] = Stemmer(language) if language in algorithms() else None
    return stemmers[language]
