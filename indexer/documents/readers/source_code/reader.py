"""Read source code: the text is the file, and its classes and functions are headings."""

from __future__ import annotations

from echo_index.indexer.documents.document import Document
from echo_index.indexer.documents.readers.plain import read_code
from echo_index.indexer.documents.readers.source_code.headings import code_headings
from echo_index.indexer.documents.readers.source_code.languages import LANGUAGES

_MAX_LENGTH = 4_000_000  # characters; a longer file is only text
_MAX_MEAN_LINE = 300  # characters; longer lines are written by programs for programs


def read_source_code(content: bytes, *, language: str) -> Document:
    """Return source code in the language of this name, with its classes and functions as headings.

    Raises:
        DocumentError: the content cannot be decoded.
    """
    text = read_code(content).text
    has_lines_of_people = len(text) <= _MAX_MEAN_LINE * (text.count("\n") + 1)
    headings = code_headings(text, LANGUAGES[language]) if has_lines_of_people and len(text) <= _MAX_LENGTH else ()
    return Document(text=text, title="", format="code", headings=headings, has_lines=True)
