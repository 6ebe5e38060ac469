"""Insert documents and chunks into the tables of a catalog, inside a transaction of the caller."""

from __future__ import annotations

from echo_index.indexer.catalog.fts_index import add_chunk
from echo_index.indexer.catalog.records import ChunkRow, DocumentRow
from echo_index.indexer.catalog.rows import (
    CHUNK_COLUMNS,
    DOCUMENT_COLUMNS,
    chunk_values,
    document_values,
    placeholders,
    to_json,
)
from echo_index.indexer.storage.sqlite import Connection


def insert_document(connection: Connection, document: DocumentRow, *, generation: int) -> int:
    """Add a document version that is valid from a generation on, and return its id."""
    document_id = connection.execute(
        f"INSERT INTO documents ({DOCUMENT_COLUMNS}, added) VALUES ({placeholders(DOCUMENT_COLUMNS)}, ?)",
        (*document_values(document), generation),
    ).lastrowid
    assert document_id is not None  # sqlite3 sets it after an INSERT
    return document_id


def insert_chunk(connection: Connection, document_id: int, document: DocumentRow, chunk: ChunkRow) -> int:
    """Add a chunk of a document with its full text but without a vector, and return its id."""
    chunk_id = connection.execute(
        f"INSERT INTO chunks (document, {CHUNK_COLUMNS}) VALUES (?, {placeholders(CHUNK_COLUMNS)})",
        (document_id, *chunk_values(chunk)),
    ).lastrowid
    assert chunk_id is not None
    add_chunk(connection, chunk_id, document.language, chunk.full_text, document.title, to_json(chunk.headings))
    return chunk_id
