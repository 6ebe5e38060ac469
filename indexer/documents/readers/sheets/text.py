"""Write tables as lines, with the place of each row in the file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from echo_index.indexer.documents.document import Document, Heading, Place, Table
from echo_index.indexer.documents.readers.sheets.tables import Row, SheetTable

MAX_CHARACTERS = 15_000_000
"""The length at which a text ends, below that at which it would be refused."""

MAX_PLACES = 200_000
"""More rows have a place together with others."""

_MAX_TABLES = 250_000
_MAX_COLUMNS = 30  # of a table whose header row can stand above each part of it
_MAX_HEADER = 400  # characters
_MAX_LABEL = 80  # characters of a name before each value
_LINE_LENGTH = 500  # characters of a row of a wide table that stand on one line
_MAX_CAPTION = 200  # characters of each line

PlaceName = Callable[[int, int], str]
"""Returns the name of the rows between two numbers, both included."""


class SheetText:
    """The text of the sheets of one file, as far as it has room."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._length = 0
        self._headings: list[Heading] = []
        self._tables: list[Table] = []
        self._places: list[tuple[int, int, PlaceName]] = []

    def add_sheet(
        self,
        tables: Iterable[SheetTable],
        place_name: PlaceName,
        *,
        heading: str = "",
        texts: Sequence[tuple[int, str]] = (),
    ) -> int | None:
        """Add the tables of a sheet, then texts by their rows, below a heading if it has one and any of these.

        Return the number of the first row for which there is no room, None if there is room for all.
        """
        for table in tables:
            self._add_heading(heading, place_name)
            heading = ""
            left_out = self._add_table(table, place_name)
            if left_out is not None:
                return left_out
        for row, text in texts:
            self._add_heading(heading, place_name)
            heading = ""
            if self._length + len(text) > MAX_CHARACTERS:
                return row
            self._add_gap()
            self._places.append((self._length, row, place_name))
            self._add_line(text)
        return None

    def _add_heading(self, heading: str, place_name: PlaceName) -> None:
        if heading:
            self._add_gap()
            self._headings.append(Heading(1, heading, self._length))
            self._places.append((self._length, 1, place_name))
            self._add_line(heading)

    def _add_table(self, table: SheetTable, place_name: PlaceName) -> int | None:
        if not table.continues:
            self._add_gap()
        for row in table.lead:
            texts = [text for text in row.cells if text]
            if not self._add_row(row, [" | ".join(texts if row.values > 1 else texts[:1])], place_name):
                return row.number
        if not table.columns:
            return None
        is_wide = len(table.columns) > _MAX_COLUMNS or sum(len(name) + 3 for name in table.names) > _MAX_HEADER
        header = "" if is_wide else _line(table.names)
        if header and not table.continues:
            self._places.append((self._length, table.header_row or table.rows[0].number, place_name))
            self._add_line(header)
        start = self._length
        left_out = None
        for row in table.rows:
            lines = _labelled_lines(row, table) if is_wide else [_line([row.cell(column) for column in table.columns])]
            if not self._add_row(row, lines, place_name):
                left_out = row.number
                break
        self._add_position(table, start, header=header)
        return left_out

    def document(self, *, format: str, omissions: Sequence[str]) -> Document:
        """Return the document, without a title."""
        return Document(
            text="\n".join(self._lines),
            title="",
            format=format,
            headings=tuple(self._headings),
            tables=tuple(self._tables[:_MAX_TABLES]),
            places=tuple(_merged(self._places)),
            omissions=tuple(omissions),
        )

    def _add_row(self, row: Row, lines: Sequence[str], place_name: PlaceName) -> bool:
        if self._length + sum(map(len, lines)) > MAX_CHARACTERS:
            return False
        self._places.append((self._length, row.number, place_name))
        for line in lines:
            self._add_line(line)
        return True

    def _add_line(self, line: str) -> None:
        self._lines.append(line)
        self._length += len(line) + 1

    def _add_gap(self) -> None:
        if self._lines:
            self._add_line("")

    def _add_position(self, table: SheetTable, start: int, *, header: str) -> None:
        end = self._length - 1
        if table.continues:
            self._tables[-1] = replace(self._tables[-1], end=end)
        elif end > start:
            caption = [text[:_MAX_CAPTION] for text in table.caption]
            self._tables.append(Table(start, end, "\n".join([*caption, *([header] if header else [])])))


def _line(cells: Sequence[str]) -> str:
    """Return a row as a line. One that begins and ends with empty cells has outer bars, so that it is read as it is."""
    line = " | ".join(cells)
    return line if cells[0] or cells[-1] else f"| {line} |"


def _labelled_lines(row: Row, table: SheetTable) -> list[str]:
    """Return a row of a wide table as lines of names and values, each with the first value of the row."""
    pairs = [
        f"{name[:_MAX_LABEL]}: {text}" if name else text
        for column, name in zip(table.columns, table.names, strict=True)
        if (text := row.cell(column))
    ]
    lines = [pairs[0]]
    for pair in pairs[1:]:
        if len(lines[-1]) + len(pair) > _LINE_LENGTH:
            lines.append(f"{pairs[0][: 2 * _MAX_LABEL]}; {pair}")
        else:
            lines[-1] += f"; {pair}"
    return lines


def _merged(places: Sequence[tuple[int, int, PlaceName]]) -> Iterator[Place]:
    """Yield the places. If there are too many, several rows of a sheet have one together."""
    step = -(-len(places) // MAX_PLACES)
    groups: list[list[tuple[int, int, PlaceName]]] = []
    for place in places:
        if groups and len(groups[-1]) < step and groups[-1][0][2] is place[2]:
            groups[-1].append(place)
        else:
            groups.append([place])
    for group in groups:
        offset, first, name = group[0]
        yield Place(offset, name(first, group[-1][1]))
