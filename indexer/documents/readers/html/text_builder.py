"""Build paragraphs of plain text from the elements of an HTML document."""

from __future__ import annotations

from dataclasses import dataclass

from echo_index.indexer.documents.document import Heading, Table
from echo_index.indexer.documents.readers.html.list_numbers import ListNumbers
from echo_index.indexer.documents.readers.html.table_grid import Cell
from echo_index.indexer.documents.readers.html.table_rows import CELLS, TableRows
from echo_index.indexer.documents.readers.invisible import without_invisible

HEADINGS = {f"h{level}": level for level in range(1, 7)}

# fmt: off
_PARAGRAPHS = {
    "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "dialog", "div",
    "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "header", "hgroup", "hr", "legend",
    "main", "menu", "ol", "p", "search", "section", "summary", "ul",
}
# fmt: on
_LISTS = frozenset(("ul", "ol", "menu"))
_ROW_GROUPS = frozenset(("thead", "tbody", "tfoot"))
_LINES = frozenset(("br", "tr", "text"))  # the labels of a drawing stand anywhere in it
_BLOCKS = _PARAGRAPHS | CELLS | _LISTS | HEADINGS.keys() | {"li", "pre", "table", "tr"}

_SPACE, _LINE, _PARAGRAPH = " ", "\n", "\n\n"
_RANK = {"": 0, _SPACE: 1, _LINE: 3, _PARAGRAPH: 4}
_CELL_RANK = 2  # of the bars between table cells, one for each cell


@dataclass(frozen=True, slots=True)
class Element:
    """An element as text is built from it: its tag, and what its attributes say of a table, cell, list or item."""

    tag: str
    colspan: int = 1
    rowspan: int = 1
    is_layout: bool = False
    numbers: ListNumbers | None = None
    number: int | None = None


class TextBuilder:
    """Collects text, headings and tables. Separators are written when text follows, and only the strongest one.

    Headings, tables and preformatted text are blocks of their own even in a table cell: then the table is used for
    layout. `length` is the number of characters so far; the offsets of `headings` and `tables` refer to `text()`.
    """

    def __init__(self) -> None:
        self.headings: list[Heading] = []
        self.tables: list[Table] = []
        self.length = 0
        self._pieces: list[str] = []
        self._separator = ""
        self._prefix = ""
        self._open_tables: list[TableRows] = []  # innermost last
        self._lists: list[ListNumbers | None] = []
        self._preformatted: list[str] | None = None
        self._heading: _OpenHeading | None = None
        self._nested = 0  # open elements within a heading or preformatted text

    def text(self) -> str:
        """Return the text so far, without white space at either end."""
        return "".join(self._pieces)

    def last_text(self) -> str:
        """Return the last piece of the text so far; empty if white space follows it."""
        pieces = self._pieces if self._preformatted is None else self._preformatted
        return pieces[-1] if pieces and not self._separator else ""

    def write(self, text: str) -> None:
        """Add text. White space is collapsed to one space, except in preformatted text."""
        text = without_invisible(text)
        if self._preformatted is not None:
            self._preformatted.append(text)
            return
        words = text.split()
        if not words:
            self._separate(_SPACE if text else "")
            return
        if text[0].isspace():
            self._separate(_SPACE)
        self._append(" ".join(words))
        if text[-1].isspace():
            self._separate(_SPACE)

    def enter(self, element: Element) -> None:
        """Begin an element."""
        tag = element.tag
        if self._heading is not None or self._preformatted is not None:
            self._enter_nested(tag)
        elif tag in HEADINGS:
            self._begin_block()
            self._heading = _OpenHeading(tag)
        elif tag == "pre":
            self._begin_block()
            self._preformatted = []
        elif tag == "table":
            self._begin_block()
            self._open_tables.append(TableRows(is_layout=element.is_layout))
        elif tag in CELLS:
            self._begin_cell(element)
        elif tag == "li":
            self._separate(_LINE)
            numbers = self._lists[-1] if self._lists else None
            self._prefix = numbers.marker(element.number) if numbers else "- "
        else:
            self._separate(self._separator_around(tag))
            if tag in _LISTS:
                self._lists.append(element.numbers)
            elif self._open_tables:
                self._enter_table_part(tag)

    def leave(self, tag: str) -> None:
        """End an element."""
        if self._nested:
            self._leave_nested(tag)
        elif self._heading is not None:
            self._end_heading(self._heading)
        elif self._preformatted is not None:
            self._end_preformatted(self._preformatted)
        elif tag == "table":
            self._end_table()
        elif tag in CELLS:
            if self._open_tables:
                self._open_tables[-1].end_cell(self._pieces)
        elif tag == "li":
            self._separate(_LINE)
            self._prefix = ""
        else:
            if tag in _LISTS:
                self._lists.pop()
            elif self._open_tables:
                self._leave_table_part(tag)
            self._separate(self._separator_around(tag))

    def _separator_around(self, tag: str) -> str:
        if tag in _LISTS and self._lists:
            return _LINE
        if tag in _PARAGRAPHS:
            return _PARAGRAPH
        return _LINE if tag in _LINES else ""

    def _separate(self, separator: str, *, even_in_cell: bool = False) -> None:
        in_cell = bool(self._open_tables) and self._open_tables[-1].in_cell and not even_in_cell
        if separator and (in_cell or self._heading is not None):
            separator = _SPACE
        if _RANK[separator] > _RANK.get(self._separator, _CELL_RANK):
            self._separator = separator

    def _begin_block(self) -> None:
        """Begin a block of its own even in a table cell."""
        self._separate(_PARAGRAPH, even_in_cell=True)
        if self._open_tables:
            self._open_tables[-1].add_block()

    def _append(self, text: str) -> None:
        bars = self._open_tables[-1].take_leading_bars() if self._open_tables else ""
        lead = (self._separator if self._pieces else "") + bars + self._prefix
        self._separator = self._prefix = ""
        if self._heading is not None and self._heading.offset is None:
            self._heading.offset = self.length + len(lead)
        elif self._heading is not None:
            self._heading.title += lead
        if self._heading is not None:
            self._heading.title += text
        self._pieces += (lead, text)
        self.length += len(lead) + len(text)

    # Tables

    def _enter_table_part(self, tag: str) -> None:
        rows = self._open_tables[-1]
        if rows.in_cell:
            return
        if tag == "tr":
            rows.begin_row(self._pieces, self.length)
        elif tag in _ROW_GROUPS:
            rows.begin_group(is_head=tag == "thead")
        elif tag == "caption":
            rows.begin_caption(self._pieces)

    def _leave_table_part(self, tag: str) -> None:
        rows = self._open_tables[-1]
        if rows.in_cell:
            return
        if tag == "tr":
            for text in rows.texts_at_row_end():
                self._fill_cell(rows, text)
            rows.end_row(self._pieces, self.length)
        elif tag == "caption":
            rows.end_caption(self._pieces)

    def _begin_cell(self, element: Element) -> None:
        rows = self._open_tables[-1] if self._open_tables else None
        if rows is None or rows.in_cell:
            if rows is not None:
                rows.begin_nested_cell()
            return
        for text in rows.texts_before_cell():
            self._fill_cell(rows, text)
        self._write_bar(rows)
        cell = Cell("", colspan=element.colspan, rowspan=element.rowspan, is_header=element.tag == "th")
        rows.begin_cell(cell, self._pieces)

    def _fill_cell(self, rows: TableRows, text: str) -> None:
        self._write_bar(rows)
        rows.count_cell()
        if text:
            self._append(text)

    def _write_bar(self, rows: TableRows) -> None:
        begins_line = not self._pieces or _RANK.get(self._separator, _CELL_RANK) >= _RANK[_LINE]
        if not begins_line:
            self._separator = self._separator.rstrip() + " | "
        elif rows.cells_of_row:
            rows.add_leading_bar(self.length)

    def _end_table(self) -> None:
        table = self._open_tables.pop().table()
        if table is not None:
            self.tables.append(table)
        self._separate(_PARAGRAPH, even_in_cell=True)

    # Elements within a heading or preformatted text do not begin a block of their own.

    def _enter_nested(self, tag: str) -> None:
        self._nested += 1
        if tag == "br" and self._preformatted is not None:
            self._preformatted.append("\n")
        elif self._heading is not None:
            self._separate(_SPACE if tag == "br" or tag in _BLOCKS else "")

    def _leave_nested(self, tag: str) -> None:
        self._nested -= 1
        if self._heading is not None:
            self._separate(_SPACE if tag in _BLOCKS else "")

    def _end_heading(self, heading: _OpenHeading) -> None:
        self._heading = None
        self._separate(_PARAGRAPH, even_in_cell=True)
        if heading.offset is not None:
            self.headings.append(Heading(level=HEADINGS[heading.tag], title=heading.title, offset=heading.offset))

    def _end_preformatted(self, pieces: list[str]) -> None:
        self._preformatted = None
        text = "".join(pieces).replace("\r\n", "\n").replace("\r", "\n").rstrip().lstrip("\n")
        if text:
            self._append(text)
        self._separate(_PARAGRAPH, even_in_cell=True)


@dataclass(slots=True)
class _OpenHeading:
    """A heading that has not ended yet. It has no offset until it has text."""

    tag: str
    title: str = ""
    offset: int | None = None
