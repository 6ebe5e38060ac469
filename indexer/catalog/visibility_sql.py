"""Build the SQL conditions that limit a query to one generation and to a search filter."""

from __future__ import annotations

import json

from echo_index.indexer.catalog.records import SearchFilter

VISIBLE = "documents.added <= :generation AND (documents.removed IS NULL OR documents.removed > :generation)"
"""True for the rows of `documents` that belong to the generation given as parameter."""
FROM_VISIBLE_CHUNKS = f"FROM chunks JOIN documents ON documents.id = chunks.document WHERE {VISIBLE}"


def filter_sql(where: SearchFilter) -> tuple[str, dict[str, str]]:
    """Return the SQL that adds a filter to a condition on `documents` ('' or "AND …") and its parameters."""
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
