"""Find the rows and cells of a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from echo_index.indexer.documents.readers.office.markup import child, number, outermost, switch, value
from echo_index.indexer.documents.readers.table_lines import Cell, Row

if TYPE_CHECKING:
    from lxml.etree import _Element


def is_layout(table: _Element) -> bool:
    """Return whether a table only arranges texts: it has one cell, or other tables in it."""
    cells = [cell for row in outermost(table, "w:tr") for cell in outermost(row, "w:tc")]
    return len(cells) == 1 or any(True for cell in cells for _ in outermost(cell, "w:tbl"))


def rows_of(table: _Element, cell_text: Callable[[_Element], str]) -> Iterator[Row]:
    """Yield the rows of a table that are seen."""
    for row in outermost(table, "w:tr"):
        if child(row, "w:trPr", "w:del") is None and not switch(row, "w:trPr", "w:hidden"):
            yield Row(
                [_cell(cell, cell_text) for cell in outermost(row, "w:tc")],
                is_header=bool(switch(row, "w:trPr", "w:tblHeader")),
                columns_before=number(value(row, "w:trPr", "w:gridBefore")) or 0,
            )


def _cell(cell: _Element, cell_text: Callable[[_Element], str]) -> Cell:
    properties = child(cell, "w:tcPr")
    is_merged = child(properties, "w:vMerge") is not None
    begins_rows = is_merged and value(properties, "w:vMerge") == "restart"
    return Cell(
        cell_text(cell) if child(properties, "w:cellDel") is None else "",
        columns=number(value(properties, "w:gridSpan")) or 1,
        begins_rows=begins_rows,
        continues_rows=is_merged and not begins_rows,
    )
