"""Maintain the full-text tables of a catalog: the terms that rank chunks, and the exact words for phrases and prefixes.

They are written in the same transaction as the rows of the chunks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress

from echo_index.errors import IndexBusy, IndexUnwritable
from echo_index.indexer.storage.sqlite import Connection, Database, Parameters
from echo_index.indexer.text.analyzer import TERM_PUNCTUATION, analyzer_version, document_terms, exact_text
from echo_index.indexer.text.language_detection import ENGLISH, detect_language

BASIC_LETTERS = "basic_letters"
"""The name of a setting that a catalog has if its full text is in basic letters; an earlier one kept ł, ø and đ."""

CREATE_TERMS = f"""CREATE VIRTUAL TABLE terms USING fts5 (
    text, title, headings, content = '', tokenize = "ascii tokenchars '{TERM_PUNCTUATION}'")"""
CREATE_WORDS = """CREATE VIRTUAL TABLE exact_words USING fts5 (
    text, title, headings, content = '', tokenize = 'unicode61 remove_diacritics 0')"""
"""The tables. Neither stores what it indexes: to delete a row, what was indexed is computed again from the chunk.

So they are filled anew where another version of the analyzer wrote them, see `analyzer_version`.
"""
_ANALYZER = "analyzer"
"""The name of the setting with the version of the analyzer that wrote the full text."""

_MERGED = "full text merged"
"""The name of the setting with the id of the newest chunk when the full text was last merged."""
_NEW_SHARE = 0.5  # of all chunks; merging takes as long as to write all of the full text

_CODE = "code"  # the format
_SEARCHED_COLUMNS = "searched.id, documents.language, searched.text, searched.title, searched.headings"
_FROM_SEARCHED = "FROM searched JOIN chunks ON chunks.id = searched.id JOIN documents ON documents.id = chunks.document"
_INSERT_TERMS = "INSERT INTO terms (rowid, text, title, headings) VALUES (?, ?, ?, ?)"
_INSERT_WORDS = "INSERT INTO exact_words (rowid, text, title, headings) VALUES (?, ?, ?, ?)"
_SURPLUS = "SELECT * FROM temp.{}_vocabulary EXCEPT SELECT * FROM temp.{}_vocabulary"
_DELETE_TERMS = "INSERT INTO terms (terms, rowid, text, title, headings) VALUES ('delete', ?, ?, ?, ?)"  # as indexed
_DELETE_WORDS = (
    "INSERT INTO exact_words (exact_words, rowid, text, title, headings) VALUES ('delete', ?, ?, ?, ?)"  # as indexed
)


def document_language(format_name: str, text: str) -> str:
    """Return the language whose stemmer a document is indexed with: English for code and for unsupported languages."""
    return ENGLISH if format_name == _CODE else detect_language(text)


def add_chunk(connection: Connection, chunk_id: int, language: str, text: str, title: str, headings: str) -> None:
    """Index a chunk by its text, its document's title and its headings (a JSON list)."""
    connection.execute(_INSERT_TERMS, (chunk_id, *term_columns(language, text, title, headings)))
    connection.execute(_INSERT_WORDS, (chunk_id, *map(exact_text, (text, title, headings))))


def remove_chunks(connection: Connection, chunks: str, parameters: Parameters) -> None:
    """Remove from the full text the chunks whose ids the SELECT `chunks` returns; call it before their rows go."""
    condition = f"WHERE searched.id IN ({chunks})"
    connection.executemany(_DELETE_TERMS, _all_terms(connection, condition, parameters))
    connection.executemany(_DELETE_WORDS, _all_words(connection, condition, parameters))


def fill_full_text(connection: Connection) -> None:
    """Rebuild the full text from the chunks."""
    for table, (statement, insert, rows) in _TABLES.items():
        connection.execute(f"DROP TABLE IF EXISTS {table}")  # because deleting rows of a damaged table may fail
        connection.execute(statement)
        connection.executemany(insert, rows(connection))
    connection.execute("DELETE FROM settings WHERE name = ?", (_MERGED,))
    connection.executemany(
        "INSERT OR REPLACE INTO settings VALUES (?, ?)", [(BASIC_LETTERS, "1"), (_ANALYZER, analyzer_version())]
    )


def merge_full_text(database: Database) -> bool:
    """Merge what many transactions have written, if half of the chunks came after the last time; return whether it was.

    A tenth of it is saved. If it fails, nothing is lost or changed.
    """
    [(newest, count, merged)] = database.rows(
        "SELECT coalesce(max(id), 0), count(*), (SELECT value FROM settings WHERE name = ?) FROM chunks", (_MERGED,)
    )
    if newest - int(merged or 0) <= _NEW_SHARE * count:
        return False
    with suppress(IndexBusy, IndexUnwritable), database.transaction() as connection:
        for table in _TABLES:
            connection.execute(f"INSERT INTO {table} ({table}) VALUES ('optimize')")
        connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (_MERGED, str(newest)))
        return True
    return False


def full_text_is_current(catalog: Database | Connection) -> bool:
    """Return whether this version of the analyzer wrote the full text, so that its rows can be deleted."""
    query = "SELECT value FROM settings WHERE name = ?"
    execute = catalog.rows if isinstance(catalog, Database) else catalog.execute
    return [*execute(query, (_ANALYZER,))] == [(analyzer_version(),)]


def has_basic_letters(database: Database) -> bool:
    """Return whether the full text of a catalog is in basic letters."""
    return bool(database.value("SELECT EXISTS (SELECT 1 FROM settings WHERE name = ?)", (BASIC_LETTERS,)))


def detect_languages(connection: Connection) -> None:
    """Detect the language of every document from its chunks and store it."""
    for document, format_name in connection.execute("SELECT id, format FROM documents").fetchall():
        rows = connection.execute("SELECT text FROM chunks WHERE document = ? ORDER BY id", (document,))
        language = document_language(format_name, "\n".join(text for (text,) in rows))
        connection.execute("UPDATE documents SET language = ? WHERE id = ?", (language, document))


def full_text_matches(connection: Connection) -> bool:
    """Return whether the full text has a row for each chunk and no other, and each term as often as the chunks have it.

    The chunks are indexed again in temporary tables, and the two vocabularies are compared.
    """
    for name, (statement, insert, rows) in _TABLES.items():
        expected = f"temp.expected_{name}"
        connection.execute(statement.replace(f"TABLE {name}", f"TABLE {expected}"))
        connection.executemany(insert.replace(f"INTO {name}", f"INTO {expected}"), rows(connection))
        for schema, table in (("main", name), ("temp", f"expected_{name}")):
            connection.execute(f"CREATE VIRTUAL TABLE temp.{schema}_vocabulary USING fts5vocab({schema}, {table}, col)")
        [(differences,)] = connection.execute(
            f"SELECT (SELECT count(*) FROM ({_SURPLUS.format('main', 'temp')})) "
            f"+ (SELECT count(*) FROM ({_SURPLUS.format('temp', 'main')})) "
            f"+ (SELECT count(*) FROM chunks WHERE id NOT IN (SELECT rowid FROM {name})) "
            f"+ (SELECT count(*) FROM {name} WHERE rowid NOT IN (SELECT id FROM chunks))"
        )
        for table in ("main_vocabulary", "temp_vocabulary", f"expected_{name}"):
            connection.execute(f"DROP TABLE temp.{table}")
        if differences:
            return False
    return True


def _all_terms(
    connection: Connection, condition: str = "", parameters: Parameters = ()
) -> Iterator[tuple[int, str, str, str]]:
    for chunk_id, *fields in connection.execute(f"SELECT {_SEARCHED_COLUMNS} {_FROM_SEARCHED} {condition}", parameters):
        yield (chunk_id, *term_columns(*fields))


def _all_words(
    connection: Connection, condition: str = "", parameters: Parameters = ()
) -> Iterator[tuple[int, str, str, str]]:
    query = f"SELECT id, text, title, headings FROM searched {condition}"
    for chunk_id, text, title, headings in connection.execute(query, parameters):
        yield chunk_id, exact_text(text), exact_text(title), exact_text(headings)


_TABLES = {"terms": (CREATE_TERMS, _INSERT_TERMS, _all_terms), "exact_words": (CREATE_WORDS, _INSERT_WORDS, _all_words)}


def term_columns(language: str, text: str, title: str, headings: str) -> tuple[str, str, str]:
    """Return the values of the columns text, title and headings of `terms`."""
    fields = (text, title, "\n".join(_parse_headings(headings)))
    terms, title_terms, heading_terms = (" ".join(document_terms(field, language)) for field in fields)
    return terms, title_terms, heading_terms


def _parse_headings(headings: str) -> list[str]:
    try:
        return [str(heading) for heading in json.loads(headings)]
    except (ValueError, TypeError):  # damaged: the check that compares chunks with their hashes reports it
        return [str(headings)]
