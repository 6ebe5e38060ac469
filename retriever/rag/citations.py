"""A model's text to an Answer: which markers stay, which passage supports what, and when nothing was found.

Knows words and passages, nothing of models.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from echo_index.retriever.search.hits import Hit
from echo_index.retriever.search.words import stems

NOT_FOUND = "The passages do not hold an answer to this question."

_MARKER = re.compile(r"\s?\[(\d+)\]")
_MARKERS = re.compile(r"(\s?)((?:\s?\[\d+\])+)")
_UNFINISHED_MARKER = re.compile(r"\s?(\[\d*)?$")
_SENTENCE_END = re.compile(r"\n|[.!?]+[\"'”’)]*(?:\s?\[\d+\])*(?=\s|$)|[。！？](?:\s?\[\d+\])*")
_WORD = re.compile(r"\w+")
_REFUSALS = ("not found", "the passages do not", "the passages don t", "i don t know", "no answer")
_NUMBER_WORDS = frozenset(
    "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
    "nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion".split()
)
_LEAST_SUPPORT = 0.5  # of a sentence's words must stand in a passage that supports it
_LEAST_ASKED = 0.25  # of the question's words must stand there too
_LEAST_COSINE = 0.15  # where none do: in our corpora right passages in another language had 0.2, wrong ones 0.1


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


def check_answer(question: str, text: str, passages: Sequence[Hit], *, trust_citations: bool = False) -> Answer:
    """Return the Answer that a model's text makes.

    A passage supports a sentence if it holds at least half of the words that the sentence adds to the question, all its
    numbers, and a quarter of the question's words. Where no passage holds any of these, as in another language, only
    the nearest by meaning can support anything, if it is near at all.
    A marker stays where its passage was given and supports the sentence; with `markers_believed`, for a model that can
    be trusted to know what it cites, where its passage was given. An answer without a marker is given that of the
    passage that supports most of it. A text of which less than half is supported is no answer.
    """
    removed = words = supported_words = 0
    cited: set[int] = set()
    support_of: Counter[int] = Counter()
    checked = ""
    asked_about = _asked_about(question, passages)
    for sentence in _sentences(text):
        size = len(stems(without_markers(sentence)))
        support = {
            number: _support(without_markers(sentence), hit, question) if number in asked_about else 0.0
            for number, hit in enumerate(passages, start=1)
        }
        supporting = {number for number, share in support.items() if share >= _LEAST_SUPPORT}
        markers = [int(number) for number in _MARKER.findall(sentence)]
        kept = (support.keys() if trust_citations else supporting) & set(markers)
        removed += sum(number not in kept for number in markers)
        cited |= kept
        words += size
        supported_words += size if supporting | kept else 0
        support_of.update({number: round(100 * support[number] * size) for number in sorted(supporting)})
        checked += _only_markers(sentence, kept)
    if says_not_found(text) or not words or supported_words < _LEAST_SUPPORT * words:
        return Answer(question, NOT_FOUND, False, (), tuple(passages), len(_MARKER.findall(text)))
    if not cited:
        [(best, _)] = support_of.most_common(1)
        cited, checked = {best}, f"{checked.rstrip()} [{best}]"
    citations = tuple(Citation(number, passages[number - 1]) for number in sorted(cited))
    return Answer(question, checked.strip(), True, citations, tuple(passages), removed)


def says_not_found(text: str) -> bool:
    """Whether a text says that nothing was found."""
    return f"{_words(text)} ".startswith(tuple(f"{refusal} " for refusal in _REFUSALS))


def may_say_not_found(text: str) -> bool:
    """Whether the beginning of a text says that nothing was found, or may come to say so."""
    words = _words(text)
    return says_not_found(text) or any(refusal.startswith(words) for refusal in _REFUSALS)


def visible_text(text: str, *, passages: int) -> str:
    """Return what a reader may see of an unfinished text: no marker that is unfinished or points at no passage."""
    return _only_markers(_UNFINISHED_MARKER.sub("", text), range(1, passages + 1))


def _only_markers(text: str, kept: AbstractSet[int] | range) -> str:
    def keep(markers: re.Match[str]) -> str:
        found = "".join(marker[0] for marker in _MARKER.finditer(markers[2]) if int(marker[1]) in kept)
        return f"{markers[1]}{found.lstrip()}" if found else ""

    return _MARKERS.sub(keep, text)


def _sentences(text: str) -> Iterator[str]:
    """Split a text into sentences, each with the markers that stand in it or right after it."""
    start = 0
    for end in _SENTENCE_END.finditer(text):
        yield text[start : end.end()]
        start = end.end()
    yield text[start:]


def without_markers(text: str) -> str:
    """Return a text without its markers."""
    return _MARKER.sub("", text)


def _words(text: str) -> str:
    return " ".join(_WORD.findall(without_markers(text).lower()))


def _asked_about(question: str, passages: Sequence[Hit]) -> set[int]:
    """Return the numbers of the passages that are about the question, by its words, else the nearest by meaning."""
    asked = stems(question)
    held = {number: len(asked & stems(_read(hit))) for number, hit in enumerate(passages, start=1)}
    if not any(held.values()):
        cosines = {number: hit.dense.score for number, hit in enumerate(passages, start=1) if hit.dense}
        nearest = max(cosines, key=cosines.__getitem__, default=0)
        return {number for number in held if not cosines or (number == nearest and cosines[number] >= _LEAST_COSINE)}
    return {number for number, count in held.items() if count >= _LEAST_ASKED * len(asked)}


def _support(text: str, hit: Hit, question: str) -> float:
    """Return the share of the text's own words (those not in the question) that stand in the passage.

    A number that does not stand there is no support at all: small models like to make up dates.
    """
    passage = _read(hit)
    if _numbers(text) - _numbers(question) - _numbers(passage):
        return 0.0
    words = stems(text)
    own = words - stems(question) or words
    return len(own & stems(passage)) / len(own) if own else 0.0


def _read(hit: Hit) -> str:
    return " ".join((hit.title, *hit.headings, hit.text))


def _numbers(text: str) -> set[str]:
    return {word for word in _WORD.findall(text.lower()) if word.isdigit() or word in _NUMBER_WORDS}
