"""Neighbouring chunks of a section become one hit, with the rank of the best and the text of all."""

from __future__ import annotations

from dataclasses import replace

import pytest
from example_hit import HIT

from echo_index.retriever.search.hits import Hit, Location
from echo_index.retriever.search.neighbours import join_neighbours

TEXT = "The ferry leaves at eight. Dogs travel free.\n\nIn winter it leaves at nine. Bring a coat, as it is cold."


def chunk(start: int, end: int, **changes: object) -> Hit:
    """Return the hit of a part of the text; without changes in one section."""
    fields = {"headings": ("Ferry",), "line": 1 + TEXT[:start].count("\n"), "score": 1.0} | changes
    return replace(HIT, text=TEXT[start:end], start=start, end=end, **fields)  # type: ignore[arg-type]


FIRST, SECOND, THIRD = chunk(0, 26), chunk(27, 44), chunk(46, len(TEXT))


def test_neighbours_are_one_text_at_the_rank_of_the_best() -> None:
    elsewhere = replace(HIT, source="other.md", text="Elsewhere.")
    best = replace(THIRD, score=0.9)
    hits = join_neighbours([elsewhere, best, FIRST, SECOND])
    assert [hit.source for hit in hits] == ["other.md", HIT.source]
    assert hits[0] == elsewhere
    assert hits[1].text == TEXT
    assert (hits[1].start, hits[1].end, hits[1].line, hits[1].score) == (0, len(TEXT), 1, 0.9)


def test_what_overlaps_stands_once() -> None:
    [hit] = join_neighbours([chunk(10, 44), chunk(0, 30)])
    assert hit.text == TEXT[:44]
    assert (hit.start, hit.end) == (0, 44)


@pytest.mark.parametrize(
    "other",
    [
        replace(THIRD, headings=("Winter",)),
        replace(THIRD, source="other.md"),
        chunk(60, len(TEXT)),
    ],
)
def test_other_chunks_stay_apart(other: Hit) -> None:
    assert join_neighbours([other, SECOND]) == [other, SECOND]


def test_a_chunk_inside_another_stays_apart() -> None:
    hits = [chunk(0, 44), chunk(27, 44)]
    assert join_neighbours(hits) == hits


def test_duplicates_of_all_are_listed() -> None:
    places = [Location("copy.md", start, None, 1) for start in (0, 27)]
    hits = [replace(hit, duplicates=(place,)) for hit, place in zip((SECOND, FIRST), places, strict=True)]
    assert join_neighbours(hits)[0].duplicates == (places[1], places[0])


def test_nothing_is_joined_to_nothing() -> None:
    assert join_neighbours([]) == []


def test_rows_of_a_table_stay_on_their_lines() -> None:
    rows = "Ship1 | 101\nShip2 | 102"
    first = replace(HIT, text=rows, start=0, end=len(rows), line=None, table_header="Ship | Crew size")
    second = replace(first, text="Ship3 | 103", start=first.end + 1, end=first.end + 12)
    [joined] = join_neighbours([second, first])
    assert joined.full_text == f"Ship | Crew size\n{rows}\nShip3 | 103"
    assert joined.location.start == 0
