"""Build the SQL conditions that limit a query to one generation and to a search filter."""

from __future__ import annotations

import json

from echo_index.indexer.catalog.document_fields import matching_documents
from echo_index.indexer.catalog.document_names import documents_of_names
from echo_index.indexer.catalog.records import SearchFilter
from echo_index.indexer.catalog.rows import archive_sql
from echo_index.indexer.catalog.schema import validate_version
from echo_index.indexer.storage.file_times import SECOND_NS
from echo_index.indexer.storage.sqlite import Database

VISIBLE = "documents.added <= :generation AND (documents.removed IS NULL OR documents.removed > :generation)"
"""True for the rows of `documents` that belong to the generation given as parameter."""
_HAS_TIME = f"documents.modified_ns NOT BETWEEN 0 AND {SECOND_NS - 1}"  # as `has_time`
_LARGEST = 2**63 - 1  # integer of SQLite: a time in the year 2262
FROM_VISIBLE_CHUNKS = f"FROM chunks JOIN documents ON documents.id = chunks.document WHERE {VISIBLE}"


def filter_sql(database: Database, where: SearchFilter, *, generation: int) -> tuple[str, dict[str, str | int]]:
    """Return the SQL that adds a filter to a condition on `documents` ('' or "AND …") and its parameters."""
    clauses: list[str] = []
    values: dict[str, str | int] = {}
    if where.paths:
        query = f"SELECT path, {archive_sql(validate_version(database))} FROM documents WHERE {VISIBLE}"
        documents = dict(database.rows(query, {"generation": generation}))
        named = documents_of_names(where.paths, documents, database.path.parent)
        clauses.append("AND documents.path IN (SELECT value FROM json_each(:paths))")
        values["paths"] = json.dumps(sorted(named))
    if where.formats:
        clauses.append("AND documents.format IN (SELECT value FROM json_each(:formats))")
        values["formats"] = json.dumps(where.formats)
    if where.where is not None:
        # What the user wrote stays out of SQL: only the ids of the documents that match get there.
        matching = matching_documents(database, where.where, visible=VISIBLE, generation=generation)
        clauses.append("AND documents.id IN (SELECT value FROM json_each(:matching))")
        values["matching"] = json.dumps(matching)
    for limit, sign, name in ((where.since, ">=", "since"), (where.before, "<", "before")):
        if limit is not None:
            clauses.append(f"AND {_HAS_TIME} AND documents.modified_ns {sign} :{name}")
            values[name] = min(max(limit, -_LARGEST), _LARGEST)
    return " ".join(clauses), values
