"""Find documents whose passages are in a store alone, and the keys of the parts that they came from."""

from __future__ import annotations

import json
from collections.abc import Sequence

from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.catalog.outside_passages import OUTSIDE_TABLE, OutsidePassages
from echo_index.indexer.catalog.records import DocumentRow
from echo_index.indexer.catalog.rows import DOCUMENT_COLUMNS, document_row
from echo_index.indexer.catalog.visibility_sql import VISIBLE

_FROM = f"FROM documents JOIN {OUTSIDE_TABLE} ON document = documents.id"


def current_outside(catalog: Catalog, path: str) -> OutsidePassages | None:
    """Return what is outside of the newest version of a document, or None if nothing is."""
    query = f"SELECT passages, bytes, key {_FROM} WHERE path = ? AND removed IS NULL"
    rows = catalog.database.rows(query, (path,))
    return OutsidePassages(*rows[0]) if rows else None


def outside_keys(catalog: Catalog, *, generation: int) -> list[str]:
    """Return the keys of the parts of the documents of a generation, in the order of the documents."""
    rows = catalog.database.rows(
        f"SELECT key {_FROM} WHERE {VISIBLE} ORDER BY documents.id", {"generation": generation}
    )
    return list(dict.fromkeys(key for (key,) in rows))


def documents_with_keys(catalog: Catalog, ids: Sequence[int]) -> list[tuple[DocumentRow, str]]:
    """Return the documents with these ids that have passages, each with the key of its part."""
    query = (
        f"SELECT {DOCUMENT_COLUMNS}, key {_FROM} WHERE documents.id IN (SELECT value FROM json_each(?)) "
        "ORDER BY documents.id"
    )
    rows = catalog.database.rows(query, (json.dumps([*ids]),))
    return [(document_row(row[:-1]), row[-1]) for row in rows]
