"""Put the shapes of a slide in the order in which a person reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from echo_index.indexer.documents.readers.office.markup import attribute, child, descendants, name, outermost

if TYPE_CHECKING:
    from lxml.etree import _Element

SHAPES = ("p:sp", "p:grpSp", "p:graphicFrame", "p:pic", "p:cxnSp")
TITLES = {"title", "ctrTitle"}

_MAX_DIGITS = 12
_TRUE = {"1", "true"}


@dataclass(frozen=True, slots=True)
class _Box:
    """Where a shape is: the offset of its upper left corner, and its height."""

    left: int
    top: int
    height: int


def shapes_in_order(tree: _Element) -> list[_Element]:
    """Return the seen shapes of a slide or of a group: the title, other placeholders, then the rest by their position.

    Shapes side by side are read from left to right.
    """
    shapes = [shape for shape in outermost(tree, *SHAPES) if not _is_hidden(shape)]
    titles = [shape for shape in shapes if placeholder_type(shape) in TITLES]
    placeholders = [shape for shape in shapes if placeholder_type(shape) not in {None, *TITLES}]
    return [*titles, *placeholders, *_by_position([shape for shape in shapes if placeholder(shape) is None])]


def placeholder(shape: _Element) -> _Element | None:
    """Return what says that a shape fills a placeholder of its layout, None if it does not."""
    own = _own_properties(shape)
    return child(own, "p:nvPr", "p:ph")


def placeholder_type(shape: _Element) -> str | None:
    """Return the type of placeholder that a shape fills, None if it fills none."""
    found = placeholder(shape)
    return None if found is None else found.get("type", "obj")


def alternative_text(shape: _Element) -> str:
    """Return the alternative text of a shape as it stands in the file."""
    properties = child(_own_properties(shape), "p:cNvPr")
    return "" if properties is None else properties.get("descr", "") or properties.get("title", "")


def _is_hidden(shape: _Element) -> bool:
    properties = child(_own_properties(shape), "p:cNvPr")
    return properties is not None and properties.get("hidden", "") in _TRUE


def _own_properties(shape: _Element) -> _Element | None:
    return next((element for element in shape if name(element).startswith("p:nv")), None)


def _by_position(shapes: list[_Element]) -> list[_Element]:
    """Return shapes by rows. A shape belongs to a row if it begins above the middle of the first one in it."""
    rows: list[list[tuple[_Box, _Element]]] = []
    # Sorting keeps the order of the file among shapes at the same place.
    for box, shape in sorted(((_box(shape), shape) for shape in shapes), key=lambda placed: placed[0].top):
        first = rows[-1][0][0] if rows else None
        if first is not None and (box.top == first.top or box.top < first.top + first.height // 2):
            rows[-1].append((box, shape))
        else:
            rows.append([(box, shape)])
    return [shape for row in rows for _, shape in sorted(row, key=lambda placed: placed[0].left)]


def _box(shape: _Element) -> _Box:
    frame = next(descendants(shape, "p:xfrm", "a:xfrm"), None)
    corner, size = child(frame, "a:off"), child(frame, "a:ext")
    return _Box(left=_length(corner, "x"), top=_length(corner, "y"), height=_length(size, "cy"))


def _length(element: _Element | None, name: str) -> int:
    """Return a length in the units of the file, 0 for anything else."""
    text = attribute(element, name) if element is not None else ""
    digits = text.removeprefix("-")
    is_number = digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS
    return int(text) if is_number else 0
