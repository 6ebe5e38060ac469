"""Read a text of an OpenDocument file, such as its body, a note or a slide, block by block."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from echo_index.errors import DocumentError
from echo_index.indexer.documents.readers.archive import Archive
from echo_index.indexer.documents.readers.blocks import Block, paragraph_block
from echo_index.indexer.documents.readers.html.reader import read_chapter
from echo_index.indexer.documents.readers.office.drawings import description
from echo_index.indexer.documents.readers.opendocument.lists import Counter
from echo_index.indexer.documents.readers.opendocument.markup import (
    attribute,
    child,
    count,
    line_of,
    name,
)
from echo_index.indexer.documents.readers.opendocument.paragraphs import DRAWINGS, ParagraphReader, note_mark
from echo_index.indexer.documents.readers.opendocument.styles import Level, Styles
from echo_index.indexer.documents.readers.opendocument.tables import cells_of, table_of

if TYPE_CHECKING:
    from lxml.etree import _Element

_FORMULA = "{http://www.w3.org/1998/Math/MathML}math"
_MAX_HEADING_LEVEL = 10
_MAX_REPEATED = 300  # characters of a formula that is used again
_ITEMS = {"text:list-item", "text:list-header"}
# What has blocks in it. All else that is no block is passed over: changes, declarations, templates of indexes, forms.
_CONTAINERS = {
    *("text:section", "text:index-body", "text:index-title", "text:table-of-content", "text:alphabetical-index"),
    *("text:illustration-index", "text:table-index", "text:object-index", "text:user-index", "text:bibliography"),
    *("text:numbered-paragraph", "draw:text-box", "draw:object"),
}


@dataclass(slots=True)
class StoryReader:
    """Reads the texts of a file in their order. `embedded_objects` counts those of which no word is known.

    In a cell, notes are passed over: they stand behind the table.
    """

    styles: Styles
    archive: Archive | None
    in_cell: bool = False
    embedded_objects: int = 0
    _outline: Counter = field(default_factory=Counter)
    _lists: dict[str, Counter] = field(default_factory=dict)
    _formulas: dict[str, str] = field(default_factory=dict)

    def blocks(self, container: _Element) -> Iterator[Block]:
        """Yield the blocks of an element, notes behind the paragraph or table that refers to them."""
        for element in container:
            yield from self._element(element)

    def drawing(self, drawing: _Element) -> Iterator[Block]:
        """Yield the blocks of a drawing, or else its alternative texts."""
        blocks = [block for block in self._drawn(drawing) if block.text.strip()]
        if blocks:
            yield from blocks
            return
        texts = [description(line_of(child(drawing, step))) for step in ("svg:title", "svg:desc")]
        words = "\n".join(dict.fromkeys(filter(None, texts)))
        is_object = child(drawing, "draw:object") is not None or child(drawing, "draw:object-ole") is not None
        self.embedded_objects += is_object and not words
        yield paragraph_block(words)

    def _element(self, element: _Element) -> Iterator[Block]:
        kind = name(element)
        if kind in {"text:p", "text:h"}:
            yield from self._paragraph(element, label="")
        elif kind == "text:list":
            yield from self._list(element, style="", level=1, counter=None)
        elif kind == "table:table":
            yield from self._table(element)
        elif kind in DRAWINGS:
            yield from self.drawing(element)
        elif kind in _CONTAINERS and attribute(element, "text:display") != "none":
            yield from self.blocks(element)

    def _paragraph(self, paragraph: _Element, *, label: str) -> Iterator[Block]:
        read = ParagraphReader(self.styles, self._formula).read(paragraph)
        level = self._heading_level(paragraph)
        text = read.text.strip()
        if text and level and not label:
            label = self._outline.label(level, self.styles.outline)
        text = f"{label} {text}" if label and text else text
        yield paragraph_block(text, level=level if text else None)
        for note in read.notes:
            yield from self._note(note)
        for drawing in read.drawings:
            yield from self.drawing(drawing)

    def _heading_level(self, paragraph: _Element) -> int | None:
        if name(paragraph) == "text:h":
            return min(max(count(paragraph, "text:outline-level"), 1), _MAX_HEADING_LEVEL)
        return 0 if self.styles.is_title(attribute(paragraph, "text:style-name")) else None

    def _list(self, element: _Element, *, style: str, level: int, counter: Counter | None) -> Iterator[Block]:
        """Yield the items of a list as one block with a line for each, unless an item has other blocks in it."""
        style = attribute(element, "text:style-name") or style
        if counter is None:
            goes_on = attribute(element, "text:continue-numbering") == "true" or attribute(
                element, "text:continue-list"
            )
            counter = self._lists.get(style) if goes_on else None
            counter = self._lists[style] = counter or Counter()
        lines: list[str] = []
        for block, is_line in self._items(element, style, level, counter):
            if is_line:
                lines.append(block.text)
                continue
            yield paragraph_block("\n".join(lines))
            lines.clear()
            yield block
        yield paragraph_block("\n".join(lines))

    def _items(self, element: _Element, style: str, level: int, counter: Counter) -> Iterator[tuple[Block, bool]]:
        for item in element:
            if name(item) not in _ITEMS:
                continue
            label = self._label(item, style, level, counter) if name(item) == "text:list-item" else ""
            for part in item:
                kind = name(part)
                if kind == "text:list":
                    inner_style = attribute(part, "text:style-name") or style
                    yield from self._items(part, inner_style, level + 1, counter)
                elif kind in {"text:p", "text:h"}:
                    for block in self._paragraph(part, label=label):
                        yield block, block.text.strip() != "" and not block.headings and not block.is_table
                    label = ""
                else:
                    for block in self._element(part):
                        yield block, False

    def _label(self, item: _Element, style: str, level: int, counter: Counter) -> str:
        if not any(name(part) in {"text:p", "text:h"} for part in item):
            return ""  # it only holds a deeper list
        start = count(item, "text:start-value", default=-1)
        levels: dict[int, Level] = {}
        for outer in range(1, level + 1):
            found = self.styles.level(style, outer)
            if found is not None:
                levels[outer] = found
        label = counter.label(level, levels, start=None if start < 0 else start)
        return f"{'  ' * (level - 1)}{label}" if label else ""

    def _table(self, table: _Element) -> Iterator[Block]:
        if len(cells_of(table)) == 1:  # it only draws a frame around a text
            yield from self.blocks(cells_of(table)[0])
            return
        yield table_of(table, self._cell_text)
        for note in _outermost_notes(table):
            yield from self._note(note)

    def _cell_text(self, cell: _Element) -> str:
        inner = StoryReader(self.styles, self.archive, in_cell=True, _formulas=self._formulas)
        texts = [block.text for block in inner.blocks(cell)]
        self.embedded_objects += inner.embedded_objects
        return " ".join(" ".join(texts).split())

    def _note(self, note: _Element) -> Iterator[Block]:
        body = None if self.in_cell else child(note, "text:note-body")
        blocks = [block.text.strip() for block in self.blocks(body)] if body is not None else []
        text = "\n".join(filter(None, blocks))
        yield paragraph_block(f"{note_mark(note)} {text}" if text else "")

    def _drawn(self, drawing: _Element) -> Iterator[Block]:
        formula = self._formula(drawing)
        if formula:
            yield paragraph_block(formula)
            return
        yield from self.blocks(drawing)

    def _formula(self, drawing: _Element) -> str:
        """Return the text of a formula, which is a document of its own in the archive; "" for other drawings."""
        found = child(drawing, "draw:object")
        part = posixpath.normpath(attribute(found, "xlink:href") or ".")
        if self.archive is None or part == ".":
            return ""
        text = self._formulas.get(part)
        if text is None:
            text = self._formula_in(f"{part}/content.xml", self.archive)
            self._formulas[part] = text if len(text) <= _MAX_REPEATED else ""
        return text

    def _formula_in(self, part: str, archive: Archive) -> str:
        root = archive.xml(part)
        source = archive.bytes(part) if root is not None and root.tag == _FORMULA else None
        try:
            return " ".join(read_chapter(source).text.split()) if source else ""
        except DocumentError:
            return ""


def _outermost_notes(table: _Element) -> Iterator[_Element]:
    """Yield the notes of a table that stand in no other note: those are read with it."""
    waiting = [table]
    while waiting:
        element = waiting.pop()
        if name(element) == "text:note":
            yield element
        else:
            waiting.extend(reversed(element))
