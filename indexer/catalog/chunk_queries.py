"""Query the documents and chunks of one generation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from echo_index.indexer.catalog.catalog import EMBEDDED_TITLE, Catalog
from echo_index.indexer.catalog.records import ARCHIVE, DocumentRow, StoredChunk
from echo_index.indexer.catalog.vector_tables import CODES
from echo_index.indexer.catalog.visibility_sql import FROM_VISIBLE_CHUNKS, VISIBLE
from echo_index.indexer.documents.chunking import title_path

ListedRow = tuple[str, str, str, int, int, str | None]
"""Path, title, format, file size in bytes, number of chunks, and failure of a document."""


def document_archives(catalog: Catalog, *, generation: int) -> dict[str, str]:
    """Return the stored paths of all documents and archives, each with that of the archive it is in, or ''.

    Those that could not be read are included. They are ordered by path.
    """
    query = f"SELECT path, {catalog.archive_sql} FROM documents WHERE {VISIBLE} ORDER BY path"
    return dict(catalog.database.rows(query, {"generation": generation}))


def file_stamps(catalog: Catalog, *, generation: int) -> list[tuple[str, int, int]]:
    """Return (path, size in bytes, modification time in nanoseconds) of the files of all documents, and of archives.

    Members of archives are left out.
    """
    query = f"SELECT path, size, modified_ns FROM documents WHERE {catalog.archive_sql} = '' AND {VISIBLE}"
    return catalog.database.rows(query, {"generation": generation})


def hashes_with_vectors(catalog: Catalog) -> Iterator[bytes]:
    """Yield the hash of each text that needs not be embedded again, of chunks of all generations."""
    tables = [CODES["echo"], *([CODES["classical"]] if catalog.keeps_classical_vectors else [])]
    joined = " ".join(f"JOIN {table} ON {table}.chunk = chunks.id" for table in tables)
    return (row[0] for row in catalog.database.rows(f"SELECT DISTINCT hash FROM chunks {joined}"))


@dataclass(frozen=True, slots=True)
class DocumentSelection:
    """Which documents are listed: those whose path, or with `in_titles` also whose title, contains a text in any case.

    `after` is a path that theirs come after; with `readable`, those that could not be read are left out.
    """

    contains: str = ""
    in_titles: bool = False
    after: str = ""
    readable: bool = False

    def values(self, generation: int) -> dict[str, str | int]:
        """Return the parameters of the SQL."""
        return {"generation": generation, "contains": self.contains.casefold(), "after": self.after}


def document_sizes(catalog: Catalog, *, generation: int) -> list[ListedRow]:
    """Return (path, title, format, file size in bytes, number of chunks, failure) of all documents, ordered by path.

    Archives are among them only if they could not be read.
    """
    return catalog.database.rows(f"{_SELECT_LISTED} {_FROM_LISTED} ORDER BY path", {"generation": generation})


def document_page(
    catalog: Catalog, selection: DocumentSelection, *, generation: int, offset: int, limit: int
) -> list[ListedRow]:
    """Return up to `limit` rows of `document_sizes` that are selected, without the first `offset` of them."""
    # Passages are counted of the documents on the page only.
    page = f"SELECT id {_from_selected(selection)} ORDER BY path LIMIT :limit OFFSET :offset"
    values = {**selection.values(generation), "limit": limit, "offset": offset}
    return catalog.database.rows(f"{_SELECT_LISTED} FROM documents WHERE id IN ({page}) ORDER BY path", values)


def count_documents(catalog: Catalog, selection: DocumentSelection, *, generation: int) -> int:
    """Return how many rows of `document_sizes` are selected."""
    return int(catalog.database.value(f"SELECT count(*) {_from_selected(selection)}", selection.values(generation)))


_SELECT_LISTED = (
    "SELECT path, title, format, size, (SELECT count(*) FROM chunks WHERE document = documents.id), failure"
)
_FROM_LISTED = f"FROM documents WHERE (failure IS NOT NULL OR format <> '{ARCHIVE}') AND {VISIBLE}"


def _from_selected(selection: DocumentSelection) -> str:
    clauses = [_FROM_LISTED]
    if selection.contains:
        columns = ("path", "title") if selection.in_titles else ("path",)
        clauses.append(f"AND ({' OR '.join(f'instr(casefold({column}), :contains)' for column in columns)})")
    if selection.after:
        clauses.append("AND path > :after")
    if selection.readable:
        clauses.append("AND failure IS NULL")
    return " ".join(clauses)


def find_document(catalog: Catalog, path: str, *, generation: int) -> DocumentRow | None:
    """Return the document with this stored path, or None.

    Fields from `has_own_title` on have their defaults, except for `archive`.
    """
    columns = "path, hash, size, modified_ns, format, title, failure"  # the others may be missing in older catalogs
    query = f"SELECT {columns}, {catalog.archive_sql} FROM documents WHERE path = :path AND {VISIBLE}"
    rows = catalog.database.rows(query, {"path": path, "generation": generation})
    return replace(DocumentRow(*rows[0][:-1]), archive=rows[0][-1]) if rows else None


def document_chunks(catalog: Catalog, path: str, *, generation: int, start: int | None = None) -> list[StoredChunk]:
    """Return the chunks of a document in reading order, or only the one that begins at character offset `start`."""
    query = (
        "SELECT chunks.id FROM chunks JOIN documents ON documents.id = chunks.document "
        f"WHERE documents.path = :path AND {VISIBLE}{'' if start is None else ' AND chunks.start = :start'} "
        "ORDER BY chunks.start"
    )
    parameters: dict[str, str | int] = {"path": path, "generation": generation, "start": start or 0}
    ids = [row[0] for row in catalog.database.rows(query, parameters)]
    chunks = catalog.chunks(ids)
    return [chunks[identifier] for identifier in ids]


def chunks_before(catalog: Catalog, path: str, start: int, *, most: int, generation: int) -> list[StoredChunk]:
    """Return up to `most` chunks before the one that begins at `start` in a document, and that one, in reading order.

    The list is empty if no chunk begins there.
    """
    query = (
        "SELECT chunks.id, chunks.start FROM chunks JOIN documents ON documents.id = chunks.document "
        f"WHERE documents.path = :path AND {VISIBLE} AND chunks.start <= :start ORDER BY chunks.start DESC LIMIT :limit"
    )
    rows = catalog.database.rows(query, {"path": path, "generation": generation, "start": start, "limit": most + 1})
    if not rows or rows[0][1] != start:
        return []
    ids = [row[0] for row in reversed(rows)]
    chunks = catalog.chunks(ids)
    return [chunks[identifier] for identifier in ids]


def chunk_owners(catalog: Catalog, *, generation: int) -> npt.NDArray[np.int64]:
    """Return (chunk id, document id) of all chunks, int64 (n, 2), ordered by chunk id."""
    query = f"SELECT chunks.id, chunks.document {FROM_VISIBLE_CHUNKS} ORDER BY chunks.id"
    rows = catalog.database.rows(query, {"generation": generation})
    return np.fromiter((key for row in rows for key in row), dtype=np.int64).reshape(-1, 2)


def chunk_texts(catalog: Catalog, *, generation: int) -> Iterator[tuple[int, str]]:
    """Yield (chunk id, text) of all chunks, ordered by id."""
    query = f"SELECT chunks.id, chunks.text {FROM_VISIBLE_CHUNKS} ORDER BY chunks.id"
    yield from catalog.database.stream(query, {"generation": generation})


def embedded_chunks(catalog: Catalog, *, generation: int) -> Iterator[tuple[int, str, tuple[str, ...], str]]:
    """Yield (chunk id, title, headings, full text) of all chunks, ordered by id.

    The title is '' if it is not embedded.
    """
    columns = f"chunks.id, {EMBEDDED_TITLE}, chunks.headings, {catalog.full_text_sql}"
    query = f"SELECT {columns} {FROM_VISIBLE_CHUNKS} ORDER BY chunks.id"
    for key, title, headings, text in catalog.database.stream(query, {"generation": generation}):
        yield key, title, tuple(json.loads(headings)), text


def sample_chunks(catalog: Catalog, *, generation: int, most: int) -> list[tuple[int, tuple[str, ...], str]]:
    """Return (chunk id, title and headings, full text) of up to `most` chunks with different texts.

    The sample is ordered by text hash, so it does not depend on the order in which the index was built.
    """
    query = (
        f"SELECT min(chunks.id), {EMBEDDED_TITLE}, chunks.headings, {catalog.full_text_sql} {FROM_VISIBLE_CHUNKS} "
        "GROUP BY chunks.hash ORDER BY chunks.hash LIMIT :most"
    )
    rows = catalog.database.rows(query, {"generation": generation, "most": most})
    return [(key, title_path(title, json.loads(headings)), text) for key, title, headings, text in rows]


def evenly_spaced(ids: npt.NDArray[np.int64], most: int) -> npt.NDArray[np.int64]:
    """Return `most` of the ids at equal distances, or all if there are fewer."""
    count = min(most, len(ids))
    return ids[(np.arange(count) * len(ids)) // max(1, count)]


def equal_chunks(catalog: Catalog, *, generation: int, limit: int) -> list[tuple[int, int]]:
    """Return up to `limit` pairs of ids of chunks with the same text, one pair of each text before any second one.

    The first id of a pair is the lowest of all chunks with that text.
    """
    query = (
        "SELECT first, id FROM (SELECT chunks.id AS id, min(chunks.id) OVER same AS first, "
        f"row_number() OVER (same ORDER BY chunks.id) AS number {FROM_VISIBLE_CHUNKS} "
        "WINDOW same AS (PARTITION BY chunks.text)) WHERE number > 1 ORDER BY number, first LIMIT :limit"
    )
    return catalog.database.rows(query, {"generation": generation, "limit": limit})


def overlapping_chunks(catalog: Catalog, path: str, start: int, *, generation: int) -> list[int]:
    """Return the id of the chunk that begins at `start` in a document, then the ids of the chunks that overlap it.

    The list is empty if no chunk begins there.
    """
    query = (
        "SELECT other.id FROM chunks JOIN documents ON documents.id = chunks.document "
        "JOIN chunks AS other ON other.document = chunks.document "
        "AND other.start < chunks.end AND other.end > chunks.start "
        f"WHERE documents.path = :path AND chunks.start = :start AND {VISIBLE} "
        "ORDER BY other.id <> chunks.id, other.id"
    )
    rows = catalog.database.rows(query, {"path": path, "start": start, "generation": generation})
    return [row[0] for row in rows]
