"""Put the lines of two columns in order, in a PDF that draws them line by line across both columns."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from echo_index.indexer.documents.readers.hyphens import HYPHENATION
from echo_index.indexer.documents.readers.pdf.glyphs import Box, Glyphs, Line

# Two columns are read one after the other only if they are clearly prose. A table is read row by row.
_MIN_LINES = 6
_MIN_CHARACTERS = 18  # in the middle line of each column
_MIN_LETTERS = 0.6  # of the characters
_MIN_LOWER_CASE = 0.3  # of the lines begin with a lower-case letter, so they continue a sentence
_MIN_FULL = 0.6  # of the lines reach almost across their column
_FULL = 0.75  # of the width of the widest line of the column
_MIN_GUTTER = 8.0  # points
_MIN_COLUMN = 0.25  # of the width of the text
_MAX_WIDTH = 20_000.0  # points
_PLACES = 64  # for a gap, across the text

_HYPHEN_AT_END = re.compile(r"(?<=[^\W\d_])-\n(?=[^\W\d_])")


@dataclass(frozen=True, slots=True)
class _Half:
    """One of the two parts of a line: its characters from `start` up to `end`, and the horizontal room they take."""

    start: int
    end: int
    left: float
    right: float


@dataclass(frozen=True, slots=True)
class _Row:
    """A line as one or two halves: two if it has a wide gap, the first only if it has none."""

    line: Line
    halves: tuple[_Half, ...]


def may_have_columns(rectangles: Sequence[Box]) -> bool:
    """Return whether enough lines have a wide gap at the same place near the middle, by the boxes of their pieces."""
    if not rectangles:
        return False
    start, end = min(box.left for box in rectangles), max(box.right for box in rectangles)
    width = end - start
    if not 0 < width < _MAX_WIDTH:
        return False
    gaps: Counter[int] = Counter()
    for pieces in _lines(rectangles):
        wide = [pair for pair in pairwise(pieces) if pair[1].left - pair[0].right >= _MIN_GUTTER]
        if len(wide) != 1:
            continue
        left, right = wide[0][0].right, wide[0][1].left
        if left - pieces[0].left >= width * _MIN_COLUMN and pieces[-1].right - right >= width * _MIN_COLUMN:
            gaps.update(range(int((left - start) / width * _PLACES), int((right - start) / width * _PLACES) + 1))
    return max(gaps.values(), default=0) >= _MIN_LINES


def _lines(rectangles: Sequence[Box]) -> Iterator[list[Box]]:
    """Yield the boxes that follow each other on one line."""
    line: list[Box] = []
    for box in rectangles:
        if line and not line[-1].bottom <= (box.bottom + box.top) / 2 <= line[-1].top:
            yield line
            line = []
        line.append(box)
    yield line


def columns_in_order(glyphs: Glyphs) -> str | None:
    """Return the text with interleaved columns one after the other; None if there are none."""
    pieces: list[str] = []
    position = 0
    has_columns = False
    for block in _blocks([_row(glyphs, line) for line in glyphs.lines()]):
        if all(_is_prose(glyphs.text, column) for column in block.columns):
            has_columns = True
            pieces.extend(glyphs.parts[position : block.start])
            pieces.append("\n".join(_join_lines(glyphs, column) for column in block.columns))
            position = block.end
    return "".join([*pieces, *glyphs.parts[position:]]) if has_columns else None


@dataclass(frozen=True, slots=True)
class _Block:
    """Two columns, which take the characters from `start` up to `end`."""

    start: int
    end: int
    columns: tuple[list[_Half], list[_Half]]


def _blocks(rows: Sequence[_Row | None]) -> Iterator[_Block]:
    """Yield the runs of lines that follow each other and have a gap in common, the gutter."""
    block: list[_Row] = []
    left, right = 0.0, 0.0
    for row in (*rows, None):
        if block and row and len(row.halves) == 1:  # the other column has no text there
            if row.line.box.right <= right or row.line.box.left >= left:
                block.append(row)
                continue
        elif block and row:
            first, second = row.halves
            if min(right, second.left) - max(left, first.right) >= _MIN_GUTTER / 2:
                left, right = max(left, first.right), min(right, second.left)
                block.append(row)
                continue
        yield from _whole_block(block, (left + right) / 2)
        block = []
        if row and len(row.halves) == 2:
            left, right = row.halves[0].right, row.halves[1].left
            block = [row]


def _whole_block(rows: list[_Row], gutter: float) -> Iterator[_Block]:
    """Yield the columns of the rows up to the last one that has both, if there are enough."""
    while rows and len(rows[-1].halves) == 1:
        rows.pop()
    if sum(len(row.halves) == 2 for row in rows) >= _MIN_LINES:
        halves = [half for row in rows for half in row.halves]
        first = [half for half in halves if half.left < gutter]
        second = [half for half in halves if half.left >= gutter]
        yield _Block(rows[0].line.start, rows[-1].line.end, (first, second))


def _row(glyphs: Glyphs, line: Line) -> _Row | None:
    """Return the halves of a line; None if it has several wide gaps, or goes back to the left."""
    drawn = [(index, box) for index in range(line.start, line.end) if (box := glyphs.boxes[index])]
    gap: int | None = None
    for position, ((_, before), (_, after)) in enumerate(pairwise(drawn), start=1):
        width = after.left - before.right
        if width < -_MIN_GUTTER or (width >= _MIN_GUTTER and gap):
            return None
        if width >= _MIN_GUTTER:
            gap = position
    if gap is None:
        return _Row(line, (_Half(line.start, line.end, line.box.left, line.box.right),))
    (last, last_box), (first, first_box) = drawn[gap - 1 : gap + 1]
    return _Row(
        line,
        (
            _Half(line.start, last + 1, line.box.left, last_box.right),
            _Half(first, line.end, first_box.left, drawn[-1][1].right),
        ),
    )


def _join_lines(glyphs: Glyphs, column: Sequence[_Half]) -> str:
    lines = ["".join(glyphs.parts[half.start : half.end]).strip() for half in column]
    return _HYPHEN_AT_END.sub(HYPHENATION, "\n".join(lines))


def _is_prose(text: str, halves: Sequence[_Half]) -> bool:
    lines = [text[half.start : half.end].strip() for half in halves]
    characters = sum(map(len, lines))
    letters = sum(character.isalpha() for line in lines for character in line)
    lower_case = sum(line[:1].islower() for line in lines)
    width = max(half.right for half in halves) - min(half.left for half in halves)
    full = sum(half.right - half.left >= _FULL * width for half in halves)
    return (
        median(map(len, lines)) >= _MIN_CHARACTERS
        and letters >= _MIN_LETTERS * characters
        and lower_case >= _MIN_LOWER_CASE * len(lines)
        and full >= _MIN_FULL * len(lines)
    )
