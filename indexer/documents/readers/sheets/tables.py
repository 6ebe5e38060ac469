"""Find the tables among the rows of a sheet, and in each its caption and the names of its columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from statistics import median_low

from echo_index.indexer.documents.readers.sheets.values import column_letters, is_name, is_year

_MAX_LEAD = 20  # rows above the header row of a table
_MAX_CAPTION = 3  # rows
_SAMPLE = 200  # rows that tell how many values a row of the table has


@dataclass(frozen=True, slots=True)
class Row:
    """A row with its number in the file, the texts of its cells, and how many of them have a value of their own.

    A cell that is merged with the one to its left has the same text, but not a value of its own.
    """

    number: int
    cells: Sequence[str]
    values: int

    def cell(self, column: int) -> str:
        """Return the text of a cell, "" if the row is too short."""
        return self.cells[column] if column < len(self.cells) else ""


@dataclass(frozen=True, slots=True)
class SheetTable:
    """A table: the rows above its header row, the columns with values, their names, and its other rows.

    `header_row` is the number of the row with the names, None if they are the letters of the columns. `columns` is
    empty if the table is only text. A table that `continues` has the columns of the one before, below an empty row.
    """

    lead: Sequence[Row]
    caption: tuple[str, ...]
    columns: tuple[int, ...]
    names: tuple[str, ...]
    header_row: int | None
    rows: Sequence[Row]
    continues: bool = False


def find_tables(rows: Iterable[Row], *, first_column: int = 0) -> Iterator[SheetTable]:
    """Yield the tables of a sheet in order. Empty rows stand between them.

    `first_column` is the column of the first cell of each row, from 0.
    """
    previous: SheetTable | None = None
    caption: tuple[str, ...] = ()
    for block in _blocks(rows):
        table = _table(block, caption=caption, first_column=first_column)
        if previous is not None and _continues(block, table, previous):
            table = replace(previous, lead=(), rows=block, continues=True)
        is_title = not table.columns and len(block) <= _MAX_CAPTION and all(row.values == 1 for row in block)
        caption = tuple(map(_only_text, table.lead)) if is_title else ()
        previous = table if table.columns else None
        yield table


def _blocks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Yield the rows between empty rows."""
    block: list[Row] = []
    for row in rows:
        if row.values:
            block.append(row)
        elif block:
            yield block
            block = []
    if block:
        yield block


def _table(block: Sequence[Row], *, caption: tuple[str, ...], first_column: int) -> SheetTable:
    columns = tuple(sorted({column for row in block for column, text in enumerate(row.cells) if text}))
    if len(columns) == 1 or all(row.values == 1 for row in block):
        return SheetTable(block, (), (), (), None, ())
    first = _first_row(block)
    lead, rows = block[:first], block[first:]
    single = tuple(_only_text(row) for row in lead if row.values == 1)
    caption = single[-_MAX_CAPTION:] or caption
    if len(rows) == 1:
        return SheetTable(block, (), (), (), None, ())
    if not _is_header(rows[0]):
        letters = tuple(column_letters(first_column + column) for column in columns)
        return SheetTable(lead, caption, columns, letters, None, rows)
    headers = 2 if _has_groups(rows[0]) and len(rows) > 2 and _is_header(rows[1]) else 1
    names = tuple(
        " ".join(dict.fromkeys(filter(None, (row.cell(column) for row in rows[:headers])))) for column in columns
    )
    return SheetTable(lead, caption, columns, names, rows[0].number, rows[headers:])


def _first_row(block: Sequence[Row]) -> int:
    """Return the index of the first row with about as many values as rows of the table have."""
    typical = median_low(row.values for row in islice(block, _SAMPLE))
    few = max(1, typical // 2)
    first = 0
    while first < min(_MAX_LEAD, len(block) - 1) and block[first].values <= few:
        first += 1
    return first if block[first].values > few else 0


def _is_header(row: Row) -> bool:
    """Return whether most cells of a row are names; years beside a name, or beside an empty corner, are names too."""
    texts = [text for text in row.cells if text]
    names = sum(map(is_name, texts))
    years = sum(map(is_year, texts))
    has_corner = years == len(texts) > 1 and not row.cell(0)
    return has_corner or (names > 0 and 2 * (names + years) > len(texts))


def _has_groups(row: Row) -> bool:
    """Return whether cells of a row are merged with those beside them."""
    return row.values < sum(map(bool, row.cells))


def _continues(block: Sequence[Row], table: SheetTable, previous: SheetTable) -> bool:
    """Return whether rows below an empty row belong to the table above: they have no names, and no other columns."""
    if table.header_row is not None or previous.header_row is None or block[0].values == 1:
        return False
    has_names = _is_header(block[0]) and len(block) > 1
    columns = {column for row in block for column, text in enumerate(row.cells) if text}
    return not has_names and columns <= {*previous.columns}


def _only_text(row: Row) -> str:
    return next(text for text in row.cells if text)
