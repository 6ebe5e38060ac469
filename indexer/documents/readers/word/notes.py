"""Number the footnotes and endnotes in the order in which the text refers to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from echo_index.indexer.documents.readers.number_formats import format_number
from echo_index.indexer.documents.readers.office.markup import attribute, child, descendants, number, value
from echo_index.indexer.documents.readers.office.package import Package

if TYPE_CHECKING:
    from lxml.etree import _Element


@dataclass(frozen=True, slots=True)
class Note:
    """A note: its mark in the text ("[1]"), whether the author gave it, its content, and the part that holds it."""

    mark: str
    is_marked_by_author: bool
    element: _Element
    part: str


@dataclass(slots=True)
class Notes:
    """The footnotes or the endnotes of a document.

    `waiting` holds the notes to which the text referred since they were last taken.
    """

    elements: dict[str, _Element]
    part: str
    number_format: str
    next_number: int
    waiting: list[Note] = field(default_factory=list)

    @classmethod
    def of(
        cls, package: Package, main: _Element, settings: _Element | None, *, kind: str, default_format: str
    ) -> Notes:
        """Return the notes of a kind, "footnote" or "endnote", for the root of the main part and the settings."""
        part = next(iter(package.related(package.main_part(), f"{kind}s")), "")
        root = package.xml(part, content=f"the {kind}s") if part else None
        elements = {attribute(note, "w:id"): note for note in (root if root is not None else ())}
        sections = [*descendants(main, "w:sectPr")]
        given = [child(element, f"w:{kind}Pr") for element in (*sections, settings) if element is not None]
        formats = [value(properties, "w:numFmt") for properties in given if child(properties, "w:numFmt") is not None]
        starts = [start for properties in given if (start := number(value(properties, "w:numStart"))) is not None]
        return cls(elements, part, formats[0] if formats else default_format, starts[0] if starts else 1)

    def refer(self, note_id: str, *, own_mark: str) -> str:
        """Return the mark of a note to which the text refers, and let the note wait to be taken.

        `own_mark` is that of the author; without one, notes are numbered. A note is taken once.
        """
        mark = own_mark.strip() or format_number(self.next_number, self.number_format)
        self.next_number += not own_mark.strip()
        element = self.elements.pop(note_id, None)
        if element is not None:
            self.waiting.append(Note(f"[{mark}]", bool(own_mark.strip()), element, self.part))
        return f"[{mark}]"

    def take(self) -> list[Note]:
        """Return the waiting notes, which then wait no more."""
        taken, self.waiting = self.waiting, []
        return taken
