"""Build paragraphs of plain text from the elements of an HTML document."""

from __future__ import annotations

from dataclasses import dataclass

from echo_index.indexer.documents.document import Heading

HEADINGS = {f"h{level}": level for level in range(1, 7)}

# fmt: off
_PARAGRAPHS = {
    "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "dialog", "div",
    "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "header", "hgroup", "hr", "legend",
    "main", "menu", "ol", "p", "section", "summary", "ul",
}
# fmt: on
_CELLS = frozenset(("td", "th"))
_LISTS = frozenset(("ul", "ol", "menu"))
_BLOCKS = _PARAGRAPHS | _CELLS | _LISTS | HEADINGS.keys() | {"li", "pre", "table", "tr"}

_SPACE, _LINE, _PARAGRAPH = " ", "\n", "\n\n"
_RANK = {"": 0, _SPACE: 1, _LINE: 3, _PARAGRAPH: 4}
_CELL_RANK = 2  # of the bars between table cells, one for each cell


class TextBuilder:
    """Collects text and headings. Separators are written when text follows, and only the strongest one.

    Headings, tables and preformatted text are blocks of their own even in a table cell: then the table is used for
    layout. `length` is the number of characters so far; the offsets of `headings` refer to `text()`.
    """

    def __init__(self) -> None:
        self.headings: list[Heading] = []
        self.length = 0
        self._pieces: list[str] = []
        self._separator = ""
        self._prefix = ""
        self._tables: list[str] = []  # the open tables and cells, innermost last
        self._lists = 0
        self._preformatted: list[str] | None = None
        self._heading: _OpenHeading | None = None
        self._nested = 0  # open elements within a heading or preformatted text

    def text(self) -> str:
        """Return the text so far, without white space at either end."""
        return "".join(self._pieces)

    def write(self, text: str) -> None:
        """Add text. White space is collapsed to one space, except in preformatted text."""
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

    def enter(self, tag: str) -> None:
        """Begin an element."""
        if self._heading is not None or self._preformatted is not None:
            self._enter_nested(tag)
        elif tag in HEADINGS:
            self._separate(_PARAGRAPH, even_in_cell=True)
            self._heading = _OpenHeading(tag)
        elif tag == "pre":
            self._separate(_PARAGRAPH, even_in_cell=True)
            self._preformatted = []
        elif tag == "table":
            self._separate(_PARAGRAPH, even_in_cell=True)
            self._tables.append(tag)
        elif tag in _CELLS:
            self._begin_cell(tag)
        elif tag == "li":
            self._separate(_LINE)
            self._prefix = "- "
        else:
            self._separate(self._separator_around(tag))
            self._lists += tag in _LISTS

    def leave(self, tag: str) -> None:
        """End an element."""
        if self._nested:
            self._leave_nested(tag)
        elif self._heading is not None:
            self._end_heading(self._heading)
        elif self._preformatted is not None:
            self._end_preformatted(self._preformatted)
        elif tag == "table":
            self._tables.pop()
            self._separate(_PARAGRAPH, even_in_cell=True)
        elif tag in _CELLS:
            self._tables.pop()
        elif tag == "li":
            self._separate(_LINE)
            self._prefix = ""
        else:
            self._lists -= tag in _LISTS
            self._separate(self._separator_around(tag))

    def _separator_around(self, tag: str) -> str:
        if tag in _LISTS and self._lists:
            return _LINE
        if tag in _PARAGRAPHS:
            return _PARAGRAPH
        return _LINE if tag in {"br", "tr"} else ""

    def _separate(self, separator: str, *, even_in_cell: bool = False) -> None:
        in_cell = bool(self._tables) and self._tables[-1] in _CELLS and not even_in_cell
        if separator and (in_cell or self._heading is not None):
            separator = _SPACE
        if _RANK[separator] > _RANK.get(self._separator, _CELL_RANK):
            self._separator = separator

    def _append(self, text: str) -> None:
        lead = (self._separator if self._pieces else "") + self._prefix
        self._separator = self._prefix = ""
        if self._heading is not None and self._heading.offset is None:
            self._heading.offset = self.length + len(lead)
        elif self._heading is not None:
            self._heading.title += lead
        if self._heading is not None:
            self._heading.title += text
        self._pieces += (lead, text)
        self.length += len(lead) + len(text)

    def _begin_cell(self, tag: str) -> None:
        begins_row = not self._pieces or _RANK.get(self._separator, _CELL_RANK) >= _RANK[_LINE]
        if not begins_row:
            self._separator = self._separator.rstrip() + " | "
        self._tables.append(tag)

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
