"""Write text without marks that has tables and lists: cells are joined by bars, and items begin with dashes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from echo_index.app.web.rendering.writer import PassageWriter

_BAR = re.compile(r"(?:^|(?<= ))\|(?= |$)")
_ITEM = re.compile(r"(?P<indent> *)(?:-|(?P<number>\d{1,9})\.) +(?=\S)")
_MAX_LEVEL = 4
_INDENT = 2  # spaces for each level of a list
_DIGIT = re.compile(r"\d")


@dataclass(frozen=True, slots=True)
class _Line:
    """A line, where it begins, and what it is: "blank", "row", "item", "heading" or "text"."""

    text: str
    start: int
    kind: str

    @property
    def end(self) -> int:
        """Where the line ends."""
        return self.start + len(self.text)


def write_layout(
    writer: PassageWriter,
    text: str,
    *,
    start: int = 0,
    table_header: str = "",
    headings: frozenset[int] = frozenset(),
    heading_level: int | None = None,
) -> None:
    """Write a text that stands at character `start` of the source.

    `table_header` is the header of the table that the text begins in, and `headings` are the offsets in the source of
    lines that are headings; they are announced as headings of `heading_level` if it is given.
    """
    lines = [*_lines(text, start, headings)]
    if table_header:
        lines = _write_begun_table(writer, table_header, lines)
    for kind, group in groupby(lines, key=lambda line: line.kind):
        block = [*group]
        if kind == "row" and len(block) > 1:
            header = 1 if _is_header(block[0].text) else 0
            _write_table(writer, block[:header], block[header:])
        elif kind == "item":
            _write_items(writer, block)
        elif kind == "heading":
            role = f' role="heading" aria-level="{heading_level}"' if heading_level is not None else ""
            for line in block:
                writer.open("p", f'class="heading level-2"{role}')
                writer.write(line.text, line.start)
                writer.close()
        elif kind != "blank":
            writer.open("p", 'class="lines"')
            for number, line in enumerate(block):
                writer.write(("\n" if number else "") + line.text, line.start - (1 if number else 0))
            writer.close()


def _lines(text: str, start: int, headings: frozenset[int]) -> Iterator[_Line]:
    for line in text.split("\n"):
        if not line.strip():
            kind = "blank"
        elif start in headings:
            kind = "heading"
        elif _BAR.search(line):
            kind = "row"
        else:
            kind = "item" if _ITEM.match(line) else "text"
        yield _Line(line, start, kind)
        start += len(line) + 1


def _write_begun_table(writer: PassageWriter, header: str, lines: Sequence[_Line]) -> list[_Line]:
    """Write the rows that a text begins with below their header, and return the other lines."""
    rows = next((number for number, line in enumerate(lines) if line.kind == "blank"), len(lines))
    if rows and writer.shows(lines[0].start, lines[rows - 1].end):
        names = header.split("\n")
        captions = [name for name in names[:-1] if not _BAR.search(name)]
        writer.write_lines("\n".join(captions))
        head = [_Line(name, -len(name), "row") for name in names if name not in captions]
        _write_table(writer, head, lines[:rows])
    return [*lines[rows:]]


def _write_table(writer: PassageWriter, header: Sequence[_Line], rows: Sequence[_Line]) -> None:
    columns = max(len(_BAR.findall(line.text)) + 1 for line in (*header, *rows))
    head = writer.part()
    for line in header:
        _write_row(head, line, columns, "th")
    writer.open("div", 'class="table" tabindex="0" role="group" aria-label="Table"')
    writer.open("table", 'dir="auto"', lead=f"<thead>{head.html()}</thead>" if header else "")
    writer.open("tbody")
    if any(writer.shows(line.start, line.end) for line in header):
        writer.begin()
        writer.marks += head.marks
    for line in rows:
        if writer.shows(line.start, line.end):
            part = writer.part()
            _write_row(part, line, columns, "td")
            writer.write_part(part)
    for _ in ("tbody", "table", "div"):
        writer.close()


def _write_row(writer: PassageWriter, line: _Line, columns: int, tag: str) -> None:
    writer.open("tr")
    cells = [*_cells(line)]
    for number in range(columns):
        writer.open(tag, 'scope="col"' if tag == "th" else "")
        writer.begin()
        if number < len(cells):
            writer.write(*cells[number])
        writer.close()
    writer.close()


def _cells(line: _Line) -> Iterator[tuple[str, int]]:
    """Yield the text of each cell and where it begins."""
    begin = 0
    for end in (*(bar.start() for bar in _BAR.finditer(line.text)), len(line.text)):
        text = line.text[begin:end]
        yield text.strip(), line.start + begin + len(text) - len(text.lstrip())
        begin = end + 1


def _is_header(row: str) -> bool:
    """Return whether the first row of a table looks like a header: every column has a name, and none has a number."""
    return all(cell.strip() for cell in _BAR.split(row)) and not _DIGIT.search(row)


def _write_items(writer: PassageWriter, items: Sequence[_Line]) -> None:
    for is_numbered, group in groupby(items, key=lambda line: bool(_marker(line)["number"])):
        writer.open("ol" if is_numbered else "ul", 'dir="auto"')
        for line in group:
            marker = _marker(line)
            level = min(_MAX_LEVEL, len(marker["indent"]) // _INDENT)
            value = f' value="{int(marker["number"])}"' if is_numbered else ""
            writer.open("li", f'class="level-{level}"{value}')
            writer.write(line.text[marker.end() :], line.start + marker.end())
            writer.close()
        writer.close()


def _marker(line: _Line) -> re.Match[str]:
    marker = _ITEM.match(line.text)
    assert marker is not None
    return marker
