"""Store and query the documents, chunks, vectors and full text of an index in one SQLite file.

The catalog is the source of truth: everything else in an index can be rebuilt from it. A document version is valid from
the generation that added it until the generation that removed it. Each query names a generation and sees all of it and
nothing else, even while a build writes the next one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from echo_index.errors import IndexDamaged
from echo_index.indexer.catalog.bm25_search import bm25_scores, bm25_search, visible_languages
from echo_index.indexer.catalog.fts_index import add_chunk, remove_chunks
from echo_index.indexer.catalog.records import (
    ARCHIVE,
    ChunkRow,
    Counts,
    DocumentRow,
    LexicalQuery,
    SearchFilter,
    StoredChunk,
)
from echo_index.indexer.catalog.rows import (
    CHUNK_COLUMNS,
    DOCUMENT_COLUMNS,
    archive_sql,
    chunk_values,
    document_row,
    document_values,
    full_text_sql,
    placeholders,
    stored_chunk,
    stored_chunk_columns,
    to_json,
)
from echo_index.indexer.catalog.schema import (
    WITH_OMISSIONS,
    WITH_RECOGNITION,
    migrate,
    validate_tables,
    validate_version,
)
from echo_index.indexer.catalog.visibility_sql import FROM_VISIBLE_CHUNKS, VISIBLE, filter_sql
from echo_index.indexer.storage.sqlite import Connection, Database

CATALOG = "catalog.sqlite"
_PURGED = "purged"  # the setting with the number of the oldest generation that is still complete
Block = tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]
"""Chunk ids (n,) and their vectors (n, dimension)."""

EMBEDDED_TITLE = "iif(documents.titled, documents.title, '')"


class Catalog:
    """A catalog file, shared by threads. Its methods raise the errors of `Database`.

    It is opened for reading by default; `write` also migrates older tables, `create` also creates a missing file.
    """

    def __init__(self, path: Path, *, write: bool = False, create: bool = False) -> None:
        self.path = path
        self.database = Database(path, create=create)
        try:
            if not create:
                validate_tables(self.database)  # a damaged catalog must not be silently replaced by an empty one
            if write or create:
                migrate(self.database)
            self._version = validate_version(self.database)
        except BaseException:
            self.close()
            raise
        self.full_text_sql = full_text_sql(self._version)
        """The SQL of a chunk's full text, see `ChunkRow.full_text`, also in catalogs of earlier versions."""
        self.archive_sql = archive_sql(self._version)
        """The SQL of the archive of a document, also in catalogs of earlier versions."""
        self._stored_columns = stored_chunk_columns(self._version)

    def close(self) -> None:
        """Close the connections of all threads."""
        self.database.close()

    @contextmanager
    def reading(self, *, generation: int) -> Iterator[None]:
        """Give this thread one consistent view of a complete generation inside the `with` block.

        Raises:
            IndexDamaged: the generation was purged after two newer ones were committed.
        """
        with self.database.reading():
            if generation < int(self.setting(_PURGED) or 0):
                raise IndexDamaged(
                    f"The catalog {self.path} no longer holds generation {generation}.", remedy="Open the index again."
                )
            yield

    # Settings

    def setting(self, name: str) -> str | None:
        """Return a setting of the index, or None if it was never set."""
        rows = self.database.rows("SELECT value FROM settings WHERE name = ?", (name,))
        return str(rows[0][0]) if rows else None

    def set_settings(self, values: Mapping[str, str], *, durable: bool = False) -> None:
        """Store settings of the index; `durable` also flushes everything written so far to the disk."""
        with self.database.transaction(durable=durable) as connection:
            connection.executemany("INSERT OR REPLACE INTO settings VALUES (?, ?)", values.items())

    # Documents

    def current_documents(self) -> dict[str, DocumentRow]:
        """Return the newest version of every document, by path."""
        query = f"SELECT {DOCUMENT_COLUMNS} FROM documents WHERE removed IS NULL ORDER BY path"
        return {row[0]: document_row(row) for row in self.database.rows(query)}

    def newest_generation(self) -> int:
        """Return the newest generation that added or removed a document, committed or not; 1 if there is none."""
        query = "SELECT max(1, coalesce(max(added), 1), coalesce(max(removed), 1)) FROM documents"
        return int(self.database.value(query))

    def differs_in(self, generation: int) -> bool:
        """Return whether a generation added or removed documents; one added and removed again does not count."""
        query = "SELECT EXISTS (SELECT 1 FROM documents WHERE ? IN (added, removed) AND added IS NOT removed)"
        return bool(self.database.value(query, (generation,)))

    def put_document(self, document: DocumentRow, chunks: Iterable[ChunkRow], *, generation: int) -> None:
        """Add a document version that replaces the previous one from this generation on."""
        with self.database.transaction() as connection:
            self._remove(connection, document.path, generation)
            document_id = connection.execute(
                f"INSERT INTO documents ({DOCUMENT_COLUMNS}, added) VALUES ({placeholders(DOCUMENT_COLUMNS)}, ?)",
                (*document_values(document), generation),
            ).lastrowid
            for chunk in chunks:
                chunk_id = connection.execute(
                    f"INSERT INTO chunks (document, {CHUNK_COLUMNS}) VALUES (?, {placeholders(CHUNK_COLUMNS)})",
                    (document_id, *chunk_values(chunk)),
                ).lastrowid
                assert chunk_id is not None  # sqlite3 sets it after an INSERT
                add_chunk(
                    connection, chunk_id, document.language, chunk.full_text, document.title, to_json(chunk.headings)
                )

    def touch_document(self, path: str, *, size: int, modified_ns: int, hash: str | None = None) -> None:
        """Record the new modification time of a file of which the index holds the same as before."""
        with self.database.transaction() as connection:
            connection.execute(
                "UPDATE documents SET size = ?, modified_ns = ?, hash = coalesce(?, hash) "
                "WHERE path = ? AND removed IS NULL",
                (size, modified_ns, hash, path),
            )

    def touch_members(self, archive: str, *, size: int, modified_ns: int) -> None:
        """Record the new size and modification time of an archive for all of its members."""
        with self.database.transaction() as connection:
            connection.execute(
                "UPDATE documents SET size = ?, modified_ns = ? WHERE archive = ? AND removed IS NULL",
                (size, modified_ns, archive),
            )

    def remove_documents(self, paths: Iterable[str], *, generation: int) -> None:
        """Remove documents from this generation on, including versions whose removal was due in a later one."""
        with self.database.transaction() as connection:
            for path in paths:
                self._remove(connection, path, generation)
                query = "UPDATE documents SET removed = ? WHERE removed > ? AND path = ? AND added < ?"
                connection.execute(query, (generation, generation, path, generation))

    def _remove(self, connection: Connection, path: str, generation: int) -> None:
        query = "UPDATE documents SET removed = max(added, ?) WHERE path = ? AND removed IS NULL"
        connection.execute(query, (generation, path))

    def move_unfinished(self, *, beyond: int, to: int) -> None:
        """Move what an unfinished build added or removed after generation `beyond` to generation `to`."""
        with self.database.transaction() as connection:
            for column in ("added", "removed"):
                query = f"UPDATE documents SET {column} = :to WHERE {column} > :beyond AND {column} <> :to"
                connection.execute(query, {"beyond": beyond, "to": to})

    def purge(self, *, before: int) -> None:
        """Delete for good what no reader of generation `before` or a later one can see."""
        with self.database.transaction() as connection:
            gone = "SELECT id FROM documents WHERE removed <= ? OR removed = added"
            remove_chunks(connection, f"SELECT id FROM chunks WHERE document IN ({gone})", (before,))
            connection.execute(f"DELETE FROM chunks WHERE document IN ({gone})", (before,))
            connection.execute("DELETE FROM documents WHERE removed <= ? OR removed = added", (before,))
            connection.execute("DELETE FROM vectors WHERE hash NOT IN (SELECT hash FROM chunks)")
            connection.execute("DELETE FROM classical_vectors WHERE hash NOT IN (SELECT hash FROM chunks)")
            connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (_PURGED, str(before)))

    def failures(self, *, generation: int) -> list[tuple[str, str]]:
        """Return (path, reason) of the documents that could not be read, ordered by path."""
        query = f"SELECT path, failure FROM documents WHERE failure IS NOT NULL AND {VISIBLE} ORDER BY path"
        return self.database.rows(query, {"generation": generation})

    def omissions(self, *, generation: int) -> list[tuple[str, str]]:
        """Return (path, phrase) for all that the texts of documents lack of their files, ordered by path."""
        if self._version < WITH_OMISSIONS:
            return []
        query = f"SELECT path, omissions FROM documents WHERE omissions <> '[]' AND {VISIBLE} ORDER BY path"
        rows = self.database.rows(query, {"generation": generation})
        return [(path, phrase) for path, phrases in rows for phrase in json.loads(phrases)]

    def recognitions(self, *, generation: int) -> list[tuple[str, str]]:
        """Return (path, phrase) for all documents of which something was recognized in pictures, ordered by path."""
        if self._version < WITH_RECOGNITION:
            return []
        query = f"SELECT path, recognition FROM documents WHERE recognition <> '' AND {VISIBLE} ORDER BY path"
        return self.database.rows(query, {"generation": generation})

    def counts(self, *, generation: int) -> Counts:
        """Return the sizes of a generation."""
        values = {"generation": generation}
        read = f"count(*) FILTER (WHERE failure IS NULL AND format <> '{ARCHIVE}')"
        query = f"SELECT {read}, count(failure) FROM documents WHERE {VISIBLE}"
        [(documents, failed)] = self.database.rows(query, values)
        query = f"SELECT count(*), coalesce(sum(length(CAST(text AS BLOB))), 0) {FROM_VISIBLE_CHUNKS}"
        [(chunks, size)] = self.database.rows(query, values)
        return Counts(documents=documents, failed=failed, chunks=chunks, bytes=size)

    def count_chunks(self, *, generation: int) -> int:
        """Return the number of chunks in a generation; cheaper than `counts`."""
        query = f"SELECT count(*) {FROM_VISIBLE_CHUNKS}"
        return int(self.database.value(query, {"generation": generation}))

    def formats(self, *, generation: int) -> dict[str, int]:
        """Return the number of readable documents of each format, the most frequent format first."""
        query = (
            f"SELECT format, count(*) FROM documents WHERE failure IS NULL AND format <> '{ARCHIVE}' AND {VISIBLE} "
            "GROUP BY format ORDER BY count(*) DESC, format"
        )
        return dict(self.database.rows(query, {"generation": generation}))

    # Vectors

    def count_without_vector(self) -> int:
        """Return the number of distinct texts in current documents that have no vector yet."""
        query = f"SELECT count(DISTINCT chunks.hash) {_FROM_UNEMBEDDED}"
        return int(self.database.value(query))

    def newest_chunk(self) -> int:
        """Return the highest chunk id, or 0 if there are no chunks; chunks added later have higher ids."""
        return int(self.database.value("SELECT coalesce(max(id), 0) FROM chunks"))

    def without_vector(self, *, after: int, limit: int) -> list[StoredChunk]:
        """Return up to `limit` chunks without a vector with ids above `after`, from current documents, ordered by id.

        Their title is the one that is embedded with them: '' if the document only has a file name.
        """
        columns = self._stored_columns.replace("documents.title", EMBEDDED_TITLE)
        query = f"SELECT {columns} {_FROM_UNEMBEDDED} AND chunks.id > ? ORDER BY chunks.id LIMIT ?"
        return [stored_chunk(row) for row in self.database.rows(query, (after, limit))]

    def put_vectors(
        self,
        hashes: Sequence[bytes],
        vectors: npt.NDArray[np.float32],
        *,
        classical: npt.NDArray[np.float32] | None = None,
    ) -> None:
        """Store float32 vectors (n, dimension) and their classical counterparts as float16, keyed by text hash."""
        rows = _float16_rows(hashes, vectors)
        classical_rows = [] if classical is None else _float16_rows(hashes, classical)
        with self.database.transaction() as connection:
            connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)
            connection.executemany("INSERT OR REPLACE INTO classical_vectors VALUES (?, ?)", classical_rows)

    def vectors(self, *, generation: int, block: int = 4096) -> Iterator[Block]:
        """Yield (chunk ids, vectors) of a generation in blocks, ordered by id.

        Raises:
            IndexDamaged: a chunk has no vector.
        """
        query = f"SELECT chunks.id, vectors.vector {_FROM_VISIBLE_CHUNKS_WITH_VECTORS}"
        yield from self._vector_blocks(query, generation=generation, block=block)

    def classical_vectors(self, *, generation: int, block: int = 4096) -> Iterator[Block]:
        """Yield (chunk ids, classical vectors) of a generation in blocks, ordered by id.

        Chunks that an early version embedded have no classical vector and are skipped.
        """
        if not self._has_classical_table():
            return
        vector = "(SELECT vector FROM classical_vectors WHERE hash = chunks.hash)"
        query = f"SELECT chunks.id, {vector} {_FROM_VISIBLE_CHUNKS_WITH_CLASSICAL}"
        yield from self._vector_blocks(query, generation=generation, block=block)

    def count_classical_vectors(self, *, generation: int) -> int:
        """Return the number of chunks of a generation that have a classical vector."""
        if not self._has_classical_table():
            return 0
        query = f"SELECT count(*) {_FROM_VISIBLE_CHUNKS_WITH_CLASSICAL}"
        return int(self.database.value(query, {"generation": generation}))

    def _vector_blocks(self, query: str, *, generation: int, block: int) -> Iterator[Block]:
        values = {"generation": generation, "block": block, "after": -1}
        query += " AND chunks.id > :after ORDER BY chunks.id LIMIT :block"
        while rows := self.database.rows(query, values):
            ids, blobs = zip(*rows, strict=True)
            yield np.array(ids, dtype=np.int64), self._decode_vectors(blobs)
            values["after"] = ids[-1]

    def vectors_of(self, ids: Sequence[int]) -> npt.NDArray[np.float32]:
        """Return the vectors (n, dimension) of one or more chunks, in the order of `ids`.

        Raises:
            IndexDamaged: a chunk has no vector.
        """
        return self._vectors_of(ids, "vectors")

    def classical_vectors_of(self, ids: Sequence[int]) -> npt.NDArray[np.float32]:
        """Return the classical vectors of one or more chunks like `vectors_of`."""
        return self._vectors_of(ids, "classical_vectors")

    def _vectors_of(self, ids: Sequence[int], table: str) -> npt.NDArray[np.float32]:
        query = (
            f"SELECT chunks.id, stored.vector FROM chunks JOIN {table} AS stored ON stored.hash = chunks.hash "
            "WHERE chunks.id IN (SELECT value FROM json_each(?))"
        )
        blobs = dict(self.database.rows(query, (json.dumps(list(map(int, ids))),)))
        return self._decode_vectors([blobs.get(int(key)) for key in ids])

    def _decode_vectors(self, blobs: Sequence[bytes | None]) -> npt.NDArray[np.float32]:
        present = [blob for blob in blobs if blob is not None]
        if len(present) < len(blobs):
            raise IndexDamaged(
                f"The catalog {self.path} has chunks without a vector.", remedy="Embed them: echo-index build FOLDER"
            )
        return np.frombuffer(b"".join(present), dtype="<f2").astype(np.float32).reshape(len(present), -1)

    def _has_classical_table(self) -> bool:
        """Return whether the table exists: it may be missing from a catalog that an early version wrote."""
        query = "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'classical_vectors')"
        return bool(self.database.value(query))

    # Search

    def chunk_ids(self, where: SearchFilter, *, generation: int) -> npt.NDArray[np.int64]:
        """Return the ids of the chunks that match a filter, ascending."""
        condition, values = filter_sql(self.database, where, generation=generation)
        query = f"SELECT chunks.id {FROM_VISIBLE_CHUNKS} {condition} ORDER BY chunks.id"
        rows = self.database.rows(query, {"generation": generation, **values})
        return np.fromiter((row[0] for row in rows), dtype=np.int64)

    def match(self, query: LexicalQuery, *, k: int, where: SearchFilter, generation: int) -> list[tuple[int, float]]:
        """Return (chunk id, BM25 score) of the best `k` matches of a query, best first; higher scores are better."""
        return bm25_search(self.database, query, k=k, where=where, generation=generation)

    def scores_of(self, query: LexicalQuery, ids: Sequence[int]) -> dict[int, float]:
        """Return the BM25 score of each of these chunks, 0 for chunks that do not match."""
        return bm25_scores(self.database, query, ids)

    def languages(self) -> list[str]:
        """Return the Snowball names of the documents' languages, English first."""
        return visible_languages(self.database)

    def chunks(self, ids: Sequence[int]) -> dict[int, StoredChunk]:
        """Return the chunks with these ids, by id."""
        query = (
            f"SELECT {self._stored_columns} FROM chunks JOIN documents ON documents.id = chunks.document "
            "WHERE chunks.id IN (SELECT value FROM json_each(?))"
        )
        rows = self.database.rows(query, (json.dumps(list(map(int, ids))),))
        return {row[0]: stored_chunk(row) for row in rows}


def delete_catalog(path: Path) -> None:
    """Delete a catalog and its write-ahead log. Processes that have it open can still read it."""
    for ending in ("", "-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


_FROM_VISIBLE_CHUNKS_WITH_VECTORS = (
    "FROM chunks JOIN documents ON documents.id = chunks.document "
    f"LEFT JOIN vectors ON vectors.hash = chunks.hash WHERE {VISIBLE}"
)
_FROM_VISIBLE_CHUNKS_WITH_CLASSICAL = (  # the plus makes SQLite scan the chunks in the order of their ids
    f"{FROM_VISIBLE_CHUNKS} AND +chunks.hash IN (SELECT hash FROM classical_vectors)"
)
_FROM_UNEMBEDDED = (
    "FROM chunks JOIN documents ON documents.id = chunks.document "
    "WHERE documents.removed IS NULL AND NOT EXISTS (SELECT 1 FROM vectors WHERE vectors.hash = chunks.hash)"
)


def _float16_rows(hashes: Sequence[bytes], vectors: npt.NDArray[np.float32]) -> list[tuple[bytes, bytes]]:
    return [(key, vector.tobytes()) for key, vector in zip(hashes, vectors.astype("<f2"), strict=True)]
