"""The full text of a catalog: the terms of each passage, by which passages are ranked, and its words as they are.

Written along with the rows of the passages, in their transaction. Knows no question.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from echo_index.indexer.storage.sqlite import Connection, Database, Parameters
from echo_index.indexer.text.analyzer import TERM_SIGNS, document_terms
from echo_index.indexer.text.language_detection import ENGLISH, detect_language

CREATE_FULL_TEXT = (
    f"""CREATE VIRTUAL TABLE terms USING fts5 (text, title, headings, tokenize = "ascii tokenchars '{TERM_SIGNS}'")""",
    """CREATE VIRTUAL TABLE exact_words USING fts5 (
        text, title, headings,
        content = 'searched', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2')""",
)
"""The tables. `terms` keeps what it was given, so that a later stemmer need not give the same terms to delete them."""

_CODE = "code"  # the format
_PASSAGE_COLUMNS = "chunks.id, documents.language, chunks.text, documents.title, chunks.headings"
_FROM_PASSAGES = "FROM chunks JOIN documents ON documents.id = chunks.document"
_INSERT_TERMS = "INSERT INTO terms (rowid, text, title, headings) VALUES (?, ?, ?, ?)"
_INSERT_WORDS = "INSERT INTO exact_words (rowid, text, title, headings) VALUES (?, ?, ?, ?)"


def document_language(format_name: str, text: str) -> str:
    """Return the language by whose stems a document is found: English where it is code, or of none that we know."""
    return ENGLISH if format_name == _CODE else detect_language(text)


def add_chunk(connection: Connection, chunk_id: int, language: str, text: str, title: str, headings: str) -> None:
    """Let a passage be found by its text, its document's title and its headings, which are a list in JSON."""
    connection.execute(_INSERT_TERMS, (chunk_id, *_term_columns(language, text, title, headings)))
    connection.execute(_INSERT_WORDS, (chunk_id, text, title, headings))


def remove_chunks(connection: Connection, chunks: str, parameters: Parameters) -> None:
    """Let the passages whose ids a SELECT gives not be found any more; their rows must still be there."""
    connection.execute(f"DELETE FROM terms WHERE rowid IN ({chunks})", parameters)
    connection.execute(
        "INSERT INTO exact_words (exact_words, rowid, text, title, headings) "
        f"SELECT 'delete', id, text, title, headings FROM searched WHERE id IN ({chunks})",
        parameters,
    )


def fill_full_text(connection: Connection) -> None:
    """Make the full text anew from the passages, whatever it held."""
    for table in ("terms", "exact_words"):  # what is damaged cannot be trusted to be emptied
        connection.execute(f"DROP TABLE IF EXISTS {table}")
    for statement in CREATE_FULL_TEXT:
        connection.execute(statement)
    connection.executemany(_INSERT_TERMS, _all_terms(connection))
    connection.execute("INSERT INTO exact_words (exact_words) VALUES ('rebuild')")


def detect_languages(connection: Connection) -> None:
    """Note the language of every document, as its passages tell it."""
    for document, format_name in connection.execute("SELECT id, format FROM documents").fetchall():
        rows = connection.execute("SELECT text FROM chunks WHERE document = ? ORDER BY id", (document,))
        language = document_language(format_name, "\n".join(text for (text,) in rows))
        connection.execute("UPDATE documents SET language = ? WHERE id = ?", (language, document))


def count_mismatched_chunks(database: Database) -> int:
    """Return how many passages have other terms than they should have, or terms without being there.

    Raises:
        IndexDamaged: the terms cannot be read.
    """
    query = (
        f"SELECT {_PASSAGE_COLUMNS}, terms.text, terms.title, terms.headings {_FROM_PASSAGES} "
        "LEFT JOIN terms ON terms.rowid = chunks.id"
    )
    unlike = sum(_term_columns(*row[1:5]) != row[5:] for row in database.stream(query))
    return unlike + int(database.value("SELECT count(*) FROM terms WHERE rowid NOT IN (SELECT id FROM chunks)"))


def _all_terms(connection: Connection) -> Iterator[tuple[int, str, str, str]]:
    for chunk_id, *passage in connection.execute(f"SELECT {_PASSAGE_COLUMNS} {_FROM_PASSAGES}"):
        yield (chunk_id, *_term_columns(*passage))


def _term_columns(language: str, text: str, title: str, headings: str) -> tuple[str, str, str]:
    """Return what the columns of `terms` hold."""
    return _terms(text, language), _terms(title, language), _terms("\n".join(_names(headings)), language)


def _terms(text: str, language: str) -> str:
    return " ".join(document_terms(text, language))


def _names(headings: str) -> list[str]:
    try:
        return [str(name) for name in json.loads(headings)]
    except (ValueError, TypeError):  # damaged: that is told where passages are compared with their hashes
        return [str(headings)]
