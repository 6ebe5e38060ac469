"""Put recognized lines in the order in which a person reads them: columns, rows of tables, paragraphs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from statistics import median

from echo_index.indexer.documents.ocr.lines import Line, Word

Row = tuple[Word, ...]
"""The words of one line of a column, or of one row of a table."""
Paragraph = tuple[Row, ...]

# Columns are read one after the other only if they are clearly prose. A table is read row by row.
_MAX_GUTTERS = 3  # side by side
_MIN_LINES = 4  # in a column
_MIN_CHARACTERS = 18  # in the middle line of a column
_MIN_LETTERS = 0.6  # of the characters
_MIN_FULL = 0.6  # of the lines, if they are not few, are nearly as wide as most of the column
_FULL = 0.75  # of the usual width, which six in ten lines do not exceed: other things may stand below the column
_USUAL = 0.6
_MIN_CONTINUED = 0.3  # of the lines, if they are not few, begin with a lower-case letter: they continue a sentence
_MAX_CANDIDATES = 12  # for a gutter
_MAX_CROSSING = 0.5  # of the lines, such as titles, run across both columns
_MARGIN_OF_LINE = 0.3  # of its height, by which an engine may draw the area of a line too long
_PLACES = 200  # for a gutter, across the page
_MARGIN = 0.15  # of the width, in which no gutter is

_PARAGRAPH_PITCH = 1.35  # of the usual distance between lines
_PARAGRAPH_HEIGHT = 1.5  # times as high as the line above, or the other way around
_INDENT = 0.8  # of the height of a line


def paragraphs(lines: Sequence[Line]) -> tuple[Paragraph, ...]:
    """Return the paragraphs of a page in reading order. Their rows have the words of lines side by side."""
    return tuple(paragraph for block in _blocks(lines, gutters=_MAX_GUTTERS) for paragraph in _paragraphs(_rows(block)))


def _blocks(lines: Sequence[Line], *, gutters: int) -> Iterator[Sequence[Line]]:
    """Yield lines that belong to one column, or are above, below or between columns."""
    gutter = _gutter(lines) if gutters else None
    if gutter is None:
        yield lines
        return
    ordered = sorted(lines, key=lambda line: line.area.middle)
    for is_crossing, group in groupby(ordered, key=lambda line: _crosses(line, gutter)):
        block = list(group)
        left, right = _sides(block, gutter)
        if is_crossing or not _are_columns(left, right, least=1):
            yield block
        else:
            yield from _blocks(left, gutters=gutters - 1)
            yield from _blocks(right, gutters=gutters - 1)


def _gutter(lines: Sequence[Line]) -> float | None:
    """Return the middle of the widest gap between two columns of prose that the fewest lines cross; None for none."""
    if len(lines) < 2 * _MIN_LINES:
        return None
    start, end = min(line.area.left for line in lines), max(line.area.right for line in lines)
    crossing: dict[float, int] = {}
    for place in range(int(_MARGIN * _PLACES), int((1 - _MARGIN) * _PLACES) + 1):
        position = start + (end - start) * place / _PLACES
        crossing[position] = sum(_crosses(line, position) for line in lines)
    free = [position for position in crossing if crossing[position] <= _MAX_CROSSING * len(lines)]
    runs = [list(run) for _, run in groupby(free, key=crossing.__getitem__)]
    for run in sorted(runs, key=lambda run: (crossing[run[0]], -len(run)))[:_MAX_CANDIDATES]:
        position = (run[0] + run[-1]) / 2
        if _are_columns(*_sides(lines, position), least=_MIN_LINES):
            return position
    return None


def _sides(lines: Sequence[Line], position: float) -> tuple[list[Line], list[Line]]:
    """Return the lines on the left and on the right of a position that do not cross it."""
    beside = [line for line in lines if not _crosses(line, position)]
    left = [line for line in beside if line.area.left + line.area.right <= 2 * position]
    return left, [line for line in beside if line.area.left + line.area.right > 2 * position]


def _crosses(line: Line, position: float) -> bool:
    margin = _MARGIN_OF_LINE * line.area.height
    return line.area.left + margin < position < line.area.right - margin


def _are_columns(left: Sequence[Line], right: Sequence[Line], *, least: int) -> bool:
    return all(len(column) >= least and _is_prose(column) for column in (left, right))


def _is_prose(lines: Sequence[Line]) -> bool:
    texts = [line.text for line in lines]
    characters = sum(map(len, texts))
    letters = sum(character.isalpha() for text in texts for character in text)
    widths = [line.area.right - line.area.left for line in lines]
    usual = sorted(widths)[int(_USUAL * (len(widths) - 1))]
    continued = sum(text[:1].isalpha() and not text[:1].isupper() for text in texts)
    full = sum(width >= _FULL * usual for width in widths)
    return (
        median(map(len, texts)) >= _MIN_CHARACTERS
        and letters >= _MIN_LETTERS * characters
        and (len(lines) < _MIN_LINES or (full >= _MIN_FULL * len(lines) and continued >= _MIN_CONTINUED * len(lines)))
    )


def _rows(lines: Sequence[Line]) -> list[list[Line]]:
    """Return the lines that are level with each other, from top to bottom, each from left to right."""
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: line.area.middle):
        if rows and _is_level(line, rows[-1]):
            rows[-1].append(line)
        else:
            rows.append([line])
    return [sorted(row, key=lambda line: line.area.left) for row in rows]


def _is_level(line: Line, row: Sequence[Line]) -> bool:
    """Return whether a line stands beside the lines of a row, not below them in crooked or narrow print."""
    height = min(line.area.height, row[0].area.height)
    if line.area.middle - row[0].area.middle >= height / 2:
        return False
    overlaps = (min(line.area.right, other.area.right) - max(line.area.left, other.area.left) for other in row)
    return max(overlaps) < height


def _paragraphs(rows: Sequence[Sequence[Line]]) -> Iterator[Paragraph]:
    """Yield the rows that follow each other closely in the same size, up to one that is indented."""
    if not rows:
        return
    pitch = median([_distance(*pair) for pair in pairwise(rows)]) if len(rows) > 1 else 0.0
    left = min(row[0].area.left for row in rows)
    paragraph = [_words(rows[0])]
    for above, row in pairwise(rows):
        if _begins_paragraph(row, above, pitch=pitch, left=left):
            yield tuple(paragraph)
            paragraph = []
        paragraph.append(_words(row))
    yield tuple(paragraph)


def _begins_paragraph(row: Sequence[Line], above: Sequence[Line], *, pitch: float, left: float) -> bool:
    height, height_above = _height(row), _height(above)
    indent = _INDENT * height
    is_indented = row[0].area.left - left > indent >= above[0].area.left - left
    is_other_size = max(height, height_above) > _PARAGRAPH_HEIGHT * min(height, height_above)
    is_far = _distance(above, row) > _PARAGRAPH_PITCH * pitch or _distance(above, row) > 3 * height_above
    is_alone = len(row) == len(above) == 1
    return is_far or is_other_size or (is_indented and is_alone)


def _words(row: Sequence[Line]) -> Row:
    return tuple(word for line in row for word in line.words)


def _height(row: Sequence[Line]) -> float:
    return max(1.0, *(line.area.height for line in row))


def _distance(above: Sequence[Line], row: Sequence[Line]) -> float:
    return row[0].area.middle - above[0].area.middle
