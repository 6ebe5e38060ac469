"""Read the table of contents of a book, in the format of EPUB 3 (nav) or of EPUB 2 (NCX)."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import TYPE_CHECKING

from echo_index.indexer.documents.readers.archive import Archive, normal_name
from echo_index.indexer.documents.readers.epub.package import line_of, target_part

if TYPE_CHECKING:
    from lxml.etree import _Element

_TYPE = "{http://www.idpf.org/2007/ops}type"


def chapter_titles(archive: Archive, parts: list[str]) -> dict[str, list[str]]:
    """Return the titles that lead to each page, by its normal name, from the first table of contents with any."""
    for part in parts:
        root = archive.xml(part)
        titles: dict[str, list[str]] = {}
        for target, title in _entries(root) if root is not None else ():
            page = target_part(posixpath.dirname(part), target)
            if page and title:
                titles.setdefault(normal_name(page), []).append(title)
        if titles:
            return titles
    return {}


def _entries(root: _Element) -> Iterator[tuple[str, str]]:
    navigation = [*root.iter("{http://www.w3.org/1999/xhtml}nav")]
    contents = [element for element in navigation if "toc" in element.get(_TYPE, "").split()] or navigation[:1]
    for element in contents[:1]:
        for link in element.iter("{*}a"):
            yield link.get("href", ""), line_of(link)
    for point in root.iter("{*}navPoint"):
        # Points stand in points: take what belongs to this one.
        label, target = point.find("{*}navLabel"), point.find("{*}content")
        if label is not None and target is not None:
            yield target.get("src", ""), line_of(label)
