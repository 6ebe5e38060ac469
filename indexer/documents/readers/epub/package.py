"""Open the package of an EPUB: the order of its pages, its title, and what of it is encrypted."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from echo_index.errors import DocumentError
from echo_index.indexer.documents.fields import Field
from echo_index.indexer.documents.readers.archive import Archive, normal_name
from echo_index.indexer.documents.readers.invisible import without_invisible
from echo_index.indexer.documents.readers.office.properties import property_fields

if TYPE_CHECKING:
    from lxml.etree import _Element

_READABLE = {"application/xhtml+xml", "text/html"}
_MAX_FALLBACKS = 5
# These only make fonts hard to copy out of a book, which anybody may read.
_FONT_METHODS = {"http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"}


_NUMBERED = re.compile(r"(\D*)(\d*)")


@dataclass(frozen=True, slots=True)
class Item:
    """A file of a book: its name in the archive, its media type, and its properties ("nav")."""

    part: str
    type: str
    properties: frozenset[str]
    fallback: str


@dataclass(frozen=True, slots=True)
class Book:
    """A book: its title, what it says of itself, the pages in their order, and the files of its tables of contents.

    Pages that are not in the flow of the text are the last. The newest format of a table of contents is the first.
    """

    archive: Archive
    title: str
    fields: tuple[Field, ...]
    pages: list[str]
    contents: list[str]


def open_book(content: bytes) -> Book:
    """Open a book. If it has no readable list of its pages, they are in the order of their names.

    Raises:
        DocumentError: it has no pages, or all of them are encrypted.
        zipfile.BadZipFile: it is no archive.
    """
    archive = Archive(content)
    part = _package_part(archive)
    root = archive.xml(part)
    if root is None:
        return Book(archive, "", (), _all_pages(archive), [])
    folder = posixpath.dirname(part)
    items = {item.get("id", ""): _item(item, folder) for item in root.iter("{*}item")}
    pages, omitted = _pages(root, items)
    encrypted = _encrypted(archive)
    readable = [page for page in pages if normal_name(page) not in encrypted]
    if pages and not readable:
        raise DocumentError("It is protected against copying (DRM), so that only the reader of its shop can open it.")
    omitted += len(pages) - len(readable)
    if omitted:
        archive.omit(f"{omitted} page{'s' if omitted > 1 else ''}")
    titles = (line_of(title) for title in root.iter("{http://purl.org/dc/elements/1.1/}title"))
    fields = property_fields(next(root.iter("{*}metadata"), None))
    return Book(archive, next(filter(None, titles), ""), fields, readable, _contents(root, items))


def line_of(element: _Element) -> str:
    """Return the text of an element on one line."""
    return " ".join(without_invisible("".join(map(str, element.itertext()))).split())


def target_part(folder: str, reference: str) -> str:
    """Return the name of the file in the archive to which a reference from a folder leads, without its fragment."""
    path = unquote(reference.partition("#")[0])
    return posixpath.normpath(posixpath.join("/", folder, path)).lstrip("/") if path else ""


def _package_part(archive: Archive) -> str:
    container = archive.xml("META-INF/container.xml")
    files = container.iter("{*}rootfile") if container is not None else ()
    return next((part for file in files if (part := file.get("full-path", "")) in archive), "content.opf")


def _all_pages(archive: Archive) -> list[str]:
    pages = [name for name in archive.names() if name.lower().endswith((".xhtml", ".html", ".htm"))]
    if not pages:
        raise DocumentError("It is not a readable EPUB: it has no chapters.")
    return sorted(pages, key=_natural_order)


def _natural_order(name: str) -> list[tuple[int, str]]:
    """Return a key that puts page 2 before page 10."""
    return [(len(digits), f"{text}{digits}") for text, digits in _NUMBERED.findall(name)]


def _item(item: _Element, folder: str) -> Item:
    return Item(
        part=target_part(folder, item.get("href", "")),
        type=item.get("media-type", "").lower(),
        properties=frozenset(item.get("properties", "").split()),
        fallback=item.get("fallback", ""),
    )


def _pages(root: _Element, items: dict[str, Item]) -> tuple[list[str], int]:
    """Return the pages in their order, each once, and the number of those that cannot be read."""
    in_flow: dict[str, None] = {}
    beside: dict[str, None] = {}
    omitted = 0
    for reference in root.iter("{*}itemref"):
        item = _readable(reference.get("idref", ""), items)
        if item is None:
            omitted += 1
        elif "nav" not in item.properties:
            (beside if reference.get("linear") == "no" else in_flow)[item.part] = None
    return [*in_flow, *(part for part in beside if part not in in_flow)], omitted


def _readable(identifier: str, items: dict[str, Item]) -> Item | None:
    for _ in range(_MAX_FALLBACKS):
        item = items.get(identifier)
        if item is None or item.type in _READABLE:
            return item
        identifier = item.fallback
    return None


def _contents(root: _Element, items: dict[str, Item]) -> list[str]:
    spine = next(root.iter("{*}spine"), None)
    old = items.get(spine.get("toc", "")) if spine is not None else None
    found = [item.part for item in items.values() if "nav" in item.properties]
    found += [old.part] if old else []
    return found + [item.part for item in items.values() if item.type == "application/x-dtbncx+xml" and item is not old]


def _encrypted(archive: Archive) -> set[str]:
    root = archive.xml("META-INF/encryption.xml")
    found: set[str] = set()
    for data in root.iter("{*}EncryptedData") if root is not None else ():
        method = next(data.iter("{*}EncryptionMethod"), None)
        if method is None or method.get("Algorithm", "") not in _FONT_METHODS:
            found.update(normal_name(unquote(link.get("URI", ""))) for link in data.iter("{*}CipherReference"))
    return found
