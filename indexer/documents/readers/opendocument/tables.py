"""Write tables as lines, one for each row, with every cell in its column."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from echo_index.indexer.documents.readers.blocks import Block, table_block
from echo_index.indexer.documents.readers.opendocument.markup import attribute, count, name

if TYPE_CHECKING:
    from lxml.etree import _Element

_GROUPS = {"table:table-rows", "table:table-row-group", "table:table-header-rows"}
_CELLS = {"table:table-cell", "table:covered-table-cell"}
_MAX_REPEATED_CELLS = 63
_MAX_REPEATED_ROWS = 100  # of a table
_MAX_REPEATED = 300  # characters that are repeated: of a row, of a cell in all columns, or in each row that it spans
_MAX_ROWS_SPANNED = 1000


def table_of(table: _Element, cell_text: Callable[[_Element], str]) -> Block:
    """Return a table as a block.

    A cell over several rows is repeated in each, unless it is long; one over several columns is followed by empty
    cells. The header are the rows that are marked as such, else the first row.
    """
    lines: list[str] = []
    headers = 0
    allowed = _MAX_REPEATED_ROWS
    spanning: dict[int, tuple[str, int]] = {}  # the cells that go on in the next rows, and in how many, by column
    for row, is_header in _rows(table, is_header=False):
        texts = _row(row, cell_text, spanning)
        if any(texts):
            line = " | ".join(texts)
            repeats = min(count(row, "table:number-rows-repeated") - 1, allowed) if len(line) <= _MAX_REPEATED else 0
            times = 1 + max(0, repeats)
            allowed -= times - 1
            lines += [line] * times
            headers += times if is_header and headers == len(lines) - times else 0
    return table_block(lines, headers=headers if 0 < headers < len(lines) else min(1, len(lines) - 1))


def cells_of(table: _Element) -> list[_Element]:
    """Return the cells of a table that are not covered by others."""
    return [cell for row, _ in _rows(table, is_header=False) for cell in row if name(cell) == "table:table-cell"]


def _rows(parent: _Element, *, is_header: bool) -> Iterator[tuple[_Element, bool]]:
    for element in parent:
        kind = name(element)
        if kind == "table:table-row" and attribute(element, "table:visibility") not in {"collapse", "filter"}:
            yield element, is_header
        elif kind in _GROUPS:
            yield from _rows(element, is_header=is_header or kind == "table:table-header-rows")


def _row(row: _Element, cell_text: Callable[[_Element], str], spanning: dict[int, tuple[str, int]]) -> list[str]:
    texts: list[str] = []
    for cell in row:
        if name(cell) not in _CELLS:
            continue
        repeated = min(count(cell, "table:number-columns-repeated"), _MAX_REPEATED_CELLS)
        if name(cell) == "table:covered-table-cell":
            for _ in range(repeated):
                text, rows = spanning.pop(len(texts), ("", 0))
                if rows > 1:
                    spanning[len(texts)] = (text, rows - 1)
                texts.append(text)
            continue
        text = cell_text(cell)
        rows = min(count(cell, "table:number-rows-spanned"), _MAX_ROWS_SPANNED)
        spanning.pop(len(texts), None)
        if rows > 1 and len(text) <= _MAX_REPEATED:
            spanning[len(texts)] = (text, rows - 1)
        texts += [text] * repeated if len(text) * repeated <= _MAX_REPEATED else [text, *[""] * (repeated - 1)]
    while len(texts) > 1 and not texts[-1] and attribute(row[-1], "table:number-columns-repeated"):
        texts.pop()  # the empty rest of a wide table
    return texts
