"""Put the shapes of a slide in the order in which a person reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from echo_index.indexer.documents.readers.office.markup import attribute, child, descendants, name, outermost
from echo_index.indexer.documents.readers.positions import Box, by_position

if TYPE_CHECKING:
    from lxml.etree import _Element

SHAPES = ("p:sp", "p:grpSp", "p:graphicFrame", "p:pic", "p:cxnSp")
TITLES = {"title", "ctrTitle"}

_MAX_DIGITS = 12
_TRUE = {"1", "true"}


def shapes_in_order(tree: _Element) -> list[_Element]:
    """Return the seen shapes of a slide or of a group: the title, other placeholders, then the rest by their position.

    Shapes side by side are read from left to right.
    """
    shapes = [shape for shape in outermost(tree, *SHAPES) if not _is_hidden(shape)]
    titles = [shape for shape in shapes if placeholder_type(shape) in TITLES]
    placeholders = [shape for shape in shapes if placeholder_type(shape) not in {None, *TITLES}]
    free = [(_box(shape), shape) for shape in shapes if placeholder(shape) is None]
    return [*titles, *placeholders, *by_position(free)]


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


def _box(shape: _Element) -> Box:
    frame = next(descendants(shape, "p:xfrm", "a:xfrm"), None)
    corner, size = child(frame, "a:off"), child(frame, "a:ext")
    return Box(left=_length(corner, "x"), top=_length(corner, "y"), height=_length(size, "cy"))


def _length(element: _Element | None, name: str) -> int:
    """Return a length in the units of the file, 0 for anything else."""
    text = attribute(element, name) if element is not None else ""
    digits = text.removeprefix("-")
    is_number = digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS
    return int(text) if is_number else 0
