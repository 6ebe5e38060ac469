"""Split texts into the terms of full-text search: stems, identifiers whole and in parts, bigrams of CJK characters."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import pairwise
from threading import local
from typing import TYPE_CHECKING

from echo_index.indexer.text.letters import VOWEL_SIGNS, basic_letters, fold_accents, fold_text
from echo_index.indexer.text.numbers import (
    NUMBER,
    dotted_number,
    is_grouped,
    is_number,
    number_terms,
    plain_number,
    ungroup_numbers,
)
from echo_index.indexer.text.stopwords import stop_words
from echo_index.indexer.text.typography import plain_text

if TYPE_CHECKING:
    from Stemmer import Stemmer

TERM_PUNCTUATION = "+#.&^-"
"""ASCII characters besides letters and digits that terms may contain: `c++`, `c#`, `3.11`, `at&t`, `10^-3`."""

# Scripts without spaces between words: Thai, Lao, Burmese, Khmer, Kana, Han. And Korean, whose words carry particles.
_UNSPACED = (
    "\u0e01-\u0e4e\u0e81-\u0ece\u1000-\u109f\u1780-\u17d3\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\U00020000-\U0003ffff"
)
# Letters and digits of scripts with spaces between words. An underscore alone is not a word.
_LETTERS = rf"_*[^\W_{_UNSPACED}](?:[^\W{_UNSPACED}]|[{VOWEL_SIGNS}])*"
_JOINED = r"{0}(?:(?:[.'’-]|&(?=[A-Z])){0})*(?:\+\+|\#(?!\w))?"  # no-cache, torch.nn, l'eau, 3.11.2, C++, AT&T
_DOTTED = r"\.(?=[A-Za-z])(?<![\w.]\.)"  # .NET
_ASCII_LETTERS = r"_*[^\W_]\w*"
_WORD = re.compile(rf"[{_UNSPACED}]+|{NUMBER}|{_JOINED.format(_LETTERS)}|{_DOTTED}{_JOINED.format(_ASCII_LETTERS)}")
_ASCII_WORD = re.compile(f"{NUMBER}|{_JOINED.format(_ASCII_LETTERS)}|{_DOTTED}{_JOINED.format(_ASCII_LETTERS)}")
_IS_UNSPACED = re.compile(f"[{_UNSPACED}]")
_SEPARATOR = re.compile(r"[_'’+#-]+|(?<!\d)\.|\.(?!\d)")  # a period between digits belongs to the number
_PIECE_BREAK = re.compile(rf"{_SEPARATOR.pattern}|&")
_COMPOUND = re.compile(r"[^\W\d_]{3,}(?:-[^\W\d_]{3,})+")
_ELISION = re.compile(r"^[^\W\d_]['’]|['’][^\W\d_]$")  # l'eau, whale's
_ASCII_PART = re.compile(r"\d+(?:\.\d+)*|[A-Z]+(?=[A-Z][a-z]{2})|[A-Z]?[a-z]+|[A-Z]+")  # HTTPServer2, getUserName
# Words that digits or capitals would tear: the IPv4 of IPv4Address, the iPhone of iPhone15.
_ASCII_UNIT = re.compile(r"[A-Z]{2,}[a-z]\d+|(?<![A-Za-z])[a-z][A-Z][A-Za-z]*(?=\d)")
_PLAIN_WORD = re.compile(rf"(?:[^\W\d_]|[{VOWEL_SIGNS}])+")
_PART = re.compile(rf"\d+(?:\.\d+)*|{_PLAIN_WORD.pattern}")
_MAX_SPLIT_LENGTH = 64  # characters; a longer word is data, such as a key, and becomes one term
_LONG_MARK = re.compile(
    r"(?<=[\u30a1-\u30fa\u30fc]{2}[\u30a1-\u30fa])\u30fc(?![\u30a1-\u30fa\u30fc])"
)  # コンピューター
_VERSION = 1  # raise it with every change to the terms or the exact text of any document
_ACRONYM = "#"  # begins the term of a word that is a name in capitals only: IT, WHO
_SPELLED_OUT = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "Ø": "Oe", "Å": "Aa"}
)
# The German stemmer reads ae as ä itself. Texts of a few words, whatever their language, are indexed as English.
_SPELLING_LANGUAGES = {"english", "danish", "norwegian", "swedish"}
_stemmers = local()  # a stemmer is not thread-safe


def analyzer_version() -> str:
    """Return the version of `document_terms` and `exact_text`, with those of the stemmer and of Unicode."""
    from Stemmer import version

    return f"{_VERSION}, Snowball {version()}, Unicode {unicodedata.unidata_version}"


def split_words(text: str) -> list[str]:
    """Return the words of a text in order, in Unicode's NFKC form.

    An identifier (`getUserName`, `no-cache`, `3.11.2`, `C++`) is one word, and so are a number with its digits in
    groups and a run of Chinese characters.
    """
    return _ASCII_WORD.findall(text) if text.isascii() else _WORD.findall(plain_text(text))


def document_terms(text: str, language: str) -> list[str]:
    """Return the terms under which a text is indexed, in order and with repetitions.

    `language` is a name that Snowball uses. A run of Chinese, Japanese or Korean becomes its overlapping bigrams and
    its last character, so that every character begins a term. A word with accents is indexed as it is and as someone
    writes it whose keyboard lacks them, where the stems differ.
    """
    return [term for word in split_words(text) for term in _document_terms(word, language)]


def query_terms(word: str, languages: Iterable[str]) -> list[str]:
    """Return the distinct terms to search for, given a word of a query and the languages of the documents.

    A compound such as `boundary-layer` is searched by its parts only: the whole would count them twice. Compounds with
    a short part, such as `e-mail` and `co-operate`, are often written as one word, so the whole is searched too. A
    number with its digits in groups is searched as a whole only.
    """
    return list(query_weights(word, languages))


def query_weights(word: str, languages: Iterable[str]) -> dict[str, float]:
    """Return the terms of `query_terms`, and how much each counts: the ways to spell one word share its weight."""
    weights: dict[str, float] = {}
    for language in languages:
        for term, weight in _language_weights(word, language):
            weights[term] = max(weights.get(term, 0.0), weight)
    return weights


def earlier_query_terms(word: str, languages: Iterable[str]) -> list[str]:
    """Return the terms to search for in a catalog that holds words with letters such as ł as they are."""
    return list(dict.fromkeys(term for language in languages for term in _terms(word, language, fold_accents)))


def exact_text(text: str) -> str:
    """Return a text in the form in which phrases and the beginnings of words are compared."""
    return ungroup_numbers(fold_text(plain_text(text)))


def is_unspaced(word: str) -> bool:
    """Return whether a word begins with a character of a script that has no spaces between words."""
    return bool(_IS_UNSPACED.match(word))


@lru_cache(maxsize=1 << 16)
def _document_terms(word: str, language: str) -> tuple[str, ...]:
    if word.isascii():
        return _terms(word, language)
    terms = [term for spelling in _spellings(word, language) for term in _terms(spelling, language)]
    if is_unspaced(word):
        run = _LONG_MARK.sub("", word)
        return (*terms, run[-1]) if len(run) > 1 else tuple(terms)
    return tuple(dict.fromkeys(terms))


@lru_cache(maxsize=1 << 16)
def _language_weights(word: str, language: str) -> tuple[tuple[str, float], ...]:
    if is_grouped(word):
        return ((plain_number(word), 1.0),)
    is_compound = bool(_COMPOUND.fullmatch(word))
    spellings = _spellings(word, language)
    terms = Counter(term for spelling in spellings for term in dict.fromkeys(_terms(spelling, language)[is_compound:]))
    return tuple((term, count / len(spellings)) for term, count in terms.items())


def _spellings(word: str, language: str) -> list[str]:
    """Return the ways to type a word: as it is, in basic letters, and with ae for ä."""
    if word.isascii() or is_unspaced(word):
        return [word]
    spellings = [word, basic_letters(word)]
    if language in _SPELLING_LANGUAGES:
        spelled_out = basic_letters(word.translate(_SPELLED_OUT))
        spellings.append(spelled_out.upper() if word.isupper() else spelled_out)
    return list(dict.fromkeys(spellings))


def _terms(word: str, language: str, fold: Callable[[str], str] = fold_text) -> tuple[str, ...]:
    """Return the distinct terms of one way to write a word; those of text without spaces in order, with repetitions."""
    if is_unspaced(word):
        run = _LONG_MARK.sub("", word) if fold is fold_text else word
        return tuple(first + second for first, second in pairwise(run)) or (run,)
    if _PLAIN_WORD.fullmatch(word) and (word.isupper() or word[1:] == word[1:].lower()):
        return tuple(_word_terms(word, language, fold))
    if is_number(word):
        return tuple(number_terms(word))
    if len(word) > _MAX_SPLIT_LENGTH:
        return (fold(_SEPARATOR.sub("", word)),)
    return tuple(dict.fromkeys(term for term in _identifier_terms(word, language, fold) if term))


def _word_terms(word: str, language: str, fold: Callable[[str], str]) -> Iterator[str]:
    """Yield the stem of a word of letters; a stop word in capitals is also a term of its own."""
    yield _stem(word, language, fold)
    if word.isupper() and word.lower() in stop_words(language):
        yield _ACRONYM + fold(word)


def _identifier_terms(word: str, language: str, fold: Callable[[str], str]) -> Iterator[str]:
    """Yield the terms of an identifier: the whole without punctuation, then its parts."""
    whole = _SEPARATOR.sub("", word)
    if whole.isalpha():
        yield from _word_terms(whole, language, fold)
    else:
        yield fold(whole)
    if word.startswith("."):
        yield "." + fold(whole)
    if word.endswith(("+", "#")):
        yield fold(whole) + word[len(word.rstrip("+#")) :]
    for piece in _PIECE_BREAK.split(_ELISION.sub("", word)):
        for part in (_ASCII_PART if piece.isascii() else _PART).findall(piece):
            yield from _number_parts(part) if part[0].isdigit() else [_stem(part, language, fold)]
        for unit in _ASCII_UNIT.findall(piece):
            yield _stem(unit, language, fold)


def _number_parts(number: str) -> Iterator[str]:
    """Yield a number and its parts: a search for 3.11 or for 3 finds 3.11.2, and one for 1234 finds 1.234."""
    number = basic_letters(number)
    yield number
    if "." in number:
        numbers = number.split(".")
        yield from (".".join(numbers[:length]) for length in range(2, len(numbers)))
        yield from numbers
    if plain := dotted_number(number):
        yield plain


def _stem(word: str, language: str, fold: Callable[[str], str]) -> str:
    stemmer = _stemmer(language)
    lower = word.lower()
    return fold(stemmer.stemWord(lower) if stemmer else lower)


def _stemmer(language: str) -> Stemmer | None:
    """Return this thread's stemmer for a language; None if Snowball has none."""
    stemmers: dict[str, Stemmer | None] = _stemmers.__dict__
    if language not in stemmers:
        from Stemmer import Stemmer, algorithms

        stemmers[language] = Stemmer(language) if language in algorithms() else None
    return stemmers[language]
