"""The truth of an index, in SQLite: documents, chunks, vectors, full text. Knows nothing of files, FAISS or models.

Every document version is valid from the generation that added it until the generation that removed it. A reader asks
for its own generation and sees that one whole, whatever a build is writing meanwhile.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from echo_embeddings.errors import IndexDamaged
from indexer.records import ChunkRow, Counts, DocumentRow, FoundChunk, Where

CATALOG = "catalog.sqlite"
Block = tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]
"""Chunk ids (n,) and their vectors (n, dimension)."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS documents (
    id INTEGER PRIMARY KEY, path TEXT NOT NULL, hash TEXT NOT NULL, size INTEGER NOT NULL, modified_ns INTEGER NOT NULL,
    format TEXT NOT NULL, title TEXT NOT NULL, failure TEXT, added INTEGER NOT NULL, removed INTEGER);
CREATE UNIQUE INDEX IF NOT EXISTS current_documents ON documents (path) WHERE removed IS NULL;
CREATE INDEX IF NOT EXISTS removed_documents ON documents (removed) WHERE removed IS NOT NULL;
CREATE TABLE IF NOT EXISTS chunks (
    id INTEGER PRIMARY KEY, document INTEGER NOT NULL REFERENCES documents, text TEXT NOT NULL, headings TEXT NOT NULL,
    start INTEGER NOT NULL, end INTEGER NOT NULL, page INTEGER, line INTEGER, hash BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS chunks_of_document ON chunks (document);
CREATE INDEX IF NOT EXISTS chunks_of_hash ON chunks (hash);
CREATE TABLE IF NOT EXISTS vectors (hash BLOB PRIMARY KEY, vector BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS classical_vectors (hash BLOB PRIMARY KEY, vector BLOB NOT NULL);
CREATE VIEW IF NOT EXISTS searched AS
    SELECT chunks.id, chunks.text, documents.title, chunks.headings
    FROM chunks JOIN documents ON documents.id = chunks.document;
CREATE VIRTUAL TABLE IF NOT EXISTS full_text USING fts5 (
    text, title, headings,
    content = 'searched', content_rowid = 'id', tokenize = 'porter unicode61 remove_diacritics 2');
"""
VISIBLE = "documents.added <= :generation AND (documents.removed IS NULL OR documents.removed > :generation)"
"""The condition under which a row of `documents` belongs to the generation that is a query's parameter."""


class Catalog:
    """One catalog file. Threads may share it; each has a connection of its own."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self.path = path
        self._create = create
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        if create:
            with self.transaction() as connection:
                for statement in _SCHEMA.split(";\n"):
                    connection.execute(statement)

    def close(self) -> None:
        """Close the connections of all threads."""
        while self._connections:
            self._connections.pop().close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Write all that happens inside, or nothing."""
        connection = self._connection()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.rollback()
            raise
        connection.commit()

    def rows(self, query: str, parameters: Mapping[str, str | int]) -> list[tuple[Any, ...]]:
        """Return the rows that a query finds; it is to change nothing."""
        return self._connection().execute(query, dict(parameters)).fetchall()

    # Settings

    def setting(self, name: str) -> str | None:
        """Return a setting of the index, None where it was never set."""
        row = self._connection().execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def set_settings(self, values: Mapping[str, str]) -> None:
        """Keep settings of the index."""
        with self.transaction() as connection:
            connection.executemany("INSERT OR REPLACE INTO settings VALUES (?, ?)", values.items())

    # Documents

    def current_documents(self) -> dict[str, DocumentRow]:
        """Return the newest version of every document by its path."""
        query = f"SELECT {_DOCUMENT_COLUMNS} FROM documents WHERE removed IS NULL ORDER BY path"
        return {row[0]: DocumentRow(*row) for row in self._connection().execute(query)}

    def newest_generation(self) -> int:
        """Return the newest generation in which a document was added or removed, complete or not; 1 if none was."""
        query = "SELECT max(1, coalesce(max(added), 1), coalesce(max(removed), 1)) FROM documents"
        return int(self._connection().execute(query).fetchone()[0])

    def differs_in(self, generation: int) -> bool:
        """Return whether a document was added or removed in a generation, other than one that came and went in it."""
        query = "SELECT EXISTS (SELECT 1 FROM documents WHERE ? IN (added, removed) AND added IS NOT removed)"
        return bool(self._connection().execute(query, (generation,)).fetchone()[0])

    def put_document(self, document: DocumentRow, chunks: Iterable[ChunkRow], *, generation: int) -> None:
        """Add a document version from this generation on, in place of the one before."""
        with self.transaction() as connection:
            self._remove(connection, document.path, generation)
            document_id = connection.execute(
                f"INSERT INTO documents ({_DOCUMENT_COLUMNS}, added) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (*astuple(document), generation),
            ).lastrowid
            for chunk in chunks:
                headings = json.dumps(chunk.headings, ensure_ascii=False)
                row = (document_id, chunk.text, headings, chunk.start, chunk.end, chunk.page, chunk.line, chunk.hash)
                chunk_id = connection.execute(
                    f"INSERT INTO chunks (document, {_CHUNK_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row
                ).lastrowid
                connection.execute(
                    "INSERT INTO full_text (rowid, text, title, headings) VALUES (?, ?, ?, ?)",
                    (chunk_id, chunk.text, document.title, headings),
                )

    def touch_document(self, path: str, *, size: int, modified_ns: int) -> None:
        """Note that a file's time changed though its content did not."""
        with self.transaction() as connection:
            connection.execute(
                "UPDATE documents SET size = ?, modified_ns = ? WHERE path = ? AND removed IS NULL",
                (size, modified_ns, path),
            )

    def remove_documents(self, paths: Iterable[str], *, generation: int) -> None:
        """Let documents end before this generation, also in what was put off to a later one."""
        with self.transaction() as connection:
            for path in paths:
                self._remove(connection, path, generation)
                query = "UPDATE documents SET removed = ? WHERE removed > ? AND path = ? AND added < ?"
                connection.execute(query, (generation, generation, path, generation))

    def _remove(self, connection: sqlite3.Connection, path: str, generation: int) -> None:
        query = "UPDATE documents SET removed = max(added, ?) WHERE path = ? AND removed IS NULL"
        connection.execute(query, (generation, path))

    def move_unfinished(self, *, beyond: int, to: int) -> None:
        """Let what was added or removed beyond a generation, by a build that has not ended, be so from another on."""
        with self.transaction() as connection:
            for column in ("added", "removed"):
                query = f"UPDATE documents SET {column} = :to WHERE {column} > :beyond AND {column} <> :to"
                connection.execute(query, {"beyond": beyond, "to": to})

    def purge(self, *, before: int) -> None:
        """Delete for good what no reader of generation `before` or a later one can see."""
        with self.transaction() as connection:
            gone = "SELECT id FROM documents WHERE removed <= ? OR removed = added"
            connection.execute(
                "INSERT INTO full_text (full_text, rowid, text, title, headings) "
                f"SELECT 'delete', id, text, title, headings FROM searched WHERE id IN "
                f"(SELECT id FROM chunks WHERE document IN ({gone}))",
                (before,),
            )
            connection.execute(f"DELETE FROM chunks WHERE document IN ({gone})", (before,))
            connection.execute("DELETE FROM documents WHERE removed <= ? OR removed = added", (before,))
            connection.execute("DELETE FROM vectors WHERE hash NOT IN (SELECT hash FROM chunks)")
            if _has_classical(connection):
                connection.execute("DELETE FROM classical_vectors WHERE hash NOT IN (SELECT hash FROM chunks)")

    def failures(self, *, generation: int) -> list[tuple[str, str]]:
        """Return (path, reason) of the documents that could not be read, by path."""
        query = f"SELECT path, failure FROM documents WHERE failure IS NOT NULL AND {VISIBLE} ORDER BY path"
        return list(self._connection().execute(query, {"generation": generation}))

    def counts(self, *, generation: int) -> Counts:
        """Return how much a generation holds."""
        read, failed = (
            self._connection()
            .execute(
                f"SELECT count(*) - count(failure), count(failure) FROM documents WHERE {VISIBLE}",
                {"generation": generation},
            )
            .fetchone()
        )
        chunks, size = (
            self._connection()
            .execute(
                f"SELECT count(*), coalesce(sum(length(CAST(text AS BLOB))), 0) {_FROM_VISIBLE_CHUNKS}",
                {"generation": generation},
            )
            .fetchone()
        )
        return Counts(documents=read, failed=failed, chunks=chunks, bytes=size)

    def count_chunks(self, *, generation: int) -> int:
        """Return how many chunks a generation holds; cheaper than all counts."""
        query = f"SELECT count(*) {_FROM_VISIBLE_CHUNKS}"
        return int(self._connection().execute(query, {"generation": generation}).fetchone()[0])

    def formats(self, *, generation: int) -> dict[str, int]:
        """Return how many documents of each format could be read, most first."""
        query = (
            f"SELECT format, count(*) FROM documents WHERE failure IS NULL AND {VISIBLE} "
            "GROUP BY format ORDER BY count(*) DESC, format"
        )
        return dict(self._connection().execute(query, {"generation": generation}).fetchall())

    # Vectors

    def count_without_vector(self) -> int:
        """Return how many different texts of current documents wait to be embedded."""
        query = f"SELECT count(DISTINCT chunks.hash) {_FROM_WAITING}"
        return int(self._connection().execute(query).fetchone()[0])

    def without_vector(self, *, after: int, limit: int) -> list[FoundChunk]:
        """Return up to `limit` chunks of current documents that wait to be embedded, by id, from beyond `after`."""
        query = f"SELECT {_FOUND_COLUMNS} {_FROM_WAITING} AND chunks.id > ? ORDER BY chunks.id LIMIT ?"
        return [_found(row) for row in self._connection().execute(query, (after, limit))]

    def put_vectors(
        self,
        hashes: Sequence[bytes],
        vectors: npt.NDArray[np.float32],
        *,
        classical: npt.NDArray[np.float32] | None = None,
    ) -> None:
        """Keep vectors (n, dimension) and their classical counterparts, rounded to float16, by their texts' hashes."""
        rows = _vector_rows(hashes, vectors)
        classical_rows = [] if classical is None else _vector_rows(hashes, classical)
        with self.transaction() as connection:
            connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)
            connection.executemany("INSERT OR REPLACE INTO classical_vectors VALUES (?, ?)", classical_rows)

    def vectors(self, *, generation: int, block: int = 4096) -> Iterator[Block]:
        """Yield (chunk ids, vectors) of a generation in blocks, by ascending id.

        Raises:
            IndexDamaged: a chunk has no vector.
        """
        query = f"SELECT chunks.id, vectors.vector {_FROM_VISIBLE_CHUNKS_WITH_VECTORS}"
        for ids, blobs in self._pages(query, generation=generation, block=block):
            yield np.array(ids, dtype=np.int64), self._unpacked(blobs)

    def classical_vectors(self, *, generation: int, block: int = 4096) -> Iterator[Block]:
        """Yield (chunk ids, classical vectors) in the same way, of the chunks that have one.

        What was embedded before classical vectors were kept has none.
        """
        if not _has_classical(self._connection()):
            return
        vector = "(SELECT vector FROM classical_vectors WHERE hash = chunks.hash)"
        query = f"SELECT chunks.id, {vector} {_FROM_VISIBLE_CHUNKS_WITH_CLASSICAL}"
        for ids, blobs in self._pages(query, generation=generation, block=block):
            yield np.array(ids, dtype=np.int64), self._unpacked(blobs)

    def count_classical_vectors(self, *, generation: int) -> int:
        """Return how many chunks of a generation have a classical vector."""
        if not _has_classical(self._connection()):
            return 0
        query = f"SELECT count(*) {_FROM_VISIBLE_CHUNKS_WITH_CLASSICAL}"
        return int(self._connection().execute(query, {"generation": generation}).fetchone()[0])

    def _pages(self, query: str, *, generation: int, block: int) -> Iterator[tuple[Sequence[int], Sequence[bytes]]]:
        values = {"generation": generation, "block": block, "after": -1}
        query += " AND chunks.id > :after ORDER BY chunks.id LIMIT :block"
        while rows := self._connection().execute(query, values).fetchall():
            ids, blobs = zip(*rows, strict=True)
            yield ids, blobs
            values["after"] = ids[-1]

    def vectors_of(self, ids: Sequence[int]) -> npt.NDArray[np.float32]:
        """Return the vectors (n, dimension) of these chunks, of which there is at least one, in their order.

        Raises:
            IndexDamaged: a chunk has no vector.
        """
        query = (
            "SELECT chunks.id, vectors.vector FROM chunks JOIN vectors ON vectors.hash = chunks.hash "
            "WHERE chunks.id IN (SELECT value FROM json_each(?))"
        )
        blobs = dict(self._connection().execute(query, (json.dumps(list(map(int, ids))),)))
        return self._unpacked([blobs.get(int(key)) for key in ids])

    def _unpacked(self, blobs: Sequence[bytes | None]) -> npt.NDArray[np.float32]:
        known = [blob for blob in blobs if blob is not None]
        if len(known) < len(blobs):
            raise IndexDamaged(
                f"The catalog {self.path} has chunks without a vector.", remedy="Embed them: echo-index build FOLDER"
            )
        return np.frombuffer(b"".join(known), dtype="<f2").astype(np.float32).reshape(len(known), -1)

    def sample_texts(self, *, generation: int, step: int) -> list[str]:
        """Return the text of about every `step`-th chunk of a generation."""
        query = f"SELECT chunks.text {_FROM_VISIBLE_CHUNKS} AND chunks.id % :step = 0 ORDER BY chunks.id"
        return [row[0] for row in self._connection().execute(query, {"generation": generation, "step": step})]

    # Survey

    def owners(self, *, generation: int) -> npt.NDArray[np.int64]:
        """Return (chunk id, document id) of all chunks of a generation, int64 (n, 2), by chunk id."""
        query = f"SELECT chunks.id, chunks.document {_FROM_VISIBLE_CHUNKS} ORDER BY chunks.id"
        rows = self._connection().execute(query, {"generation": generation})
        return np.fromiter((key for row in rows for key in row), dtype=np.int64).reshape(-1, 2)

    def texts(self, *, generation: int) -> Iterator[tuple[int, str]]:
        """Yield (chunk id, text) of all chunks of a generation, by id."""
        query = f"SELECT chunks.id, chunks.text {_FROM_VISIBLE_CHUNKS} ORDER BY chunks.id"
        yield from self._connection().execute(query, {"generation": generation})

    def copies(self, *, generation: int, limit: int) -> list[tuple[int, int]]:
        """Return (first, other) ids of chunks with the same text, up to `limit` pairs; of each text one pair first."""
        query = (
            "SELECT first, id FROM (SELECT chunks.id AS id, min(chunks.id) OVER same AS first, "
            f"row_number() OVER (same ORDER BY chunks.id) AS number {_FROM_VISIBLE_CHUNKS} "
            "WINDOW same AS (PARTITION BY chunks.text)) WHERE number > 1 ORDER BY number, first LIMIT :limit"
        )
        return list(self._connection().execute(query, {"generation": generation, "limit": limit}))

    def overlapping(self, path: str, start: int, *, generation: int) -> list[int]:
        """Return the id of the chunk that begins at `start` of a document, then those of the chunks that overlap it.

        There are none where no chunk begins there.
        """
        query = (
            "SELECT other.id FROM chunks JOIN documents ON documents.id = chunks.document "
            "JOIN chunks AS other ON other.document = chunks.document "
            "AND other.start < chunks.end AND other.end > chunks.start "
            f"WHERE documents.path = :path AND chunks.start = :start AND {VISIBLE} "
            "ORDER BY other.id <> chunks.id, other.id"
        )
        rows = self._connection().execute(query, {"path": path, "start": start, "generation": generation})
        return [row[0] for row in rows]

    # Search

    def chunk_ids(self, where: Where, *, generation: int) -> npt.NDArray[np.int64]:
        """Return the ids of the chunks that a filter lets through, ascending."""
        condition, values = _condition(where)
        query = f"SELECT chunks.id {_FROM_VISIBLE_CHUNKS} {condition} ORDER BY chunks.id"
        rows = self._connection().execute(query, {"generation": generation, **values})
        return np.fromiter((row[0] for row in rows), dtype=np.int64)

    def match(self, expression: str, *, k: int, where: Where, generation: int) -> list[tuple[int, float]]:
        """Return (chunk id, BM25 score, higher is better) of the best matches of an FTS5 expression."""
        condition, values = _condition(where)
        query = (
            "SELECT chunks.id, -bm25(full_text) FROM full_text JOIN chunks ON chunks.id = full_text.rowid "
            f"JOIN documents ON documents.id = chunks.document WHERE full_text MATCH :expression AND {VISIBLE} "
            f"{condition} ORDER BY bm25(full_text), chunks.id LIMIT :k"
        )
        parameters = {"expression": expression, "generation": generation, "k": k, **values}
        return list(self._connection().execute(query, parameters))

    def chunks(self, ids: Sequence[int]) -> dict[int, FoundChunk]:
        """Return the chunks of these ids."""
        query = (
            f"SELECT {_FOUND_COLUMNS} FROM chunks JOIN documents ON documents.id = chunks.document "
            "WHERE chunks.id IN (SELECT value FROM json_each(?))"
        )
        rows = self._connection().execute(query, (json.dumps(list(map(int, ids))),))
        return {row[0]: _found(row) for row in rows}

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            if not self._create and not self.path.exists():
                raise IndexDamaged(
                    f"The catalog {self.path} is missing.", remedy="Build it again: echo-index build --rebuild FOLDER"
                )
            connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=60)
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")
                if not self._create:
                    connection.execute("SELECT 1 FROM full_text LIMIT 0")
            except sqlite3.DatabaseError as error:
                connection.close()
                raise IndexDamaged(
                    f"The catalog {self.path} cannot be read: {error}.",
                    remedy="Build it again: echo-index build --rebuild FOLDER",
                ) from None
            self._local.connection = connection
            self._connections.append(connection)
        return connection


_DOCUMENT_COLUMNS = "path, hash, size, modified_ns, format, title, failure"
_CHUNK_COLUMNS = "text, headings, start, end, page, line, hash"
_FOUND_COLUMNS = (
    "chunks.id, documents.path, documents.title, documents.format, chunks.text, chunks.headings, chunks.start, "
    "chunks.end, chunks.page, chunks.line, chunks.hash"
)
_FROM_VISIBLE_CHUNKS = f"FROM chunks JOIN documents ON documents.id = chunks.document WHERE {VISIBLE}"
_FROM_VISIBLE_CHUNKS_WITH_VECTORS = (
    "FROM chunks JOIN documents ON documents.id = chunks.document "
    f"LEFT JOIN vectors ON vectors.hash = chunks.hash WHERE {VISIBLE}"
)
_FROM_VISIBLE_CHUNKS_WITH_CLASSICAL = (  # the plus lets SQLite walk the chunks in the order of their ids
    f"{_FROM_VISIBLE_CHUNKS} AND +chunks.hash IN (SELECT hash FROM classical_vectors)"
)
_FROM_WAITING = (
    "FROM chunks JOIN documents ON documents.id = chunks.document "
    "WHERE documents.removed IS NULL AND NOT EXISTS (SELECT 1 FROM vectors WHERE vectors.hash = chunks.hash)"
)


def _found(row: tuple[int, str, str, str, str, str, int, int, int | None, int | None, bytes]) -> FoundChunk:
    chunk_id, path, title, format_name, text, headings, start, end, page, line, key = row
    chunk = ChunkRow(text, tuple(json.loads(headings)), start, end, page, line, key)
    return FoundChunk(id=chunk_id, path=path, title=title, format=format_name, chunk=chunk)


def _has_classical(connection: sqlite3.Connection) -> bool:
    """Return whether the catalog has the table: one that was last written by an older version has not."""
    query = "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'classical_vectors')"
    return bool(connection.execute(query).fetchone()[0])


def _vector_rows(hashes: Sequence[bytes], vectors: npt.NDArray[np.float32]) -> list[tuple[bytes, bytes]]:
    return [(key, vector.tobytes()) for key, vector in zip(hashes, vectors.astype("<f2"), strict=True)]


def _condition(where: Where) -> tuple[str, dict[str, str]]:
    clauses: list[str] = []
    values: dict[str, str] = {}
    if where.paths:
        globs = {f"path{number}": glob for number, glob in enumerate(where.paths)}
        clauses.append("AND (" + " OR ".join(f"documents.path GLOB :{name}" for name in globs) + ")")
        values.update(globs)
    if where.formats:
        clauses.append("AND documents.format IN (SELECT value FROM json_each(:formats))")
        values["formats"] = json.dumps(where.formats)
    return " ".join(clauses), values
