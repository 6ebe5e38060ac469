"""Check a generated answer against its passages: which citations stay, and whether anything supports the text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from echo_index.indexer.text.language_detection import detect_language
from echo_index.indexer.text.sentences import ANSWER_SENTENCE_END
from echo_index.retriever.rag.numbers import numbers_in
from echo_index.retriever.search.content_terms import content_terms, question_terms
from echo_index.retriever.search.hits import Hit

NOT_FOUND = "The passages do not hold an answer to this question."

_MARKER = re.compile(r"\s?\[(\d+)\]")
_MARKERS = re.compile(r"(\s?)((?:\s?\[\d+\])+)")
_UNFINISHED_MARKER = re.compile(r"\s?(\[\d*)?$")
_WORD = re.compile(r"\w+")
_REFUSALS = ("not found", "the passages do not", "the passages don t", "i don t know", "no answer")
_MIN_SUPPORT = 0.5  # share of a sentence's terms that a supporting passage has
_MIN_QUESTION_OVERLAP = 0.25  # share of the question's terms that a relevant passage has
_MIN_COSINE = 0.15  # if none has any: in our corpora right passages in another language had 0.2, wrong ones 0.1


@dataclass(frozen=True, slots=True)
class Citation:
    """A cited passage and its number in the prompt, from 1."""

    number: int
    hit: Hit


@dataclass(frozen=True, slots=True)
class Answer:
    """A checked answer with its citations.

    `found` is False if the passages do not contain an answer: `text` then says so, and nothing is cited.
    `removed_markers` counts the citation markers that named no passage, or one that does not support the sentence.
    """

    question: str
    text: str
    found: bool
    citations: tuple[Citation, ...]
    passages: tuple[Hit, ...]
    removed_markers: int = 0


class _Passage:
    """A passage as it is compared with sentences: the terms of its title, headings and text, in its language."""

    def __init__(self, hit: Hit, question: str) -> None:
        text = " ".join((hit.title, *hit.headings, hit.text))
        self.cosine = hit.dense.score if hit.dense else None
        self._language = detect_language(text)
        self._terms = {*content_terms(text, self._language)}
        self._numbers = {*numbers_in(f"{text} {question}", self._language).values()}
        self._question_terms = {*question_terms(question, self._language)}

    @property
    def question_overlap(self) -> float:
        """The share of the question's terms that the passage has."""
        return len(self._question_terms & self._terms) / max(1, len(self._question_terms))

    def support(self, sentence: str, *, written_in: str) -> float:
        """Return the share of the sentence's own terms, those not in the question, that the passage has.

        A number that is in neither of them, in digits or in words, gives 0: small models tend to make up dates.
        """
        numbers = numbers_in(sentence, written_in)
        if {*numbers.values()} - self._numbers:
            return 0.0
        terms = {*content_terms(sentence, self._language, written_in=written_in)}
        own = terms - self._question_terms or terms
        known = self._terms | {*content_terms(" ".join(numbers), self._language, written_in=written_in)}
        return len(own & known) / len(own) if own else 0.0


def check_answer(question: str, text: str, passages: Sequence[Hit], *, trust_citations: bool = False) -> Answer:
    """Return the Answer for a text that a model wrote: unsupported citation markers removed, missing ones added.

    A passage supports a sentence if it has at least half of the terms that the sentence adds to the question, all its
    numbers, and a quarter of the question's terms. If no passage has any term of the question, as in another language,
    only the nearest passage of dense search can support a sentence, and only if its cosine is high enough.

    A marker is kept if its passage exists and supports the sentence; with `trust_citations`, for models that cite
    reliably, it is enough that the passage exists. An answer without a marker cites the passage that supports most of
    it. A text of which less than half is supported counts as not found.
    """
    cited: set[int] = set()
    support_totals: Counter[int] = Counter()
    removed = total_size = supported_size = 0
    checked = ""
    relevant = _relevant_passages([_Passage(hit, question) for hit in passages])
    language = detect_language(text)
    for sentence in _sentences(text):
        unmarked = without_markers(sentence)
        size = len({*content_terms(unmarked, language)})
        support = {number: passage.support(unmarked, written_in=language) for number, passage in relevant.items()}
        supporting = {number for number, share in support.items() if share >= _MIN_SUPPORT}
        markers = [int(number) for number in _MARKER.findall(sentence)]
        accepted = ({*range(1, len(passages) + 1)} if trust_citations else supporting) & {*markers}
        removed += sum(number not in accepted for number in markers)
        cited |= accepted
        total_size += size
        supported_size += size if supporting | accepted else 0
        support_totals.update({number: round(100 * support[number] * size) for number in sorted(supporting)})
        checked += _filter_markers(sentence, accepted)
    if says_not_found(text) or not total_size or supported_size < _MIN_SUPPORT * total_size:
        return Answer(question, NOT_FOUND, False, (), tuple(passages), len(_MARKER.findall(text)))
    if not cited:
        [(best, _)] = support_totals.most_common(1)
        cited, checked = {best}, f"{checked.rstrip()} [{best}]"
    citations = tuple(Citation(number, passages[number - 1]) for number in sorted(cited))
    return Answer(question, checked.strip(), True, citations, tuple(passages), removed)


def says_not_found(text: str) -> bool:
    """Return whether a text says that nothing was found."""
    return f"{_normalized_words(text)} ".startswith(tuple(f"{refusal} " for refusal in _REFUSALS))


def may_say_not_found(text: str) -> bool:
    """Return whether an unfinished text says that nothing was found, or may still become such a text."""
    words = _normalized_words(text)
    return says_not_found(text) or any(refusal.startswith(words) for refusal in _REFUSALS)


def visible_text(text: str, *, passages: int) -> str:
    """Return an unfinished text without markers that are unfinished or name none of the `passages` passages."""
    return _filter_markers(_UNFINISHED_MARKER.sub("", text), range(1, passages + 1))


def without_markers(text: str) -> str:
    """Return a text without its citation markers."""
    return _MARKER.sub("", text)


def _filter_markers(text: str, accepted: AbstractSet[int] | range) -> str:
    def filtered(markers: re.Match[str]) -> str:
        remaining = "".join(marker[0] for marker in _MARKER.finditer(markers[2]) if int(marker[1]) in accepted)
        return f"{markers[1]}{remaining.lstrip()}" if remaining else ""

    return _MARKERS.sub(filtered, text)


def _sentences(text: str) -> Iterator[str]:
    """Split a text into sentences, each with the markers inside it and right after it."""
    start = 0
    for end in ANSWER_SENTENCE_END.finditer(text):
        yield text[start : end.end()]
        start = end.end()
    yield text[start:]


def _relevant_passages(passages: Sequence[_Passage]) -> dict[int, _Passage]:
    """Return by their numbers the passages that share terms with the question; if none does, the nearest."""
    numbered = dict(enumerate(passages, start=1))
    if any(passage.question_overlap for passage in passages):
        return {n: passage for n, passage in numbered.items() if passage.question_overlap >= _MIN_QUESTION_OVERLAP}
    cosines = {number: passage.cosine for number, passage in numbered.items() if passage.cosine is not None}
    if not cosines:
        return numbered
    nearest = max(cosines, key=cosines.__getitem__)
    return {nearest: numbered[nearest]} if cosines[nearest] >= _MIN_COSINE else {}


def _normalized_words(text: str) -> str:
    return " ".join(_WORD.findall(without_markers(text).lower()))
