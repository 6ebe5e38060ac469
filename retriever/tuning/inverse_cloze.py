"""Pseudo-questions with known relevant passages, taken from the passages themselves (inverse cloze task)."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from echo_index.indexer.text.sentences import SENTENCE_BREAK

_MIN_SENTENCE_WORDS = 5  # of a sentence that becomes a question
_MAX_WORDS = 30  # of a question
_MIN_REMAINING_WORDS = 4  # of a passage without the sentence
_MAX_HEADING_SHARE = 0.25  # of the questions that are headings


@dataclass(frozen=True, slots=True)
class SourcePassage:
    """A passage to make a question from: its title and headings, outermost first, and its text."""

    headings: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class PseudoQuestion:
    """A question, the index of the passage that it was taken from, and that passage without it."""

    query: str
    passage: int
    headings: tuple[str, ...]
    text: str


def pseudo_questions(passages: Sequence[SourcePassage], *, limit: int, seed: int = 0) -> list[PseudoQuestion]:
    """Return up to `limit` questions, at most one for each passage; the result is the same for the same seed.

    Inverse cloze task (Lee et al., arXiv 1906.00300): a sentence of the passage is the question, the rest of the
    passage is relevant. A passage of one sentence gives a third of its words; a heading that only one passage has is a
    question too.
    """
    rng = random.Random(seed)
    heading_counts = Counter(passage.headings[-1] for passage in passages if passage.headings)
    numbers = list(range(len(passages)))
    rng.shuffle(numbers)
    headings_left = int(_MAX_HEADING_SHARE * limit)
    questions: list[PseudoQuestion] = []
    for number in numbers:
        if len(questions) == limit:
            break
        passage = passages[number]
        heading = passage.headings[-1] if passage.headings else ""
        if headings_left and heading_counts[heading] == 1 and len(heading.split()) >= 3:
            headings_left -= 1
            rest = passage.text.replace(heading, " ", 1).strip()
            question = PseudoQuestion(heading, number, passage.headings[:-1], rest)
        else:
            query, rest = _split_off(passage.text, rng)
            question = PseudoQuestion(query, number, passage.headings, rest)
        if question.query and len(question.text.split()) >= _MIN_REMAINING_WORDS:
            questions.append(question)
    return questions


def _split_off(text: str, rng: random.Random) -> tuple[str, str]:
    """Return a sentence of a text, or some of its words, and the text without it; '' if the text is too short."""
    sentences = [part for part in SENTENCE_BREAK.split(text) if len(part.split()) >= _MIN_SENTENCE_WORDS]
    words = text.split()
    if len(sentences) > 1:
        sentence = rng.choice(sentences)
        return " ".join(sentence.split()[:_MAX_WORDS]), text.replace(sentence, " ", 1).strip()
    if len(words) < 2 * _MIN_SENTENCE_WORDS:
        return "", text
    length = min(max(_MIN_SENTENCE_WORDS, len(words) // 3), _MAX_WORDS)
    start = rng.randrange(len(words) - length + 1)
    return " ".join(words[start : start + length]), " ".join([*words[:start], *words[start + length :]])
