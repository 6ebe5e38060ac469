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
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from echo_index.errors import IndexDamaged
from echo_index.indexer.catalog.bm25_search import (
    NO_FACTORS,
    bm25_scores,
    bm25_search,
    term_statistics,
    visible_languages,
)
from echo_index.indexer.catalog.fts_index import merge_full_text, remove_chunks
from echo_index.indexer.catalog.outside_passages import (
    OutsidePassages,
    has_outside_passages,
    put_outside,
    remove_outside,
    set_outside_passages,
)
from echo_index.indexer.catalog.records import (
    ChunkRow,
    DocumentRow,
    LexicalQuery,
    QueryPart,
    SearchFilter,
    StoredChunk,
    TermStatistics,
)
from echo_index.indexer.catalog.row_inserts import insert_chunk, insert_document
from echo_index.indexer.catalog.rows import (
    DOCUMENT_COLUMNS,
    archive_sql,
    document_row,
    fields_text,
    full_text_sql,
    stored_chunk,
    stored_chunk_columns,
)
from echo_index.indexer.catalog.schema import (
    WITH_FIELDS,
    WITH_OWN_TITLES,
    migrate,
    validate_tables,
    validate_version,
)
from echo_index.indexer.catalog.stored_vectors import (
    Block,
    codes_of,
    count_vectors,
    vector_blocks,
    vectors_of,
    visible_codes,
)
from echo_index.indexer.catalog.vector_codes import Codes
from echo_index.indexer.catalog.vector_tables import (
    CODES,
    Kind,
    copy_vectors,
    put_vectors,
    remove_classical_vectors,
    remove_vectors,
)
from echo_index.indexer.catalog.visibility_sql import FROM_VISIBLE_CHUNKS, filter_sql
from echo_index.indexer.documents.chunking import embedded_text
from echo_index.indexer.documents.fields import Field
from echo_index.indexer.storage.sqlite import FREED_SHARE, Connection, Database

CATALOG = "catalog.sqlite"
_CLASSICAL = "classical vectors"  # the setting: `yes` if builds store them
_NO_SETTINGS: Mapping[str, str] = MappingProxyType({})
_PURGED = "purged"  # the setting with the number of the oldest generation that is still complete
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
            self.version = validate_version(self.database)
            """The schema version."""
        except BaseException:
            self.close()
            raise
        self.full_text_sql = full_text_sql(self.version)
        """The SQL of a chunk's full text, see `ChunkRow.full_text`, also in catalogs of earlier versions."""
        self.archive_sql = archive_sql(self.version)
        """The SQL of the archive of a document, also in catalogs of earlier versions."""
        self._stored_columns = stored_chunk_columns(self.version)
        self.keeps_passages_outside = has_outside_passages(self.database)
        """Whether all passages are in a store alone: there are no chunks here, and no vectors."""

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
        self.put_documents([(document, chunks)], generation=generation)

    def put_documents(
        self,
        versions: Iterable[tuple[DocumentRow, Iterable[ChunkRow]]],
        *,
        generation: int,
        settings: Mapping[str, str] = _NO_SETTINGS,
    ) -> None:
        """Add document versions like `put_document`, and store settings that they depend on: all of it or nothing."""
        with self.database.transaction() as connection:
            connection.executemany("INSERT OR REPLACE INTO settings VALUES (?, ?)", settings.items())
            sought: set[tuple[str, bytes]] = set()
            for document, chunks in versions:
                self._remove(connection, document.path, generation)
                document_id = insert_document(connection, document, generation=generation)
                for chunk in chunks:
                    chunk_id = insert_chunk(connection, document_id, document, chunk)
                    copy_vectors(connection, chunk_id, chunk.hash, sought=sought)

    def keep_passages_outside(self, wanted: bool) -> None:
        """Let this catalog, which must have no documents, keep the passages of all of them outside, or not."""
        with self.database.transaction() as connection:
            set_outside_passages(connection, wanted)
        self.keeps_passages_outside = wanted

    def put_outside_document(self, document: DocumentRow, passages: OutsidePassages | None, *, generation: int) -> None:
        """Add a document version like `put_document`, whose passages, if it has any, are outside."""
        with self.database.transaction() as connection:
            self._remove(connection, document.path, generation)
            document_id = insert_document(connection, document, generation=generation)
            if passages is not None:
                put_outside(connection, document_id, passages)

    def touch_document(self, path: str, *, size: int, modified_ns: int, hash: str | None = None) -> None:
        """Record the new modification time of a file of which the index holds the same as before."""
        with self.database.transaction() as connection:
            connection.execute(
                "UPDATE documents SET size = ?, modified_ns = ?, hash = coalesce(?, hash) "
                "WHERE path = ? AND removed IS NULL",
                (size, modified_ns, hash, path),
            )

    def holds_addresses(self) -> bool:
        """Return whether a file is, or a source was, at an address. A path has no two slashes in a row.

        Documents that were given as objects may have any name. They have no time.
        """
        documents = "EXISTS (SELECT 1 FROM documents WHERE path LIKE '%://%' AND modified_ns <> 0)"
        sources = "EXISTS (SELECT 1 FROM settings WHERE name = 'sources' AND value LIKE '%://%')"
        return bool(self.database.value(f"SELECT {documents} OR {sources}"))

    def set_fields(self, path: str, fields: Sequence[Field]) -> None:
        """Record what a document says of itself, of which the index holds the same as before otherwise."""
        with self.database.transaction() as connection:
            query = "UPDATE documents SET fields = ? WHERE path = ? AND removed IS NULL"
            connection.execute(query, (fields_text(fields), path))

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
            chunks = f"SELECT id FROM chunks WHERE document IN ({gone})"
            remove_chunks(connection, chunks, (before,))
            remove_vectors(connection, chunks, (before,))
            connection.execute(f"DELETE FROM chunks WHERE document IN ({gone})", (before,))
            if self.keeps_passages_outside:
                remove_outside(connection, gone, (before,))
            connection.execute("DELETE FROM documents WHERE removed <= ? OR removed = added", (before,))
            connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (_PURGED, str(before)))

    def flush(self) -> None:
        """Bring all that was written to the disk, into the file of the catalog itself, so that it can be renamed."""
        self.database.flush()

    def compact(self) -> None:
        """Merge the full text if most of it is new, and give the space of what was deleted back, if it is much."""
        is_merged = merge_full_text(self.database)
        self.database.compact(least_freed=0.0 if is_merged else FREED_SHARE)

    @property
    def knows_fields(self) -> bool:
        """Whether documents were asked what they say of themselves; an earlier version did not ask."""
        return self.version >= WITH_FIELDS

    # Vectors

    def count_without_vector(self) -> int:
        """Return the number of distinct texts in current documents that lack a vector that they need."""
        query = f"SELECT count(DISTINCT chunks.hash) {_FROM_UNEMBEDDED}"
        return int(self.database.value(query, {"classical": self.keeps_classical_vectors}))

    def newest_chunk(self) -> int:
        """Return the highest chunk id, or 0 if there are no chunks; chunks added later have higher ids."""
        return int(self.database.value("SELECT coalesce(max(id), 0) FROM chunks"))

    def without_vector(self, *, after: int, limit: int) -> list[StoredChunk]:
        """Return up to `limit` chunks of current documents that lack a vector, with ids above `after`, ordered by id.

        Their title is the one that is embedded with them: '' if the document only has a file name.
        """
        columns = self._stored_columns.replace("documents.title", EMBEDDED_TITLE)
        query = f"SELECT {columns} {_FROM_UNEMBEDDED} AND chunks.id > :after ORDER BY chunks.id LIMIT :limit"
        values = {"after": after, "limit": limit, "classical": self.keeps_classical_vectors}
        return [stored_chunk(row) for row in self.database.rows(query, values)]

    def put_vectors(
        self,
        hashes: Sequence[bytes],
        vectors: npt.NDArray[np.float32],
        *,
        classical: npt.NDArray[np.float32] | None = None,
    ) -> None:
        """Store vectors (n, dimension) and their classical counterparts for the chunks with these text hashes."""
        with self.database.transaction() as connection:
            put_vectors(connection, "echo", hashes, vectors)
            if classical is not None:
                put_vectors(connection, "classical", hashes, classical)

    def keep_classical_vectors(self, wanted: bool) -> None:
        """Say whether chunks need a classical vector, too; if not, those that are there are deleted."""
        if wanted == self.keeps_classical_vectors and (wanted or not self._has_classical_vectors()):
            return  # a build that finds nothing new must write nothing
        with self.database.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (_CLASSICAL, "yes" if wanted else "no"))
            if not wanted:
                remove_classical_vectors(connection)

    @property
    def keeps_classical_vectors(self) -> bool:
        """Whether builds store the classical vectors of chunks."""
        return self.setting(_CLASSICAL) == "yes"

    def _has_classical_vectors(self) -> bool:
        return bool(self.database.value(f"SELECT EXISTS (SELECT 1 FROM {CODES['classical']})"))

    def embedded_texts_of(self, ids: Sequence[int], *, context: str) -> list[str]:
        """Return what is embedded of each of these chunks: the context of its index, titles, headings, full text."""
        title = EMBEDDED_TITLE if self.version >= WITH_OWN_TITLES else "documents.title"
        columns = self._stored_columns.replace("documents.title", title)
        query = (
            f"SELECT {columns} FROM chunks JOIN documents ON documents.id = chunks.document "
            "WHERE chunks.id IN (SELECT value FROM json_each(?))"
        )
        rows = self.database.rows(query, (json.dumps(list(map(int, ids))),))
        stored = {row[0]: stored_chunk(row) for row in rows}
        chunks = [(stored[key].title, stored[key].chunk) for key in ids]
        return [embedded_text(title, chunk.headings, chunk.full_text, context=context) for title, chunk in chunks]

    def vectors(self, *, generation: int, block: int = 4096) -> Iterator[Block]:
        """Yield (chunk ids, vectors) of a generation in blocks, ordered by id.

        Raises:
            IndexDamaged: a chunk has no vector.
        """
        return vector_blocks(self.database, "echo", generation=generation, block=block)

    def classical_vectors(self, *, generation: int, block: int = 4096) -> Iterator[Block]:
        """Yield (chunk ids, classical vectors) of a generation in blocks, ordered by id.

        Chunks without a classical vector are skipped.
        """
        return vector_blocks(self.database, "classical", generation=generation, block=block)

    def codes(self, kind: Kind, *, generation: int) -> tuple[npt.NDArray[np.int64], Codes]:
        """Return the ids (n,) and the codes (n, bytes) of the chunks of a generation with a vector, in any order.

        Raises:
            IndexDamaged: a chunk has no echo vector, or one cannot be read.
        """
        return visible_codes(self.database, kind, generation=generation)

    def count_vectors(self, *, generation: int) -> int:
        """Return the number of chunks of a generation that have a vector."""
        return count_vectors(self.database, "echo", generation=generation)

    def count_classical_vectors(self, *, generation: int) -> int:
        """Return the number of chunks of a generation that have a classical vector."""
        return count_vectors(self.database, "classical", generation=generation)

    def vectors_of(self, ids: Sequence[int]) -> npt.NDArray[np.float32]:
        """Return the vectors (n, dimension) of one or more chunks, in the order of `ids`.

        Raises:
            IndexDamaged: a chunk has no vector.
        """
        return vectors_of(self.database, "echo", ids)

    def codes_of(self, ids: Sequence[int]) -> Codes:
        """Return the codes (n, bytes) of the vectors of some chunks, in the order of `ids`.

        Raises:
            IndexDamaged: a chunk has no vector, or one cannot be read.
        """
        return codes_of(self.database, "echo", ids)

    def classical_vectors_of(self, ids: Sequence[int]) -> npt.NDArray[np.float32]:
        """Return the classical vectors of one or more chunks like `vectors_of`."""
        return vectors_of(self.database, "classical", ids)

    # Search

    def chunk_ids(self, where: SearchFilter, *, generation: int) -> npt.NDArray[np.int64]:
        """Return the ids of the chunks that match a filter, ascending."""
        condition, values = filter_sql(self.database, where, generation=generation)
        query = f"SELECT chunks.id {FROM_VISIBLE_CHUNKS} {condition} ORDER BY chunks.id"
        rows = self.database.rows(query, {"generation": generation, **values})
        return np.fromiter((row[0] for row in rows), dtype=np.int64)

    def match(
        self,
        query: LexicalQuery,
        *,
        k: int,
        where: SearchFilter,
        generation: int,
        factors: Mapping[QueryPart, float] = NO_FACTORS,
    ) -> list[tuple[int, float]]:
        """Return (chunk id, BM25 score) of the best `k` matches of a query, best first; higher scores are better.

        `factors` are those of `weight_factors`, if other catalogs are searched together with this one.
        """
        return bm25_search(self.database, query, k=k, where=where, generation=generation, factors=factors)

    def scores_of(
        self, query: LexicalQuery, ids: Sequence[int], *, factors: Mapping[QueryPart, float] = NO_FACTORS
    ) -> dict[int, float]:
        """Return the BM25 score of each of these chunks, 0 for chunks that do not match."""
        return bm25_scores(self.database, query, ids, factors=factors)

    def term_statistics(self, query: LexicalQuery) -> TermStatistics:
        """Return how many rows the full text has, and how many match each part of a query."""
        return term_statistics(self.database, query)

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


_FROM_UNEMBEDDED = (
    "FROM chunks JOIN documents ON documents.id = chunks.document WHERE documents.removed IS NULL AND (NOT EXISTS "
    f"(SELECT 1 FROM {CODES['echo']} AS stored WHERE stored.chunk = chunks.id) OR :classical AND NOT EXISTS "
    f"(SELECT 1 FROM {CODES['classical']} AS stored WHERE stored.chunk = chunks.id))"
)
