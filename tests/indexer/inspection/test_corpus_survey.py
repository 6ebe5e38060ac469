"""The survey of an index: a map that holds still, and oddities that are odd."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from indexer_helpers import WordEncoder, build, write

from echo_index.indexer.catalog.records import SearchFilter
from echo_index.indexer.documents.chunking import Chunking
from echo_index.indexer.generations.snapshot import Snapshot, open_snapshot
from echo_index.indexer.inspection.corpus_survey import CorpusIssues, find_corpus_issues, map_corpus

Opened = Callable[..., Snapshot]
SUBJECTS = {"sea": "whales swim deep in the salt water", "oven": "bread bakes slowly over the hot fire"}


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    """Build an index of Markdown files by name and open it."""
    snapshots: list[Snapshot] = []

    def open_(**files: str) -> Snapshot:
        write(tmp_path / "notes", **files)
        build(tmp_path / "notes", tmp_path / "index", chunking=Chunking(20, 3))
        snapshots.append(open_snapshot(tmp_path / "index", index_device="cpu"))
        return snapshots[-1]

    yield open_
    for snapshot in snapshots:
        snapshot.catalog.close()


def all_ids(snapshot: Snapshot) -> list[int]:
    return [int(key) for key in snapshot.catalog.chunk_ids(SearchFilter(), generation=snapshot.manifest.generation)]


def notes(count: int, *, paragraphs: int = 1) -> dict[str, str]:
    """Notes about two subjects in turn."""
    told = list(SUBJECTS.values())
    return {
        f"note{number:02}": "\n\n".join(
            f"{told[number % 2]} said {number} times {part} over and over." for part in range(paragraphs)
        )
        for number in range(count)
    }


# Map


def test_a_map_shows_every_passage_where_there_is_room(opened: Opened) -> None:
    snapshot = opened(**notes(20, paragraphs=2))
    drawn = map_corpus(snapshot)
    assert [passage.id for passage in drawn.passages] == all_ids(snapshot)
    assert drawn.points.shape == (drawn.total, 2) == (40, 2)
    assert drawn.points.dtype == np.float32
    assert 0.2 < drawn.explained_variance <= 1


def test_points_are_the_projections_of_the_vectors_that_are_searched(opened: Opened) -> None:
    snapshot = opened(**notes(20))
    drawn = map_corpus(snapshot)
    vectors = snapshot.chunk_vectors([passage.id for passage in drawn.passages])
    assert np.allclose(drawn.project(vectors), drawn.points, atol=1e-6)
    assert drawn.project(vectors[:0]).shape == (0, 2)
    values = np.linalg.svd(vectors - vectors.mean(axis=0), compute_uv=False) ** 2
    assert drawn.explained_variance == pytest.approx(values[:2].sum() / values.sum(), rel=1e-4)
    assert drawn.points.var(axis=0) == pytest.approx(values[:2] / len(vectors), rel=1e-4)


def test_like_passages_lie_near_each_other(opened: Opened) -> None:
    drawn = map_corpus(opened(**notes(20)))
    about = np.array([int(passage.path[-5:-3]) % 2 for passage in drawn.passages])
    sea, oven = drawn.points[about == 0], drawn.points[about == 1]
    apart = np.linalg.norm(sea.mean(axis=0) - oven.mean(axis=0))
    assert apart > 2 * max(sea.std(axis=0).max(), oven.std(axis=0).max())


def test_a_sample_has_every_document_and_spreads_over_the_longer_ones(opened: Opened) -> None:
    snapshot = opened(**notes(10, paragraphs=2), long="\n\n".join(notes(40).values()))
    drawn = map_corpus(snapshot, most=21)
    shown = Counter(passage.path for passage in drawn.passages)
    assert len(drawn.passages) == len({passage.id for passage in drawn.passages}) == 21 < drawn.total
    assert len(shown) == 11
    assert shown["notes/long.md"] >= 6
    ids = [passage.id for passage in drawn.passages if passage.path == "notes/long.md"]
    assert max(np.diff(ids)) <= 8, "no long stretch is left out"


def test_more_documents_than_room_are_taken_evenly(opened: Opened) -> None:
    drawn = map_corpus(opened(**notes(30)), most=10)
    assert [passage.path for passage in drawn.passages] == [f"notes/note{number:02}.md" for number in range(0, 30, 3)]


def test_what_is_shown_besides_moves_nothing(opened: Opened) -> None:
    snapshot = opened(**notes(30))
    alone = map_corpus(snapshot, most=10)
    besides = [key for key in all_ids(snapshot) if key not in {passage.id for passage in alone.passages}][:3]
    both = map_corpus(snapshot, most=10, also=[*besides, alone.passages[0].id, 10**12])
    ids = [passage.id for passage in both.passages]
    assert ids == sorted({*besides, *(passage.id for passage in alone.passages)})
    points = dict(zip(ids, both.points.tolist(), strict=True))
    for passage, point in zip(alone.passages, alone.points.tolist(), strict=True):
        assert points[passage.id] == pytest.approx(point, abs=1e-6)
    assert (both.explained_variance, both.total) == (alone.explained_variance, alone.total)


def test_the_same_index_has_the_same_map(opened: Opened) -> None:
    snapshot = opened(**notes(30))
    assert map_corpus(snapshot, most=20).points.tolist() == map_corpus(snapshot, most=20).points.tolist()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_few_passages_make_a_map_too(opened: Opened, count: int) -> None:
    drawn = map_corpus(opened(**notes(count)))
    assert drawn.points.shape == (count, 2)
    assert np.isfinite(drawn.points).all()
    assert len(np.unique(drawn.points.round(4), axis=0)) == count
    assert drawn.explained_variance == pytest.approx(1.0 if count > 1 else 0.0, abs=1e-3)
    [question] = WordEncoder().encode_queries(["whales"])
    assert np.isfinite(drawn.project(question[None, :])).all()


def test_equal_passages_lie_in_one_point(opened: Opened) -> None:
    drawn = map_corpus(opened(**{f"note{number}": "# Same\n\nThe same words.\n" for number in range(20)}))
    assert np.ptp(drawn.points, axis=0).tolist() == [0, 0]
    assert drawn.explained_variance == 0


def test_an_empty_index_has_an_empty_map_and_nothing_odd(opened: Opened) -> None:
    snapshot = opened(blank="  \n")
    drawn = map_corpus(snapshot)
    assert (drawn.passages, drawn.points.shape, drawn.total, drawn.explained_variance) == ((), (0, 2), 0, 0.0)
    assert np.isfinite(drawn.project(WordEncoder().encode_queries(["whales"]))).all()
    oddities = find_corpus_issues(snapshot)
    assert (oddities.near_duplicates, oddities.short, oddities.looked_at, oddities.total) == ((), (), 0, 0)


# Oddities


def pairs(oddities: CorpusIssues) -> list[tuple[str, str]]:
    return [(pair.first.path, pair.second.path) for pair in oddities.near_duplicates]


def test_equal_passages_are_found_wherever_they_are(opened: Opened) -> None:
    copied = "A copied note on the making of honey.\n"
    snapshot = opened(a=copied, b=copied, c=copied, **notes(30))
    oddities = find_corpus_issues(snapshot, most=1, least_cosine=2)
    assert pairs(oddities) == [("notes/a.md", "notes/b.md"), ("notes/a.md", "notes/c.md")]
    assert {pair.cosine for pair in oddities.near_duplicates} == {1.0}
    assert (oddities.looked_at, oddities.total) == (1, 33)


def test_a_changed_copy_is_a_near_duplicate_and_the_same_subject_is_none(opened: Opened) -> None:
    snapshot = opened(
        first="Honey is made by bees from the nectar of many flowers.\n",
        second="Honey is made by bees from the nectar of seven flowers.\n",
        turned="flowers many of nectar the from bees by made is Honey.\n",
        **notes(1),
        fire="Whales sing.\n",
    )
    oddities = find_corpus_issues(snapshot, least_cosine=0.7)
    assert pairs(oddities) == [("notes/first.md", "notes/second.md")]
    [pair] = oddities.near_duplicates
    vectors = snapshot.chunk_vectors([pair.first.id, pair.second.id])
    assert pair.cosine == pytest.approx(float(vectors[0] @ vectors[1]), abs=1e-5)
    assert find_corpus_issues(snapshot, least_cosine=0.9999).near_duplicates == ()


def test_near_duplicates_come_after_equal_passages_and_best_first(opened: Opened) -> None:
    words = "honey is made by the bees of our old garden from nectar that many flowers keep".split()
    changed = [
        " ".join(f"{word}{index}" if index < number else word for index, word in enumerate(words[:12]))
        for number in (0, 0, 1, 3)
    ]
    oddities = find_corpus_issues(
        opened(**{f"note{number}": text for number, text in enumerate(changed)}), least_cosine=0.3
    )
    cosines = [pair.cosine for pair in oddities.near_duplicates]
    assert cosines == sorted(cosines, reverse=True)
    assert cosines.count(1.0) == 1
    assert len(cosines) == len(set(pairs(oddities))) > 3


def test_the_overlap_of_neighbours_is_not_odd(opened: Opened) -> None:
    snapshot = opened(long="Over and over. " * 40)
    found = [passage.chunk for passage in map_corpus(snapshot).passages]
    assert any(one.start < other.start < one.end for one in found for other in found)
    alike = [
        (pair.first.chunk, pair.second.chunk) for pair in find_corpus_issues(snapshot, least_cosine=-1).near_duplicates
    ]
    assert alike
    assert all(one.end <= other.start for one, other in alike)


def test_passages_that_say_next_to_nothing_are_told(opened: Opened) -> None:
    snapshot = opened(
        rule="-" * 300,
        short="Not much: 12345 here",
        long="A good twenty letters are in it",
        chinese="这一段话已经说了不少",
        rare="* * * a b c",
    )
    assert [found.path for found in find_corpus_issues(snapshot).short] == [
        "notes/rare.md",
        "notes/rule.md",
        "notes/short.md",
    ]


def test_documents_that_could_not_be_read_are_told(opened: Opened, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/broken.pdf").write_bytes(b"%PDF-1.7 and then nothing")
    [(path, reason)] = find_corpus_issues(opened(**notes(2))).failed
    assert path == "notes/broken.pdf"
    assert reason


def test_only_what_readers_of_this_generation_see_is_surveyed(opened: Opened, tmp_path: Path) -> None:
    copied = "A copied note on the making of honey.\n"
    before = opened(a=copied, b=copied, **notes(3))
    (tmp_path / "notes/b.md").unlink()
    after = opened(c="- - -\n")
    assert (map_corpus(before).total, map_corpus(after).total) == (5, 5)
    assert pairs(find_corpus_issues(before, least_cosine=2)) == [("notes/a.md", "notes/b.md")]
    assert pairs(find_corpus_issues(after, least_cosine=2)) == []
    assert [len(find_corpus_issues(snapshot).short) for snapshot in (before, after)] == [0, 1]
    gone = set(all_ids(before)) - set(all_ids(after))
    assert gone.isdisjoint(passage.id for passage in map_corpus(after, also=[*gone]).passages)
