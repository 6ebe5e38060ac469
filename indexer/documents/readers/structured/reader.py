"""Read files of keys and values: the text is the source, and keys or elements are its headings."""

from __future__ import annotations

import re
from html import unescape

from echo_index.indexer.documents.document import Document
from echo_index.indexer.documents.readers.plain import read_code
from echo_index.indexer.documents.readers.structured.json_events import indented_json, json_events
from echo_index.indexer.documents.readers.structured.key_headings import key_headings
from echo_index.indexer.documents.readers.structured.toml_headings import toml_headings
from echo_index.indexer.documents.readers.structured.xml_headings import xml_headings
from echo_index.indexer.documents.readers.structured.yaml_events import yaml_events

_REFERENCE = re.compile(r"&(?:#\d{1,7}|#[xX][\da-fA-F]{1,6}|[a-zA-Z]{2,10});")
_MAX_LENGTH = 4_000_000  # characters; a longer file is only text
_LONG_LINE = 2_000  # characters
_MANY_MEMBERS = 20  # of objects on one line, which no person has written


def read_json(content: bytes) -> Document:
    """Return JSON with keys as headings. JSON on one long line is written with line ends, and has no line numbers.

    Raises:
        DocumentError: the content cannot be decoded.
    """
    document = read_code(content)
    text = document.text
    if len(text) > _MAX_LENGTH:
        return document
    if any(
        len(line) > _LONG_LINE and line.count('":') + line.count('" :') >= _MANY_MEMBERS for line in text.split("\n")
    ):
        text = indented_json(text)
    return Document(
        text=text,
        title="",
        format="code",
        headings=key_headings(text, json_events(text)),
        has_lines=text is document.text,
    )


def read_yaml(content: bytes) -> Document:
    """Return YAML with keys as headings.

    Raises:
        DocumentError: the content cannot be decoded.
    """
    text = read_code(content).text
    headings = key_headings(text, yaml_events(text)) if len(text) <= _MAX_LENGTH else ()
    return Document(text=text, title="", format="code", headings=headings, has_lines=True)


def read_toml(content: bytes) -> Document:
    """Return TOML with the headers of tables as headings.

    Raises:
        DocumentError: the content cannot be decoded.
    """
    text = read_code(content).text
    headings = toml_headings(text) if len(text) <= _MAX_LENGTH else ()
    return Document(text=text, title="", format="code", headings=headings, has_lines=True)


def read_xml(content: bytes) -> Document:
    """Return XML with elements as headings, and letters in place of references to them, such as `&#227;`.

    Raises:
        DocumentError: the content cannot be decoded.
    """
    text = _REFERENCE.sub(_letter, read_code(content).text)
    return Document(text=text, title="", format="code", headings=xml_headings(text), has_lines=True)


def _letter(reference: re.Match[str]) -> str:
    """Return the character that a reference stands for if it is a visible one that means nothing in XML itself."""
    letter = unescape(reference[0])
    return letter if len(letter) == 1 and ord(letter) > 0x7F and letter.isprintable() else reference[0]
