"""Questions whose right passage is known without labels: made of the passages themselves. Knows no model or index."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

_SENTENCE_END = re.compile(r"(?<=[.!?…。！？])\s+|\n+")
_FEWEST_WORDS = 5  # of a sentence that can be asked
_MOST_WORDS = 30  # of a question
_LEAST_LEFT = 4  # words of a passage without the sentence
_HEADINGS = 0.25  # the most of the questions that are headings


@dataclass(frozen=True, slots=True)
class SourcePassage:
    """A passage that questions are made of: its title and headings, outermost first, and its text."""

    headings: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class PseudoQuestion:
    """A question, the number of the passage that it was taken out of, and that passage without it."""

    query: str
    passage: int
    headings: tuple[str, ...]
    text: str


def pseudo_questions(passages: Sequence[SourcePassage], *, most: int, seed: int = 0) -> list[PseudoQuestion]:
    """Return up to `most` questions, at most one a passage, the same ones for the same passages and seed.

    A heading of a single passage is asked for that passage without it; else a sentence, or where there is only one, a
    third of its words, for the rest of the passage (the inverse cloze task: Lee and others, arXiv 1906.00300).
    """
    chance = random.Random(seed)
    owners = Counter(passage.headings[-1] for passage in passages if passage.headings)
    numbers = list(range(len(passages)))
    chance.shuffle(numbers)
    headings_left = int(_HEADINGS * most)
    queries: list[PseudoQuestion] = []
    for number in numbers:
        if len(queries) == most:
            break
        passage = passages[number]
        heading = passage.headings[-1] if passage.headings else ""
        if headings_left and owners[heading] == 1 and len(heading.split()) >= 3:
            headings_left -= 1
            rest = passage.text.replace(heading, " ", 1).strip()
            asked = PseudoQuestion(heading, number, passage.headings[:-1], rest)
        else:
            query, rest = _taken_out(passage.text, chance)
            asked = PseudoQuestion(query, number, passage.headings, rest)
        if asked.query and len(asked.text.split()) >= _LEAST_LEFT:
            queries.append(asked)
    return queries


def _taken_out(text: str, chance: random.Random) -> tuple[str, str]:
    """Return a sentence of a text, or some of its words, and the text without; '' where it is too short."""
    sentences = [each for each in _SENTENCE_END.split(text) if len(each.split()) >= _FEWEST_WORDS]
    words = text.split()
    if len(sentences) > 1:
        sentence = chance.choice(sentences)
        return " ".join(sentence.split()[:_MOST_WORDS]), text.replace(sentence, " ", 1).strip()
    if len(words) < 2 * _FEWEST_WORDS:
        return "", text
    length = min(max(_FEWEST_WORDS, len(words) // 3), _MOST_WORDS)
    start = chance.randrange(len(words) - length + 1)
    return " ".join(words[start : start + length]), " ".join([*words[:start], *words[start + length :]])
