"""The grid of a table with cells that span rows and columns, one row after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

MAX_COLSPAN = 1000
MAX_ROWSPAN = 65534
"""Larger spans count as these, as in browsers."""

_MAX_REPEATED_LENGTH = 200  # of a value that is repeated in the rows it spans
_MAX_FILLED = 1 << 20  # characters and cells that the spans of one table may add


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: its text, the columns and rows it spans, and whether it is a header. It spans all rows if `rowspan` is 0.

    A header is repeated in all its columns. Another value stands in the first, and the others stay empty.
    """

    text: str
    colspan: int = 1
    rowspan: int = 1
    is_header: bool = False


@dataclass(frozen=True, slots=True)
class _Span:
    last_row: int
    text: str


class TableGrid:
    """Says which cells stand between the cells of a row because of the spans of others.

    A value that spans rows is repeated in each of them, so that a row can be understood without those above.
    """

    def __init__(self) -> None:
        self.column = 0
        self._row = 0
        self._below: dict[int, _Span] = {}  # what hangs into the next rows, by column
        self._beside: list[str] = []  # what the last cell puts into the next columns
        self._filled = 0

    def begin_section(self) -> None:
        """Begin a row group. No cell spans into it."""
        self._below.clear()

    def begin_row(self) -> None:
        """Begin a row."""
        self._row += 1
        self.column = 0
        self._beside = []

    def texts_before_cell(self) -> Iterator[str]:
        """Yield the texts of the columns from here to the next free one, and go there."""
        while self._beside or self._hanging(self.column) is not None:
            yield self._fill()

    def texts_at_row_end(self) -> Iterator[str]:
        """Yield the texts of the columns after the last cell of a row, up to the last that has any."""
        last = self.column + (len(self._beside) if any(self._beside) else 0)
        for column in list(self._below):
            self._filled += 1
            if self._hanging(column):
                last = max(last, column + 1)
        while self.column < last and self._has_room():
            yield self._fill()

    def add(self, cell: Cell) -> None:
        """Put a cell into the column that is free."""
        is_repeated = len(cell.text) <= _MAX_REPEATED_LENGTH and "\n" not in cell.text
        text = cell.text if is_repeated else ""
        columns = max(1, min(cell.colspan, MAX_COLSPAN)) if self._has_room() else 1
        rows = min(cell.rowspan, MAX_ROWSPAN) or MAX_ROWSPAN  # a negative number counts as 1
        texts = [text, *[text if cell.is_header else ""] * (columns - 1)]
        if rows > 1 and self._has_room():
            self._filled += columns
            self._below.update((self.column + at, _Span(self._row + rows - 1, text)) for at, text in enumerate(texts))
        self._beside = texts[1:]  # all alike, so that it does not matter which is taken first
        self.column += 1

    def _fill(self) -> str:
        text = self._beside.pop() if self._beside else (self._hanging(self.column) or "")
        self.column += 1
        self._filled += len(text) + 1
        if not self._has_room():
            self._below.clear()
            self._beside = []
        return text

    def _hanging(self, column: int) -> str | None:
        span = self._below.get(column)
        if span is None or span.last_row < self._row:
            self._below.pop(column, None)
            return None
        return span.text

    def _has_room(self) -> bool:
        return self._filled < _MAX_FILLED
