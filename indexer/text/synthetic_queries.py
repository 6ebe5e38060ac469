"""The same thing said in several ways: what people might type who look for a passage. Knows no model and no catalog."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from echo_index.indexer.text.analyzer import split_words
from echo_index.indexer.text.language_detection import is_stop_word, query_language

_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？])|\n+")
_MARKUP = re.compile(r"[#*_`=|>\-]{2,}|^[#*>\- \t]+", re.MULTILINE)
_FEWEST_WORDS = 5  # of a sentence that can be asked
_MOST_WORDS = 30
_LONGEST = 200  # characters
_KEYWORDS = 2, 5  # at least and at most


def synthetic_queries(text: str, *, languages: Sequence[str], chance: random.Random) -> tuple[str, str, str] | None:
    """Return three ways to look for a passage: its heading or first sentence, a sentence of it, and keywords of one.

    Languages are those of the index, as Snowball names them. None where there is nothing to be asked.
    """
    pieces = [piece.strip() for piece in _SENTENCE_END.split(_MARKUP.sub(" ", text))]
    pieces = [piece for piece in pieces if any(character.isalnum() for character in piece)]
    if not pieces:
        return None
    sentences = [piece for piece in pieces if len(piece.split()) >= _FEWEST_WORDS] or pieces
    return _shortened(pieces[0]), _shortened(chance.choice(sentences)), _keywords(sentences, languages, chance)


def _keywords(sentences: Sequence[str], languages: Sequence[str], chance: random.Random) -> str:
    """Return a few words of a sentence that say something, in lower case, as people type them."""
    sentence = _shortened(chance.choice(sentences))
    words = split_words(sentence)
    language = query_language(words, languages)
    telling = dict.fromkeys(word.lower() for word in words if not is_stop_word(word, language))
    return " ".join(list(telling)[: chance.randint(*_KEYWORDS)]) or sentence


def _shortened(text: str) -> str:
    return " ".join(text.split()[:_MOST_WORDS])[:_LONGEST].strip()
