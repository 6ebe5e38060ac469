"""Read all that a generation holds in blocks of chunks, and fill an empty catalog with such blocks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from echo_index.errors import IndexDamaged
from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.catalog.outside_passages import OUTSIDE_COUNT
from echo_index.indexer.catalog.records import ChunkRow, DocumentRow
from echo_index.indexer.catalog.row_inserts import insert_chunk, insert_document
from echo_index.indexer.catalog.rows import DOCUMENT_COLUMNS, document_row, stored_chunk, stored_chunk_columns
from echo_index.indexer.catalog.schema import SCHEMA_VERSION, validate_version
from echo_index.indexer.catalog.vector_codes import decode_vectors, is_intact
from echo_index.indexer.catalog.vector_tables import CODES, put_chunk_vectors
from echo_index.indexer.catalog.visibility_sql import VISIBLE
from echo_index.indexer.storage.sqlite import Connection

_OF_THIS_FILE = {
    *("manifest", "purged", "analyzer", "basic_letters", "full text merged"),
    *("store", "store owner", "store replaced", "store generation"),
}
"""Settings that describe a catalog file, or where it is published, and not the index: another file gets its own."""
_DOCUMENT_COLUMNS = ", ".join(f"documents.{name}" for name in DOCUMENT_COLUMNS.split(", "))
_DOCUMENT_WIDTH = DOCUMENT_COLUMNS.count(",") + 1


@dataclass(frozen=True, eq=False, slots=True)
class PassageBlock:
    """Some chunks in the order of their ids, each with its document and its vectors.

    `vectors` (n, dimension) are those that the encoder gave, as they are stored. `classical` (n, dimension) are the
    classical ones of those chunks for which `has_classical` (n,) is true, and zero for others.
    """

    documents: Sequence[DocumentRow]
    chunks: Sequence[ChunkRow]
    vectors: npt.NDArray[np.float32]
    classical: npt.NDArray[np.float32]
    has_classical: npt.NDArray[np.bool_]


def is_current(catalog: Catalog) -> bool:
    """Return whether a catalog has the tables of this version; only then can its blocks be read."""
    return validate_version(catalog.database) == SCHEMA_VERSION


def copy_catalog(catalog: Catalog, path: Path) -> None:
    """Write a copy of a catalog to a new file, which can be brought up to date without changing the index."""
    catalog.database.copy_to(path)


def index_settings(catalog: Catalog) -> dict[str, str]:
    """Return the settings of an index, such as its sources, without those that describe the file of its catalog."""
    rows = catalog.database.rows("SELECT name, value FROM settings ORDER BY name")
    return {name: value for name, value in rows if name not in _OF_THIS_FILE}


def documents_without_chunks(catalog: Catalog, *, generation: int) -> list[DocumentRow]:
    """Return the documents that have no chunks, ordered by path: unreadable and empty ones, and archives."""
    query = (
        f"SELECT {DOCUMENT_COLUMNS} FROM documents WHERE {VISIBLE} "
        "AND NOT EXISTS (SELECT 1 FROM chunks WHERE document = documents.id) ORDER BY path"
    )
    return [document_row(row) for row in catalog.database.rows(query, {"generation": generation})]


def published_documents(catalog: Catalog, *, generation: int) -> Iterator[tuple[DocumentRow, int, int, int]]:
    """Yield each document of a generation, its id, the first generation that has it, and its number of chunks."""
    count = "(SELECT count(*) FROM chunks WHERE document = documents.id)"
    if catalog.keeps_passages_outside:
        count = f"coalesce({OUTSIDE_COUNT}, 0)"
    query = f"SELECT {DOCUMENT_COLUMNS}, id, added, {count} FROM documents WHERE {VISIBLE} ORDER BY id"
    for row in catalog.database.stream(query, {"generation": generation}):
        yield document_row(row[:_DOCUMENT_WIDTH]), row[-3], row[-2], row[-1]


def passage_blocks(
    catalog: Catalog, *, generation: int, dimension: int, block: int, documents: Sequence[int] | None = None
) -> Iterator[PassageBlock]:
    """Yield all chunks of a generation in blocks, or only those of the documents with these ids.

    Raises:
        IndexDamaged: a vector is missing, or is not as it was stored.
    """
    joined = " ".join(f"LEFT JOIN {table} ON {table}.chunk = chunks.id" for table in CODES.values())
    codes = ", ".join(f"{table}.code" for table in CODES.values())
    query = (
        f"SELECT {_DOCUMENT_COLUMNS}, {codes}, {stored_chunk_columns(SCHEMA_VERSION)} "
        f"FROM chunks JOIN documents ON documents.id = chunks.document {joined} WHERE {VISIBLE} "
        f"{'' if documents is None else 'AND documents.id IN (SELECT value FROM json_each(:documents)) '}"
        f"AND {'' if documents is None else '+'}chunks.id > :after ORDER BY chunks.id LIMIT :block"
    )
    values: dict[str, int | str] = {"generation": generation, "after": 0, "block": block}
    if documents is not None:  # the plus lets SQLite begin with them, and not with all chunks
        values["documents"] = json.dumps([*documents])
    while rows := catalog.database.rows(query, values):
        yield _block(catalog, rows, dimension)
        values["after"] = rows[-1][_DOCUMENT_WIDTH + len(CODES)]


def _block(catalog: Catalog, rows: Sequence[Sequence[Any]], dimension: int) -> PassageBlock:
    documents: list[DocumentRow] = []
    chunks = []
    before: Sequence[Any] = ()
    for row in rows:
        facts = row[:_DOCUMENT_WIDTH]
        documents.append(documents[-1] if facts == before else document_row(facts))
        before = facts
        chunks.append(stored_chunk(row[_DOCUMENT_WIDTH + len(CODES) :]).chunk)
    hashes = [chunk.hash for chunk in chunks]
    echo, classical = ([row[_DOCUMENT_WIDTH + number] for row in rows] for number in range(len(CODES)))
    if None in echo:
        raise _damaged(catalog, "has a passage without a vector")
    has_classical = np.array([code is not None for code in classical])
    vectors = np.zeros((len(rows), dimension), dtype=np.float32)
    present = [code for code in classical if code is not None]
    keys = [key for key, code in zip(hashes, classical, strict=True) if code is not None]
    if present:
        vectors[has_classical] = _decoded(catalog, present, keys, dimension)
    return PassageBlock(documents, chunks, _decoded(catalog, echo, hashes, dimension), vectors, has_classical)


def _decoded(
    catalog: Catalog, codes: Sequence[bytes], hashes: Sequence[bytes], dimension: int
) -> npt.NDArray[np.float32]:
    """Return the vectors of codes; one that has been damaged must not leave the index as if it were whole."""
    if not all(is_intact(code, key, dimension=dimension) for code, key in zip(codes, hashes, strict=True)):
        raise _damaged(catalog, "has a vector that is not as it was stored")
    return decode_vectors(np.frombuffer(b"".join(codes), dtype=np.uint8).reshape(len(codes), -1))


def _damaged(catalog: Catalog, what: str) -> IndexDamaged:
    return IndexDamaged(f"The catalog {catalog.path} {what}.", remedy="Repair it: echo-index verify --repair")


class CatalogFilling:
    """Fills an empty catalog with documents and with blocks of chunks, the chunks of a document one after the other."""

    def __init__(self, catalog: Catalog, settings: Mapping[str, str], *, generation: int) -> None:
        """Store the settings of an index, except those that describe a catalog file."""
        self._catalog = catalog
        self._generation = generation
        self._last: tuple[int, DocumentRow] | None = None
        catalog.set_settings({name: value for name, value in settings.items() if name not in _OF_THIS_FILE})

    def add_documents(self, documents: Iterable[DocumentRow]) -> None:
        """Add documents without chunks.

        Raises:
            ValueError: a document is there twice.
        """
        with self._catalog.database.transaction() as connection:
            for document in documents:
                self._begin(connection, document)

    def add_block(self, block: PassageBlock) -> None:
        """Add chunks with their documents and vectors: all of the block or nothing.

        Raises:
            ValueError: a document is there twice, its chunks do not stand together, or they disagree about it.
        """
        ids = []
        with self._catalog.database.transaction() as connection:
            for document, chunk in zip(block.documents, block.chunks, strict=True):
                if self._last is None or document.path != self._last[1].path:
                    self._begin(connection, document)
                assert self._last is not None
                document_id, known = self._last
                if document != known:
                    raise ValueError(f"its passages disagree about the document {document.path!r}")
                ids.append(insert_chunk(connection, document_id, document, chunk))
            hashes = [chunk.hash for chunk in block.chunks]
            put_chunk_vectors(connection, "echo", ids, hashes, block.vectors)
            if block.has_classical.any():
                chosen = np.flatnonzero(block.has_classical)
                own_ids, own_hashes = [ids[n] for n in chosen], [hashes[n] for n in chosen]
                put_chunk_vectors(connection, "classical", own_ids, own_hashes, block.classical[chosen])

    def _begin(self, connection: Connection, document: DocumentRow) -> None:
        query = "SELECT 1 FROM documents WHERE path = ? AND removed IS NULL"
        if connection.execute(query, (document.path,)).fetchone():
            raise ValueError(
                f"the document {document.path!r} is there twice, or its passages do not stand one after the other"
            )
        self._last = insert_document(connection, document, generation=self._generation), document
