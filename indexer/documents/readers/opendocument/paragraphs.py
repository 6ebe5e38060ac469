"""Read the text of a paragraph as a person sees it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from echo_index.indexer.documents.readers.invisible import without_invisible
from echo_index.indexer.documents.readers.opendocument.markup import attribute, child, count, line_of, name
from echo_index.indexer.documents.readers.opendocument.styles import Styles
from echo_index.indexer.documents.readers.page_numbers import PAGE_NUMBER
from echo_index.indexer.documents.readers.scripts import with_superscripts

if TYPE_CHECKING:
    from lxml.etree import _Element

DRAWINGS = {
    *("draw:frame", "draw:g", "draw:custom-shape", "draw:rect", "draw:ellipse", "draw:circle", "draw:polygon"),
    *("draw:polyline", "draw:path", "draw:line", "draw:connector", "draw:measure", "draw:regular-polygon"),
    *("draw:caption", "draw:control", "draw:a"),
}
_WHITE_SPACE = re.compile(r"[ \t\r\n]+")
_MAX_SPACES = 100
_PAGE_NUMBERS = {"text:page-number", "text:page-count", "text:page-continuation"}
_UNSEEN = {
    *("office:annotation", "office:annotation-end", "text:tracked-changes", "text:hidden-paragraph", "text:script"),
    *("text:placeholder", "text:variable-decls", "text:sequence-decls", "text:user-field-decls", "text:ruby-text"),
    *("text:dde-connection-decls", "text:number", "office:forms", "office:event-listeners", "presentation:date-time"),
    *("svg:title", "svg:desc", "text:alphabetical-index-auto-mark-file"),
}


@dataclass(frozen=True, slots=True)
class ParagraphText:
    """The text of a paragraph, the notes to which it refers, and the drawings that are anchored in it."""

    text: str
    notes: list[_Element]
    drawings: list[_Element]


def note_mark(note: _Element) -> str:
    """Return the mark of a note in the text, "[1]"."""
    return f"[{line_of(child(note, 'text:note-citation'))}]"


@dataclass(slots=True)
class ParagraphReader:
    """Reads paragraphs. `formula` returns the text of a drawing that is a formula, "" for all others."""

    styles: Styles
    formula: Callable[[_Element], str]

    def read(self, paragraph: _Element) -> ParagraphText:
        """Return what a person sees of a paragraph."""
        pieces = _Pieces()
        is_hidden = any(name(part) == "text:hidden-paragraph" and _is_on(part) for part in paragraph)
        if not is_hidden and not self.styles.is_hidden(attribute(paragraph, "text:style-name"), family="paragraph"):
            self._read(paragraph, pieces, is_raised=False)
        return ParagraphText(pieces.text(), pieces.notes, pieces.drawings)

    def _read(self, element: _Element, pieces: _Pieces, *, is_raised: bool) -> None:
        pieces.add_flowing(element.text or "", is_raised=is_raised)
        for inner in element:
            kind = name(inner)
            if kind and kind not in _UNSEEN:
                self._read_element(inner, kind, pieces, is_raised=is_raised)
            pieces.add_flowing(inner.tail or "", is_raised=is_raised)

    def _read_element(self, element: _Element, kind: str, pieces: _Pieces, *, is_raised: bool) -> None:
        if kind == "text:s":
            pieces.add(" " * min(count(element, "text:c"), _MAX_SPACES))
        elif kind == "text:tab":
            pieces.add("\t")
        elif kind == "text:line-break":
            pieces.add("\n")
        elif kind == "text:note":
            pieces.add(note_mark(element))
            pieces.notes.append(element)
        elif kind in _PAGE_NUMBERS:
            pieces.add(PAGE_NUMBER)
        elif kind == "text:hidden-text":
            pieces.add("" if _is_on(element) else attribute(element, "text:string-value"))
        elif kind in DRAWINGS:
            formula = self.formula(element)
            pieces.add(formula)
            pieces.drawings += [] if formula else [element]
        elif kind == "text:span":
            style = attribute(element, "text:style-name")
            raised = self.styles.raised(style)
            if not self.styles.is_hidden(style, family="text"):
                self._read(element, pieces, is_raised=is_raised if raised is None else raised)
        elif kind == "text:ruby":
            self._read(element, pieces, is_raised=False)
            reading = line_of(child(element, "text:ruby-text"))
            pieces.add(f"({reading})" if reading else "")
        else:
            self._read(element, pieces, is_raised=is_raised)


def _is_on(element: _Element) -> bool:
    """Return whether a text that is hidden on a condition was hidden when the file was saved."""
    return attribute(element, "text:is-hidden") != "false"


@dataclass(slots=True)
class _Pieces:
    """The pieces of a paragraph read so far, each with whether it is raised."""

    pieces: list[tuple[str, bool]] = field(default_factory=list)
    notes: list[_Element] = field(default_factory=list)
    drawings: list[_Element] = field(default_factory=list)

    def add(self, text: str, *, is_raised: bool = False) -> None:
        if text:
            self.pieces.append((text, is_raised))

    def add_flowing(self, text: str, *, is_raised: bool) -> None:
        """Add text whose white space counts as one space, and as none behind a space or at the beginning."""
        text = _WHITE_SPACE.sub(" ", text)
        before = self.pieces[-1][0] if self.pieces else " "
        self.add(text.removeprefix(" ") if before[-1:] in {" ", "\n"} else text, is_raised=is_raised)

    def text(self) -> str:
        return without_invisible(with_superscripts(self.pieces))
