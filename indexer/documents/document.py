"""The content of one file: its text and title, and the positions of its headings, pages and lines."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from echo_index.indexer.documents.fields import Field, collect_fields

_MAX_TITLE_LENGTH = 500  # characters; a title is stored with each chunk of its section


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading: its level (1 is outermost, 0 is a title above all headings), title and position.

    `offset` counts characters of `Document.text`. It is the start of the heading's line if the text is that of the
    file; otherwise it is the first character of the title.
    """

    level: int
    title: str
    offset: int


@dataclass(frozen=True, slots=True)
class Table:
    """A table, each row of it one line of text.

    `start` and `end` are the offsets of its rows without the header row, in characters of `Document.text`. `header` is
    what each part of the table must be read with: its caption, if it has one, and its header row as the last line.
    """

    start: int
    end: int
    header: str


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a file in the words of its format, "slide 3" or "row 12", and the offset from which on it holds."""

    offset: int
    name: str


@dataclass(frozen=True, slots=True)
class Recognition:
    """How well a text was recognized in a picture: the mean confidence in its words, from 0 to 1.

    `uncertain` are the spans of the words that may be wrong, in characters of the text.
    """

    confidence: float
    uncertain: tuple[tuple[int, int], ...] = ()

    def moved(self, offset: int) -> Recognition:
        """Return the same for a text that has it `offset` characters further on."""
        return Recognition(self.confidence, tuple((start + offset, end + offset) for start, end in self.uncertain))


@dataclass(frozen=True, slots=True)
class RecognizedText:
    """A span of a document that was recognized in a picture. Offsets count characters of `Document.text`."""

    start: int
    end: int
    recognition: Recognition

    def moved(self, offset: int) -> RecognizedText:
        """Return the same in a text that has it `offset` characters further on."""
        return RecognizedText(self.start + offset, self.end + offset, self.recognition.moved(offset))


@dataclass(frozen=True)
class Document:
    """The content of one file. All offsets count characters of `text`, from 0.

    `headings`, `pages`, `tables`, `places` and `recognized` are in ascending order. `pages` are the offsets at which
    pages begin, none for a format without pages; `places` are for formats whose places are neither pages nor lines.
    `has_lines` says whether `text` is that of the file, so that line numbers are meaningful.
    `has_own_title` is false if the title is only the file name. `omissions` are phrases for the user that name what a
    person sees in the file and `text` lacks: "no text on pages 2 to 4". `fields` are what the file says of itself
    beside its title: the author, dates, tags.
    """

    text: str
    title: str
    format: str
    headings: tuple[Heading, ...] = ()
    pages: tuple[int, ...] = ()
    has_lines: bool = False
    has_own_title: bool = True
    tables: tuple[Table, ...] = ()
    places: tuple[Place, ...] = ()
    omissions: tuple[str, ...] = ()
    recognized: tuple[RecognizedText, ...] = ()
    fields: tuple[Field, ...] = ()

    def heading_path(self, offset: int) -> tuple[str, ...]:
        """Return the titles of the headings that enclose `offset`, outermost first."""
        path = []
        index = bisect_right(self.heading_offsets, offset) - 1
        while index >= 0:
            path.append(self.headings[index].title)
            index = self._parents[index]
        return tuple(reversed(path))

    def page(self, offset: int) -> int | None:
        """Return the number of the page at `offset`, from 1; None if the format has no pages."""
        return max(1, bisect_right(self.pages, offset)) if self.pages else None

    def line(self, offset: int) -> int | None:
        """Return the number of the line at `offset`, from 1; None if the document has no line numbers."""
        return max(1, bisect_right(self._line_starts, offset)) if self.has_lines else None

    def place(self, offset: int) -> str:
        """Return the name of the place at `offset`; empty if the format has none."""
        index = bisect_right(self.place_offsets, offset) - 1
        return self.places[max(0, index)].name if self.places else ""

    def recognition(self, start: int, end: int) -> Recognition | None:
        """Return how well the text of a span was recognized, with offsets from `start`; None if none of it was.

        The confidence is the mean over its recognized characters.
        """
        characters, confidence = 0, 0.0
        uncertain: list[tuple[int, int]] = []
        for text in self.recognized[bisect_right(self.recognized, start, key=lambda text: text.end) :]:
            if text.start >= end:
                break
            length = min(end, text.end) - max(start, text.start)
            characters, confidence = characters + length, confidence + length * text.recognition.confidence
            spans = ((max(first, start), min(after, end)) for first, after in text.recognition.uncertain)
            uncertain += [(first - start, after - start) for first, after in spans if first < after]
        return Recognition(confidence / characters, tuple(uncertain)) if characters else None

    # The class has no slots so that it can cache these properties.

    @cached_property
    def heading_offsets(self) -> list[int]:
        """The offsets of `headings`."""
        return [heading.offset for heading in self.headings]

    @cached_property
    def place_offsets(self) -> list[int]:
        """The offsets of `places`."""
        return [place.offset for place in self.places]

    @cached_property
    def _line_starts(self) -> Sequence[int]:
        return line_starts(self.text)

    @cached_property
    def _parents(self) -> list[int]:
        """Return for each heading the index of the one that encloses it; -1 for none."""
        parents: list[int] = []
        open_headings: list[int] = []
        for index, heading in enumerate(self.headings):
            while open_headings and self.headings[open_headings[-1]].level >= heading.level:
                open_headings.pop()
            parents.append(open_headings[-1] if open_headings else -1)
            open_headings.append(index)
        return parents


def line_starts(text: str) -> Sequence[int]:
    """Return the offsets at which the lines of `text` begin. Only a newline ends a line."""
    starts = array("I", [0])  # a list takes ten times the memory
    starts.extend(end.end() for end in re.finditer("\n", text))
    return starts


def first_title(headings: tuple[Heading, ...]) -> str:
    """Return the title of the first heading of level 0 or 1, else of the first heading, else an empty string."""
    top_level = (heading.title for heading in headings if heading.level <= 1)
    return next(top_level, headings[0].title if headings else "")


def valid_document(document: Document) -> Document:
    """Return the document with valid Unicode in all its texts, titles of at most 500 characters and bounded fields."""
    return replace(
        document,
        text=_valid_text(document.text),
        title=_valid_title(document.title),
        headings=tuple(replace(heading, title=_valid_title(heading.title)) for heading in document.headings),
        places=tuple(replace(place, name=_valid_title(place.name)) for place in document.places),
        tables=tuple(replace(table, header=_valid_text(table.header)) for table in document.tables),
        omissions=tuple(_valid_title(phrase) for phrase in document.omissions),
        fields=collect_fields((field.name, field.values) for field in document.fields),
    )


def _valid_title(title: str) -> str:
    return _valid_text(title)[:_MAX_TITLE_LENGTH]


def _valid_text(text: str) -> str:
    """Replace lone surrogates, as in a file name of another encoding, by question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")
