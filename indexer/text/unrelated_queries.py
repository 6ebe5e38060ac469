"""Make queries that have nothing to do with the texts of an index."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Sequence

from echo_index.indexer.text.analyzer import split_words
from echo_index.indexer.text.language_detection import ENGLISH, certain_language, is_stop_word, query_language

_MIN_WORDS, _MAX_WORDS = 3, 6
_MIN_LENGTH, _MAX_LENGTH = 3, 12  # letters of a word; a long one is a line of a script without spaces
_MAX_WIDE_LENGTH = 4  # Chinese, Japanese or Korean characters: what takes twelve letters to write takes about four
_QUERIES = 96
_LEAST_ASCII = 0.9  # of the letters of an English text
_TRIES = 50
_QUESTIONS = (
    "How do I descale an espresso machine?",
    "Why do cats knead blankets before sleeping?",
    "How long should sourdough rest in the fridge?",
    "What is the offside rule in water polo?",
    "best time to prune a lemon tree",
    "What does the red card mean in fencing?",
    "Which spice gives paella its colour?",
    "How many keys does a harpsichord have?",
    "What size tyres fit a 1972 Vespa?",
    "How do sailors tie a bowline?",
    "What is the boiling point of ethanol at high altitude?",
    "What was the diet of medieval monks?",
    "average salary of a lighthouse keeper",
    "How do you score a game of cribbage?",
    "How are contact lenses cleaned overnight?",
    "How to train a puppy not to bite",
    "What is the correct posture for rowing?",
    "Why does bread go stale faster in the fridge?",
    "How many bones does a giraffe have in its neck?",
    "What tax do I pay on an inherited house in Spain?",
    "The violinist broke a string during the second movement.",
    "Beekeepers feed their hives with sugar syrup in autumn.",
    "She sold her grandmother's ring to pay the rent.",
    "Potatoes were introduced to Ireland in the sixteenth century.",
    "The museum is closed on Mondays and public holidays.",
    "hotel with sauna near the ski lift",
    "used caravan price comparison",
    "sunscreen for sensitive skin",
    "recipe for plum jam without sugar",
    "history of the fountain pen",
    "How do I remove a stripped screw?",
    "Which wood is best for a violin bow?",
    "Who discovered the tomb of Tutankhamun?",
    "How do I cancel my gym membership?",
    "What is the capital gains threshold for farmland?",
    "What is the difference between a mandolin and a lute?",
    "How is parmesan aged?",
    "How many players are on a curling team?",
    "Who was the last empress of Brazil?",
    "What do koalas eat besides eucalyptus?",
    "How do you waterproof leather boots?",
    "How do I calm a crying baby at night?",
    "What is a good tip for a taxi driver in Athens?",
    "Who invented the zip fastener?",
    "How is olive oil graded?",
    "How long do hamsters live?",
    "How do I grow mushrooms in the cellar?",
    "What is the tallest statue in India?",
)
"""Questions about many things. An index may know a few of them, but hardly a quarter."""


def unrelated_queries(texts: Sequence[str], *, languages: Sequence[str], rng: random.Random) -> list[str]:
    """Return queries that none of the texts answers: questions about other things, and words from different texts.

    The questions are in English. The words are in the languages of the texts and of their subjects, but make no sense
    together. Of the questions alone the best cosines were too low, of the words alone mostly too high, on English
    collections; on those in other languages, nobody asks in English, and the words alone were about right. So the
    questions are half of the queries where all texts are English, and none where no text is, unless the texts have no
    words; docs/searching.md has the figures.
    """
    questions = round(len(_QUESTIONS) * sum(map(_may_be_english, texts)) / max(1, len(texts)))
    shuffled = (
        _different_words(texts, languages, rng, count=rng.randint(_MIN_WORDS, _MAX_WORDS))
        for _ in range(_QUERIES - questions)
    )
    words = [*filter(None, shuffled)]
    return [*words, *rng.sample(_QUESTIONS, max(questions, len(_QUESTIONS) - len(words)))]


def _may_be_english(text: str) -> bool:
    """Return whether a text may be English: it is recognized, or is not known but in its letters, as source code is."""
    letters = [*filter(str.isalpha, text)]
    language = certain_language(text)
    return language == ENGLISH or (
        language is None and sum(map(str.isascii, letters)) >= _LEAST_ASCII * len(letters) > 0
    )


def _different_words(texts: Sequence[str], languages: Sequence[str], rng: random.Random, *, count: int) -> str:
    """Return some words, each from a text of its own as far as there are enough."""
    chosen: list[str] = []
    for _ in range(_TRIES):
        if not texts or len(chosen) == count:
            break
        words = split_words(rng.choice(texts))
        language = query_language(words, languages)
        words = [word for word in words if _is_distinctive(word, language)]
        if words:
            chosen.append(_shorten(rng.choice(words)))
    return " ".join(chosen)


def _shorten(word: str) -> str:
    is_wide = unicodedata.east_asian_width(word[0]) in "WF"
    return word[: _MAX_WIDE_LENGTH if is_wide else _MAX_LENGTH]


def _is_distinctive(word: str, language: str) -> bool:
    return (len(word) >= _MIN_LENGTH or not word.isascii()) and not is_stop_word(word.lower(), language)
