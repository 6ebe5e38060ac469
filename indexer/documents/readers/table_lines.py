"""Write the rows of a table as lines, with every cell in its column."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile

MAX_COLUMNS = 63  # of Word
_MAX_REPEATED = 300  # characters of a cell over several rows that are repeated in each


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: its text, over how many columns it goes, and whether it begins or continues one over several rows."""

    text: str
    columns: int = 1
    begins_rows: bool = False
    continues_rows: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """The cells of a row, whether it is marked as a header, and how many columns are empty before the first cell."""

    cells: Sequence[Cell]
    is_header: bool = False
    columns_before: int = 0


@dataclass(frozen=True, slots=True)
class TableLines:
    """The rows of a table that have text; the first `headers` of them are its header."""

    lines: list[str]
    headers: int


def table_lines(rows: Iterable[Row]) -> TableLines:
    """Return the rows of a table, the texts of their cells joined by " | ".

    A cell over several rows is repeated in each, unless it is long; one over several columns is followed by empty
    cells. The header are the rows that are marked as such, else the first row.
    """
    lines: list[str] = []
    marked: list[bool] = []
    merged: dict[int, str] = {}
    for row in rows:
        texts = _texts(row, merged)
        if any(texts):
            lines.append(" | ".join(texts))
            marked.append(row.is_header)
    headers = len([*takewhile(bool, marked)])
    return TableLines(lines, headers if 0 < headers < len(lines) else min(1, len(lines) - 1))


def _texts(row: Row, merged: dict[int, str]) -> list[str]:
    """Return the texts of a row. `merged` are those of the cells that may go on in this row, by their column."""
    texts = [""] * min(row.columns_before, MAX_COLUMNS)
    for cell in row.cells:
        text, column = cell.text, len(texts)
        if cell.begins_rows:
            merged[column] = text if len(text) <= _MAX_REPEATED else ""
        elif cell.continues_rows:
            text = text or merged.get(column, "")
        else:
            merged.pop(column, None)
        texts += [text, *[""] * (min(cell.columns, MAX_COLUMNS) - 1 if len(row.cells) > 1 else 0)]
    return texts
