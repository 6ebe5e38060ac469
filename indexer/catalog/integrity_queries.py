"""Read the raw contents of a catalog for integrity checks, and rebuild what can be derived from its rows."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator

from echo_index.errors import IndexDamaged
from echo_index.indexer.catalog.catalog import EMBEDDED_TITLE, Catalog
from echo_index.indexer.catalog.fts_index import fill_full_text, full_text_matches
from echo_index.indexer.catalog.vector_tables import CODES, Kind
from echo_index.indexer.catalog.visibility_sql import FROM_VISIBLE_CHUNKS, VISIBLE
from echo_index.indexer.documents.chunking import embedded_text


def sqlite_errors(catalog: Catalog, *, most: int) -> list[str]:
    """Return up to `most` errors that SQLite's own integrity check reports."""
    lines = [str(row[0]) for row in catalog.database.rows(f"PRAGMA integrity_check({most})", {})]
    return [] if lines == ["ok"] else lines


def count_orphan_chunks(catalog: Catalog) -> int:
    """Return the number of chunks that belong to no document."""
    return int(catalog.database.value("SELECT count(*) FROM chunks WHERE document NOT IN (SELECT id FROM documents)"))


def full_text_is_intact(catalog: Catalog) -> bool:
    """Return whether the full text can be read and matches the chunks."""
    try:
        with catalog.database.transaction() as connection:  # FTS5 takes commands as INSERT statements
            for table in ("terms", "exact_words"):
                connection.execute(f"INSERT INTO {table} ({table}, rank) VALUES ('integrity-check', 1)")
            return full_text_matches(connection)
    except IndexDamaged:
        return False


def duplicate_paths(catalog: Catalog, *, generation: int) -> list[str]:
    """Return the stored paths that more than one document of a generation has."""
    query = f"SELECT path FROM documents WHERE {VISIBLE} GROUP BY path HAVING count(*) > 1"
    return [path for (path,) in catalog.database.rows(query, {"generation": generation})]


def duplicate_chunks(catalog: Catalog, *, generation: int) -> list[tuple[str, int]]:
    """Return (path, start) of the chunks that a document holds more than once."""
    query = f"SELECT path, start {FROM_VISIBLE_CHUNKS} GROUP BY document, start, end HAVING count(*) > 1"
    return catalog.database.rows(query, {"generation": generation})


def raw_chunks(catalog: Catalog, *, generation: int) -> Iterator[tuple[str, str, str, str, bytes]]:
    """Yield (path, embedded title, headings as stored JSON, full text, hash) of all chunks of a generation."""
    columns = f"documents.path, {EMBEDDED_TITLE}, chunks.headings, {catalog.full_text_sql}, chunks.hash"
    query = f"SELECT {columns} {FROM_VISIBLE_CHUNKS}"
    yield from catalog.database.stream(query, {"generation": generation})


def raw_codes(catalog: Catalog, kind: Kind, *, generation: int) -> Iterator[tuple[bytes, object]]:
    """Yield (hash, code or None) of all chunks of a generation."""
    query = (
        f"SELECT chunks.hash, (SELECT code FROM {CODES[kind]} WHERE chunk = chunks.id) {FROM_VISIBLE_CHUNKS} "
        "ORDER BY chunks.id"
    )
    yield from catalog.database.stream(query, {"generation": generation})


def embedded_texts(catalog: Catalog, hashes: Collection[bytes], *, context: str) -> dict[bytes, str]:
    """Return the texts with these hashes that are embedded in an index of this context, by hash."""
    query = (
        f"SELECT chunks.hash, {EMBEDDED_TITLE}, chunks.headings, {catalog.full_text_sql} "
        "FROM chunks JOIN documents ON documents.id = chunks.document"
    )
    return {
        key: embedded_text(title, json.loads(headings), text, context=context)
        for key, title, headings, text in catalog.database.stream(query)
        if key in hashes
    }


def repair_catalog(catalog: Catalog, *, reindex: bool, rebuild_full_text: bool, invalid_paths: Collection[str]) -> None:
    """Rebuild SQL indexes and full text, and make the next build read the documents at `invalid_paths` again."""
    with catalog.database.transaction() as connection:
        if reindex:
            connection.execute("REINDEX")
            for table in CODES.values():
                connection.execute(f"DELETE FROM {table} WHERE chunk NOT IN (SELECT id FROM chunks)")
        if rebuild_full_text:
            fill_full_text(connection)
        mark_for_reading = "UPDATE documents SET hash = '', size = -1 WHERE path = ? AND removed IS NULL"
        connection.executemany(mark_for_reading, [(path,) for path in invalid_paths])
