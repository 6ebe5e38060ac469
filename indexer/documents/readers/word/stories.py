"""Read a text of a Word document, such as its body, a footnote or a header, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from echo_index.indexer.documents.readers.blocks import Block, document_block, paragraph_block, table_block
from echo_index.indexer.documents.readers.office.markup import attribute, child, name, outermost, switch
from echo_index.indexer.documents.readers.office.package import Package
from echo_index.indexer.documents.readers.table_lines import table_lines
from echo_index.indexer.documents.readers.word.fields import Fields
from echo_index.indexer.documents.readers.word.imports import Imports
from echo_index.indexer.documents.readers.word.notes import Note, Notes
from echo_index.indexer.documents.readers.word.numbering import Numbering
from echo_index.indexer.documents.readers.word.paragraphs import ParagraphReader
from echo_index.indexer.documents.readers.word.styles import Styles
from echo_index.indexer.documents.readers.word.tables import is_layout, rows_of

if TYPE_CHECKING:
    from lxml.etree import _Element

_BLOCKS = ("w:p", "w:tbl", "w:altChunk", "w:subDoc")


@dataclass(slots=True)
class SharedParts:
    """What all texts of a document share. `embedded_objects` counts those of which no word is known."""

    package: Package
    styles: Styles
    numbering: Numbering
    imports: Imports
    embedded_objects: int = 0


class StoryReader:
    """Reads a text that is an element of a part, with the notes to which it may refer, by their kind."""

    def __init__(
        self,
        story: _Element,
        part: str,
        shared: SharedParts,
        *,
        notes: dict[str, Notes] | None = None,
        hides_page_numbers: bool = False,
    ) -> None:
        """Begin before the first block."""
        self._story, self._part, self._shared = story, part, shared
        self._notes = notes or {}
        fields = Fields(story, hides_page_numbers=hides_page_numbers)
        self._paragraphs = ParagraphReader(shared.package, part, shared.styles, fields, self._notes)

    def blocks(self) -> Iterator[Block]:
        """Yield the blocks in their order, the notes behind the paragraph or table that refers to them."""
        for block in self._blocks(self._story):
            yield block
            yield from self._waiting_notes()
        yield from self._waiting_notes()

    def _blocks(self, container: _Element) -> Iterator[Block]:
        unfinished: list[str] = []  # of paragraphs that go on in the next one
        for element in outermost(container, *_BLOCKS):
            kind = name(element)
            if kind == "w:p":
                yield from self._paragraph(element, unfinished)
                continue
            yield paragraph_block("".join(unfinished))
            unfinished.clear()
            if kind == "w:tbl":
                yield from self._table(element)
            else:
                yield from self._imported(element)
        yield paragraph_block("".join(unfinished))

    def _paragraph(self, paragraph: _Element, unfinished: list[str]) -> Iterator[Block]:
        styles = self._shared.styles
        read = self._paragraphs.read(paragraph)
        level = styles.heading_level(paragraph)
        style = styles.paragraph_style(paragraph)
        if _goes_on(paragraph) and (level is None or not read.text.strip()):
            unfinished.append(read.text)
        else:
            style_id = styles.paragraph_style_id(paragraph)
            label = self._shared.numbering.label(paragraph, style, style_id=style_id)
            text = "".join([*unfinished, read.text])
            unfinished.clear()
            text = f"{label} {text.lstrip()}" if label and text.strip() else text
            yield paragraph_block(text, level=level, is_caption=style.is_caption)
        for box in read.text_boxes:
            yield from self._blocks(box)
        for words in read.words_of_drawings:
            yield paragraph_block(words)
        self._shared.embedded_objects += read.embedded_objects

    def _table(self, table: _Element) -> Iterator[Block]:
        if is_layout(table):
            for row in outermost(table, "w:tr"):
                for cell in outermost(row, "w:tc"):
                    yield from self._blocks(cell)
        else:
            rows = table_lines(rows_of(table, self._cell_text))
            yield table_block(rows.lines, headers=rows.headers)

    def _cell_text(self, cell: _Element) -> str:
        return " ".join(" ".join(block.text for block in self._blocks(cell)).split())

    def _imported(self, element: _Element) -> Iterator[Block]:
        package = self._shared.package
        relation = package.relations(self._part).get(attribute(element, "r:id"))
        if relation is None or relation.is_external:
            package.omit("a linked file" if relation else "imported content")
            return
        document = self._shared.imports.read(relation.target)
        if document is not None:
            yield document_block(document)

    def _waiting_notes(self) -> Iterator[Block]:
        for notes in self._notes.values():
            for note in notes.take():
                yield from self._note(note)

    def _note(self, note: Note) -> Iterator[Block]:
        """Yield a note behind its mark. The mark that an author repeats in the note is not repeated here."""
        is_first = True
        for block in StoryReader(note.element, note.part, self._shared).blocks():
            text = block.text.strip()
            if text and is_first:
                text = text.removeprefix(note.mark[1:-1]).lstrip() if note.is_marked_by_author else text
                yield Block(f"{note.mark} {text}")
                is_first = False
            elif text:
                yield block


def _goes_on(paragraph: _Element) -> bool:
    """Return whether a paragraph goes on in the next one: its end was deleted or is hidden, or it is a drop cap."""
    mark = child(paragraph, "w:pPr", "w:rPr")
    if mark is not None and (switch(mark, "w:vanish") or any(name(e) in {"w:del", "w:moveFrom"} for e in mark)):
        return True
    frame = child(paragraph, "w:pPr", "w:framePr")
    return frame is not None and attribute(frame, "w:dropCap") in {"drop", "margin"}
