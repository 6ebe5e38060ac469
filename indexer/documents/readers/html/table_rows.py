"""The rows of an HTML table while its text is built: which are the header, and where the others stand in the text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from echo_index.indexer.documents.document import Table
from echo_index.indexer.documents.readers.html.table_grid import Cell, TableGrid

CELLS = frozenset(("td", "th"))

_MAX_HEADER_LENGTH = 1000  # characters; a longer header would fill the parts of the table by itself


class TableRows:
    """Follows a table that is being written as pieces of text: a separator and a text in turn.

    Header rows are those of the table's head, or else the first rows of which all cells are headers. A table is used
    for layout if it says so, or once it contains a block: a heading, another table or preformatted text. In such a
    table no spans are filled and no empty cells are marked before the first text of a row.
    """

    def __init__(self, *, is_layout: bool) -> None:
        self.cells_of_row = 0
        self._is_layout = is_layout
        self._grid = TableGrid()
        self._open_cells = 0
        self._cell: Cell | None = None
        self._cell_piece = 0
        self._leading_bars = 0
        self._in_head = False
        self._headers_of_row = 0
        self._row_piece = 0
        self._row_offset = 0
        self._caption_piece = 0
        self._caption = ""
        self._header: list[str] = []
        self._start: int | None = None
        self._end = 0

    @property
    def in_cell(self) -> bool:
        """Whether a cell has begun and not ended."""
        return self._open_cells > 0

    def begin_caption(self, pieces: Sequence[str]) -> None:
        """Begin the caption: its text are the pieces from here on."""
        self._caption_piece = len(pieces)

    def end_caption(self, pieces: Sequence[str]) -> None:
        """End the caption."""
        self._caption = "".join(pieces[self._caption_piece :]).strip()

    def begin_group(self, *, is_head: bool) -> None:
        """Begin the head, a body or the foot of the table."""
        self._in_head = is_head
        self._grid.begin_section()

    def begin_row(self, pieces: Sequence[str], length: int) -> None:
        """Begin a row at the end of the text, which has `length` characters."""
        self._grid.begin_row()
        self.cells_of_row = self._headers_of_row = self._leading_bars = 0
        self._row_piece = len(pieces)
        self._row_offset = length

    def end_row(self, pieces: Sequence[str], length: int) -> None:
        """End a row at the end of the text."""
        self._leading_bars = 0
        written = pieces[self._row_piece :]
        if not written:
            return
        is_header = self._in_head or 0 < self._headers_of_row == self.cells_of_row
        if is_header and self._start is None:
            self._header.append("".join(written).strip())
            return
        if self._start is None:
            self._start = self._row_offset + len(written[0]) - len(written[0].lstrip())
        self._end = length

    def texts_before_cell(self) -> Iterable[str]:
        """Yield the texts that spans put before the next cell of the row."""
        return () if self._is_layout else self._grid.texts_before_cell()

    def texts_at_row_end(self) -> Iterable[str]:
        """Yield the texts that spans put after the last cell of the row."""
        return () if self._is_layout or not self.cells_of_row else self._grid.texts_at_row_end()

    def begin_cell(self, cell: Cell, pieces: Sequence[str]) -> None:
        """Begin a cell: its text are the pieces from here on."""
        self._open_cells = 1
        self._cell = cell
        self._cell_piece = len(pieces)

    def begin_nested_cell(self) -> None:
        """Begin a cell within a cell, as only broken pages have it."""
        self._open_cells += 1

    def end_cell(self, pieces: Sequence[str]) -> None:
        """End the innermost cell."""
        self._open_cells = max(0, self._open_cells - 1)
        if self._open_cells or self._cell is None:
            return
        is_empty = len(pieces) == self._cell_piece
        is_corner = is_empty and self.cells_of_row == 0
        self._headers_of_row += self._cell.is_header or is_corner
        self.cells_of_row += 1
        if not self._is_layout:
            is_alone = self._cell.colspan == self._cell.rowspan == 1
            text = "" if is_alone else "".join(pieces[self._cell_piece + 1 :])
            self._grid.add(replace(self._cell, text=text))
        self._cell = None

    def count_cell(self) -> None:
        """Count a cell that a span fills. It is a header if the row has no others."""
        self.cells_of_row += 1
        self._headers_of_row += 1

    def add_leading_bar(self, length: int) -> None:
        """Mark an empty cell before the first text of the row."""
        if not self._is_layout and length == self._row_offset:
            self._leading_bars += 1

    def take_leading_bars(self) -> str:
        """Return the marks of the empty cells before the first text of the row, once."""
        bars, self._leading_bars = "| " * self._leading_bars, 0
        return bars

    def add_block(self) -> None:
        """Note that a block begins. In a cell it means that the table is used for layout."""
        self._is_layout = self._is_layout or self.in_cell
        self._leading_bars = 0

    def table(self) -> Table | None:
        """Return the table; None if it has no rows under a header, or is used for layout."""
        header = "\n".join(text for text in (self._caption, *self._header) if text)
        if self._is_layout or self._start is None or not header or len(header) > _MAX_HEADER_LENGTH:
            return None
        return Table(start=self._start, end=self._end, header=header)
