"""Limits of what is read of the sheets of one file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from echo_index.indexer.documents.readers.sheets.tables import Row

MAX_CELLS = 5_000_000
"""Of all sheets together."""


class CellBudget:
    """The cells that may still be read. `left_out` is the number of the first row for which none were left."""

    def __init__(self) -> None:
        self._cells = MAX_CELLS
        self.left_out: int | None = None

    def limited(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield rows as long as there are cells left."""
        for row in rows:
            self._cells -= len(row.cells)
            if self._cells < 0:
                self.left_out = row.number
                return
            yield row
