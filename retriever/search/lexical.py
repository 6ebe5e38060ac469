"""Parse a query into words, phrases and prefixes, and rank chunks by BM25."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from echo_index.indexer.catalog.records import LexicalQuery, SearchFilter
from echo_index.indexer.stores.search_space import SearchSpace
from echo_index.indexer.text.analyzer import split_words
from echo_index.indexer.text.language_detection import is_stop_word, query_language
from echo_index.indexer.text.letters import fold_text
from echo_index.indexer.text.sentences import SENTENCE_BREAK
from echo_index.retriever.search.hits import Scored

_PHRASE = re.compile(r'(?<!\w)["“”„«»]([^"“”„«»]*)["“”„«»](?!\w)')  # but not 24" and 27"
_QUOTATION_MARK = re.compile('["“”„«»]')
_PREFIX = re.compile(r"(?<![\w*])(\w[\w.-]*)\*(?![\w*])")
_SHOUTED_WORDS = 3  # so many words in capitals, and no other, are a sentence rather than acronyms
_LETTER, _DIGIT = re.compile("[a-zA-ZͰ-ϿЀ-ӿ]"), re.compile(r"\d")
_ORDINAL = re.compile(r"\d+(?:st|nd|rd|th|er|re|e|ème|o|a|º|ª)", re.IGNORECASE)
_MAX_CHARACTERS, _MAX_WORDS = 10_000, 256  # of a query, different ones: a pasted document would take seconds


def lexical_ranking(space: SearchSpace, query: str, k: int, where: SearchFilter, *, exact: bool = False) -> Scored:
    """Return (chunk id, BM25 score) of the best `k` chunks that have a word of the query, best first."""
    return space.matching(parse_lexical_query(query, space.languages(), exact=exact), k=k, where=where)


def parse_lexical_query(text: str, languages: Sequence[str], *, exact: bool = False) -> LexicalQuery:
    """Parse the text that a person typed, for an index of documents in these languages.

    Text in quotation marks is a phrase and `word*` a prefix; everything else is words. If there are only phrases, each
    must occur; beside other words, as in a question about a title, they are optional, and their words count, too. With
    `exact`, each must occur in any case, and without quotation marks the whole text is one.

    Stop words are dropped unless there is nothing else: they hardly distinguish chunks, and scoring every chunk that
    has them would take most of the time. A capitalized stop word inside a sentence is taken for a name and not dropped,
    and so is one in capitals, such as IT or WHO, anywhere in a query that is not all in capitals.
    """
    text = (
        text[:_MAX_CHARACTERS].encode("utf-8", "replace").decode()
    )  # command-line arguments that are not UTF-8 have surrogates
    if exact and not _phrases(text):
        text = f'"{_QUOTATION_MARK.sub(" ", text)}"'
    phrases, rest = _phrases(text), _PHRASE.sub(" ", text)
    are_required = exact or not split_words(rest)
    prefixes = _PREFIX.findall(rest)
    spoken = _PREFIX.sub(" ", rest if are_required else _PHRASE.sub(r" \1 ", text))
    sentences = [split_words(sentence) for sentence in SENTENCE_BREAK.split(spoken)]
    words = [word for sentence in sentences for word in sentence]
    language = query_language(words, languages)
    all_capitals = sum(word.isupper() for word in words) >= _SHOUTED_WORDS and text.isupper()
    content_words = [
        word
        for sentence in sentences
        for number, word in enumerate(sentence)
        if _is_name(word, is_first=number == 0, all_capitals=all_capitals) or not is_stop_word(word, language)
    ]
    if not (content_words or phrases or prefixes):
        content_words = words
    counted, phrases, prefixes = (list(dict.fromkeys(kind))[:_MAX_WORDS] for kind in (content_words, phrases, prefixes))
    kept = {*counted}
    return LexicalQuery(
        tuple(word for word in content_words if word in kept),
        tuple(phrases) if are_required else (),
        tuple(prefixes),
        () if are_required else tuple(phrases),
    )


def names_code(query: str) -> bool:
    """Return whether a query has a code, such as Ship37, B12, Boat-041 or ORA-12541: a word of letters and digits.

    Ordinals (3rd) and measures (2-point) are none.
    """
    return bool(codes_in(query))


def codes_in(text: str) -> set[str]:
    """Return the codes in a text, in basic letters and lower case."""
    return {fold_text(word) for word in split_words(text) if _is_code(word)}


def _is_code(word: str) -> bool:
    pieces = word.split("-")
    if len(pieces) > 1 and pieces[0][:1].isupper() and any(piece.isdecimal() for piece in pieces[1:]):
        return True
    return any(_LETTER.search(piece) and _DIGIT.search(piece) and not _ORDINAL.fullmatch(piece) for piece in pieces)


def nothing_found(query: str, *, mode: Literal["hybrid", "dense", "lexical"] = "hybrid", exact: bool = False) -> str:
    """Return the sentence that says that nothing was found, with the phrases that had to occur."""
    phrases = () if mode == "dense" else parse_lexical_query(query, (), exact=exact).phrases
    if not phrases:
        return "Nothing was found."
    quoted = " and ".join(f"“{phrase}”" for phrase in phrases)
    return f"No passage has {quoted} word for word."


def _is_name(word: str, *, is_first: bool, all_capitals: bool) -> bool:
    """Return whether a word that may be a stop word is written like a name: `Who` in a sentence, `WHO` anywhere."""
    if all_capitals or word.islower():
        return False
    return not is_first or (word.isupper() and len(word) > 1)


def _phrases(text: str) -> list[str]:
    """Return the texts in quotation marks that have a word."""
    return [phrase for phrase in _PHRASE.findall(text) if split_words(phrase)]
