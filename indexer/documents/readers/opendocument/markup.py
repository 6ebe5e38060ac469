"""Name the elements and attributes of OpenDocument's XML by short names ("text:p")."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lxml.etree import _Element

_OASIS = "urn:oasis:names:tc:opendocument:xmlns"
_NAMESPACES = {
    **{prefix: f"{_OASIS}:{prefix}:1.0" for prefix in ("office", "text", "table", "style", "presentation", "manifest")},
    "draw": f"{_OASIS}:drawing:1.0",
    "svg": f"{_OASIS}:svg-compatible:1.0",
    "fo": f"{_OASIS}:xsl-fo-compatible:1.0",
    "xlink": "http://www.w3.org/1999/xlink",
    "dc": "http://purl.org/dc/elements/1.1/",
}
_PREFIXES = {namespace: prefix for prefix, namespace in _NAMESPACES.items()}
_KNOWN_NAMES = 4096  # remembered, far more than the standard has
_MAX_DIGITS = 9


@lru_cache(maxsize=_KNOWN_NAMES)
def _short_name(tag: str) -> str:
    namespace, _, local = tag.removeprefix("{").rpartition("}")
    prefix = _PREFIXES.get(namespace)
    return f"{prefix}:{local}" if prefix else tag


@lru_cache(maxsize=_KNOWN_NAMES)
def _full_name(name: str) -> str:
    prefix, _, local = name.partition(":")
    return f"{{{_NAMESPACES[prefix]}}}{local}"


def name(element: _Element) -> str:
    """Return the short name of an element, its full name if the namespace is unknown, "" for what is no element."""
    return _short_name(element.tag) if isinstance(element.tag, str) else ""


def attribute(element: _Element | None, name: str) -> str:
    """Return an attribute by its short name, "" if it is missing."""
    return "" if element is None else element.get(_full_name(name), "")


def count(element: _Element, name: str, *, default: int = 1) -> int:
    """Return a number in an attribute, at most nine digits long, the default for anything else."""
    digits = attribute(element, name).strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS else default


def child(element: _Element | None, *path: str) -> _Element | None:
    """Return the descendant at a path of short names, each the first child of that name."""
    for step in path:
        element = None if element is None else element.find(_full_name(step))
    return element


def descendants(element: _Element | None, *names: str) -> Iterator[_Element]:
    """Yield the descendants of these names and the element itself if it has one of them, in document order."""
    return iter(()) if element is None else element.iter(*map(_full_name, names))


def line_of(element: _Element | None) -> str:
    """Return all text of an element on one line, "" for no element."""
    return "" if element is None else " ".join("".join(map(str, element.itertext())).split())
