"""What a catalog keeps of documents whose passages are in a store alone: how many there are, and the key of a part."""

from __future__ import annotations

from dataclasses import dataclass

from echo_index.indexer.catalog.visibility_sql import VISIBLE
from echo_index.indexer.storage.sqlite import Connection, Database

OUTSIDE_TABLE = "outside_passages"
OUTSIDE_COUNT = f"(SELECT passages FROM {OUTSIDE_TABLE} WHERE document = documents.id)"
"""The SQL of the number of such passages of a document, NULL for none."""


@dataclass(frozen=True, slots=True)
class OutsidePassages:
    """The passages of a document outside of a catalog: their number, the bytes of their texts, the key of the part."""

    count: int
    bytes: int
    key: str


def set_outside_passages(connection: Connection, wanted: bool) -> None:
    """Let a catalog without documents keep passages outside, or not. Only such catalogs have the table."""
    if not wanted:
        connection.execute(f"DROP TABLE IF EXISTS {OUTSIDE_TABLE}")
        return
    connection.execute(
        f"CREATE TABLE IF NOT EXISTS {OUTSIDE_TABLE} (document INTEGER PRIMARY KEY REFERENCES documents, "
        "passages INTEGER NOT NULL, bytes INTEGER NOT NULL, key TEXT NOT NULL)"
    )


def has_outside_passages(database: Database) -> bool:
    """Return whether a catalog keeps its passages outside."""
    return bool(database.value("SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = ?)", (OUTSIDE_TABLE,)))


def put_outside(connection: Connection, document_id: int, passages: OutsidePassages) -> None:
    """Note what is outside of the document with this id."""
    values = (document_id, passages.count, passages.bytes, passages.key)
    connection.execute(f"INSERT INTO {OUTSIDE_TABLE} VALUES (?, ?, ?, ?)", values)


def remove_outside(connection: Connection, documents: str, values: tuple[int, ...]) -> None:
    """Forget what is outside of the documents whose ids a query gives."""
    connection.execute(f"DELETE FROM {OUTSIDE_TABLE} WHERE document IN ({documents})", values)


def outside_totals(database: Database, *, generation: int) -> tuple[int, int]:
    """Return the number of passages outside of a generation, and the bytes of their texts."""
    query = (
        f"SELECT coalesce(sum(passages), 0), coalesce(sum(bytes), 0) FROM {OUTSIDE_TABLE} "
        f"JOIN documents ON documents.id = document WHERE {VISIBLE}"
    )
    [(count, size)] = database.rows(query, {"generation": generation})
    return count, size
