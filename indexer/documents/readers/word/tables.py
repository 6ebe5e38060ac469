"""Write tables as lines, one for each row, with every cell in its column."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

from echo_index.indexer.documents.readers.office.markup import child, number, outermost, switch, value

if TYPE_CHECKING:
    from lxml.etree import _Element

_MAX_COLUMNS = 63  # of Word
_MAX_REPEATED = 300  # characters of a cell over several rows that are repeated in each


@dataclass(frozen=True, slots=True)
class TableLines:
    """The rows of a table that have text; the first `headers` of them are its header."""

    lines: list[str]
    headers: int


def is_layout(table: _Element) -> bool:
    """Return whether a table only arranges texts: it has one cell, or other tables in it."""
    cells = [cell for row in outermost(table, "w:tr") for cell in outermost(row, "w:tc")]
    return len(cells) == 1 or any(True for cell in cells for _ in outermost(cell, "w:tbl"))


def table_lines(table: _Element, cell_text: Callable[[_Element], str]) -> TableLines:
    """Return the rows of a table, the texts of their cells joined by " | ".

    A cell over several rows is repeated in each, unless it is long; one over several columns is followed by empty
    cells. The header are the rows that are marked as such, else the first row.
    """
    lines: list[str] = []
    marked: list[bool] = []
    merged: dict[int, str] = {}
    for row in outermost(table, "w:tr"):
        if child(row, "w:trPr", "w:del") is not None or switch(row, "w:trPr", "w:hidden"):
            continue
        cells = _row(row, cell_text, merged)
        if any(cells):
            lines.append(" | ".join(cells))
            marked.append(bool(switch(row, "w:trPr", "w:tblHeader")))
    headers = len([*takewhile(bool, marked)])
    return TableLines(lines, headers if 0 < headers < len(lines) else min(1, len(lines) - 1))


def _row(row: _Element, cell_text: Callable[[_Element], str], merged: dict[int, str]) -> list[str]:
    """Return the cells of a row. `merged` are the texts of the cells that may go on in this row, by their column."""
    texts = [""] * min(number(value(row, "w:trPr", "w:gridBefore")) or 0, _MAX_COLUMNS)
    elements = [*outermost(row, "w:tc")]
    for cell in elements:
        properties, column = child(cell, "w:tcPr"), len(texts)
        text = cell_text(cell) if child(properties, "w:cellDel") is None else ""
        if child(properties, "w:vMerge") is None:
            merged.pop(column, None)
        elif value(properties, "w:vMerge") == "restart":
            merged[column] = text if len(text) <= _MAX_REPEATED else ""
        else:
            text = text or merged.get(column, "")
        span = min(number(value(properties, "w:gridSpan")) or 1, _MAX_COLUMNS)
        texts += [text, *[""] * (span - 1 if len(elements) > 1 else 0)]
    return texts
