"""Name the elements and attributes of Office's XML by short names ("w:p"), alike in both dialects of the standard."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lxml.etree import _Element

_OPEN_XML, _STRICT = "http://schemas.openxmlformats.org", "http://purl.oclc.org/ooxml"
_MICROSOFT = "http://schemas.microsoft.com/office"
_NAMESPACES = {
    "w": (f"{_OPEN_XML}/wordprocessingml/2006/main", f"{_STRICT}/wordprocessingml/main"),
    "p": (f"{_OPEN_XML}/presentationml/2006/main", f"{_STRICT}/presentationml/main"),
    "r": (f"{_OPEN_XML}/officeDocument/2006/relationships", f"{_STRICT}/officeDocument/relationships"),
    "m": (f"{_OPEN_XML}/officeDocument/2006/math", f"{_STRICT}/officeDocument/math"),
    "wp": (f"{_OPEN_XML}/drawingml/2006/wordprocessingDrawing", f"{_STRICT}/drawingml/wordprocessingDrawing"),
    "a": (f"{_OPEN_XML}/drawingml/2006/main", f"{_STRICT}/drawingml/main"),
    "pic": (f"{_OPEN_XML}/drawingml/2006/picture", f"{_STRICT}/drawingml/picture"),
    "c": (f"{_OPEN_XML}/drawingml/2006/chart", f"{_STRICT}/drawingml/chart"),
    "dgm": (f"{_OPEN_XML}/drawingml/2006/diagram", f"{_STRICT}/drawingml/diagram"),
    "cx": (f"{_MICROSOFT}/drawing/2014/chartex",),
    "wps": (f"{_MICROSOFT}/word/2010/wordprocessingShape",),
    "mc": (f"{_OPEN_XML}/markup-compatibility/2006",),
    "v": ("urn:schemas-microsoft-com:vml",),
    "o": ("urn:schemas-microsoft-com:office:office",),
    "dc": ("http://purl.org/dc/elements/1.1/",),
    "package": (f"{_OPEN_XML}/package/2006/relationships",),
    "types": (f"{_OPEN_XML}/package/2006/content-types",),
}
_PREFIXES = {namespace: prefix for prefix, namespaces in _NAMESPACES.items() for namespace in namespaces}
_FALSE = {"0", "false", "off"}
_KNOWN_NAMES = 4096  # remembered, far more than the standard has
_UNDERSTOOD = f"{_MICROSOFT}/"  # extensions of later versions of Word; a person sees these, not their fallback
_MAX_DIGITS = 9
_NO_TEXT = {
    *(f"w:{name}" for name in ("pPr", "rPr", "tblPr", "trPr", "tcPr", "sdtPr", "sectPr", "del", "moveFrom")),
    "m:ctrlPr",
}


@lru_cache(maxsize=_KNOWN_NAMES)
def _short_name(tag: str) -> str:
    namespace, _, local = tag.removeprefix("{").rpartition("}")
    prefix = _PREFIXES.get(namespace)
    return f"{prefix}:{local}" if prefix else tag


@lru_cache(maxsize=_KNOWN_NAMES)
def full_names(name: str) -> tuple[str, ...]:
    """Return the names that lxml uses for a short name, one for each dialect."""
    prefix, _, local = name.rpartition(":")
    return tuple(f"{{{namespace}}}{local}" for namespace in _NAMESPACES[prefix]) if prefix else (name,)


def name(element: _Element) -> str:
    """Return the short name of an element, its full name if the namespace is unknown, "" for what is no element."""
    return _short_name(element.tag) if isinstance(element.tag, str) else ""


def attribute(element: _Element, name: str) -> str:
    """Return an attribute by its short name, "" if it is missing."""
    for full_name in full_names(name):
        value = element.get(full_name)
        if value is not None:
            return value
    return ""


def child(element: _Element | None, *path: str) -> _Element | None:
    """Return the descendant at a path of short names, each the first child of that name."""
    for step in path:
        if element is None:
            return None
        element = next(element.iterchildren(*full_names(step)), None)
    return element


def descendants(element: _Element, *names: str) -> Iterator[_Element]:
    """Yield the descendants of these names and the element itself if it has one of them, in document order."""
    return element.iter(*(full_name for short_name in names for full_name in full_names(short_name)))


def value(element: _Element | None, *path: str) -> str:
    """Return the `w:val` (in equations `m:val`) of the descendant at a path, "" if there is none."""
    found = child(element, *path)
    if found is None:
        return ""
    return attribute(found, "w:val") or attribute(found, "m:val") or attribute(found, "val")


def number(text: str) -> int | None:
    """Return a number of at most nine digits, None for anything else."""
    digits = text.strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS else None


def switch(element: _Element | None, *path: str) -> bool | None:
    """Return whether an on-off property is on, None if it is not there. Without a value it is on."""
    found = child(element, *path)
    return None if found is None else value(found) not in _FALSE


def own_text(element: _Element) -> str:
    """Return the text of an element that has no elements in it, on one line."""
    text = (element.text or "") + "".join(inner.tail or "" for inner in element)
    return text.replace("\r", " ").replace("\n", " ")


def shown_children(element: _Element) -> list[_Element]:
    """Return the children that a person sees.

    Not seen are properties, what was deleted or moved away, the fallback of a drawing for older programs, and the
    prompt of a content control that nobody filled in.
    """
    own_name = name(element)
    if own_name in _NO_TEXT:
        return []
    if own_name == "mc:AlternateContent":
        alternative = _alternative(element)
        return [*alternative] if alternative is not None else []
    if own_name == "w:sdt" and switch(element, "w:sdtPr", "w:showingPlcHdr"):
        return []
    return [*element]


def outermost(parent: _Element, *names: str) -> Iterator[_Element]:
    """Yield the outermost seen descendants of these names, including those in content controls and insertions."""
    waiting = shown_children(parent)[::-1]
    while waiting:
        element = waiting.pop()
        if name(element) in names:
            yield element
        else:
            waiting.extend(reversed(shown_children(element)))


def _alternative(element: _Element) -> _Element | None:
    for choice in element:
        if name(choice) == "mc:Choice":
            needed = [choice.nsmap.get(prefix, "") for prefix in choice.get("Requires", "").split()]
            if all(namespace in _PREFIXES or namespace.startswith(_UNDERSTOOD) for namespace in needed):
                return choice
    return child(element, "mc:Fallback")
