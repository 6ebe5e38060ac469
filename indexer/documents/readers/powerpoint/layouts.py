"""Find what the layout of a slide and its master say about lists."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from echo_index.indexer.documents.readers.office.markup import child, descendants
from echo_index.indexer.documents.readers.office.package import Package
from echo_index.indexer.documents.readers.powerpoint.reading_order import TITLES, placeholder

if TYPE_CHECKING:
    from lxml.etree import _Element

_FIELDS = {"dt", "ftr", "hdr", "sldNum"}
_SAME_TYPE = {"ctrTitle": "title", "subTitle": "body", "obj": "body"}


@dataclass(frozen=True, slots=True)
class _Placeholders:
    """The list styles of the placeholders of a layout or master, by their index and by their type."""

    by_index: dict[str, _Element]
    by_type: dict[str, _Element]


@dataclass(slots=True)
class Layouts:
    """The layouts and masters of a presentation, each read once."""

    package: Package
    _read: dict[str, _Placeholders] = field(default_factory=dict)
    _roots: dict[str, _Element | None] = field(default_factory=dict)

    def list_styles(self, shape: _Element, *, slide: str) -> list[_Element]:
        """Return the list styles that hold for the text of a shape on a slide, the nearest first."""
        own = child(shape, "p:txBody", "a:lstStyle")
        styles = [] if own is None else [own]
        filled = placeholder(shape)
        if filled is None:
            return styles
        type, index = filled.get("type", "obj"), filled.get("idx", "")
        layout = self._related(slide, "slideLayout")
        master = self._related(layout, "slideMaster") if layout else ""
        same = _SAME_TYPE.get(type, type)
        in_layout, in_master = self._placeholders(layout), self._placeholders(master)
        found = [
            in_layout.by_index.get(index) if index else in_layout.by_type.get(same),
            in_master.by_type.get(same),
        ]
        found.append(child(self._root(master), "p:txStyles", _style_of(type)))
        styles += [style for style in found if style is not None]
        return styles

    def _related(self, part: str, type: str) -> str:
        return next(iter(self.package.related(part, type)), "")

    def _root(self, part: str) -> _Element | None:
        if part not in self._roots:
            self._roots[part] = self.package.xml(part) if part else None
        return self._roots[part]

    def _placeholders(self, part: str) -> _Placeholders:
        if part not in self._read:
            found = _Placeholders({}, {})
            root = self._root(part)
            for shape in descendants(root, "p:sp") if root is not None else ():
                filled, style = placeholder(shape), child(shape, "p:txBody", "a:lstStyle")
                if filled is not None and style is not None:
                    type = filled.get("type", "obj")
                    found.by_index.setdefault(filled.get("idx", ""), style)
                    found.by_type.setdefault(_SAME_TYPE.get(type, type), style)
            self._read[part] = found
        return self._read[part]


def _style_of(type: str) -> str:
    if type in TITLES:
        return "p:titleStyle"
    return "p:otherStyle" if type in _FIELDS else "p:bodyStyle"
