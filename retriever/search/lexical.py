"""Parse a query into words, phrases and prefixes, and rank chunks by BM25."""

from __future__ import annotations

import re
from collections.abc import Sequence

from echo_index.indexer.catalog.records import LexicalQuery, SearchFilter
from echo_index.indexer.generations.snapshot import Snapshot
from echo_index.indexer.text.analyzer import split_words
from echo_index.indexer.text.language_detection import is_stop_word, query_language
from echo_index.retriever.search.hits import Scored

_PHRASE = re.compile(r'(?<!\w)["“”„«»]([^"“”„«»]*)["“”„«»](?!\w)')  # but not 24" and 27"
_PREFIX = re.compile(r"(?<![\w*])(\w[\w.-]*)\*(?![\w*])")
_MAX_CHARACTERS, _MAX_WORDS = 10_000, 256  # of a query: a pasted document would take seconds


def lexical_ranking(snapshot: Snapshot, query: str, k: int, where: SearchFilter) -> Scored:
    """Return (chunk id, BM25 score) of the best `k` chunks that have a word of the query, best first."""
    return snapshot.matching(parse_lexical_query(query, snapshot.languages()), k=k, where=where)


def parse_lexical_query(text: str, languages: Sequence[str]) -> LexicalQuery:
    """Parse the text that a person typed, for an index of documents in these languages.

    Text in quotation marks is a phrase and `word*` a prefix; everything else is words. Stop words are dropped unless
    there is nothing else: they hardly distinguish chunks, and scoring every chunk that has them would take most of the
    time. A capitalized stop word inside the query is taken for a name and not dropped.
    """
    text = (
        text[:_MAX_CHARACTERS].encode("utf-8", "replace").decode()
    )  # command-line arguments that are not UTF-8 have surrogates
    phrases = [phrase for phrase in _PHRASE.findall(text) if split_words(phrase)]
    rest = _PHRASE.sub(" ", text)
    prefixes = _PREFIX.findall(rest)
    words = split_words(_PREFIX.sub(" ", rest))
    language = query_language(words, languages)
    content_words = [
        word
        for number, word in enumerate(words)
        if not ((number == 0 or word.islower()) and is_stop_word(word, language))
    ]
    if not (content_words or phrases or prefixes):
        content_words = words
    words, phrases, prefixes = (list(dict.fromkeys(kind))[:_MAX_WORDS] for kind in (content_words, phrases, prefixes))
    return LexicalQuery(tuple(words), tuple(phrases), tuple(prefixes))
