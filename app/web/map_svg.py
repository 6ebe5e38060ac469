"""Draw the map of passages as an SVG; each point shows its passage as a tooltip and opens it."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import product
from typing import TYPE_CHECKING

from echo_index.app.services.formatting import heading_path
from echo_index.app.web.html import attributes, escape_html, notice, strip_controls
from echo_index.app.web.passage_data import Data, passage_data
from echo_index.indexer.storage.urls import folders_above

if TYPE_CHECKING:
    from echo_index.indexer.catalog.records import StoredChunk
    from echo_index.indexer.inspection.corpus_survey import CorpusMap

Point = tuple[float, float]

_WIDTH, _HEIGHT, _MARGIN = 1000, 560, 24
_COLOURS = 9  # as in the style sheet; smaller groups are grey
_SMALL_RADIUS, _LARGE_RADIUS = 4, 6  # of a point, in pixels
_MAX_LARGE_POINTS = 300
_RINGS = 5  # around a point, on which a free position is searched
_MAX_TOOLTIP_CHARACTERS = 180


def map_svg(
    corpus: CorpusMap,
    *,
    question: tuple[str, Point] | None = None,
    near: AbstractSet[int] = frozenset(),
    collection: str = "",
) -> str:
    """Return the map as an SVG with a legend; lines connect the question with the passages whose ids are in `near`.

    `collection` is the name of the index if there are several.
    """
    if not corpus.passages:
        return notice("There is nothing on the map yet.", remedy="The index contains no passages.", kind="empty")
    points = [(float(x), float(y)) for x, y in corpus.points]
    radius = _SMALL_RADIUS if len(points) > _MAX_LARGE_POINTS else _LARGE_RADIUS
    scale = _Scale([*points, question[1]] if question else points)
    positions = _spread([scale(point) for point in points], radius + 2)
    groups = _group_names(corpus.passages)
    legend = [name for name, _ in Counter(groups).most_common(_COLOURS)]
    circles: list[str] = []
    near_circles: list[str] = []
    lines: list[str] = []
    for passage, (x, y), group in zip(corpus.passages, positions, groups, strict=True):
        is_near = passage.id in near
        colour = f"c{legend.index(group)}" if group in legend else "other"
        opened = passage_data(passage.path, passage.chunk.start, collection=collection)
        circle = _circle(passage, x, y, opened, radius=radius, colour=colour, is_near=is_near)
        (near_circles if is_near else circles).append(circle)
        if is_near and question:
            from_x, from_y = scale(question[1])
            lines.append(f'<line x1="{from_x}" y1="{from_y}" x2="{x}" y2="{y}"/>')
    marker = _question_marker(question[0], *scale(question[1])) if question else ""
    count = (
        f"All {corpus.total:,} passages"
        if len(corpus.passages) == corpus.total
        else f"{len(corpus.passages):,} of {corpus.total:,} passages"
    )
    label = f"Map of the passages: {count}, similar ones near each other"
    caption = (
        f"{count}; similar passages are near each other. The two axes explain {corpus.explained_variance:.0%} of the "
        "variance between passages. Press a point to read its passage."
    )
    return (
        f'<figure class="map"><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="group" aria-label="{label}">'
        f"{''.join(circles)}<g class='lines'>{''.join(lines)}</g>{''.join(near_circles)}{marker}</svg>"
        '<div class="tip" hidden dir="auto"></div>'
        f"<figcaption>{_legend(legend, groups)}<p>{caption}</p></figcaption></figure>"
    )


def _circle(passage: StoredChunk, x: float, y: float, opened: Data, *, radius: int, colour: str, is_near: bool) -> str:
    data = attributes(action="open", tooltip=_tooltip(passage), **opened)
    if not is_near:
        return f'<circle class="{colour}" cx="{x}" cy="{y}" r="{radius}" {data}/>'
    # Only the near points can be reached with the Tab key: there may be thousands of others.
    keyboard = f'tabindex="0" role="button" aria-label="Open {escape_html(passage.title)}"'
    return f'<circle class="{colour} near" cx="{x}" cy="{y}" r="{radius + 3}" {data} {keyboard}/>'


def _question_marker(question: str, x: float, y: float) -> str:
    return (
        f'<g class="question" data-tooltip="{escape_html(question)}"><circle cx="{x}" cy="{y}" r="11"/>'
        f'<text x="{x}" y="{y}" dy="5" text-anchor="middle">?</text></g>'
    )


class _Scale:
    """Convert coordinates of the map to pixels of the drawing."""

    def __init__(self, points: Sequence[Point]) -> None:
        xs, ys = [x for x, _ in points], [y for _, y in points]
        self._left, self._top = min(xs), min(ys)
        self._width, self._height = max(max(xs) - self._left, 1e-9), max(max(ys) - self._top, 1e-9)

    def __call__(self, point: Point) -> tuple[float, float]:
        x = _MARGIN + (point[0] - self._left) / self._width * (_WIDTH - 2 * _MARGIN)
        y = _MARGIN + (point[1] - self._top) / self._height * (_HEIGHT - 2 * _MARGIN)
        return round(x, 1), round(y, 1)


def _spread(points: Sequence[Point], min_distance: float) -> list[Point]:
    """Move points that overlap, in pixels, to the nearest free position, so that each can be pressed.

    A point stays in place if there is no free position near it.
    """
    cells: defaultdict[tuple[int, int], list[Point]] = defaultdict(list)
    positions = []
    for point in points:
        free = (candidate for candidate in _around(point, min_distance) if _is_free(candidate, min_distance, cells))
        position = next(free, point)
        cells[int(position[0] // min_distance), int(position[1] // min_distance)].append(position)
        positions.append(position)
    return positions


def _around(point: Point, step: float) -> Iterator[Point]:
    """Yield a point, then points on rings around it that are inside the drawing."""
    yield point
    for ring in range(1, _RINGS + 1):
        for number in range(6 * ring):
            angle = math.tau * number / (6 * ring)
            x, y = point[0] + ring * step * math.cos(angle), point[1] + ring * step * math.sin(angle)
            if 0 < x < _WIDTH and 0 < y < _HEIGHT:
                yield round(x, 1), round(y, 1)


def _is_free(point: Point, min_distance: float, taken: Mapping[tuple[int, int], Sequence[Point]]) -> bool:
    column, row = int(point[0] // min_distance), int(point[1] // min_distance)
    return all(
        math.dist(point, other) > min_distance - 0.2  # positions are rounded
        for cell in product((column - 1, column, column + 1), (row - 1, row, row + 1))
        for other in taken.get(cell, ())
    )


def _group_names(passages: Sequence[StoredChunk]) -> list[str]:
    """Return the group that gives each passage its colour: its document or, if there are many, its folder."""
    documents = [passage.path for passage in passages]
    if len(set(documents)) <= _COLOURS:
        return documents
    folders = [next(iter(folders_above(path)), ".") for path in documents]
    return folders if len(set(folders)) > 1 else documents


def _legend(names: Sequence[str], groups: Sequence[str]) -> str:
    items = [f'<li class="c{number}"><i></i>{escape_html(name)}</li>' for number, name in enumerate(names)]
    if len(set(groups)) > len(names):
        items.append('<li class="other"><i></i>others</li>')
    return f'<ul class="legend">{"".join(items)}</ul>'


def _tooltip(passage: StoredChunk) -> str:
    text = " ".join(passage.chunk.text.split())
    titles = heading_path(passage.title, passage.chunk.headings, separator=" › ")
    return strip_controls(
        f"{titles}\n{text[:_MAX_TOOLTIP_CHARACTERS]}{' …' if len(text) > _MAX_TOOLTIP_CHARACTERS else ''}"
    )
