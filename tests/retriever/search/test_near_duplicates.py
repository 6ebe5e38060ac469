"""Near-duplicates are listed by the better hit in every mode, and never lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from indexer_helpers import WordEncoder, build, write

from echo_index.indexer.catalog.records import SearchFilter
from echo_index.indexer.generations.snapshot import Snapshot, open_snapshot
from echo_index.retriever.search.hits import Hit, Location, make_hits
from echo_index.retriever.search.near_duplicates import group_duplicates
from echo_index.retriever.search.retriever import Mode, Retriever

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
    assert spot == Location(spot.source, copies.start, None, copies.line)


def test_of_one_document_what_is_nearly_the_same_is_named(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [int(key) for key in snapshot.catalog.chunk_ids(SearchFilter(paths=("island.md",)), generation=1)]
    ranked = [(key, 1.0 / number) for number, key in enumerate(ids, start=1)]
    hits = make_hits(snapshot, ranked, {}, {})
    vectors = snapshot.chunk_vectors(ids)
    cosine = float(vectors[0] @ vectors[2])
    for least, named in ((cosine - 1e-3, True), (cosine + 1e-3, False)):
        monkeypatch.setattr("echo_index.retriever.search.near_duplicates.NEAR_DUPLICATE", least)
        found = group_duplicates(snapshot, ranked, hits, limit=100)
        assert (hits[2].start in [spot.start for spot in found[0].duplicates]) is named


def test_other_documents_are_named_only_for_the_same_text(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("echo_index.retriever.search.near_duplicates.NEAR_DUPLICATE", -1.0)
    ids = [int(key) for key in snapshot.catalog.chunk_ids(SearchFilter(), generation=1)]
    ranked = [(key, 1.0 / number) for number, key in enumerate(ids, start=1)]
    found = group_duplicates(snapshot, ranked, make_hits(snapshot, ranked, {}, {}), limit=100)
    assert sorted(hit.source for hit in found) == ["copy.md", "island.md"]
    assert {spot.source for hit in found if hit.source == "island.md" for spot in hit.duplicates} == {"island.md"}


def test_nothing_is_lost(snapshot: Snapshot) -> None:
    ids = [int(key) for key in snapshot.catalog.chunk_ids(SearchFilter(), generation=1)]
    ranked = [(key, 1.0 / number) for number, key in enumerate(ids, start=1)]
    hits = make_hits(snapshot, ranked, {}, {})
    found = group_duplicates(snapshot, ranked, hits, limit=len(hits))
    told = [(hit.source, hit.start) for hit in found] + [
        (spot.source, spot.start) for hit in found for spot in hit.duplicates
    ]
    assert sorted(told) == sorted((hit.source, hit.start) for hit in hits)
    assert [hit.score for hit in found] == sorted((hit.score for hit in found), reverse=True)
    assert len(group_duplicates(snapshot, ranked, hits, limit=3)) == 3
    assert group_duplicates(snapshot, [], [], limit=3) == []


def test_a_search_that_is_not_to_group_names_nothing(retriever: Retriever) -> None:
    hits: list[Hit] = retriever.search("ferry", k=50)
    assert not any(hit.duplicates for hit in hits)
    assert {"copy.md", "other.md"} <= {hit.source for hit in hits}
