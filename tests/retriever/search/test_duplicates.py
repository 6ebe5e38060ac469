"""Hits that say the same are listed by the best of them in every mode, and never lost; those that differ are hits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from example_hit import HIT
from indexer_helpers import WordEncoder, build, write

from echo_index.indexer.catalog.records import SearchFilter
from echo_index.indexer.documents.chunking import Chunking
from echo_index.indexer.generations.snapshot import Snapshot, open_snapshot
from echo_index.retriever.search.duplicates import group_duplicates
from echo_index.retriever.search.hits import Hit, make_hits
from echo_index.retriever.search.retriever import Retriever
from echo_index.retriever.search.searcher import Mode

SAID = "The ferry leaves at eight and at noon."
NEARLY = "The ferry leaves at eight and noon."
COPY = f"# Ferry\n\n{SAID}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    filler = "\n\n".join(f"## Part {number}\n\nOwls hunt {number} mice here." for number in range(20))
    write(
        tmp_path,
        island=f"# Island\n\n## Going\n\n{SAID}\n\n## Coming\n\nBring cash.\n\n## Again\n\n{NEARLY}\n\n{filler}\n",
        copy=COPY,
        other=COPY,
    )
    return tmp_path


@pytest.fixture
def retriever(folder: Path) -> Retriever:
    build(folder, folder / ".index", WordEncoder())
    return Retriever.open(folder / ".index", encoder=WordEncoder())  # type: ignore[arg-type]


@pytest.fixture
def snapshot(retriever: Retriever) -> Iterator[Snapshot]:
    with closing((found := open_snapshot(retriever.index_dir, index_device="cpu")).catalog):
        yield found


@pytest.mark.parametrize("mode", ["hybrid", "dense", "lexical"])
def test_what_says_the_same_is_named_by_the_best_of_it(retriever: Retriever, mode: Mode) -> None:
    question = "When does the ferry leave? At eight, at noon?"
    alone = [hit for hit in retriever.search(question, k=4, mode=mode) if "ferry" in hit.text.lower()]
    assert len(alone) == 4
    hits = retriever.search(question, k=4, mode=mode, group=True)
    assert len(hits) == (3 if mode == "lexical" else 4), "others come up in their places"
    named = [hit for hit in hits if hit.duplicates]
    spots = {(hit.source, hit.start) for hit in named} | {
        (spot.source, spot.start) for hit in named for spot in hit.duplicates
    }
    assert spots >= {(hit.source, hit.start) for hit in alone if hit.source != "island.md"}
    [copies] = [hit for hit in hits if hit.source in ("copy.md", "other.md")]
    [spot] = copies.duplicates
    assert {copies.source, spot.source} == {"copy.md", "other.md"}
    assert spot == replace(copies.location, source=spot.source, start=copies.start)


def hit(text: str, **changes: object) -> Hit:
    """Return a hit with a text; without changes all are in one section of one document."""
    return replace(HIT, text=text, headings=("Limits",), source="limits.md", **changes)  # type: ignore[arg-type]


def test_white_space_capitals_and_punctuation_make_no_difference() -> None:
    texts = ("The limit is 5 mg.", "the  limit\nis *5 mg*", "- The limit is 5 mg!")
    [found] = group_duplicates("ferry", [hit(text, start=number) for number, text in enumerate(texts)], limit=9)
    assert [place.start for place in found.duplicates] == [1, 2]


@pytest.mark.parametrize(
    "other",
    [
        "The limit for A is 6 mg.",
        "The limit for B is 5 mg.",
        "The limit for A is not 5 mg.",
        "The limit for A is -5 mg.",
        "The limit for A is ≥5 mg.",
        "The limit for A is 5 g.",
        "The limit for A is 5 mg, and 6 mg.",
        "A is 5 mg the limit for.",
    ],
)
def test_whatever_differs_makes_another_hit(other: str) -> None:
    found = group_duplicates("ferry", [hit("The limit for A is 5 mg."), hit(other, start=9)], limit=9)
    assert [each.duplicates for each in found] == [(), ()]


def test_the_same_words_below_another_heading_say_something_else() -> None:
    first, second = hit("5 mg."), replace(hit("5 mg."), headings=("Limits", "Class B"))
    assert len(group_duplicates("ferry", [first, second], limit=9)) == 2
    copy = replace(second, source="copy.md")
    assert len(group_duplicates("ferry", [first, copy], limit=9)) == 1, "a copy is one below whatever heading"


def test_rows_of_tables_with_other_headers_are_not_the_same() -> None:
    first, second = hit("A | 5", table_header="Class | Limit"), hit("A | 5", table_header="Class | Minimum")
    assert len(group_duplicates("ferry", [first, second], limit=9)) == 2


def test_classes_with_different_limits_are_all_found(tmp_path: Path) -> None:
    sections = (
        f"## Class {name}\n\nThe limit of nitrate for water of class {name} is {5 + 7 * number} milligrams per litre."
        for number, name in enumerate("ABCDEFGH")
    )
    write(tmp_path, limits="# Limits\n\n" + "\n\n".join(sections))
    build(tmp_path, tmp_path / ".index", WordEncoder(), chunking=Chunking(30, 5))
    retriever = Retriever.open(tmp_path / ".index", encoder=WordEncoder())  # type: ignore[arg-type]
    hits = retriever.search("nitrate limit for class F", k=10, group=True)
    assert {found.text[-24:-22].strip() for found in hits} == {str(5 + 7 * number) for number in range(8)}


def test_nothing_is_lost(snapshot: Snapshot) -> None:
    ids = [int(key) for key in snapshot.catalog.chunk_ids(SearchFilter(), generation=1)]
    ranked = [(key, 1.0 / number) for number, key in enumerate(ids, start=1)]
    hits = make_hits(snapshot, ranked, {}, {})
    found = group_duplicates("ferry", hits, limit=len(hits))
    told = [(hit.source, hit.start) for hit in found] + [
        (spot.source, spot.start) for hit in found for spot in hit.duplicates
    ]
    assert sorted(told) == sorted((hit.source, hit.start) for hit in hits)
    assert [hit.score for hit in found] == sorted((hit.score for hit in found), reverse=True)
    assert len(group_duplicates("ferry", hits, limit=3)) == 3
    assert group_duplicates("ferry", [], limit=3) == []


def test_a_search_that_is_not_to_group_names_nothing(retriever: Retriever) -> None:
    hits: list[Hit] = retriever.search("ferry", k=50)
    assert not any(hit.duplicates for hit in hits)
    assert {"copy.md", "other.md"} <= {hit.source for hit in hits}
