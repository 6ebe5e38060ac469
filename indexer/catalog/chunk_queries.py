"""The passages of a generation by the many: whose they are, what they say, which are equal. Reads the catalog alone."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from echo_index.indexer.catalog.catalog import EMBEDDED_TITLE, Catalog
from echo_index.indexer.catalog.visibility_sql import FROM_VISIBLE_CHUNKS, VISIBLE
from echo_index.indexer.documents.chunking import title_path


def chunk_owners(catalog: Catalog, *, generation: int) -> npt.NDArray[np.int64]:
    """Return (chunk id, document id) of all chunks of a generation, int64 (n, 2), by chunk id."""
    query = f"SELECT chunks.id, chunks.document {FROM_VISIBLE_CHUNKS} ORDER BY chunks.id"
    rows = catalog.database.rows(query, {"generation": generation})
    return np.fromiter((key for row in rows for key in row), dtype=np.int64).reshape(-1, 2)


def chunk_texts(catalog: Catalog, *, generation: int) -> Iterator[tuple[int, str]]:
    """Yield (chunk id, text) of all chunks of a generation, by id."""
    query = f"SELECT chunks.id, chunks.text {FROM_VISIBLE_CHUNKS} ORDER BY chunks.id"
    yield from catalog.database.stream(query, {"generation": generation})


def embedded_chunks(catalog: Catalog, *, generation: int) -> Iterator[tuple[int, str, tuple[str, ...], str]]:
    """Yield (chunk id, title, headings, text) of all chunks of a generation, by id, with what is embedded of each."""
    query = f"SELECT chunks.id, {EMBEDDED_TITLE}, chunks.headings, chunks.text {FROM_VISIBLE_CHUNKS} ORDER BY chunks.id"
    for key, title, headings, text in catalog.database.stream(query, {"generation": generation}):
        yield key, title, tuple(json.loads(headings)), text


def sample_chunks(catalog: Catalog, *, generation: int, most: int) -> list[tuple[int, tuple[str, ...], str]]:
    """Return (chunk id, title and headings, text) of up to `most` different passages from all over a generation.

    They are the same ones in whatever order it was built.
    """
    query = (
        f"SELECT min(chunks.id), {EMBEDDED_TITLE}, chunks.headings, chunks.text {FROM_VISIBLE_CHUNKS} "
        "GROUP BY chunks.hash ORDER BY chunks.hash LIMIT :most"
    )
    rows = catalog.database.rows(query, {"generation": generation, "most": most})
    return [(key, title_path(title, json.loads(headings)), text) for key, title, headings, text in rows]


def evenly_spaced(ids: npt.NDArray[np.int64], most: int) -> npt.NDArray[np.int64]:
    """Return `most` of the ids, or all, at even distances."""
    count = min(most, len(ids))
    return ids[(np.arange(count) * len(ids)) // max(1, count)]


def equal_chunks(catalog: Catalog, *, generation: int, limit: int) -> list[tuple[int, int]]:
    """Return (first, other) ids of chunks with the same text, up to `limit` pairs; of each text one pair first."""
    query = (
        "SELECT first, id FROM (SELECT chunks.id AS id, min(chunks.id) OVER same AS first, "
        f"row_number() OVER (same ORDER BY chunks.id) AS number {FROM_VISIBLE_CHUNKS} "
        "WINDOW same AS (PARTITION BY chunks.text)) WHERE number > 1 ORDER BY number, first LIMIT :limit"
    )
    return catalog.database.rows(query, {"generation": generation, "limit": limit})


def overlapping_chunks(catalog: Catalog, path: str, start: int, *, generation: int) -> list[int]:
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
    rows = catalog.database.rows(query, {"path": path, "start": start, "generation": generation})
    return [row[0] for row in rows]
