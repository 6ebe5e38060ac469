"""Put shapes in the order in which a person reads them: from top to bottom, and from left to right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

Shape = TypeVar("Shape")


@dataclass(frozen=True, slots=True)
class Box:
    """Where a shape is, in any unit: the offset of its upper left corner, and its height."""

    left: float
    top: float
    height: float


def by_position(shapes: Sequence[tuple[Box, Shape]]) -> list[Shape]:
    """Return shapes by rows. A shape belongs to a row if it begins above the middle of the first one in it."""
    rows: list[list[tuple[Box, Shape]]] = []
    # Sorting keeps the order of the file among shapes at the same place.
    for box, shape in sorted(shapes, key=lambda placed: placed[0].top):
        first = rows[-1][0][0] if rows else None
        if first is not None and (box.top == first.top or box.top < first.top + first.height / 2):
            rows[-1].append((box, shape))
        else:
            rows.append([(box, shape)])
    return [shape for row in rows for _, shape in sorted(row, key=lambda placed: placed[0].left)]
