"""Collect a text of a document, such as its body, a footnote or a text box, block by block."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from echo_index.indexer.documents.readers.blocks import Block, paragraph_block
from echo_index.indexer.documents.readers.invisible import without_invisible
from echo_index.indexer.documents.readers.rtf.styles import Paragraph, Styles
from echo_index.indexer.documents.readers.rtf.tables import OpenTable, RowFormat
from echo_index.indexer.documents.readers.scripts import with_superscripts

_BULLET = "-"
_MAX_NESTED_TABLES = 20


@dataclass(slots=True)
class Story:
    """A text that is being read. `length` counts what was written; `is_furniture` is for headers and footers.

    `row` is what is said about the row that ends next. `_beside` is what stands behind the paragraph that is being
    read: text boxes and words of pictures.
    """

    styles: Styles
    is_furniture: bool = False
    is_note: bool = False
    is_endnote: bool = False
    depth: int = 0
    length: int = 0
    has_note_mark: bool = False
    row: RowFormat = field(default_factory=RowFormat)
    _label: str = ""
    _pieces: list[tuple[str, bool]] = field(default_factory=list)
    _beside: list[Block] = field(default_factory=list)
    _notes: list[Block] = field(default_factory=list)
    _tables: list[OpenTable] = field(default_factory=list)
    _blocks: list[Block] = field(default_factory=list)

    def write(self, text: str, *, is_raised: bool = False) -> None:
        """Write text into the paragraph."""
        self._pieces.append((text, is_raised))
        self.length += len(text)

    def label(self, text: str) -> None:
        """Let the paragraph begin with the number or bullet of a list. All bullets are written as "-"."""
        words = " ".join(text.split())
        self._label = words if any(map(str.isalnum, words)) and words != "o" else _BULLET

    def take_note_mark(self) -> str:
        """Return the mark that an author gave to a note and wrote before it, "" for one that is counted."""
        is_counted, self.has_note_mark = self.has_note_mark, False
        if is_counted or not self._pieces or not self._pieces[-1][1] or len(self._pieces[-1][0].split()) != 1:
            return ""
        return self._pieces.pop()[0].strip()

    def add_note(self, mark: str, blocks: list[Block]) -> None:
        """Write the mark of a note, and let the note stand behind the paragraph or table."""
        self.write(mark)
        self._notes += blocks

    def add_beside(self, blocks: list[Block]) -> None:
        """Let blocks stand behind the paragraph."""
        self._beside += blocks

    def end_paragraph(self, paragraph: Paragraph, *, is_cell: bool = False) -> None:
        """End a paragraph. Some programs do not say of a paragraph in a row that it is in a table."""
        tables = min(max(paragraph.tables(), int(is_cell or self.row.is_open)), _MAX_NESTED_TABLES)
        self._close_tables(tables)
        text = without_invisible(with_superscripts(self._pieces))
        if self._label and text.strip():
            text = f"{self._label} {text.lstrip()}"
        blocks = self._blocks
        if tables:
            while len(self._tables) < tables:
                self._tables.append(OpenTable())
            blocks = self._tables[-1].blocks
        level = self.styles.heading_level(paragraph) if text.strip() else None
        blocks.append(paragraph_block(text, level=level, is_caption=self.styles.is_caption(paragraph)))
        blocks += self._beside
        self._beside, self._pieces, self._label = [], [], ""
        if not self._tables:
            self._place_notes()

    def end_cell(self, paragraph: Paragraph) -> None:
        """End a cell, and the paragraph in it."""
        self.end_paragraph(paragraph, is_cell=True)
        self._tables[-1].end_cell()

    def end_row(self, paragraph: Paragraph, *, is_nested: bool) -> None:
        """End a row of the innermost table, or of the outermost."""
        self.row.is_open = False
        self._close_tables(min(max(2, paragraph.tables()), _MAX_NESTED_TABLES) if is_nested else 1)
        if self._tables:
            self._tables[-1].end_row(self.row)

    def finish(self, paragraph: Paragraph) -> list[Block]:
        """Return the blocks, after the end of the last paragraph."""
        self.row.is_open = False
        self.end_paragraph(replace(paragraph, is_in_table=False, nesting=0))
        return self._blocks

    def _close_tables(self, kept: int) -> None:
        while len(self._tables) > kept:
            blocks = [*self._tables.pop().finish()]
            if self._tables:
                self._tables[-1].blocks += blocks
            else:
                self._blocks += blocks
                self._place_notes()

    def _place_notes(self) -> None:
        self._blocks += self._notes
        self._notes = []
