"""The truth of an index, in SQLite: documents, chunks, vectors, full text. Knows nothing of files, FAISS or models.

Every document version is valid from the generation that added it until the generation that removed it. A reader asks
for its own generation and sees that one whole, whatever a build is writing meanwhile.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path

import numpy as np
import numpy.typing as npt

from echo_index.errors import IndexDamaged
from echo_index.indexer.catalog.bm25_search import bm25_scores, bm25_search, visible_languages
from echo_index.indexer.catalog.fts_index import add_chunk, remove_chunks
from echo_index.indexer.catalog.records import ChunkRow, Counts, DocumentRow, LexicalQuery, SearchFilter, StoredChunk
from echo_index.indexer.catalog.schema import migrate, validate_tables
from echo_index.indexer.catalog.visibility_sql import FROM_VISIBLE_CHUNKS, VISIBLE, filter_sql
from echo_index.indexer.storage.sqlite import Connection, Database

CATALOG = "catalog.sqlite"
_PURGED = "purged"  # the setting that tells which generation is the oldest that is still whole
Block = tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]
"""Chunk ids (n,) and their vectors (n, dimension)."""

EMBEDDED_TITLE = "iif(documents.titled, documents.title, '')"


class Catalog:
    """One catalog file, to be read unless it is to `write`; to `create` it, if there is none, is to write it too.

    Threads may share it. Its methods raise what those of `Database` do.
    """

    def __init__(self, path: Path, *, write: bool = False, create: bool = False) -> None:
        self.path = path
        self.database = Database(path, create=create)
        try:
            if not create:
                validate_tables(self.database)  # nothing that is damaged is silently made anew
            if write or create:
                migrate(self.database)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connections of all threads."""
        self.database.close()

    @contextmanager
    def reading(self, *, generation: int) -> Iterator[None]:
        """Let all that this thread reads inside be of one state, in which a generation is whole.

        Raises:
            IndexDamaged: that generation is gone: two newer ones have been completed since.
        """
        with self.database.reading():
            if generation < int(self.setting(_PURGED) or 0):
                raise IndexDamaged(
                    f"The catalog {self.path} does not hold generation {generation} any more.", remedy="Open it again."
                )
            yield

    # Settings

    def setting(self, name: str) -> str | None:
        """Return a setting of the index, None where it was never set."""
        rows = self.database.rows("SELECT value FROM settings WHERE name = ?", (name,))
        return str(rows[0][0]) if rows else None

    def set_settings(self, values: Mapping[str, str], *, durable: bool = False) -> None:
        """Keep settings of the index; `durable`: they and all that was written before outlive a loss of power."""
        with self.database.transaction(durable=durable) as connection:
            connection.executemany("INSERT OR REPLACE INTO settings VALUES (?, ?)", values.items())

    # Documents

    def current_documents(self) -> dict[str, DocumentRow]:
        """Return the newest version of every document by its path."""
        query = f"SELECT {_DOCUMENT_COLUMNS} FROM documents WHERE removed IS NULL ORDER BY path"
        return {row[0]: DocumentRow(*row) for row in self.database.rows(query)}

    def newest_generation(self) -> int:
        """Return the newest generation in which a document was added or removed, complete or not; 1 if none was."""
        query = "SELECT max(1, coalesce(max(added), 1), coalesce(max(removed), 1)) FROM documents"
        return int(self.database.value(query))

    def differs_in(self, generation: int) -> bool:
        """Return whether a document was added or removed in a generation, other than one that came and went in it."""
        query = "SELECT EXISTS (SELECT 1 FROM documents WHERE ? IN (added, removed) AND added IS NOT removed)"
        return bool(self.database.value(query, (generation,)))

    def put_document(self, document: DocumentRow, chunks: Iterable[ChunkRow], *, generation: int) -> None:
        """Add a document version from this generation on, in place of the one before."""
        with self.database.transaction() as connection:
            self._remove(connection, document.path, generation)
            document_id = connection.execute(
                f"INSERT INTO documents ({_DOCUMENT_COLUMNS}, added) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*astuple(document), generation),
            ).lastrowid
            for chunk in chunks:
                headings = json.dumps(chunk.headings, ensure_ascii=False)
                row = (document_id, chunk.text, headings, chunk.start, chunk.end, chunk.page, chunk.line, chunk.hash)
                chunk_id = connection.execute(
                    f"INSERT INTO chunks (document, {_CHUNK_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row
                ).lastrowid
                assert chunk_id is not None  # it is one after an INSERT
                add_chunk(connection, chunk_id, document.language, chunk.text, document.title, headings)

    def touch_document(self, path: str, *, size: int, modified_ns: int) -> None:
        """Note that a file's time changed though its content did not."""
        with self.database.transaction() as connection:
            connection.execute(
                "UPDATE documents SET size = ?, modified_ns = ? WHERE path = ? AND removed IS NULL",
                (size, modified_ns, path),
            )

    def remove_documents(self, paths: Iterable[str], *, generation: int) -> None:
        """Let documents end before this generation, also in what was put off to a later one."""
        with self.database.transaction() as connection:
            for path in paths:
                self._remove(connection, path, generation)
                query = "UPDATE documents SET removed = ? WHERE removed > ? AND path = ? AND added < ?"
                connection.execute(query, (generation, generation, path, generation))

    def _remove(self, connection: Connection, path: str, generation: int) -> None:
        query = "UPDATE documents SET removed = max(added, ?) WHERE path = ? AND removed IS NULL"
        connection.execute(query, (generation, path))

    def move_unfinished(self, *, beyond: int, to: int) -> None:
        """Let what was added or removed beyond a generation, by a build that has not ended, be so from another on."""
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
        """Return (path, reason) of the documents that could not be read, by path."""
        query = f"SELECT path, failure FROM documents WHERE failure IS NOT NULL AND {VISIBLE} ORDER BY path"
        return self.database.rows(query, {"generation": generation})

    def counts(self, *, generation: int) -> Counts:
        """Return how much a generation holds."""
        values = {"generation": generation}
        query = f"SELECT count(*) - count(failure), count(failure) FROM documents WHERE {VISIBLE}"
        [(read, failed)] = self.database.rows(query, values)
        query = f"SELECT count(*), coalesce(sum(length(CAST(text AS BLOB))), 0) {FROM_VISIBLE_CHUNKS}"
        [(chunks, size)] = self.database.rows(query, values)
        return Counts(documents=read, failed=failed, chunks=chunks, bytes=size)

    def count_chunks(self, *, generation: int) -> int:
        """Return how many chunks a generation holds; cheaper than all counts."""
        query = f"SELECT count(*) {FROM_VISIBLE_CHUNKS}"
        return int(self.database.value(query, {"generation": generation}))

    def formats(self, *, generation: int) -> dict[str, int]:
        """Return how many documents of each format could be read, most first."""
        query = (
            f"SELECT format, count(*) FROM documents WHERE failure IS NULL AND {VISIBLE} "
            "GROUP BY format ORDER BY count(*) DESC, format"
        )
        return dict(self.database.rows(query, {"generation": generation}))

    # Vectors

    def count_without_vector(self) -> int:
        """Return how many different texts of current documents wait to be embedded."""
        query = f"SELECT count(DISTINCT chunks.hash) {_FROM_WAITING}"
        return int(self.database.value(query))

    def newest_chunk(self) -> int:
        """Return the highest id of a chunk, 0 where there is none: those that are added later have higher ones."""
        return int(self.database.value("SELECT coalesce(max(id), 0) FROM chunks"))

    def without_vector(self, *, after: int, limit: int) -> list[StoredChunk]:
        """Return up to `limit` chunks of current documents that wait to be embedded, by id, from beyond `after`.

        Their title is the one that is embedded with them, '' where it is only the name of a file.
        """
        query = f"SELECT {_EMBEDDED_COLUMNS} {_FROM_WAITING} AND chunks.id > ? ORDER BY chunks.id LIMIT ?"
        return [_found(row) for row in self.database.rows(query, (after, limit))]

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
        with self.database.transaction() as connection:
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
        if not self._has_classical():
            return
        vector = "(SELECT vector FROM classical_vectors WHERE hash = chunks.hash)"
        query = f"SELECT chunks.id, {vector} {_FROM_VISIBLE_CHUNKS_WITH_CLASSICAL}"
        for ids, blobs in self._pages(query, generation=generation, block=block):
            yield np.array(ids, dtype=np.int64), self._unpacked(blobs)

    def count_classical_vectors(self, *, generation: int) -> int:
        """Return how many chunks of a generation have a classical vector."""
        if not self._has_classical():
            return 0
        query = f"SELECT count(*) {_FROM_VISIBLE_CHUNKS_WITH_CLASSICAL}"
        return int(self.database.value(query, {"generation": generation}))

    def _pages(self, query: str, *, generation: int, block: int) -> Iterator[tuple[Sequence[int], Sequence[bytes]]]:
        values = {"generation": generation, "block": block, "after": -1}
        query += " AND chunks.id > :after ORDER BY chunks.id LIMIT :block"
        while rows := self.database.rows(query, values):
            ids, blobs = zip(*rows, strict=True)
            yield ids, blobs
            values["after"] = ids[-1]

    def vectors_of(self, ids: Sequence[int]) -> npt.NDArray[np.float32]:
        """Return the vectors (n, dimension) of these chunks, of which there is at least one, in their order.

        Raises:
            IndexDamaged: a chunk has no vector.
        """
        return self._vectors_of(ids, "vectors")

    def classical_vectors_of(self, ids: Sequence[int]) -> npt.NDArray[np.float32]:
        """Return the classical vectors of these chunks in the same way, of which every one has to have one."""
        return self._vectors_of(ids, "classical_vectors")

    def _vectors_of(self, ids: Sequence[int], table: str) -> npt.NDArray[np.float32]:
        query = (
            f"SELECT chunks.id, kept.vector FROM chunks JOIN {table} AS kept ON kept.hash = chunks.hash "
            "WHERE chunks.id IN (SELECT value FROM json_each(?))"
        )
        blobs = dict(self.database.rows(query, (json.dumps(list(map(int, ids))),)))
        return self._unpacked([blobs.get(int(key)) for key in ids])

    def _unpacked(self, blobs: Sequence[bytes | None]) -> npt.NDArray[np.float32]:
        known = [blob for blob in blobs if blob is not None]
        if len(known) < len(blobs):
            raise IndexDamaged(
                f"The catalog {self.path} has chunks without a vector.", remedy="Embed them: echo-index build FOLDER"
            )
        return np.frombuffer(b"".join(known), dtype="<f2").astype(np.float32).reshape(len(known), -1)

    def _has_classical(self) -> bool:
        """Return whether the catalog has the table: one that was last written by an earlier version may lack it."""
        query = "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'classical_vectors')"
        return bool(self.database.value(query))

    # Search

    def chunk_ids(self, where: SearchFilter, *, generation: int) -> npt.NDArray[np.int64]:
        """Return the ids of the chunks that a filter lets through, ascending."""
        condition, values = filter_sql(where)
        query = f"SELECT chunks.id {FROM_VISIBLE_CHUNKS} {condition} ORDER BY chunks.id"
        rows = self.database.rows(query, {"generation": generation, **values})
        return np.fromiter((row[0] for row in rows), dtype=np.int64)

    def match(self, query: LexicalQuery, *, k: int, where: SearchFilter, generation: int) -> list[tuple[int, float]]:
        """Return (chunk id, BM25 score, higher is better) of the best matches of a query, best first."""
        return bm25_search(self.database, query, k=k, where=where, generation=generation)

    def scores_of(self, query: LexicalQuery, ids: Sequence[int]) -> dict[int, float]:
        """Return the BM25 score that these chunks have in `match`, 0 where they do not match."""
        return bm25_scores(self.database, query, ids)

    def languages(self) -> list[str]:
        """Return the languages of the documents, as Snowball names them, English first."""
        return visible_languages(self.database)

    def chunks(self, ids: Sequence[int]) -> dict[int, StoredChunk]:
        """Return the chunks of these ids."""
        query = (
            f"SELECT {_FOUND_COLUMNS} FROM chunks JOIN documents ON documents.id = chunks.document "
            "WHERE chunks.id IN (SELECT value FROM json_each(?))"
        )
        rows = self.database.rows(query, (json.dumps(list(map(int, ids))),))
        return {row[0]: _found(row) for row in rows}


def delete_catalog(path: Path) -> None:
    """Delete a catalog with its log. Who has it open can go on reading it."""
    for ending in ("", "-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


_DOCUMENT_COLUMNS = "path, hash, size, modified_ns, format, title, failure, titled, language"
_CHUNK_COLUMNS = "text, headings, start, end, page, line, hash"
_FOUND_COLUMNS = (
    "chunks.id, documents.path, documents.title, documents.format, chunks.text, chunks.headings, chunks.start, "
    "chunks.end, chunks.page, chunks.line, chunks.hash"
)
_EMBEDDED_COLUMNS = _FOUND_COLUMNS.replace("documents.title", EMBEDDED_TITLE)
_FROM_VISIBLE_CHUNKS_WITH_VECTORS = (
    "FROM chunks JOIN documents ON documents.id = chunks.document "
    f"LEFT JOIN vectors ON vectors.hash = chunks.hash WHERE {VISIBLE}"
)
_FROM_VISIBLE_CHUNKS_WITH_CLASSICAL = (  # the plus lets SQLite walk the chunks in the order of their ids
    f"{FROM_VISIBLE_CHUNKS} AND +chunks.hash IN (SELECT hash FROM classical_vectors)"
)
_FROM_WAITING = (
    "FROM chunks JOIN documents ON documents.id = chunks.document "
    "WHERE documents.removed IS NULL AND NOT EXISTS (SELECT 1 FROM vectors WHERE vectors.hash = chunks.hash)"
)


def _found(row: tuple[int, str, str, str, str, str, int, int, int | None, int | None, bytes]) -> StoredChunk:
    chunk_id, path, title, format_name, text, headings, start, end, page, line, key = row
    chunk = ChunkRow(text, tuple(json.loads(headings)), start, end, page, line, key)
    return StoredChunk(id=chunk_id, path=path, title=title, format=format_name, chunk=chunk)


def _vector_rows(hashes: Sequence[bytes], vectors: npt.NDArray[np.float32]) -> list[tuple[bytes, bytes]]:
    return [(key, vector.tobytes()) for key, vector in zip(hashes, vectors.astype("<f2"), strict=True)]
