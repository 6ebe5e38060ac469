"""Open an OpenDocument file, an archive or one flat XML file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from echo_index.errors import DocumentError
from echo_index.indexer.documents.fields import Field
from echo_index.indexer.documents.readers.archive import Archive, parse_xml
from echo_index.indexer.documents.readers.office.properties import opendocument_fields
from echo_index.indexer.documents.readers.opendocument.markup import child, descendants, line_of

if TYPE_CHECKING:
    from lxml.etree import _Element

_ARCHIVE_MARK = b"PK"


@dataclass(frozen=True, slots=True)
class Source:
    """An OpenDocument file: its body, its title, what it says of itself, and the elements that hold styles.

    The nearest of these elements is the first. `archive` is None for a flat file.
    """

    body: _Element
    title: str
    fields: tuple[Field, ...]
    styles: list[_Element]
    archive: Archive | None


def open_source(content: bytes, *, format: str, kind: str) -> Source:
    """Open a file whose body is of a kind, "office:text".

    Raises:
        DocumentError: it is encrypted, or of another kind.
        Exception: it is no archive, or its XML is broken.
    """
    if not content.startswith(_ARCHIVE_MARK):
        root = parse_xml(content)
        return _source(root, root, [root], None, format=format, kind=kind)
    archive = Archive(content)
    if any(True for _ in descendants(archive.xml("META-INF/manifest.xml"), "manifest:encryption-data")):
        raise DocumentError("It is encrypted with a password.")
    try:
        root = archive.needed_xml("content.xml")
    except KeyError as error:
        raise DocumentError(f"It is not a readable {format}: it has no content.xml.") from error
    styles = [part for part in (root, archive.xml("styles.xml")) if part is not None]
    return _source(root, archive.xml("meta.xml"), styles, archive, format=format, kind=kind)


def _source(
    root: _Element,
    meta: _Element | None,
    styles: list[_Element],
    archive: Archive | None,
    *,
    format: str,
    kind: str,
) -> Source:
    body = child(root, "office:body", kind)
    if body is None:
        raise DocumentError(f"It is not a readable {format}: its content is of another kind.")
    properties = child(meta, "office:meta")
    title = line_of(child(properties, "dc:title"))
    return Source(body, title, opendocument_fields(properties), styles, archive)
