"""Convert records to the rows of the tables `documents` and `chunks`, and back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import astuple, replace
from typing import Any

from echo_index.indexer.catalog.records import ChunkRow, DocumentRow, StoredChunk
from echo_index.indexer.catalog.schema import WITH_RECOGNITION, WITH_TABLES
from echo_index.indexer.documents.chunking import Anchor
from echo_index.indexer.documents.document import Recognition
from echo_index.indexer.documents.fields import Field

DOCUMENT_COLUMNS = (
    "path, hash, size, modified_ns, format, title, failure, titled, language, omissions, recognition, archive, fields"
)
CHUNK_COLUMNS = "text, headings, start, end, page, line, hash, place, table_header, anchors, recognition"
_OMISSIONS, _FIELDS = map(DOCUMENT_COLUMNS.split(", ").index, ("omissions", "fields"))  # positions of these columns

_COLUMNS_OF_ALL_VERSIONS = (
    "chunks.id, documents.path, documents.title, documents.format, chunks.text, chunks.headings, chunks.start, "
    "chunks.end, chunks.page, chunks.line, chunks.hash"
)
_TABLE_COLUMNS = "chunks.place, chunks.table_header, chunks.anchors"
FULL_TEXT = "iif(chunks.table_header = '', chunks.text, chunks.table_header || char(10) || chunks.text)"
"""The SQL of `ChunkRow.full_text`."""


def stored_chunk_columns(version: int) -> str:
    """Return the columns of a `StoredChunk` in a catalog of this schema version; what it lacks is empty."""
    table = _TABLE_COLUMNS if version >= WITH_TABLES else "'', '', '[]'"
    return f"{_COLUMNS_OF_ALL_VERSIONS}, {table}, {'chunks.recognition' if version >= WITH_RECOGNITION else repr('')}"


def full_text_sql(version: int) -> str:
    """Return the SQL of `ChunkRow.full_text` in a catalog of this schema version."""
    return FULL_TEXT if version >= WITH_TABLES else "chunks.text"


def archive_sql(version: int) -> str:
    """Return the SQL of the archive of a document in a catalog of this schema version; earlier ones have none."""
    return "documents.archive" if version >= WITH_RECOGNITION else "''"


def placeholders(columns: str) -> str:
    """Return as many question marks as there are columns, for an INSERT."""
    return ", ".join("?" * (columns.count(",") + 1))


def document_values(document: DocumentRow) -> tuple[Any, ...]:
    """Return the values of `DOCUMENT_COLUMNS`."""
    values: list[Any] = [*astuple(document)]
    values[_OMISSIONS], values[_FIELDS] = to_json(document.omissions), fields_text(document.fields)
    return tuple(values)


def document_row(values: Sequence[Any]) -> DocumentRow:
    """Return the document with these values of `DOCUMENT_COLUMNS`."""
    return replace(
        DocumentRow(*values), omissions=tuple(json.loads(values[_OMISSIONS])), fields=parse_fields(values[_FIELDS])
    )


def fields_text(fields: Sequence[Field]) -> str:
    """Return the fields of a document as the JSON object that is stored."""
    return to_json({field.name: field.values for field in fields})


def parse_fields(text: str) -> tuple[Field, ...]:
    """Return the fields of a document from the JSON object that is stored."""
    return tuple(Field(name, tuple(values)) for name, values in json.loads(text).items())


def chunk_values(chunk: ChunkRow) -> tuple[Any, ...]:
    """Return the values of `CHUNK_COLUMNS`."""
    anchors = to_json([astuple(anchor) for anchor in chunk.anchors])
    return (
        *(chunk.text, to_json(chunk.headings), chunk.start, chunk.end, chunk.page, chunk.line, chunk.hash),
        *(chunk.place, chunk.table_header, anchors, _recognition_text(chunk.recognition)),
    )


def stored_chunk(values: Sequence[Any]) -> StoredChunk:
    """Return the chunk with these values of `stored_chunk_columns`."""
    chunk_id, path, title, format, text, headings, start, end, page, line, hash, *later_values = values
    place, table_header, anchors, recognition = later_values
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
        _parse_recognition(recognition),
    )
    return StoredChunk(id=chunk_id, path=path, title=title, format=format, chunk=chunk)


def _recognition_text(recognition: Recognition | None) -> str:
    return to_json(astuple(recognition)) if recognition else ""


def _parse_recognition(text: str) -> Recognition | None:
    if not text:
        return None
    confidence, uncertain = json.loads(text)
    return Recognition(confidence, tuple((start, end) for start, end in uncertain))


def to_json(value: Any) -> str:
    """Return a value as JSON, letters as they are."""
    return json.dumps(value, ensure_ascii=False)
