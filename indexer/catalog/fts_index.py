"""Maintain the full-text tables of a catalog: the terms that rank chunks, and the exact words for phrases and prefixes.

They are written in the same transaction as the rows of the chunks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from echo_index.indexer.storage.sqlite import Connection, Database, Parameters
from echo_index.indexer.text.analyzer import TERM_PUNCTUATION, document_terms, exact_text
from echo_index.indexer.text.language_detection import ENGLISH, detect_language

BASIC_LETTERS = "basic_letters"
"""The name of a setting that a catalog has if its full text is in basic letters; an earlier one kept ł, ø and đ."""

CREATE_FULL_TEXT = (
    "CREATE VIRTUAL TABLE terms USING fts5 "
    f"""(text, title, headings, tokenize = "ascii tokenchars '{TERM_PUNCTUATION}'")""",
    """CREATE VIRTUAL TABLE exact_words USING fts5 (
        text, title, headings, content = '', tokenize = 'unicode61 remove_diacritics 0')""",
)
"""The tables. `terms` stores its own content, so rows can be deleted even after the stemmer has changed.

`exact_words` does not, because the folding of letters only changes together with the schema.
"""

_CODE = "code"  # the format
_SEARCHED_COLUMNS = "searched.id, documents.language, searched.text, searched.title, searched.headings"
_FROM_SEARCHED = "FROM searched JOIN chunks ON chunks.id = searched.id JOIN documents ON documents.id = chunks.document"
_INSERT_TERMS = "INSERT INTO terms (rowid, text, title, headings) VALUES (?, ?, ?, ?)"
_INSERT_WORDS = "INSERT INTO exact_words (rowid, text, title, headings) VALUES (?, ?, ?, ?)"
_DELETE_WORDS = (
    "INSERT INTO exact_words (exact_words, rowid, text, title, headings) VALUES ('delete', ?, ?, ?, ?)"  # as indexed
)


def document_language(format_name: str, text: str) -> str:
    """Return the language whose stemmer a document is indexed with: English for code and for unsupported languages."""
    return ENGLISH if format_name == _CODE else detect_language(text)


def add_chunk(connection: Connection, chunk_id: int, language: str, text: str, title: str, headings: str) -> None:
    """Index a chunk by its text, its document's title and its headings (a JSON list)."""
    connection.execute(_INSERT_TERMS, (chunk_id, *_term_columns(language, text, title, headings)))
    connection.execute(_INSERT_WORDS, (chunk_id, *map(exact_text, (text, title, headings))))


def remove_chunks(connection: Connection, chunks: str, parameters: Parameters) -> None:
    """Remove from the full text the chunks whose ids the SELECT `chunks` returns; call it before their rows go."""
    connection.execute(f"DELETE FROM terms WHERE rowid IN ({chunks})", parameters)
    connection.executemany(_DELETE_WORDS, _all_words(connection, f"WHERE id IN ({chunks})", parameters))


def fill_full_text(connection: Connection) -> None:
    """Rebuild the full text from the chunks."""
    for table in ("terms", "exact_words"):  # dropped, because deleting rows of a damaged table may fail
        connection.execute(f"DROP TABLE IF EXISTS {table}")
    for statement in CREATE_FULL_TEXT:
        connection.execute(statement)
    connection.executemany(_INSERT_TERMS, _all_terms(connection))
    connection.executemany(_INSERT_WORDS, _all_words(connection))
    connection.execute("INSERT OR REPLACE INTO settings VALUES (?, '1')", (BASIC_LETTERS,))


def has_basic_letters(database: Database) -> bool:
    """Return whether the full text of a catalog is in basic letters."""
    return bool(database.value("SELECT EXISTS (SELECT 1 FROM settings WHERE name = ?)", (BASIC_LETTERS,)))


def detect_languages(connection: Connection) -> None:
    """Detect the language of every document from its chunks and store it."""
    for document, format_name in connection.execute("SELECT id, format FROM documents").fetchall():
        rows = connection.execute("SELECT text FROM chunks WHERE document = ? ORDER BY id", (document,))
        language = document_language(format_name, "\n".join(text for (text,) in rows))
        connection.execute("UPDATE documents SET language = ? WHERE id = ?", (language, document))


def count_mismatched_chunks(database: Database) -> int:
    """Return the number of chunks whose stored terms are wrong, plus that of terms and words without a chunk.

    Raises:
        IndexDamaged: the terms cannot be read.
    """
    query = (
        f"SELECT {_SEARCHED_COLUMNS}, terms.text, terms.title, terms.headings {_FROM_SEARCHED} "
        "LEFT JOIN terms ON terms.rowid = searched.id"
    )
    wrong = sum(_term_columns(*row[1:5]) != row[5:] for row in database.stream(query))
    without_words = "SELECT count(*) FROM chunks WHERE id NOT IN (SELECT rowid FROM exact_words)"
    surplus = "SELECT count(*) FROM {} WHERE rowid NOT IN (SELECT id FROM chunks)"
    queries = (without_words, surplus.format("terms"), surplus.format("exact_words"))
    return wrong + sum(int(database.value(query)) for query in queries)


def _all_terms(connection: Connection) -> Iterator[tuple[int, str, str, str]]:
    for chunk_id, *fields in connection.execute(f"SELECT {_SEARCHED_COLUMNS} {_FROM_SEARCHED}"):
        yield (chunk_id, *_term_columns(*fields))


def _all_words(
    connection: Connection, condition: str = "", parameters: Parameters = ()
) -> Iterator[tuple[int, str, str, str]]:
    query = f"SELECT id, text, title, headings FROM searched {condition}"
    for chunk_id, text, title, headings in connection.execute(query, parameters):
        yield chunk_id, exact_text(text), exact_text(title), exact_text(headings)


def _term_columns(language: str, text: str, title: str, headings: str) -> tuple[str, str, str]:
    """Return the values of the columns text, title and headings of `terms`."""
    fields = (text, title, "\n".join(_parse_headings(headings)))
    terms, title_terms, heading_terms = (" ".join(document_terms(field, language)) for field in fields)
    return terms, title_terms, heading_terms


def _parse_headings(headings: str) -> list[str]:
    try:
        return [str(heading) for heading in json.loads(headings)]
    except (ValueError, TypeError):  # damaged: the check that compares chunks with their hashes reports it
        return [str(headings)]
