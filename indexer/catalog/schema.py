"""Create the tables of a catalog and migrate those of earlier versions."""

from __future__ import annotations

from collections.abc import Callable

from echo_index.errors import IndexDamaged, IndexMismatch
from echo_index.indexer.catalog.fts_index import detect_languages, fill_full_text, full_text_is_current
from echo_index.indexer.catalog.vector_tables import CODES, encode_half_precision
from echo_index.indexer.storage.sqlite import Connection, Database

_Migration = str | Callable[[Connection], None]


def _analyse_words(connection: Connection) -> None:
    """Detect the language of each document, and drop the full text of English stems."""
    connection.execute("ALTER TABLE documents ADD COLUMN language TEXT NOT NULL DEFAULT 'english'")
    connection.execute("CREATE INDEX documents_of_language ON documents (language)")
    connection.execute("DROP TABLE full_text")
    detect_languages(connection)


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
    # Whether the title is the document's own, and so embedded with its chunks, or only the name of its file.
    "ALTER TABLE documents ADD COLUMN titled INTEGER NOT NULL DEFAULT 1;",
    _analyse_words,
    # Where in a chunk the answer stands, and the header of the table that it begins inside of.
    """
    ALTER TABLE chunks ADD COLUMN place TEXT NOT NULL DEFAULT '';
    ALTER TABLE chunks ADD COLUMN table_header TEXT NOT NULL DEFAULT '';
    ALTER TABLE chunks ADD COLUMN anchors TEXT NOT NULL DEFAULT '[]';
    DROP VIEW searched;
    CREATE VIEW searched AS
        SELECT chunks.id, iif(chunks.table_header = '', chunks.text, chunks.table_header || char(10) || chunks.text)
            AS text, documents.title, chunks.headings
        FROM chunks JOIN documents ON documents.id = chunks.document;
    """,
    # What the text of a document lacks of its file: a JSON list of phrases.
    "ALTER TABLE documents ADD COLUMN omissions TEXT NOT NULL DEFAULT '[]';",
    # Words in basic letters, acronyms, and numbers however they are grouped.
    fill_full_text,
    # What was recognized in pictures: a phrase for a document, and JSON for a chunk; and the archives of members.
    """
    ALTER TABLE documents ADD COLUMN recognition TEXT NOT NULL DEFAULT '';
    ALTER TABLE documents ADD COLUMN archive TEXT NOT NULL DEFAULT '';
    ALTER TABLE chunks ADD COLUMN recognition TEXT NOT NULL DEFAULT '';
    """,
    # Vectors in int8 instead of half precision, by chunk instead of by text.
    encode_half_precision,
    # What documents say of themselves: a JSON object of lists of values.
    "ALTER TABLE documents ADD COLUMN fields TEXT NOT NULL DEFAULT '{}';",
)
"""Each migration, SQL or a function, raises the schema version by one.

A catalog from before schema versions has version 0 but may already have all tables of the first migration.
"""

SCHEMA_VERSION = len(_MIGRATIONS)
WITH_OWN_TITLES, WITH_TABLES, WITH_OMISSIONS, WITH_RECOGNITION, WITH_CODES, WITH_FIELDS = 2, 4, 5, 7, 8, 9
"""From which schema versions on titles differ from file names, and there are table headers, phrases, codes, fields."""
_TABLES = {"settings", "documents", "chunks"}
_FULL_TEXT = {"terms", "exact_words"}
_FULL_TEXT_TO_VERSION_2 = {"full_text"}
_REBUILD = "Build it again: echo-index build --rebuild FOLDER"


def migrate(database: Database) -> None:
    """Migrate a catalog, or an empty file, to the current schema version in one transaction.

    The full text is filled anew if another version of the analyzer wrote it.

    Raises:
        IndexMismatch: a later version of echo-index wrote the catalog.
    """
    version = validate_version(database)
    if version == SCHEMA_VERSION and full_text_is_current(database):
        return
    with database.transaction(durable=True) as connection:
        for migration in _MIGRATIONS[schema_version(connection) :]:
            if not isinstance(migration, str):
                migration(connection)
                continue
            for statement in migration.split(";\n"):
                connection.execute(statement)
        if not full_text_is_current(connection):
            fill_full_text(connection)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def validate_version(database: Database) -> int:
    """Return the schema version of a catalog.

    Raises:
        IndexMismatch: a later version of echo-index wrote the catalog.
    """
    version = int(database.value("PRAGMA user_version"))
    if version > SCHEMA_VERSION:
        raise IndexMismatch(
            f"The catalog {database.path} has schema version {version}; this version of echo-index supports versions "
            f"up to {SCHEMA_VERSION}.",
            remedy="Update echo-index, or build another index with --index FOLDER.",
        )
    return version


def validate_tables(database: Database) -> None:
    """Check that a catalog has all tables of its schema version.

    Raises:
        IndexMismatch: a later version of echo-index wrote the catalog.
        IndexDamaged: a table is missing.
    """
    version = validate_version(database)
    vectors = {*CODES.values()} if version >= WITH_CODES else {"vectors"}
    needed = _TABLES | vectors | (_FULL_TEXT if version > 2 else _FULL_TEXT_TO_VERSION_2)
    tables = {name for (name,) in database.rows("SELECT name FROM sqlite_master")}
    if missing := sorted(needed - tables):
        raise IndexDamaged(
            f"The catalog {database.path} is damaged: it has no table {' and no table '.join(missing)}.",
            remedy=_REBUILD,
        )


def schema_version(connection: Connection) -> int:
    """Return the schema version inside a transaction."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
