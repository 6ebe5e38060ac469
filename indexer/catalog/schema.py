"""The tables of a catalog, and how those of earlier versions become those of this one. Knows no rows."""

from __future__ import annotations

from collections.abc import Callable

from echo_index.errors import IndexDamaged, IndexMismatch
from echo_index.indexer.catalog.fts_index import detect_languages, fill_full_text
from echo_index.indexer.storage.sqlite import Connection, Database

_Migration = str | Callable[[Connection], None]


def _analyse_words(connection: Connection) -> None:
    """Let passages be found by the stems of their language, where all were by those of English."""
    connection.execute("ALTER TABLE documents ADD COLUMN language TEXT NOT NULL DEFAULT 'english'")
    connection.execute("CREATE INDEX documents_of_language ON documents (language)")
    connection.execute("DROP TABLE full_text")
    detect_languages(connection)
    fill_full_text(connection)


_MIGRATIONS: tuple[_Migration, ...] = (
    """
    CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS documents (
        id INTEGER PRIMARY KEY, path TEXT NOT NULL, hash TEXT NOT NULL, size INTEGER NOT NULL,
        modified_ns INTEGER NOT NULL, format TEXT NOT NULL, title TEXT NOT NULL, failure TEXT,
        added INTEGER NOT NULL, removed INTEGER);
    CREATE UNIQUE INDEX IF NOT EXISTS current_documents ON documents (path) WHERE removed IS NULL;
    CREATE INDEX IF NOT EXISTS removed_documents ON documents (removed) WHERE removed IS NOT NULL;
    CREATE TABLE IF NOT EXISTS chunks (
        id INTEGER PRIMARY KEY, document INTEGER NOT NULL REFERENCES documents, text TEXT NOT NULL,
        headings TEXT NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL, page INTEGER, line INTEGER,
        hash BLOB NOT NULL);
    CREATE INDEX IF NOT EXISTS chunks_of_document ON chunks (document);
    CREATE INDEX IF NOT EXISTS chunks_of_hash ON chunks (hash);
    CREATE TABLE IF NOT EXISTS vectors (hash BLOB PRIMARY KEY, vector BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS classical_vectors (hash BLOB PRIMARY KEY, vector BLOB NOT NULL);
    CREATE VIEW IF NOT EXISTS searched AS
        SELECT chunks.id, chunks.text, documents.title, chunks.headings
        FROM chunks JOIN documents ON documents.id = chunks.document;
    CREATE VIRTUAL TABLE IF NOT EXISTS full_text USING fts5 (
        text, title, headings,
        content = 'searched', content_rowid = 'id', tokenize = 'porter unicode61 remove_diacritics 2');
    """,
    # Whether the title is the document's own, and so embedded with its passages, or only the name of its file.
    "ALTER TABLE documents ADD COLUMN titled INTEGER NOT NULL DEFAULT 1;",
    _analyse_words,
)
"""Each takes a catalog one version further, in SQL or by a function.

A catalog from before versions were counted may have all of the first.
"""

SCHEMA_VERSION = len(_MIGRATIONS)
_TABLES = {"settings", "documents", "chunks", "vectors"}
_FULL_TEXT = {"terms", "exact_words"}
_FULL_TEXT_BEFORE = {"full_text"}  # up to version 2
_REBUILD = "Build it again: echo-index build --rebuild FOLDER"


def migrate(database: Database) -> None:
    """Bring the tables of a catalog, which may be an empty file, to this version: all of the way or none of it.

    Raises:
        IndexMismatch: the catalog was written by a later version.
    """
    version = validate_version(database)
    if version == SCHEMA_VERSION:
        return
    with database.transaction(durable=True) as connection:
        for migration in _MIGRATIONS[schema_version(connection) :]:
            if not isinstance(migration, str):
                migration(connection)
                continue
            for statement in migration.split(";\n"):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def validate_version(database: Database) -> int:
    """Return the version of a catalog's tables.

    Raises:
        IndexMismatch: it is later than those that are known here.
    """
    version = int(database.value("PRAGMA user_version"))
    if version > SCHEMA_VERSION:
        raise IndexMismatch(
            f"The catalog {database.path} has schema version {version}; this version of echo-index knows versions up "
            f"to {SCHEMA_VERSION}.",
            remedy="Update echo-index, or build another index with --index FOLDER.",
        )
    return version


def validate_tables(database: Database) -> None:
    """See that a catalog can be read from.

    Raises:
        IndexMismatch: it was written by a later version.
        IndexDamaged: it has not the tables of a catalog.
    """
    needed = _TABLES | (_FULL_TEXT if validate_version(database) > 2 else _FULL_TEXT_BEFORE)
    tables = {name for (name,) in database.rows("SELECT name FROM sqlite_master")}
    if missing := sorted(needed - tables):
        raise IndexDamaged(
            f"The catalog {database.path} is damaged: it has no {' and no '.join(missing)}.", remedy=_REBUILD
        )


def schema_version(connection: Connection) -> int:
    """Return the version of the tables as a transaction sees it."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
