"""The SVG of the map: points, legend, a question, and hostile titles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from xml.etree import ElementTree

import numpy as np
import pytest
from seen_html import HOSTILE, Seen, visible

from echo_index.app.web.map_svg import map_svg
from echo_index.indexer.catalog.records import ChunkRow, StoredChunk
from echo_index.indexer.inspection.corpus_survey import CorpusMap

CHUNK = ChunkRow("The ferry\nleaves at eight.", ("Times",), 0, 25, None, 1, b"")
FERRY = StoredChunk(1, "island/ferry.md", "The ferry", "markdown", CHUNK)


def drawn(
    passages: Sequence[StoredChunk], points: Sequence[tuple[float, float]] | None = None, **more: int
) -> CorpusMap:
    places = points if points is not None else [(float(n), float(n * n)) for n in range(len(passages))]
    return CorpusMap(
        passages=tuple(passages),
        points=np.array(places, dtype=np.float32).reshape(-1, 2),
        total=more.get("total", len(passages)),
        explained_variance=0.42,
        centre=np.zeros(2, dtype=np.float32),
        axes=np.eye(2, dtype=np.float32),
    )


def pages(*paths: str) -> list[StoredChunk]:
    return [replace(FERRY, id=number, path=path) for number, path in enumerate(paths, start=1)]


def points_of(html: str) -> list[dict[str, str | None]]:
    return [found for found in Seen(html).attributes if "cx" in found and "data-source" in found]


def legend_of(html: str) -> list[str]:
    text = html[html.index('<ul class="legend">') : html.index("</ul>")]
    return [Seen(item).text for item in text.split("</li>")[:-1]]


def test_without_passages_there_is_no_map() -> None:
    html = map_svg(drawn([]))
    assert "There is nothing on the map yet." in html
    assert "svg" not in Seen(html).tags


def test_a_point_opens_its_passage_and_has_a_tooltip() -> None:
    [point] = points_of(map_svg(drawn([replace(FERRY, chunk=replace(CHUNK, start=120))])))
    assert (point["data-action"], point["data-source"], point["data-start"]) == ("open", "island/ferry.md", "120")
    assert point["data-tooltip"] == "The ferry › Times\nThe ferry leaves at eight."


@pytest.mark.parametrize("points", [[(0.5, 0.5)], [(0.0, 0.0)], [(0.5, 0.5)] * 3, [(1e-20, 0.0), (0.0, 1.0)]])
def test_identical_points_are_inside_the_drawing(points: list[tuple[float, float]]) -> None:
    html = map_svg(drawn(pages(*["a.md"] * len(points)), points), question=("Where?", points[0]), near={1})
    assert len(points_of(html)) == len(points)
    assert "nan" not in html and "inf" not in html
    for point in points_of(html):
        assert 0 <= float(str(point["cx"])) <= 1000 and 0 <= float(str(point["cy"])) <= 560


def test_points_fill_the_drawing_and_keep_their_order() -> None:
    html = map_svg(drawn(pages("a.md", "b.md", "c.md"), [(-1.0, 5.0), (0.0, 6.0), (1.0, 9.0)]))
    places = [(float(str(point["cx"])), float(str(point["cy"]))) for point in points_of(html)]
    assert places == [(24.0, 24.0), (500.0, 152.0), (976.0, 536.0)]


@pytest.mark.parametrize("count", [2, 60])
def test_identical_points_are_drawn_beside_each_other(count: int) -> None:
    html = map_svg(drawn(pages(*["a.md"] * count, "b.md"), [(0.0, 0.0)] * count + [(1.0, 1.0)]))
    places = [(float(str(point["cx"])), float(str(point["cy"]))) for point in points_of(html)]
    apart = min(math.dist(one, other) for one, other in combinations(places, 2))
    assert 7 < apart < 9
    assert max(math.dist(place, (24, 24)) for place in places[:-1]) <= 41
    assert places[-1] == (976.0, 536.0)


def test_points_without_a_free_position_are_drawn() -> None:
    html = map_svg(drawn(pages(*["a.md"] * 700), [(0.0, 0.0)] * 700))
    assert len(points_of(html)) == 700


def test_lines_connect_a_question_with_near_passages() -> None:
    passages = pages("a.md", "b.md", "c.md")
    html = map_svg(drawn(passages, [(0.0, 0.0), (1.0, 1.0), (2.0, 2.0)]), question=("Where?", (3.0, 0.0)), near={1, 3})
    near = [point for point in points_of(html) if "near" in str(point["class"]).split()]
    assert [point["data-source"] for point in near] == ["a.md", "c.md"]
    assert all((point["tabindex"], point["role"]) == ("0", "button") for point in near), (
        "not reachable with the keyboard"
    )
    assert "tabindex" not in points_of(html)[0] and points_of(html)[0]["data-source"] == "b.md"
    ends = [(found["x2"], found["y2"]) for found in Seen(html).attributes if "x2" in found]
    assert ends == [(point["cx"], point["cy"]) for point in near]
    assert {found["x1"] for found in Seen(html).attributes if "x1" in found} == {"976.0"}, "lines start at the question"
    assert 'data-tooltip="Where?"' in html
    assert "<line" not in map_svg(drawn(passages))


@pytest.mark.parametrize("text", [*HOSTILE, "</svg><script>alert(1)</script>", "]]><x>"])
def test_hostile_titles_are_shown_as_text(text: str) -> None:
    chunk = replace(CHUNK, text=text, headings=(text,))
    html = map_svg(drawn([replace(FERRY, path=text, title=text, chunk=chunk)]), question=(text, (0.0, 1.0)), near={1})
    seen = Seen(html)
    assert {*seen.tags} == {"figure", "svg", "circle", "g", "line", "text", "div", "figcaption", "ul", "li", "i", "p"}
    assert {
        name for found in seen.attributes for name in found if name.startswith("on") or name in ("href", "src")
    } == set()
    assert visible(legend_of(html)[0]) == visible(text)
    [point] = points_of(html)
    assert visible(text) in visible(str(point["data-tooltip"]))
    if text.isprintable():  # XML allows no control characters, HTML does
        ElementTree.fromstring(html.replace(" hidden ", " "))


def test_colours_are_by_document_or_by_folder_if_there_are_many() -> None:
    few = map_svg(drawn(pages("b/one.md", "b/one.md", "a/two.md")))
    assert legend_of(few) == ["b/one.md", "a/two.md"], "largest group first"
    assert [point["class"] for point in points_of(few)] == ["c0", "c0", "c1"]
    many = map_svg(drawn(pages(*(f"{'ab'[n % 2]}/{n}.md" for n in range(11)))))
    assert legend_of(many) == ["a", "b"]
    flat = map_svg(drawn(pages(*(f"{n:02}.md" for n in range(12)))))
    assert legend_of(flat) == [*(f"{n:02}.md" for n in range(9)), "others"]
    assert [point["class"] for point in points_of(flat)].count("other") == 3


def test_the_map_says_how_much_of_the_index_it_shows() -> None:
    assert "All 2 passages" in map_svg(drawn(pages("a.md", "b.md")))
    html = map_svg(drawn(pages("a.md", "b.md"), total=12345))
    assert "2 of 12,345 passages" in html and "42%" in html


def test_many_points_are_small() -> None:
    assert {point["r"] for point in points_of(map_svg(drawn(pages(*["a.md"] * 10))))} == {"6"}
    assert {point["r"] for point in points_of(map_svg(drawn(pages(*["a.md"] * 301))))} == {"4"}


def test_a_long_passage_is_shortened_in_the_tooltip() -> None:
    long = replace(FERRY, chunk=replace(CHUNK, text="word " * 100))
    [point] = points_of(map_svg(drawn([long])))
    assert str(point["data-tooltip"]).endswith(" …") and len(str(point["data-tooltip"])) < 220
