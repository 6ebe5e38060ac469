"""Collect the blocks of a document, and join them to one text with the positions of its headings and tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from echo_index.indexer.documents.document import Document, Heading, Place, Table

SEPARATOR = "\n\n"


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, a table or a whole document. The offsets in it count from its start."""

    text: str
    headings: tuple[Heading, ...] = ()
    tables: tuple[Table, ...] = ()
    places: tuple[Place, ...] = ()
    is_caption: bool = False
    is_table: bool = False


def paragraph_block(text: str, *, level: int | None = None, is_caption: bool = False) -> Block:
    """Return the block of a paragraph, which is a heading if it has a level. It has no text if nothing is seen."""
    if level is None:
        return Block(text.strip("\n").rstrip(), is_caption=is_caption)
    title = " ".join(text.split())
    return Block(title, headings=(Heading(level=level, title=title, offset=0),))


def table_block(lines: Sequence[str], *, headers: int) -> Block:
    """Return the block of a table, given its lines and how many of them are its header."""
    text, header = "\n".join(lines), "\n".join(lines[:headers])
    tables = (Table(start=len(header) + 1, end=len(text), header=header),) if 0 < headers < len(lines) else ()
    return Block(text, tables=tables, is_table=True)


def document_block(document: Document) -> Block:
    """Return a whole document as a block."""
    return Block(document.text.rstrip(), headings=document.headings, tables=document.tables, places=document.places)


def join_blocks(blocks: Iterable[Block], *, format: str) -> Document:
    """Return the document of blocks with text, without a title. A caption beside a table becomes part of its header."""
    filled = [block for block in blocks if block.text.strip()]
    headings: list[Heading] = []
    tables: list[Table] = []
    places: list[Place] = []
    offset = 0
    captions = _captions(filled)
    for index, block in enumerate(filled):
        caption = captions.get(index, "")
        headings += [replace(heading, offset=heading.offset + offset) for heading in block.headings]
        places += [replace(place, offset=place.offset + offset) for place in block.places]
        tables += [
            Table(table.start + offset, table.end + offset, f"{caption}\n{table.header}" if caption else table.header)
            for table in block.tables
        ]
        offset += len(block.text) + len(SEPARATOR)
    text = SEPARATOR.join(block.text for block in filled)
    return Document(
        text=text,
        title="",
        format=format,
        headings=tuple(headings),
        tables=tuple(tables),
        places=tuple(places),
    )


def _captions(blocks: Sequence[Block]) -> dict[int, str]:
    """Return the captions of tables by the indices of their blocks.

    Captions stand above the tables or below them, as most do in this document. One on the other side belongs to a
    table too, unless it stands at another table.
    """
    tables = [index for index, block in enumerate(blocks) if block.is_table]
    captions = {index for index, block in enumerate(blocks) if block.is_caption}
    above = sum(index - 1 in captions for index in tables)
    below = sum(index + 1 in captions for index in tables)
    usual, other = (1, -1) if below > above else (-1, 1)
    found: dict[int, str] = {}
    for index in tables:
        at_other_table = index + 2 * other in range(len(blocks)) and blocks[index + 2 * other].is_table
        if index + usual in captions:
            found[index] = blocks[index + usual].text
        elif index + other in captions and not at_other_table:
            found[index] = blocks[index + other].text
    return found
