"""What a reader finds in one file: its text, its title, and where its headings, pages and lines begin.

Knows nothing of formats and suffixes, of chunks or of the index.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

_LONGEST_TITLE = 500  # characters; it stands with each passage of its section


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading: its level (1 is outermost; 0 is a title set above all headings), and where it begins in the text.

    `offset` counts characters of `Document.text`. Where the text is the file's own, it is the start of the heading's
    line; elsewhere it is the first character of the title.
    """

    level: int
    title: str
    offset: int


@dataclass(frozen=True)
class Document:
    """What a reader found in one file. All offsets count characters of `text`, from 0.

    `headings` and `pages` stand in the order of their offsets; `pages` holds where each page begins and is empty for a
    format without pages. `has_lines` is true where `text` is the file's own, so that its line numbers mean something.
    `titled` is true where the title is the document's own, false where it is the name of its file.
    """

    text: str
    title: str
    format: str
    headings: tuple[Heading, ...] = ()
    pages: tuple[int, ...] = ()
    has_lines: bool = False
    has_own_title: bool = True

    def heading_path(self, offset: int) -> tuple[str, ...]:
        """The titles of the headings in force at `offset`, outermost first."""
        path = []
        index = bisect_right(self._heading_offsets, offset) - 1
        while index >= 0:
            path.append(self.headings[index].title)
            index = self._parents[index]
        return tuple(reversed(path))

    def page(self, offset: int) -> int | None:
        """The page that `offset` lies on, counted from 1; None where the format has no pages."""
        return max(1, bisect_right(self.pages, offset)) if self.pages else None

    def line(self, offset: int) -> int | None:
        """The line that `offset` lies on, counted from 1; None where line numbers mean nothing."""
        return max(1, bisect_right(self._line_starts, offset)) if self.has_lines else None

    # Computed once on first use: without slots, a cached property may write beside the frozen fields.

    @cached_property
    def _line_starts(self) -> Sequence[int]:
        return line_starts(self.text)

    @cached_property
    def _heading_offsets(self) -> list[int]:
        return [heading.offset for heading in self.headings]

    @cached_property
    def _parents(self) -> list[int]:
        """For each heading, the index of the heading that encloses it; -1 for none."""
        parents: list[int] = []
        open_headings: list[int] = []
        for index, heading in enumerate(self.headings):
            while open_headings and self.headings[open_headings[-1]].level >= heading.level:
                open_headings.pop()
            parents.append(open_headings[-1] if open_headings else -1)
            open_headings.append(index)
        return parents


def line_starts(text: str) -> Sequence[int]:
    """The offset at which each line of `text` begins. Only a newline ends a line."""
    starts = array("I", [0])  # a list of millions would take ten times the memory
    starts.extend(end.end() for end in re.finditer("\n", text))
    return starts


def first_title(headings: tuple[Heading, ...]) -> str:
    """The title of the first heading of level 1, else that of the first heading, else nothing."""
    top_level = (heading.title for heading in headings if heading.level <= 1)
    return next(top_level, headings[0].title if headings else "")


def valid_document(document: Document) -> Document:
    """Return a document whose texts are valid Unicode, and whose titles are not too long."""
    return replace(
        document,
        text=_valid(document.text),
        title=_valid(document.title)[:_LONGEST_TITLE],
        headings=tuple(replace(heading, title=_valid(heading.title)[:_LONGEST_TITLE]) for heading in document.headings),
    )


def _valid(text: str) -> str:
    """`text` with what is no valid Unicode, such as a name in another encoding, replaced by question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")
