"""Repeat the value of merged cells in each row and column that they span."""

from __future__ import annotations

from collections.abc import Iterable

from echo_index.indexer.documents.readers.sheets.limits import MAX_CELLS

Range = tuple[tuple[int, int], tuple[int, int]]
"""First row and first column, last row and last column, all counted from 0."""

_MAX_REPEATED = 300  # characters of a value


class MergedCells:
    """The merged cells of a sheet, for rows that come in ascending order."""

    def __init__(self, ranges: Iterable[Range], *, first_column: int) -> None:
        """Take the ranges of a sheet whose rows begin with the cell in `first_column`."""
        self._waiting = sorted(ranges, reverse=True)
        self._first_column = first_column
        self._open: list[tuple[Range, str]] = []
        self._steps = MAX_CELLS  # ranges that overlap, as in no valid file, could take far more

    def fill(self, row: int, cells: list[str]) -> int:
        """Repeat the values of merged cells in a row.

        Return how many cells have a value that is not that of the cell to their left; 0 if all values are those of rows
        above. The only value of a row is not repeated in it: it is a title.
        """
        self._open = [(area, text) for area, text in self._open if area[1][0] >= row]
        is_empty = not any(cells)
        while self._waiting and self._waiting[-1][0][0] <= row:
            area = self._waiting.pop()
            column = area[0][1] - self._first_column
            if 0 <= column < len(cells) and 0 < len(cells[column]) <= _MAX_REPEATED:
                self._open.append((area, cells[column]))
        if is_empty or not self._open:
            return sum(map(bool, cells))
        for ((_, first), _), text in self._open:
            cells[first - self._first_column] = text
        values = sum(map(bool, cells))
        if values > 1:
            self._repeat_to_the_right(cells)
        return values

    def _repeat_to_the_right(self, cells: list[str]) -> None:
        for ((_, first), (_, last)), text in self._open:
            for column in range(first + 1, min(last + 1, len(cells) + self._first_column)):
                cells[column - self._first_column] = text
                self._steps -= 1
            self._steps -= 1
        if self._steps < 0:
            self._open, self._waiting = [], []
