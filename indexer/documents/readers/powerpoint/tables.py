"""Write the tables of slides as lines, one for each row, with every cell in its column."""

from __future__ import annotations

from typing import TYPE_CHECKING

from echo_index.indexer.documents.readers.blocks import Block, table_block
from echo_index.indexer.documents.readers.office.markup import child, descendants, number
from echo_index.indexer.documents.readers.powerpoint.paragraphs import paragraph_text

if TYPE_CHECKING:
    from lxml.etree import _Element

_MAX_REPEATED = 300  # characters of a cell over several rows that are repeated in each
_TRUE = {"1", "true"}


def table_of(table: _Element) -> Block:
    """Return a table as a block.

    A cell over several rows is repeated in each, unless it is long; one over several columns is followed by empty
    cells. The first row is the header.
    """
    lines: list[str] = []
    spanning: dict[int, str] = {}  # the texts of the cells that go on in the next rows, by their column
    for row in descendants(table, "a:tr"):
        texts: list[str] = []
        for column, cell in enumerate(descendants(row, "a:tc")):
            if cell.get("vMerge") in _TRUE:
                texts.append("" if cell.get("hMerge") in _TRUE else spanning.get(column, ""))
                continue
            text = "" if cell.get("hMerge") in _TRUE else _cell_text(cell)
            spanning.pop(column, None)
            if (number(cell.get("rowSpan", "")) or 1) > 1 and len(text) <= _MAX_REPEATED:
                spanning[column] = text
            texts.append(text)
        if any(texts):
            lines.append(" | ".join(texts))
    return table_block(lines, headers=min(1, len(lines) - 1))


def _cell_text(cell: _Element) -> str:
    body = child(cell, "a:txBody")
    paragraphs = descendants(body, "a:p") if body is not None else ()
    return " ".join(" ".join(map(paragraph_text, paragraphs)).split())
