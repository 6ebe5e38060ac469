"""Put text that is drawn over a PDF page, such as the value of a field, where a person reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from echo_index.indexer.documents.readers.pdf.glyphs import Box, Glyphs, Line

_MAX_COMPARISONS = 20_000_000
_FIRST_LINE = 8  # points from the top of a box to the middle of its first line
_OVERLAP = 2  # points by which a label may reach into the box beside it
_LABELS_ON_THE_LEFT = 1.5  # a mark belongs to the words on its left if those on its right are so much farther away


@dataclass(frozen=True, slots=True)
class Placed:
    """Text that is drawn over the page, and where. `is_mark` says that it belongs to the words nearest to it."""

    text: str
    box: Box
    is_mark: bool = False


@dataclass(frozen=True, slots=True)
class _Position:
    """Where a text goes: behind or before the character at `index`, on a line of its own or not."""

    index: int
    is_behind: bool
    is_own_line: bool = False


def place(glyphs: Glyphs, drawn: Sequence[Placed]) -> None:
    """Put each text behind the words on its left or before those on its right, else on a line below those above it."""
    is_small = len(glyphs.text) * len(drawn) <= _MAX_COMPARISONS
    lines = list(glyphs.lines()) if is_small else []
    before: dict[int, list[str]] = {}
    behind: dict[int, list[str]] = {}
    for item in sorted(drawn, key=lambda item: (-item.box.top, item.box.left)):
        position = _position(glyphs, lines, item)
        space = "\n" if position.is_own_line else " "
        if position.is_behind:
            behind.setdefault(position.index, []).append(space + item.text)
        else:
            before.setdefault(position.index, []).append(item.text + space)
    for index, texts in behind.items():
        is_inside_line = index + 1 < len(glyphs.text) and not glyphs.text[index + 1].isspace()
        glyphs.parts[index] += "".join(texts) + (" " if is_inside_line else "")
    for index, texts in before.items():
        glyphs.parts[index] = "".join(texts) + glyphs.parts[index]


def _position(glyphs: Glyphs, lines: list[Line], item: Placed) -> _Position:
    height = item.box.top - min((item.box.top - item.box.bottom) / 2, _FIRST_LINE)
    beside = [line for line in lines if line.box.bottom - 1 <= height <= line.box.top + 1]
    neighbours = [neighbour for line in beside for neighbour in _neighbours(glyphs, line, item, height)]
    if neighbours:
        _, index, is_left = min(neighbours)
        return _Position(index, is_behind=is_left)
    above = [line for line in lines if line.box.bottom >= height]
    if above:
        nearest = min(above, key=lambda line: (_is_beside(line.box, item.box), line.box.bottom))
        return _Position(_last_drawn(glyphs, nearest), is_behind=True, is_own_line=True)
    if lines:
        return _Position(lines[0].start, is_behind=False, is_own_line=True)
    glyphs.parts.append("")
    return _Position(len(glyphs.parts) - 1, is_behind=True, is_own_line=True)


def _neighbours(glyphs: Glyphs, line: Line, item: Placed, height: float) -> list[tuple[float, int, bool]]:
    """Return rank, index and whether it is on the left, for the characters of a line that are level with a text."""
    neighbours = []
    for index in range(line.start, line.end):
        box = glyphs.boxes[index]
        if box is None or abs(box.center[1] - height) > max(box.top - box.bottom, 4):
            continue
        if box.center[0] <= item.box.left + _OVERLAP:
            distance = max(0.0, item.box.left - box.right)
            neighbours.append((distance * _LABELS_ON_THE_LEFT if item.is_mark else distance, index, True))
        else:
            distance = max(0.0, box.left - item.box.right)
            is_second_choice = 0 if item.is_mark else 1_000_000
            neighbours.append((distance + is_second_choice, index, False))
    return neighbours


def _is_beside(one: Box, other: Box) -> bool:
    return one.right < other.left or other.right < one.left


def _last_drawn(glyphs: Glyphs, line: Line) -> int:
    return next(index for index in range(line.end - 1, line.start - 1, -1) if glyphs.boxes[index])
