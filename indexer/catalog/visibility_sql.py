"""Which rows a query of the catalog sees: those of its generation, and those that a filter lets through. SQL alone."""

from __future__ import annotations

import json

from echo_index.indexer.catalog.records import SearchFilter

VISIBLE = "documents.added <= :generation AND (documents.removed IS NULL OR documents.removed > :generation)"
"""The condition under which a row of `documents` belongs to the generation that is a query's parameter."""
FROM_VISIBLE_CHUNKS = f"FROM chunks JOIN documents ON documents.id = chunks.document WHERE {VISIBLE}"


def filter_sql(where: SearchFilter) -> tuple[str, dict[str, str]]:
    """Return what a filter adds to a condition on `documents`, '' or beginning with AND, and its parameters."""
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
