"""Hits to a prompt, a streamed text, and an Answer whose citations point at passages that were really given.

Knows how to ask a model and how to check what it wrote; knows nothing of indexes or of how a model runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from echo_embeddings import LanguageModel, generate
from retriever.prompts import ANSWER_TOKENS, answer_prompt
from retriever.search import Hit

NOT_FOUND = "The passages do not hold an answer to this question."

_MARKER = re.compile(r"\s?\[(\d+)\]")
_WORD = re.compile(r"\w+")
_REFUSALS = ("not found", "the passages do not", "i don t know", "no answer")
_FUNCTION_WORDS = frozenset(
    "a an and any are as at be been but by can could did do does for from had has have he her his how if in into is it "
    "its may not of on one or our she should so some such than that the their them then there these they this those to "
    "was we were what when where which who will with would you your".split()
)
_LEAST_SUPPORT = 0.5  # of an answer's words must stand in a passage for it to be cited


@dataclass(frozen=True, slots=True)
class Citation:
    """The number of a passage that was given, and the passage."""

    number: int
    hit: Hit


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model wrote, checked.

    `found` is false where the passages do not hold an answer: `text` says so then and nothing is cited.
    `removed_markers` counts the markers that pointed at no passage, or at one that does not say what was answered.
    """

    question: str
    text: str
    found: bool
    citations: tuple[Citation, ...]
    passages: tuple[Hit, ...]
    removed_markers: int = 0


class AnswerStream:
    """An answer in the making: iterate for the text as it is written; `answer` is the whole of it, checked.

    A text that says that nothing was found is not streamed: the answer says it in our words.
    """

    def __init__(self, question: str, passages: Sequence[Hit], pieces: Iterator[str]) -> None:
        self.question = question
        self.passages = tuple(passages)
        self._pieces = pieces
        self._text = ""

    def __iter__(self) -> Iterator[str]:
        """Yield the text piece by piece."""
        shown = 0
        for piece in self._pieces:
            self._text = (self._text + piece).lstrip()
            if not _may_say_not_found(self._text):
                yield self._text[shown:]
                shown = len(self._text)
        if shown < len(self._text) and not _says_not_found(self._text):
            yield self._text[shown:]  # "No." only looked like the beginning of a refusal

    @property
    def answer(self) -> Answer:
        """The checked answer; what has not been written yet is written first."""
        self._text = "".join((self._text, *self._pieces))
        return check_answer(self.question, self._text, self.passages)


def stream_answer(question: str, passages: Sequence[Hit], *, model: LanguageModel) -> AnswerStream:
    """Let the model answer from these passages, the best first; the weakest are left out where they do not all fit."""
    if not passages:
        return AnswerStream(question, (), iter(()))
    prompt = answer_prompt(question, passages, model=model)
    return AnswerStream(
        question, prompt.passages, generate(model, prompt.ids, max_tokens=ANSWER_TOKENS, stop=prompt.stop)
    )


def check_answer(question: str, text: str, passages: Sequence[Hit]) -> Answer:
    """Return the Answer that a model's text makes.

    A marker stays where its passage was given and holds at least half of the answer's words. An answer without a
    marker is given that of the passage that holds most of its words. An answer that no passage supports is none.
    """
    numbers = [int(number) for number in _MARKER.findall(text)]
    plain = _MARKER.sub("", text).strip()
    support = {number: _support(plain, hit, question) for number, hit in enumerate(passages, start=1)}
    supporting = [number for number, share in support.items() if share >= _LEAST_SUPPORT]
    if not supporting or _says_not_found(plain):
        return Answer(question, NOT_FOUND, False, (), tuple(passages), len(numbers))
    kept = [number for number in dict.fromkeys(numbers) if number in supporting]
    removed = sum(number not in kept for number in numbers)
    cleaned = _MARKER.sub(lambda marker: marker[0] if int(marker[1]) in kept else "", text).strip()
    if not kept:
        kept = [max(supporting, key=lambda number: (support[number], -number))]
        cleaned = f"{cleaned} [{kept[0]}]"
    citations = tuple(Citation(number, passages[number - 1]) for number in sorted(kept))
    return Answer(question, cleaned, True, citations, tuple(passages), removed)


def _says_not_found(text: str) -> bool:
    return _words(text).startswith(_REFUSALS)


def _may_say_not_found(text: str) -> bool:
    """Whether the beginning of a text says that nothing was found, or may come to say so."""
    words = _words(text)
    return _says_not_found(text) or any(refusal.startswith(words) for refusal in _REFUSALS)


def _words(text: str) -> str:
    return " ".join(_WORD.findall(text.lower()))


def _support(text: str, hit: Hit, question: str) -> float:
    """Return the share of the answer's own words (those not in the question) that stand in the passage.

    A number that does not stand there is no support at all: small models like to make up dates.
    """
    there = _stems(" ".join((hit.title, *hit.headings, hit.text)))
    words = _stems(text)
    if any(word.isdigit() for word in words - there):
        return 0.0
    own = words - _stems(question) or words
    return len(own & there) / len(own) if own else 0.0


def _stems(text: str) -> set[str]:
    words = set(_WORD.findall(text.lower())) - _FUNCTION_WORDS
    return {word[:6] for word in words if len(word) > 2 or word.isdigit()}
