"""Check a generated answer against its passages: which citations stay, and whether anything supports the text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from echo_index.indexer.text.language_detection import certain_language, detect_language
from echo_index.indexer.text.sentences import ANSWER_SENTENCE_END
from echo_index.retriever.rag.numbers import numbers_in
from echo_index.retriever.rag.sentence_meaning import Embed, SentenceMeaning
from echo_index.retriever.rag.table_rows import cells_about, read_tables, rows_about, rows_named_in
from echo_index.retriever.search.content_terms import content_terms, question_terms
from echo_index.retriever.search.highlight import at_supporting_sentence
from echo_index.retriever.search.hits import Hit
from echo_index.retriever.search.lexical import codes_in

NOT_FOUND = "The passages do not hold an answer to this question."

UNSUPPORTED = "[?]"
"""The mark of a sentence that no passage supports, in an answer of which most is supported."""

_MARKER = re.compile(r"\s?\[(\d+|\?)\]")
_MARKERS = re.compile(r"(\s?)((?:\s?\[(?:\d+|\?)\])+)")
_FIRST_MARKER = re.compile(r"\s?\[(?:[\d?]|$)|\s$")
_ABBREVIATION = re.compile(r"\b\w{1,3}\.$")  # a stop after so short a word is rarely the end of a sentence
_WORD = re.compile(r"\w+")
_LATER_WORD = re.compile(r"(?<=[\w,;:’'\")] )\w+")  # not the first one of a sentence, which is always capitalized
_CAPITALIZES_NOUNS = frozenset({"german"})
_REFUSALS = ("not found", "the passages do not", "the passages don t", "i don t know", "no answer")
_MIN_SUPPORT = 0.5  # share of a sentence's terms that a supporting passage has
_MIN_MARKED_TERMS = 3  # that a sentence adds to the question, to be marked as unsupported: "Here they are:" is not
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
    """A passage as it is compared with sentences: the terms of its title, headings and text, in its language.

    The rows of tables in it are compared one by one.
    """

    def __init__(self, hit: Hit, question: str) -> None:
        text = " ".join((hit.title, *hit.headings, hit.full_text))
        self.cosine = hit.dense.score if hit.dense else None
        self.language = detect_language(text)
        self._terms = {*content_terms(text, self.language)}
        self._numbers = {*numbers_in(f"{text} {question}", self.language).values()}
        self._question = question
        self._question_terms = {*question_terms(question, self.language)}
        tables = read_tables(hit)
        self._rows = tables.rows
        self._text_outside_rows = " ".join((hit.title, *hit.headings, tables.prose, tables.headers))

    @property
    def question_overlap(self) -> float:
        """The share of the question's terms that the passage has."""
        return len(self._question_terms & self._terms) / max(1, len(self._question_terms))

    def support(self, sentence: str, *, written_in: str) -> float:
        """Return the share of the sentence's own terms, those not in the question, that the passage has.

        A number that is in neither of them, in digits or in words, gives 0: small models tend to make up dates. Of
        tables only what stands in the right row and column counts.
        """
        numbers = numbers_in(sentence, written_in)
        if {*numbers.values()} - self._numbers:
            return 0.0
        terms = {*content_terms(sentence, self.language, written_in=written_in)}
        own = terms - self._question_terms or terms
        in_digits = {*content_terms(" ".join(numbers), self.language, written_in=written_in)}
        known = self._terms | in_digits
        if self._rows:
            text = self._text_beside(terms)
            if {*numbers.values()} - {*numbers_in(f"{text} {self._question}", self.language).values()}:
                return 0.0
            known = {*content_terms(text, self.language)} | in_digits
        return len(own & known) / len(own) if own else 0.0

    def _text_beside(self, terms: AbstractSet[str]) -> str:
        """Return the text that may support a sentence: that outside of rows, and cells of the rows it is about.

        Those are the rows that the question names, or else the sentence, and a row of which the sentence has several
        cells.
        """
        about = rows_about(self._rows, self._question_terms, self.language)
        asked = self._question_terms
        if not about and codes_in(self._question) - codes_in(self._text_outside_rows):
            return self._text_outside_rows  # the question is about a row of another passage, or of none
        if not about:
            about, asked = rows_about(self._rows, {*terms}, self.language), {*terms}
        cells = [cell for row in about for cell in cells_about(row, asked, self.language)]
        for row in rows_named_in(self._rows, terms, self.language):
            cells += row.cells
        return " ".join((self._text_outside_rows, *cells))

    def may_say(self, sentence: str) -> bool:
        """Return whether a sentence may be a translation of a part of the passage.

        It must surely be in another language. Its numbers and names must be in the passage or the question; where all
        nouns are capitalized, names cannot be told apart.
        """
        written_in = certain_language(sentence)
        if written_in is None or written_in == self.language:
            return False
        if {*numbers_in(sentence, written_in).values()} - self._numbers:
            return False
        if written_in in _CAPITALIZES_NOUNS:
            return True
        names = " ".join(word for word in _LATER_WORD.findall(sentence) if word[0].isupper())
        terms = {*content_terms(names, self.language, written_in=written_in)}
        return terms <= self._terms | self._question_terms


@dataclass(frozen=True, slots=True)
class _Sentence:
    """A checked sentence.

    `text` has the markers that were accepted or added. `size` is the number of its terms, `support` the share of them
    that each supporting passage has, by number.
    """

    text: str
    size: int
    support: Mapping[int, float]
    cited: frozenset[int]
    removed: int


class AnswerChecker:
    """Checks texts that a model writes about a question against the passages that it was given.

    Words that may have been recognized wrongly in a picture support nothing.

    A passage supports a sentence if it has at least half of the terms that the sentence adds to the question, all its
    numbers, and a quarter of the question's terms. If no passage has any term of the question, as in another language,
    only the nearest passage of dense search can support a sentence, and only if its cosine is high enough.

    A marker is kept if its passage exists and supports the sentence; with `trust_citations`, for models that cite
    reliably, it is enough that the passage exists. A supported sentence without a marker gets that of the passage that
    supports it best, an unsupported one the mark `UNSUPPORTED`. A text of which less than half is supported counts as
    not found. With `all_relevant`, the terms of the question need not stand in a passage.

    With `embed`, a passage in another language than the sentence supports it, too, if it has its numbers and
    names, and one of its sentences says the same by its vector (`SentenceMeaning`). Within one language this is not
    enough: there a sentence with another colour, or with a "not", is as near as one that says the same.
    """

    def __init__(
        self,
        question: str,
        passages: Sequence[Hit],
        *,
        trust_citations: bool = False,
        all_relevant: bool = False,
        embed: Embed | None = None,
    ) -> None:
        self.question = question
        self.passages = tuple(passages)
        self._trust_citations = trust_citations
        certain = [hit.without_uncertain_words() for hit in passages]
        compared = [_Passage(hit, question) for hit in certain]
        self._relevant = dict(enumerate(compared, start=1)) if all_relevant else _relevant_passages(compared)
        self._meaning = None if embed is None else SentenceMeaning(embed, [hit.full_text for hit in certain])
        self._checked: dict[tuple[str, str], _Sentence] = {}

    def check(self, text: str) -> Answer:
        """Return the Answer for a complete text: unsupported citation markers removed, missing ones added."""
        language = detect_language(text)
        sentences = [self._check_sentence(sentence, language) for sentence in _sentences(text)]
        total = sum(sentence.size for sentence in sentences)
        supported = sum(sentence.size for sentence in sentences if sentence.support or sentence.cited)
        if says_not_found(text) or not total or supported < _MIN_SUPPORT * total:
            return Answer(self.question, NOT_FOUND, False, (), self.passages, len(_MARKER.findall(text)))
        cited = sorted({number for sentence in sentences for number in sentence.cited})
        citations = tuple(self._citation(number, sentences) for number in cited)
        checked = "".join(sentence.text for sentence in sentences).strip()
        return Answer(
            self.question, checked, True, citations, self.passages, sum(sentence.removed for sentence in sentences)
        )

    def _citation(self, number: int, sentences: Sequence[_Sentence]) -> Citation:
        """Return the citation of a passage, at the sentence in it that the citing sentences are taken from."""
        citing = " ".join(without_markers(sentence.text) for sentence in sentences if number in sentence.cited)
        return Citation(number, at_supporting_sentence(self.passages[number - 1], citing, question=self.question))

    def visible_text(self, text: str) -> str:
        """Return what can be shown of an unfinished text: complete sentences as checked, the last without markers."""
        language = detect_language(text)
        *complete, last = _sentences(text)
        shown = "".join(self._check_sentence(sentence, language).text for sentence in complete)
        marker = _FIRST_MARKER.search(last)
        return shown + (last if marker is None else last[: marker.start()])

    def _check_sentence(self, sentence: str, language: str) -> _Sentence:
        key = (sentence, language)
        if key not in self._checked:
            self._checked[key] = self._checked_sentence(sentence, language)
        return self._checked[key]

    def _checked_sentence(self, sentence: str, language: str) -> _Sentence:
        unmarked = without_markers(sentence)
        terms = {*content_terms(unmarked, language)}
        shares = {number: passage.support(unmarked, written_in=language) for number, passage in self._relevant.items()}
        support = {number: share for number, share in shares.items() if share >= _MIN_SUPPORT}
        if not support and terms and (number := self._translated(unmarked)) is not None:
            support = {number: _MIN_SUPPORT}
        markers = [marker for marker in _MARKER.findall(sentence) if marker != "?"]
        valid = {*map(str, range(1, len(self.passages) + 1) if self._trust_citations else support)}
        cited = {int(marker) for marker in markers if marker in valid}
        text = _filter_markers(sentence, {*map(str, cited)})
        if not cited and support and terms:
            best = max(sorted(support), key=support.__getitem__)
            cited, text = {best}, _with_marker(text, f"[{best}]")
        elif not cited and len(terms - {*question_terms(self.question, language)}) >= _MIN_MARKED_TERMS:
            text = _with_marker(text, UNSUPPORTED)
        return _Sentence(text, len(terms), support, frozenset(cited), sum(marker not in valid for marker in markers))

    def _translated(self, sentence: str) -> int | None:
        """Return the number of the relevant passage in another language that says what a sentence says, or None."""
        if self._meaning is None:
            return None
        candidates = {n for n, passage in self._relevant.items() if passage.may_say(sentence)}
        number = self._meaning.passage_that_says(sentence) if candidates else None
        return number if number in candidates else None


def check_answer(question: str, text: str, passages: Sequence[Hit], *, trust_citations: bool = False) -> Answer:
    """Return the Answer for a text that a model wrote, as `AnswerChecker` checks it."""
    return AnswerChecker(question, passages, trust_citations=trust_citations).check(text)


def says_not_found(text: str) -> bool:
    """Return whether a text says that nothing was found."""
    return f"{_normalized_words(text)} ".startswith(tuple(f"{refusal} " for refusal in _REFUSALS))


def may_say_not_found(text: str) -> bool:
    """Return whether an unfinished text says that nothing was found, or may still become such a text."""
    words = _normalized_words(text)
    return says_not_found(text) or any(refusal.startswith(words) for refusal in _REFUSALS)


def without_markers(text: str) -> str:
    """Return a text without its citation markers."""
    return _MARKER.sub("", text)


def _with_marker(sentence: str, marker: str) -> str:
    """Return a sentence with a marker after it, before white space at its end."""
    text = sentence.rstrip()
    return f"{text} {marker}{sentence[len(text) :]}"


def _filter_markers(text: str, accepted: AbstractSet[str]) -> str:
    def filtered(markers: re.Match[str]) -> str:
        remaining = "".join(marker[0] for marker in _MARKER.finditer(markers[2]) if marker[1] in accepted)
        return f"{markers[1]}{remaining.lstrip()}" if remaining else ""

    return _MARKERS.sub(filtered, text)


def _sentences(text: str) -> list[str]:
    """Split a text into sentences, each with the markers inside it and right after it; the last may be unfinished."""
    sentences, start = [], 0
    for end in ANSWER_SENTENCE_END.finditer(text):
        sentence = text[start : end.end()]
        if not _ABBREVIATION.search(sentence) and text[end.end() :].strip():
            sentences.append(sentence)
            start = end.end()
    return [*sentences, text[start:]]


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
