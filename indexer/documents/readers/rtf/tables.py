"""Collect the rows of a table, whose cells RTF describes by their right edges."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, groupby

from echo_index.indexer.documents.readers.blocks import Block, table_block
from echo_index.indexer.documents.readers.table_lines import MAX_COLUMNS, Cell, Row, table_lines

_TOLERANCE = 30  # twips between edges that are the same one


@dataclass(frozen=True, slots=True)
class CellFormat:
    """The right edge of a cell, and how it is merged with others."""

    edge: int
    begins_rows: bool = False
    continues_rows: bool = False
    continues_columns: bool = False


@dataclass(slots=True)
class RowFormat:
    """What is said about a row before its end. `merges` are the words about the next cell. An open row has no end."""

    cells: list[CellFormat] = field(default_factory=list)
    merges: set[str] = field(default_factory=set)
    is_header: bool = False
    is_open: bool = False

    def add_cell(self, edge: int) -> None:
        """Add the cell that ends at an edge."""
        merges = self.merges
        self.cells.append(CellFormat(edge, "clvmgf" in merges, "clvmrg" in merges, "clmrg" in merges))
        self.merges = set()


@dataclass(slots=True)
class OpenTable:
    """A table that is being read: its rows, the cells of its last row, and the blocks of its last cell."""

    rows: list[tuple[list[list[Block]], RowFormat]] = field(default_factory=list)
    cells: list[list[Block]] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)

    def end_cell(self) -> None:
        """End a cell."""
        self.cells.append(self.blocks)
        self.blocks = []

    def end_row(self, format: RowFormat) -> None:
        """End a row."""
        if any(block.text.strip() for block in self.blocks):
            self.end_cell()
        self.blocks = []
        if self.cells:
            self.rows.append((self.cells, format))
        self.cells = []

    def finish(self) -> Iterator[Block]:
        """Yield the table as blocks. Rows with tables in them only arrange these, and a row without an end is none."""
        is_single = sum(len(cells) for cells, _ in self.rows) == 1
        for is_layout, rows in groupby(self.rows, key=lambda row: is_single or _has_tables(row[0])):
            if is_layout:
                for cells, _ in rows:
                    yield from chain.from_iterable(cells)
            else:
                lines = table_lines(_rows([*rows]))
                yield table_block(lines.lines, headers=lines.headers)
        for cell in (*self.cells, self.blocks):
            yield from cell


def _has_tables(cells: Sequence[list[Block]]) -> bool:
    return any(block.is_table for blocks in cells for block in blocks)


def _rows(rows: Sequence[tuple[list[list[Block]], RowFormat]]) -> Iterator[Row]:
    edges = _distinct(sorted({cell.edge for _, format in rows for cell in format.cells}))
    for cells, format in rows:
        yield Row([*_cells(cells, format.cells, edges)], is_header=format.is_header)


def _distinct(edges: Sequence[int]) -> list[int]:
    """Return the edges of the columns; none if there are too many for a table that people made."""
    distinct: list[int] = []
    for edge in edges:
        if not distinct or edge - distinct[-1] > _TOLERANCE:
            distinct.append(edge)
    return distinct if len(distinct) <= MAX_COLUMNS else []


def _cells(cells: Sequence[list[Block]], formats: Sequence[CellFormat], edges: Sequence[int]) -> Iterator[Cell]:
    left = 0  # the column in which the cell begins
    for number, blocks in enumerate(cells):
        format = formats[number] if number < len(formats) else CellFormat(0)
        right = bisect_right(edges, format.edge)
        columns = max(1, right - left)
        left += columns
        text = " ".join(" ".join(block.text for block in blocks).split())
        yield Cell(
            "" if format.continues_columns else text,
            columns=columns,
            begins_rows=format.begins_rows,
            continues_rows=format.continues_rows,
        )
