"""Make synthetic queries from a chunk: what people might type to find it."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from echo_index.indexer.text.analyzer import split_words
from echo_index.indexer.text.language_detection import is_stop_word, query_language
from echo_index.indexer.text.sentences import SENTENCE_BREAK

_MARKUP = re.compile(r"[#*_`=|>\-]{2,}|^[#*>\- \t]+", re.MULTILINE)
_MIN_SENTENCE_WORDS = 5
_MAX_WORDS = 30
_MAX_CHARACTERS = 200
_MIN_KEYWORDS, _MAX_KEYWORDS = 2, 5


def synthetic_queries(text: str, *, languages: Sequence[str], rng: random.Random) -> tuple[str, str, str] | None:
    """Return three queries for a chunk: its heading or first sentence, a random sentence, and keywords of a sentence.

    `languages` are those of the index, by the names that Snowball uses. None if the text has no word.
    """
    pieces = [piece.strip() for piece in SENTENCE_BREAK.split(_MARKUP.sub(" ", text))]
    pieces = [piece for piece in pieces if any(character.isalnum() for character in piece)]
    if not pieces:
        return None
    sentences = [piece for piece in pieces if len(piece.split()) >= _MIN_SENTENCE_WORDS] or pieces
    return _truncate(pieces[0]), _truncate(rng.choice(sentences)), _keywords(sentences, languages, rng)


def _keywords(sentences: Sequence[str], languages: Sequence[str], rng: random.Random) -> str:
    """Return the first few words of a random sentence that are not stop words, in lower case."""
    sentence = _truncate(rng.choice(sentences))
    words = split_words(sentence)
    language = query_language(words, languages)
    keywords = dict.fromkeys(word.lower() for word in words if not is_stop_word(word, language))
    return " ".join(list(keywords)[: rng.randint(_MIN_KEYWORDS, _MAX_KEYWORDS)]) or sentence


def _truncate(text: str) -> str:
    return " ".join(text.split()[:_MAX_WORDS])[:_MAX_CHARACTERS].strip()
