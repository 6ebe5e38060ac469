"""Summarize a generation: its sizes and formats, what could not be read, and what its texts lack."""

from __future__ import annotations

import json
from collections import Counter

from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.catalog.outside_passages import outside_totals
from echo_index.indexer.catalog.records import ARCHIVE, Counts
from echo_index.indexer.catalog.schema import WITH_OMISSIONS, WITH_RECOGNITION
from echo_index.indexer.catalog.visibility_sql import FROM_VISIBLE_CHUNKS, VISIBLE
from echo_index.indexer.conditions.tree import folded


def document_failures(catalog: Catalog, *, generation: int) -> list[tuple[str, str]]:
    """Return (path, reason) of the documents that could not be read, ordered by path."""
    query = f"SELECT path, failure FROM documents WHERE failure IS NOT NULL AND {VISIBLE} ORDER BY path"
    return catalog.database.rows(query, {"generation": generation})


def text_omissions(catalog: Catalog, *, generation: int) -> list[tuple[str, str]]:
    """Return (path, phrase) for all that the texts of documents lack of their files, ordered by path."""
    if catalog.version < WITH_OMISSIONS:
        return []
    query = f"SELECT path, omissions FROM documents WHERE omissions <> '[]' AND {VISIBLE} ORDER BY path"
    rows = catalog.database.rows(query, {"generation": generation})
    return [(path, phrase) for path, phrases in rows for phrase in json.loads(phrases)]


def text_recognitions(catalog: Catalog, *, generation: int) -> list[tuple[str, str]]:
    """Return (path, phrase) for all documents of which something was recognized in pictures, ordered by path."""
    if catalog.version < WITH_RECOGNITION:
        return []
    query = f"SELECT path, recognition FROM documents WHERE recognition <> '' AND {VISIBLE} ORDER BY path"
    return catalog.database.rows(query, {"generation": generation})


def generation_counts(catalog: Catalog, *, generation: int) -> Counts:
    """Return the sizes of a generation."""
    values = {"generation": generation}
    read = f"count(*) FILTER (WHERE failure IS NULL AND format <> '{ARCHIVE}')"
    query = f"SELECT {read}, count(failure) FROM documents WHERE {VISIBLE}"
    [(documents, failed)] = catalog.database.rows(query, values)
    query = f"SELECT count(*), coalesce(sum(length(CAST(text AS BLOB))), 0) {FROM_VISIBLE_CHUNKS}"
    [(chunks, size)] = catalog.database.rows(query, values)
    if catalog.keeps_passages_outside:
        chunks, size = outside_totals(catalog.database, generation=generation)
    return Counts(documents=documents, failed=failed, chunks=chunks, bytes=size)


def count_chunks(catalog: Catalog, *, generation: int) -> int:
    """Return the number of chunks in a generation; cheaper than `generation_counts`."""
    if catalog.keeps_passages_outside:
        return outside_totals(catalog.database, generation=generation)[0]
    query = f"SELECT count(*) {FROM_VISIBLE_CHUNKS}"
    return int(catalog.database.value(query, {"generation": generation}))


def document_formats(catalog: Catalog, *, generation: int) -> dict[str, int]:
    """Return the number of readable documents of each format, the most frequent format first."""
    query = (
        f"SELECT format, count(*) FROM documents WHERE failure IS NULL AND format <> '{ARCHIVE}' AND {VISIBLE} "
        "GROUP BY format ORDER BY count(*) DESC, format"
    )
    return dict(catalog.database.rows(query, {"generation": generation}))


def document_field_counts(catalog: Catalog, *, generation: int) -> dict[str, int]:
    """Return the fields that documents of a generation have of themselves, with their number, the most frequent first.

    They are empty in an index of an early version.
    """
    if not catalog.knows_fields:
        return {}
    query = f"SELECT fields FROM documents WHERE fields <> '{{}}' AND {VISIBLE}"
    spellings: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for (text,) in catalog.database.stream(query, {"generation": generation}):
        for name in json.loads(text):
            counts[folded(name)] += 1
            spellings.setdefault(folded(name), name)
    return {spellings[name]: count for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))}
