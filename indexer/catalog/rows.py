"""Convert records to the rows of the tables `documents` and `chunks`, and back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import astuple, replace
from typing import Any

from echo_index.indexer.catalog.records import ChunkRow, DocumentRow, StoredChunk
from echo_index.indexer.documents.chunking import Anchor

DOCUMENT_COLUMNS = "path, hash, size, modified_ns, format, title, failure, titled, language, omissions"
CHUNK_COLUMNS = "text, headings, start, end, page, line, hash, place, table_header, anchors"
_OMISSIONS = DOCUMENT_COLUMNS.split(", ").index("omissions")  # the position of that column

_COLUMNS_OF_ALL_VERSIONS = (
    "chunks.id, documents.path, documents.title, documents.format, chunks.text, chunks.headings, chunks.start, "
    "chunks.end, chunks.page, chunks.line, chunks.hash"
)
STORED_CHUNK_COLUMNS = f"{_COLUMNS_OF_ALL_VERSIONS}, chunks.place, chunks.table_header, chunks.anchors"
EARLIER_STORED_CHUNK_COLUMNS = f"{_COLUMNS_OF_ALL_VERSIONS}, '', '', '[]'"
"""The same for catalogs up to schema version 3."""
FULL_TEXT = "iif(chunks.table_header = '', chunks.text, chunks.table_header || char(10) || chunks.text)"
"""The SQL of `ChunkRow.full_text`."""


def placeholders(columns: str) -> str:
    """Return as many question marks as there are columns, for an INSERT."""
    return ", ".join("?" * (columns.count(",") + 1))


def document_values(document: DocumentRow) -> tuple[Any, ...]:
    """Return the values of `DOCUMENT_COLUMNS`."""
    values: list[Any] = [*astuple(document)]
    values[_OMISSIONS] = to_json(document.omissions)
    return tuple(values)


def document_row(values: Sequence[Any]) -> DocumentRow:
    """Return the document with these values of `DOCUMENT_COLUMNS`."""
    return replace(DocumentRow(*values), omissions=tuple(json.loads(values[_OMISSIONS])))


def chunk_values(chunk: ChunkRow) -> tuple[Any, ...]:
    """Return the values of `CHUNK_COLUMNS`."""
    anchors = to_json([astuple(anchor) for anchor in chunk.anchors])
    return (
        *(chunk.text, to_json(chunk.headings), chunk.start, chunk.end, chunk.page, chunk.line, chunk.hash),
        *(chunk.place, chunk.table_header, anchors),
    )


def stored_chunk(values: Sequence[Any]) -> StoredChunk:
    """Return the chunk with these values of `STORED_CHUNK_COLUMNS`."""
    chunk_id, path, title, format, text, headings, start, end, page, line, hash, place, table_header, anchors = values
    chunk = ChunkRow(
        text,
        tuple(json.loads(headings)),
        start,
        end,
        page,
        line,
        hash,
        place,
        table_header,
        tuple(Anchor(offset, number, name, tuple(above)) for offset, number, name, above in json.loads(anchors)),
    )
    return StoredChunk(id=chunk_id, path=path, title=title, format=format, chunk=chunk)


def to_json(value: Any) -> str:
    """Return a value as JSON, letters as they are."""
    return json.dumps(value, ensure_ascii=False)
