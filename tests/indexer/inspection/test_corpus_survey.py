"""The survey of an index: a stable map, and issues such as near-duplicates."""

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
    """Return notes that alternate between two subjects."""
    subjects = list(SUBJECTS.values())
    return {
        f"note{number:02}": "\n\n".join(
            f"{subjects[number % 2]} said {number} times {part} over and over." for part in range(paragraphs)
        )
        for number in range(count)
    }


# Map


def test_a_map_shows_every_passage_where_there_is_room(opened: Opened) -> None:
    snapshot = opened(**notes(20, paragraphs=2))
    corpus_map = map_corpus(snapshot)
    assert [passage.id for passage in corpus_map.passages] == all_ids(snapshot)
    assert corpus_map.points.shape == (corpus_map.total, 2) == (40, 2)
    assert corpus_map.points.dtype == np.float32
    assert 0.2 < corpus_map.explained_variance <= 1


def test_points_are_the_projections_of_the_vectors_that_are_searched(opened: Opened) -> None:
    snapshot = opened(**notes(20))
    corpus_map = map_corpus(snapshot)
    vectors = snapshot.chunk_vectors([passage.id for passage in corpus_map.passages])
    assert np.allclose(corpus_map.project(vectors), corpus_map.points, atol=1e-6)
    assert corpus_map.project(vectors[:0]).shape == (0, 2)
    values = np.linalg.svd(vectors - vectors.mean(axis=0), compute_uv=False) ** 2
    assert corpus_map.explained_variance == pytest.approx(values[:2].sum() / values.sum(), rel=1e-4)
    assert corpus_map.points.var(axis=0) == pytest.approx(values[:2] / len(vectors), rel=1e-4)


def test_similar_chunks_are_near_each_other(opened: Opened) -> None:
    corpus_map = map_corpus(opened(**notes(20)))
    about = np.array([int(passage.path[-5:-3]) % 2 for passage in corpus_map.passages])
    sea, oven = corpus_map.points[about == 0], corpus_map.points[about == 1]
    apart = np.linalg.norm(sea.mean(axis=0) - oven.mean(axis=0))
    assert apart > 2 * max(sea.std(axis=0).max(), oven.std(axis=0).max())


def test_a_sample_has_every_document_and_more_of_longer_ones(opened: Opened) -> None:
    snapshot = opened(**notes(10, paragraphs=2), long="\n\n".join(notes(40).values()))
    corpus_map = map_corpus(snapshot, most=21)
    shown = Counter(passage.path for passage in corpus_map.passages)
    assert len(corpus_map.passages) == len({passage.id for passage in corpus_map.passages}) == 21 < corpus_map.total
    assert len(shown) == 11
    assert shown["notes/long.md"] >= 6
    ids = [passage.id for passage in corpus_map.passages if passage.path == "notes/long.md"]
    assert max(np.diff(ids)) <= 8, "no long stretch is left out"


def test_a_sample_of_many_documents_is_even(opened: Opened) -> None:
    corpus_map = map_corpus(opened(**notes(30)), most=10)
    assert [passage.path for passage in corpus_map.passages] == [
        f"notes/note{number:02}.md" for number in range(0, 30, 3)
    ]


def test_additional_chunks_do_not_move_the_points(opened: Opened) -> None:
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
def test_a_map_can_have_very_few_chunks(opened: Opened, count: int) -> None:
    corpus_map = map_corpus(opened(**notes(count)))
    assert corpus_map.points.shape == (count, 2)
    assert np.isfinite(corpus_map.points).all()
    assert len(np.unique(corpus_map.points.round(4), axis=0)) == count
    assert corpus_map.explained_variance == pytest.approx(1.0 if count > 1 else 0.0, abs=1e-3)
    [question] = WordEncoder().encode_queries(["whales"])
    assert np.isfinite(corpus_map.project(question[None, :])).all()


def test_equal_chunks_have_the_same_point(opened: Opened) -> None:
    corpus_map = map_corpus(opened(**{f"note{number}": "# Same\n\nThe same words.\n" for number in range(20)}))
    assert np.ptp(corpus_map.points, axis=0).tolist() == [0, 0]
    assert corpus_map.explained_variance == 0


def test_an_empty_index_has_an_empty_map_and_no_issues(opened: Opened) -> None:
    snapshot = opened(blank="  \n")
    corpus_map = map_corpus(snapshot)
    assert (corpus_map.passages, corpus_map.points.shape, corpus_map.total, corpus_map.explained_variance) == (
        (),
        (0, 2),
        0,
        0.0,
    )
    assert np.isfinite(corpus_map.project(WordEncoder().encode_queries(["whales"]))).all()
    issues = find_corpus_issues(snapshot)
    assert (issues.near_duplicates, issues.short, issues.looked_at, issues.total) == ((), (), 0, 0)


# Issues


def pairs(issues: CorpusIssues) -> list[tuple[str, str]]:
    return [(pair.first.path, pair.second.path) for pair in issues.near_duplicates]


def test_equal_chunks_are_found_in_the_whole_index(opened: Opened) -> None:
    copied = "A copied note on the making of honey.\n"
    snapshot = opened(a=copied, b=copied, c=copied, **notes(30))
    issues = find_corpus_issues(snapshot, most=1, least_cosine=2)
    assert pairs(issues) == [("notes/a.md", "notes/b.md"), ("notes/a.md", "notes/c.md")]
    assert {pair.cosine for pair in issues.near_duplicates} == {1.0}
    assert (issues.looked_at, issues.total) == (1, 33)


def test_an_edited_copy_is_a_near_duplicate_and_another_text_on_the_subject_is_not(opened: Opened) -> None:
    snapshot = opened(
        first="Honey is made by bees from the nectar of many flowers.\n",
        second="Honey is made by bees from the nectar of seven flowers.\n",
        turned="flowers many of nectar the from bees by made is Honey.\n",
        **notes(1),
        fire="Whales sing.\n",
    )
    issues = find_corpus_issues(snapshot, least_cosine=0.7)
    assert pairs(issues) == [("notes/first.md", "notes/second.md")]
    [pair] = issues.near_duplicates
    vectors = snapshot.chunk_vectors([pair.first.id, pair.second.id])
    assert pair.cosine == pytest.approx(float(vectors[0] @ vectors[1]), abs=1e-5)
    assert find_corpus_issues(snapshot, least_cosine=0.9999).near_duplicates == ()


def test_near_duplicates_follow_equal_chunks_by_similarity(opened: Opened) -> None:
    words = "honey is made by the bees of our old garden from nectar that many flowers keep".split()
    changed = [
        " ".join(f"{word}{index}" if index < number else word for index, word in enumerate(words[:12]))
        for number in (0, 0, 1, 3)
    ]
    issues = find_corpus_issues(
        opened(**{f"note{number}": text for number, text in enumerate(changed)}), least_cosine=0.3
    )
    cosines = [pair.cosine for pair in issues.near_duplicates]
    assert cosines == sorted(cosines, reverse=True)
    assert cosines.count(1.0) == 1
    assert len(cosines) == len(set(pairs(issues))) > 3


def test_overlapping_chunks_are_no_duplicates(opened: Opened) -> None:
    snapshot = opened(long="Over and over. " * 40)
    found = [passage.chunk for passage in map_corpus(snapshot).passages]
    assert any(one.start < other.start < one.end for one in found for other in found)
    alike = [
        (pair.first.chunk, pair.second.chunk) for pair in find_corpus_issues(snapshot, least_cosine=-1).near_duplicates
    ]
    assert alike
    assert all(one.end <= other.start for one, other in alike)


def test_short_chunks_are_reported(opened: Opened) -> None:
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


def test_unreadable_documents_are_reported(opened: Opened, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/broken.pdf").write_bytes(b"%PDF-1.7 and then nothing")
    [(path, reason)] = find_corpus_issues(opened(**notes(2))).failed
    assert path == "notes/broken.pdf"
    assert reason


def test_the_survey_covers_one_generation(opened: Opened, tmp_path: Path) -> None:
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
