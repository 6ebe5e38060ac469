"""Read the properties of files of Microsoft Office, OpenDocument files and books."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from echo_index.indexer.documents.fields import Field, collect_fields, common_field

if TYPE_CHECKING:
    from lxml.etree import _Element

_USEFUL = {
    *("creator", "initial-creator", "created", "creation-date", "date", "modified", "subject", "description"),
    *("keywords", "keyword", "category", "language", "publisher", "contributor", "identifier", "contentStatus"),
}
_MAX_ELEMENTS = 500


def property_fields(elements: _Element | None, own: _Element | None = None) -> tuple[Field, ...]:
    """Return what the children of an element say of a file, and the properties that its author has added in `own`."""
    return collect_fields([*_standard(elements), *_added(own)])


def opendocument_fields(meta: _Element | None) -> tuple[Field, ...]:
    """Return what the element `office:meta` says; there `dc:creator` and `dc:date` are those of the last change."""
    found = [(_local(child), child) for child in islice(meta if meta is not None else (), _MAX_ELEMENTS)]
    names = {name for name, _ in found}
    fields: list[tuple[str, object]] = []
    for name, child in found:
        if name == "user-defined":
            given = next((str(value) for key, value in child.attrib.items() if str(key).endswith("}name")), "")
            fields.append((given, _text(child)))
        elif name == "date" and "creation-date" in names:
            fields.append(common_field("modified", _text(child)))
        elif name in _USEFUL and not (name == "creator" and "initial-creator" in names):
            fields.append(common_field(name, _text(child)))
    return collect_fields(fields)


def _standard(elements: _Element | None) -> Iterator[tuple[str, object]]:
    for child in islice(elements if elements is not None else (), _MAX_ELEMENTS):
        if (name := _local(child)) in _USEFUL:
            yield common_field(name, _text(child))


def _added(own: _Element | None) -> Iterator[tuple[str, object]]:
    for child in islice(own if own is not None else (), _MAX_ELEMENTS):
        if _local(child) == "property":
            yield child.get("name", ""), _text(child)


def _local(element: _Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _text(element: _Element) -> str:
    return " ".join("".join(map(str, element.itertext())).split())
