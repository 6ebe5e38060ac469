"""Read the text of a paragraph as Word shows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from echo_index.indexer.documents.readers.office.equations import linear_equation
from echo_index.indexer.documents.readers.office.markup import (
    attribute,
    child,
    descendants,
    name,
    own_text,
    shown_children,
)
from echo_index.indexer.documents.readers.office.package import Package
from echo_index.indexer.documents.readers.office.symbols import is_symbol_font, symbol, symbol_text
from echo_index.indexer.documents.readers.page_numbers import PAGE_NUMBER
from echo_index.indexer.documents.readers.scripts import with_superscripts
from echo_index.indexer.documents.readers.word.drawings import is_hidden, text_boxes, words_of_drawing
from echo_index.indexer.documents.readers.word.fields import Fields
from echo_index.indexer.documents.readers.word.notes import Notes
from echo_index.indexer.documents.readers.word.styles import RunFormat, Style, Styles

if TYPE_CHECKING:
    from lxml.etree import _Element

_SOFT_HYPHEN = "\xad"
_CHARACTERS = {"w:tab": "\t", "w:ptab": "\t", "w:br": "\n", "w:cr": "\n", "w:noBreakHyphen": "-"}
_DRAWINGS = {"w:drawing", "w:pict", "w:object"}
_NOTE_KINDS = {"w:footnoteReference": "footnote", "w:endnoteReference": "endnote"}


@dataclass(frozen=True, slots=True)
class ParagraphText:
    """The text of a paragraph, and what floats beside it: the contents of text boxes, and the words of drawings."""

    text: str
    text_boxes: list[_Element]
    words_of_drawings: list[str]
    embedded_objects: int


@dataclass(slots=True)
class ParagraphReader:
    """Reads the paragraphs of one part. `notes` are those to which its text may refer, by their kind."""

    package: Package
    part: str
    styles: Styles
    fields: Fields
    notes: dict[str, Notes]

    def read(self, paragraph: _Element) -> ParagraphText:
        """Return what a person sees of a paragraph. Read the paragraphs in their order: fields and notes go on."""
        pieces = _Pieces()
        style = self.styles.paragraph_style(paragraph)
        for element in shown_children(paragraph):
            self._read(element, RunFormat(), style, pieces)
        return ParagraphText(pieces.text(), pieces.text_boxes, pieces.words_of_drawings, pieces.embedded_objects)

    def _read(self, element: _Element, format: RunFormat, style: Style, pieces: _Pieces) -> None:
        kind = name(element)
        if kind == "w:t":
            self._write(own_text(element), format, pieces)
        elif kind == "w:r":
            self._read_run(element, self.styles.run_format(child(element, "w:rPr"), style), style, pieces)
        elif kind == "w:fldChar":
            self._write_shown(self.fields.pass_mark(element), format, pieces)
        elif kind == "w:instrText":
            self.fields.add_code(own_text(element))
        elif kind == "w:fldSimple" and self.fields.is_hidden_page_number(attribute(element, "w:instr")):
            self._write_shown(PAGE_NUMBER, format, pieces)
        elif format.is_hidden or self.fields.hides_text():
            # Marks of fields stand in hidden text too. What has runs of its own is passed over.
            if kind not in _DRAWINGS and kind != "w:ruby":
                self._read_all(element, format, style, pieces)
        else:
            self._read_shown(element, kind, format, style, pieces)

    def _read_all(self, element: _Element, format: RunFormat, style: Style, pieces: _Pieces) -> None:
        for inner in shown_children(element):
            self._read(inner, format, style, pieces)

    def _read_run(self, run: _Element, format: RunFormat, style: Style, pieces: _Pieces) -> None:
        note = next((inner for inner in run if name(inner) in _NOTE_KINDS), None)
        if note is not None and _has_own_mark(note) and not format.is_hidden and not self.fields.hides_text():
            own_mark = "".join(own_text(text) for text in descendants(run, "w:t"))
            symbols = (symbol(attribute(e, "w:char"), font=attribute(e, "w:font")) for e in descendants(run, "w:sym"))
            pieces.add(self._refer(note, own_mark=own_mark + "".join(symbols)))
        else:
            self._read_all(run, format, style, pieces)

    def _read_shown(self, element: _Element, kind: str, format: RunFormat, style: Style, pieces: _Pieces) -> None:
        if kind in _CHARACTERS:
            pieces.add(_CHARACTERS[kind])
        elif kind == "w:sym":
            font = attribute(element, "w:font")
            self._write_shown(symbol(attribute(element, "w:char"), font=font), format, pieces)
        elif kind in _NOTE_KINDS:
            pieces.add(self._refer(element, own_mark=""))
        elif kind in _DRAWINGS:
            self._read_drawing(element, pieces)
        elif kind in {"m:oMath", "m:oMathPara"}:
            pieces.add(linear_equation(element))
        elif kind == "w:ruby":
            self._read_ruby(element, style, pieces)
        elif kind == "w:pgNum":
            pieces.add(PAGE_NUMBER)
        else:
            self._read_all(element, format, style, pieces)

    def _write(self, text: str, format: RunFormat, pieces: _Pieces) -> None:
        if is_symbol_font(format.font):
            text = symbol_text(text, font=format.font)
        self._write_shown(text, format, pieces)

    def _write_shown(self, text: str, format: RunFormat, pieces: _Pieces) -> None:
        if text and not format.is_hidden and not self.fields.hides_text():
            pieces.add(text, is_raised=format.is_raised)
            self.fields.note_shown()

    def _refer(self, reference: _Element, *, own_mark: str) -> str:
        notes = self.notes.get(_NOTE_KINDS[name(reference)])
        return notes.refer(attribute(reference, "w:id"), own_mark=own_mark) if notes else ""

    def _read_drawing(self, drawing: _Element, pieces: _Pieces) -> None:
        if is_hidden(drawing):
            return
        words = words_of_drawing(drawing, self.package, part=self.part)
        boxes = text_boxes(drawing)
        pieces.words_of_drawings += words
        pieces.text_boxes += boxes
        is_object = any(True for _ in descendants(drawing, "o:OLEObject"))
        pieces.embedded_objects += is_object and not words and not boxes

    def _read_ruby(self, ruby: _Element, style: Style, pieces: _Pieces) -> None:
        """Write text with its reading behind it in brackets."""
        base, reading = child(ruby, "w:rubyBase"), child(ruby, "w:rt")
        for part, opening, closing in ((base, "", ""), (reading, "(", ")")):
            if part is not None:
                pieces.add(opening)
                self._read_all(part, RunFormat(), style, pieces)
                pieces.add(closing)


def _has_own_mark(note: _Element) -> bool:
    """Return whether the author gave a note a mark of its own, which follows the reference."""
    return attribute(note, "w:customMarkFollows") in {"1", "true", "on"}


@dataclass(slots=True)
class _Pieces:
    """The pieces of a paragraph read so far, each with whether it is raised, and what floats beside the text."""

    pieces: list[tuple[str, bool]] = field(default_factory=list)
    text_boxes: list[_Element] = field(default_factory=list)
    words_of_drawings: list[str] = field(default_factory=list)
    embedded_objects: int = 0

    def add(self, text: str, *, is_raised: bool = False) -> None:
        if text:
            self.pieces.append((text, is_raised))

    def text(self) -> str:
        """Return the text with superscripts that can be told from what they stand behind."""
        return with_superscripts(self.pieces).replace(_SOFT_HYPHEN, "")
