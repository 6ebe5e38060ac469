"""A map of passages as a drawing: points that tell what they are and open what they stand for. Knows no index."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import product
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from echo_index.app.web.html import attributes, escape_html, notice, readable

if TYPE_CHECKING:
    from echo_index.indexer.catalog.records import StoredChunk
    from echo_index.indexer.inspection.corpus_survey import CorpusMap

Point = tuple[float, float]

_WIDTH, _HEIGHT, _MARGIN = 1000, 560, 24
_COLOURS = 9  # the style sheet has as many; what is not among the largest groups is grey
_SMALL, _LARGE = 4, 6  # pixels: the radius of a point
_CROWDED = 300  # points
_RINGS = 5  # around a place, in which another one is looked for
_LONGEST_TOLD = 180


def map_svg(
    drawn: CorpusMap, *, question: tuple[str, Point] | None = None, near: AbstractSet[int] = frozenset()
) -> str:
    """Return the map as an SVG with a legend; `near` are the ids of the passages to be joined to the question."""
    if not drawn.passages:
        return notice("There is nothing on the map yet.", remedy="The index holds no passages.", kind="empty")
    places = [(float(x), float(y)) for x, y in drawn.points]
    small = _SMALL if len(places) > _CROWDED else _LARGE
    scale = _Scale([*places, question[1]] if question else places)
    groups = _groups(drawn.passages)
    legend = [name for name, _ in Counter(groups).most_common(_COLOURS)]
    drawn_at = _apart([scale(place) for place in places], small + 2)
    circles: list[str] = []
    near_circles: list[str] = []
    lines: list[str] = []
    for found, (x, y), group in zip(drawn.passages, drawn_at, groups, strict=True):
        is_near = found.id in near
        colour = f"c{legend.index(group)}" if group in legend else "other"
        data = attributes(action="open", source=found.path, start=found.chunk.start, told=_told(found))
        reached = f' tabindex="0" role="button" aria-label="Open {escape_html(found.title)}"' if is_near else ""
        kind, radius = (f"{colour} near", small + 3) if is_near else (colour, small)
        circle = f'<circle class="{kind}" cx="{x}" cy="{y}" r="{radius}" {data}{reached}/>'
        (near_circles if is_near else circles).append(circle)
        if is_near and question:
            from_x, from_y = scale(question[1])
            lines.append(f'<line x1="{from_x}" y1="{from_y}" x2="{x}" y2="{y}"/>')
    asked = ""
    if question:
        x, y = scale(question[1])
        asked = (
            f'<g class="question" data-told="{escape_html(question[0])}"><circle cx="{x}" cy="{y}" r="11"/>'
            f'<text x="{x}" y="{y}" dy="5" text-anchor="middle">?</text></g>'
        )
    shown_of = (
        f"All {drawn.total:,} passages"
        if len(drawn.passages) == drawn.total
        else f"{len(drawn.passages):,} of {drawn.total:,} passages"
    )
    label = f"Map of the passages: {shown_of}, those that say alike near each other"
    said = (
        f"{shown_of}; passages that say alike lie near each other. "
        f"The two axes hold {drawn.explained_variance:.0%} of what "
        "tells the passages apart. Press a point to read it."
    )
    return (
        f'<figure class="map"><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="group" aria-label="{label}">'
        f"{''.join(circles)}<g class='lines'>{''.join(lines)}</g>{''.join(near_circles)}{asked}</svg>"
        '<div class="tip" hidden dir="auto"></div>'
        f"<figcaption>{_legend(legend, groups)}<p>{said}</p></figcaption></figure>"
    )


class _Scale:
    """Coordinates of the map to pixels of the drawing."""

    def __init__(self, places: Sequence[Point]) -> None:
        xs, ys = [x for x, _ in places], [y for _, y in places]
        self._left, self._top = min(xs), min(ys)
        self._wide, self._high = max(max(xs) - self._left, 1e-9), max(max(ys) - self._top, 1e-9)

    def __call__(self, place: Point) -> tuple[float, float]:
        x = _MARGIN + (place[0] - self._left) / self._wide * (_WIDTH - 2 * _MARGIN)
        y = _MARGIN + (place[1] - self._top) / self._high * (_HEIGHT - 2 * _MARGIN)
        return round(x, 1), round(y, 1)


def _apart(places: Sequence[Point], least: float) -> list[Point]:
    """Return places in pixels so that each can be pressed: one that lies on another is moved aside by a few pixels.

    `least` is how far apart they come to lie, unless they are too many for that.
    """
    cells: defaultdict[tuple[int, int], list[Point]] = defaultdict(list)
    found = []
    for place in places:
        near = (each for each in _around(place, least) if _is_free(each, least, cells))
        chosen = next(near, place)
        cells[int(chosen[0] // least), int(chosen[1] // least)].append(chosen)
        found.append(chosen)
    return found


def _around(place: Point, step: float) -> Iterator[Point]:
    """Yield a place, then those on rings around it, as far as they are on the drawing."""
    yield place
    for ring in range(1, _RINGS + 1):
        for number in range(6 * ring):
            angle = math.tau * number / (6 * ring)
            x, y = place[0] + ring * step * math.cos(angle), place[1] + ring * step * math.sin(angle)
            if 0 < x < _WIDTH and 0 < y < _HEIGHT:
                yield round(x, 1), round(y, 1)


def _is_free(place: Point, least: float, taken: Mapping[tuple[int, int], Sequence[Point]]) -> bool:
    column, row = int(place[0] // least), int(place[1] // least)
    return all(
        math.dist(place, other) > least - 0.2  # places are rounded
        for near in product((column - 1, column, column + 1), (row - 1, row, row + 1))
        for other in taken.get(near, ())
    )


def _groups(passages: Sequence[StoredChunk]) -> list[str]:
    """Return what each passage is coloured by: its document, or its folder where the documents are many."""
    documents = [found.path for found in passages]
    if len(set(documents)) <= _COLOURS:
        return documents
    folders = [str(PurePosixPath(path).parent) for path in documents]
    return folders if len(set(folders)) > 1 else documents


def _legend(names: Sequence[str], groups: Sequence[str]) -> str:
    items = [f'<li class="c{number}"><i></i>{escape_html(name)}</li>' for number, name in enumerate(names)]
    if len(set(groups)) > len(names):
        items.append('<li class="other"><i></i>others</li>')
    return f'<ul class="legend">{"".join(items)}</ul>'


def _told(found: StoredChunk) -> str:
    from echo_index.indexer.documents.chunking import title_path

    text = " ".join(found.chunk.text.split())
    titles = " › ".join(title_path(found.title, found.chunk.headings))
    return readable(f"{titles}\n{text[:_LONGEST_TOLD]}{' …' if len(text) > _LONGEST_TOLD else ''}")
