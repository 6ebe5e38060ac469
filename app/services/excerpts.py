"""Cut a part out of the text of an indexed document, with the lines, pages and headings that it is on."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from echo_index.app.services.document_parts import DocumentPart
from echo_index.app.services.formatting import pluralize
from echo_index.errors import QuestionError

if TYPE_CHECKING:
    from echo_index.indexer.documents.chunking import Anchor
    from echo_index.indexer.inspection.document_queries import IndexedDocument

_SOFT_END = 0.8  # of a cut, after which it ends at the last end of a line or word
_BEFORE = 3  # one part of so many of the surroundings of a line stands before it
_NAMED = 5  # of the places of a document, in an error


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The characters `start` to `end` of a document, and where they stand: "lines 1 to 40", "page 3", "slide 3".

    `page`, `line` (from 1, None if the document has none) and `headings` are those of the start.
    """

    text: str
    start: int
    end: int
    place: str
    page: int | None
    line: int | None
    headings: tuple[str, ...]


def read_part(document: IndexedDocument, part: DocumentPart, *, start: int | None = None, characters: int) -> Excerpt:
    """Return at most `characters` of a part of a document, from character `start` of the document if that is given.

    Raises:
        QuestionError: the document has no such part, or `start` is not in it.
    """
    pages, lines = _Marks(document), _Lines(document)
    begin, end = _span(document, part, pages, lines, characters)
    if start is not None:
        if not 0 <= start <= len(document.text):
            raise QuestionError(
                f"{document.path} has no character {start}.", remedy=f"It has {len(document.text):,}, counted from 0."
            )
        begin, end = start, end if start < end else len(document.text)
    end = _cut(document.text, begin, end, characters)
    last = max(begin, end - 1)
    here, there = pages.at(begin), pages.at(last)
    place = here.place if here.place == there.place else f"{here.place} to {there.place}"
    place = place or _range("page", here.page, there.page)
    return Excerpt(
        text=document.text[begin:end],
        start=begin,
        end=end,
        place=place or (_range("line", lines.at(begin), lines.at(last)) if lines.first else ""),
        page=here.page,
        line=lines.at(begin) if lines.first else None,
        headings=here.headings,
    )


class _Marks:
    """The characters from which on another page, place or heading holds, in order."""

    def __init__(self, document: IndexedDocument) -> None:
        from echo_index.indexer.documents.chunking import Anchor

        found: dict[int, Anchor] = {}
        for passage in document.passages:
            found.setdefault(passage.start, Anchor(passage.start, passage.page, passage.place, passage.headings))
            found.update((anchor.offset, anchor) for anchor in passage.anchors)
        self.all = [found[offset] for offset in sorted(found)] or [Anchor(0, None, "", ())]
        self._offsets = [mark.offset for mark in self.all]

    def at(self, offset: int) -> Anchor:
        """Return what holds at a character; before the first mark, what holds there."""
        return self.all[max(0, bisect_right(self._offsets, offset) - 1)]

    def span(self, matches: Callable[[Anchor], bool], length: int) -> tuple[int, int] | None:
        """Return the characters of the first marks in a row that match, in a text of this length."""
        begin: int | None = None
        for mark in self.all:
            if matches(mark):
                begin = mark.offset if begin is None else begin
            elif begin is not None:
                return begin, mark.offset
        return None if begin is None else (begin, length)


class _Lines:
    """The characters that lines begin with; `first` is the number of the first one, or 0 without numbered lines."""

    def __init__(self, document: IndexedDocument) -> None:
        text = document.text
        self.starts = [0, *(index + 1 for index, character in enumerate(text[:-1]) if character == "\n")]
        numbered = next((passage for passage in document.passages if passage.line is not None), None)
        self.first = 0
        if numbered is not None and numbered.line is not None:
            self.first = max(1, numbered.line - text.count("\n", 0, numbered.start))

    @property
    def last(self) -> int:
        """The number of the last line."""
        return self.first + len(self.starts) - 1

    def at(self, offset: int) -> int:
        """Return the number of the line of a character."""
        return self.first + bisect_right(self.starts, offset) - 1

    def start(self, line: int) -> int:
        """Return the character that a line begins with, or the first line if it is before that."""
        return self.starts[max(0, line - self.first)]


def _span(
    document: IndexedDocument, part: DocumentPart, marks: _Marks, lines: _Lines, characters: int
) -> tuple[int, int]:
    if part.unit == "line":
        return _line_span(document, part, marks, lines, characters)
    if part.unit == "page":
        return _page_span(document, part, marks, lines)
    if part.unit == "name":
        return _named_span(document, part.name, marks)
    return 0, len(document.text)


def _page_span(document: IndexedDocument, part: DocumentPart, marks: _Marks, lines: _Lines) -> tuple[int, int]:
    pages = [mark.page for mark in marks.all if mark.page is not None]
    if not pages:
        raise QuestionError(f"{document.path} has no pages.", remedy=_other_parts(document, marks, lines))
    first, last = part.first, part.first if part.last is None else part.last
    span = marks.span(lambda mark: mark.page is not None and first <= mark.page <= last, len(document.text))
    if span is None:
        wanted = f"page {first}" if part.last is None else f"pages {first} to {last}"
        raise QuestionError(
            f"{document.path} has no text on {wanted}.", remedy=f"It has text on pages {min(pages)} to {max(pages)}."
        )
    return span


def _named_span(document: IndexedDocument, name: str, marks: _Marks) -> tuple[int, int]:
    def matches(mark: Anchor) -> bool:
        return name in (mark.place, *mark.headings, " > ".join(mark.headings))

    span = marks.span(matches, len(document.text))
    if span is None:
        names = [*dict.fromkeys(name for mark in marks.all for name in (mark.place, *mark.headings) if name)]
        listed = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else "")
        raise QuestionError(
            f"{document.path} has no place or heading {name!r}.",
            remedy=f"It has {listed}." if names else "Name only the document.",
        )
    return span


def _line_span(
    document: IndexedDocument, part: DocumentPart, marks: _Marks, lines: _Lines, characters: int
) -> tuple[int, int]:
    if not lines.first:
        raise QuestionError(f"{document.path} has no numbered lines.", remedy=_other_parts(document, marks, lines))
    if not 1 <= part.first <= lines.last or (part.last is not None and part.last < part.first):
        wanted = f"line {part.first}" if part.last is None else f"lines {part.first} to {part.last}"
        raise QuestionError(f"{document.path} has no {wanted}.", remedy=f"It has {pluralize(lines.last, 'line')}.")
    begin, length = lines.start(part.first), len(document.text)
    if part.last is not None:
        return begin, lines.start(part.last + 1) if part.last < lines.last else length
    earliest = max(0, begin - characters // _BEFORE)
    if lines.start(lines.at(earliest)) < earliest:  # begin with a whole line
        earliest = lines.start(lines.at(earliest) + 1)
    return min(earliest, begin), length


def _other_parts(document: IndexedDocument, marks: _Marks, lines: _Lines) -> str:
    """Return how to name a part of a document that has not the wanted kind of parts."""
    if lines.first:
        return f"Name a line: {document.path}:1"
    page = next((mark.page for mark in marks.all if mark.page is not None), None)
    place = next((mark.place for mark in marks.all if mark.place), "")
    if page is not None or place:
        return f"Name a place in it: {document.path}, {place or f'page {page}'}"
    return "Name only the document."


def _cut(text: str, begin: int, end: int, characters: int) -> int:
    """Return where to end at most `characters` after `begin`: after a line, or else after a word."""
    limit = begin + characters
    if limit >= end:
        return end
    for mark in ("\n", " "):
        if (found := text.rfind(mark, begin + int(characters * _SOFT_END), limit)) >= 0:
            return found + 1
    return limit


def _range(unit: str, first: int | None, last: int | None) -> str:
    if first is None or last is None:
        return ""
    return f"{unit} {first:,}" if first == last else f"{unit}s {first:,} to {last:,}"
