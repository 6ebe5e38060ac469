"""Ranks passages by the words that they share with a question. Knows nothing of meaning."""

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
_MOST_CHARACTERS, _MOST_WORDS = 10_000, 256  # are looked at: a document that was pasted would take seconds


def lexical_ranking(snapshot: Snapshot, query: str, k: int, where: SearchFilter) -> Scored:
    """Return (chunk id, BM25 score) of the best `k` passages that have a word of the question."""
    return snapshot.matching(parse_lexical_query(query, snapshot.languages()), k=k, where=where)


def parse_lexical_query(text: str, languages: Sequence[str]) -> LexicalQuery:
    """Return what to look for where a person typed `text`, in an index of documents in these languages.

    What is between quotation marks is a phrase, and `word*` the beginning of a word; all else are words. Function
    words count only where there is nothing else: they tell few passages from another, and most of the time would go
    into visiting all that have them. A capital within the question makes a name of a word: `Where`.
    """
    text = text[:_MOST_CHARACTERS].encode("utf-8", "replace").decode()  # an argument that is not UTF-8 has surrogates
    phrases = [phrase for phrase in _PHRASE.findall(text) if split_words(phrase)]
    rest = _PHRASE.sub(" ", text)
    prefixes = _PREFIX.findall(rest)
    words = split_words(_PREFIX.sub(" ", rest))
    language = query_language(words, languages)
    telling = [
        word
        for number, word in enumerate(words)
        if not ((number == 0 or word.islower()) and is_stop_word(word, language))
    ]
    if not (telling or phrases or prefixes):
        telling = words
    words, phrases, prefixes = (list(dict.fromkeys(kind))[:_MOST_WORDS] for kind in (telling, phrases, prefixes))
    return LexicalQuery(tuple(words), tuple(phrases), tuple(prefixes))
