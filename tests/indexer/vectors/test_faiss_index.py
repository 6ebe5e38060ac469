"""The vector index: search results and their order, filters, and damaged files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echo_index.errors import IndexDamaged
from echo_index.indexer.vectors.faiss_index import VectorIndex, index_factory, principal_axes
from echo_index.indexer.vectors.placement import Placement

CPU = Placement("cpu", "asked for")
FAR = 2**40  # ids begin here: more than 32 bits hold
DIMENSION = 64


def clustered(count: int, *, seed: int = 0) -> npt.NDArray[np.float32]:
    """Return unit vectors around a few dozen centres."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(40, DIMENSION))
    vectors = centres[random.integers(0, 40, count)] + 0.5 * random.normal(size=(count, DIMENSION))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def near(vectors: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.float32]:
    random = np.random.default_rng(1)
    queries = vectors[random.integers(0, len(vectors), count)] + 0.05 * random.normal(size=(count, DIMENSION))
    return (queries / np.linalg.norm(queries, axis=1, keepdims=True)).astype(np.float32)


def build(vectors: npt.NDArray[np.float32], *, exact_up_to: int = 100_000) -> VectorIndex:
    """Build an index in which vector n has the id FAR + 3 n."""
    ids = FAR + 3 * np.arange(len(vectors), dtype=np.int64)
    return VectorIndex.build(
        lambda: ((ids[start : start + 500], vectors[start : start + 500]) for start in range(0, len(vectors), 500)),
        count=len(vectors),
        dimension=DIMENSION,
        exact_up_to=exact_up_to,
    )


def best(vectors: npt.NDArray[np.float32], query: npt.NDArray[np.float32], k: int) -> list[int]:
    return (FAR + 3 * np.argsort(-(vectors @ query), kind="stable")[:k]).tolist()


def found(index: VectorIndex, query: npt.NDArray[np.float32], *, k: int, among: list[int] | None = None) -> list[int]:
    ids = None if among is None else np.array(among, dtype=np.int64)
    return [key for key, _ in index.search(query, k=k, among=ids)]


VECTORS = clustered(4000)
QUERIES = near(VECTORS, 50)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Limit FAISS to one thread: training with several is slow while other processes use the cores."""
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    yield
    faiss.omp_set_num_threads(threads)


@pytest.fixture(scope="module")
def exact() -> VectorIndex:
    return build(VECTORS)


@pytest.fixture(scope="module")
def approximate() -> VectorIndex:
    return build(VECTORS, exact_up_to=1000)


@pytest.fixture(params=["exact", "approximate"])
def either(request: pytest.FixtureRequest) -> VectorIndex:
    index: VectorIndex = request.getfixturevalue(request.param)
    assert index.kind == request.param
    return index


# The vectors of some ids


def test_vectors_of_ids_have_the_order_of_the_ids(either: VectorIndex) -> None:
    rows = [17, 3999, 0, 17, 1234]
    vectors = either.vectors_of([FAR + 3 * row for row in rows])
    assert vectors == pytest.approx(VECTORS[rows], abs=0 if either.kind == "exact" else 5e-3)
    assert either.vectors_of([]).shape == (0, DIMENSION)


def test_ids_may_come_in_any_order() -> None:
    ids = np.array([30, 10, 20], dtype=np.int64)
    index = VectorIndex.build(lambda: [(ids, VECTORS[:3])], count=3, dimension=DIMENSION)
    assert index.vectors_of([10, 20, 30]).tolist() == VECTORS[[1, 2, 0]].tolist()


@pytest.mark.parametrize("missing", [FAR - 1, FAR + 1, FAR + 3 * 4000])
def test_missing_vectors_are_reported_as_damage(either: VectorIndex, missing: int) -> None:
    with pytest.raises(IndexDamaged, match="lacks passages of the catalog"):
        either.vectors_of([FAR, missing])
    with pytest.raises(IndexDamaged, match="lacks passages"):
        build(VECTORS[:0]).vectors_of([missing])


# Which kind of index


def test_an_index_is_exact_up_to_a_size_and_then_approximate() -> None:
    assert index_factory(0, 64) == index_factory(100_000, 64) == index_factory(10, 64, exact_up_to=10) == "Flat"
    assert index_factory(11, 64, exact_up_to=10) == "IVF8,PQ16x4fs,Refine(SQ8)"
    assert index_factory(1_000_000, 640) == "IVF2048,PQ160x4fs,Refine(SQ8)"


@pytest.mark.parametrize("count", [100_001, 250_000, 1_000_000, 30_000_000])
def test_there_are_enough_vectors_to_train_every_cell(count: int) -> None:
    cells = int(index_factory(count, 64).removeprefix("IVF").split(",")[0])
    assert cells & (cells - 1) == 0
    assert 2 * count**0.5 < cells <= 4 * count**0.5


# Searching


def test_an_exact_index_finds_the_nearest_in_order(exact: VectorIndex) -> None:
    for query in QUERIES:
        hits = exact.search(query, k=10)
        assert [key for key, _ in hits] == best(VECTORS, query, 10)
        cosines = [float(VECTORS[(key - FAR) // 3] @ query) for key, _ in hits]
        assert np.allclose([score for _, score in hits], cosines, atol=1e-6)


def test_an_approximate_index_finds_nearly_all_of_the_nearest(approximate: VectorIndex) -> None:
    shared = [len({*found(approximate, query, k=10)} & {*best(VECTORS, query, 10)}) for query in QUERIES]
    assert sum(shared) / (10 * len(QUERIES)) >= 0.95


def test_approximate_scores_are_cosines_to_8_bits(approximate: VectorIndex) -> None:
    for query in QUERIES[:10]:
        hits = approximate.search(query, k=10)
        cosines = [float(VECTORS[(key - FAR) // 3] @ query) for key, _ in hits]
        assert np.allclose([score for _, score in hits], cosines, atol=1e-2)
        assert [score for _, score in hits] == sorted((score for _, score in hits), reverse=True)


def test_a_large_k_returns_all_vectors_without_padding(either: VectorIndex) -> None:
    for k in (4000, 4001, 10**13):
        ids = found(either, QUERIES[0], k=k)
        assert len(ids) == len(set(ids)) <= 4000
        assert all(key >= FAR for key in ids)
    if either.kind == "exact":
        assert len(ids) == 4000


def test_an_empty_index_finds_nothing() -> None:
    index = build(VECTORS[:0])
    assert (index.count, index.kind) == (0, "exact")
    assert index.search(QUERIES[0], k=10) == []
    assert index.search(QUERIES[0], k=10, among=np.array([], dtype=np.int64)) == []


def test_many_queries_at_once_find_what_each_finds_alone(either: VectorIndex) -> None:
    ids, cosines = either.search_each(QUERIES, k=5)
    for query, row, scores in zip(QUERIES, ids, cosines, strict=True):
        alone = either.search(query, k=5)
        assert row.tolist() == [key for key, _ in alone]
        assert np.allclose(scores, [score for _, score in alone], atol=1e-6)
    assert either.search_each(QUERIES[:0], k=5)[0].shape == (0, 0)


def test_many_queries_find_no_more_than_all_vectors() -> None:
    assert [found.shape for found in build(VECTORS[:3]).search_each(QUERIES[:2], k=5)] == [(2, 3), (2, 3)]
    assert [found.shape for found in build(VECTORS[:0]).search_each(QUERIES[:2], k=5)] == [(2, 0), (2, 0)]


# Principal axes


@pytest.mark.parametrize("count", [3, 10, 1000])
def test_axes_are_the_first_singular_vectors_with_a_fixed_sign(count: int) -> None:
    axes = principal_axes(VECTORS[:count])
    _, _, expected = np.linalg.svd(VECTORS[:count] - VECTORS[:count].mean(axis=0))
    assert axes.shape == (DIMENSION, 2)
    assert np.allclose(np.abs(axes.T @ expected[:2].T), np.eye(2), atol=1e-3)
    assert (axes[np.abs(axes).argmax(axis=0), range(2)] > 0).all()
    assert np.allclose(axes, principal_axes(VECTORS[:count][::-1]), atol=1e-4)


@pytest.mark.parametrize(("vectors", "used"), [(VECTORS[:0], 0), (VECTORS[:1], 0), (VECTORS[:2], 1)])
def test_axes_without_variance_are_zero(vectors: npt.NDArray[np.float32], used: int) -> None:
    lengths = np.linalg.norm(principal_axes(vectors), axis=0)
    assert lengths == pytest.approx([1.0] * used + [0.0] * (2 - used), abs=1e-5)
    repeated = np.repeat(vectors, 50, axis=0)
    assert np.linalg.norm(principal_axes(repeated), axis=0) == pytest.approx(lengths, abs=1e-5)


# Filters


def test_a_filter_limits_the_results_to_its_ids(either: VectorIndex) -> None:
    among = [FAR + 3 * number for number in range(0, 4000, 2)]
    allowed = VECTORS[::2]
    shared = 0
    for query in QUERIES[:20]:
        ids = found(either, query, k=10, among=among)
        assert {*ids} <= {*among}
        shared += len({*ids} & {FAR + 6 * int(n) for n in np.argsort(-(allowed @ query))[:10]})
    assert shared >= 0.95 * 200


def test_a_wide_filter_is_approximate_too(approximate: VectorIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("echo_index.indexer.vectors.faiss_index.EXACT_UP_TO", 100)
    test_a_filter_limits_the_results_to_its_ids(approximate)
    approximate_ids = found(approximate, QUERIES[0], k=4000, among=[FAR + 3 * number for number in range(3999)])
    assert len(approximate_ids) < 3999, "not every cell is looked at"


def test_a_narrow_filter_finds_all_of_its_ids(either: VectorIndex) -> None:
    among = [FAR + 3 * number for number in (5, 900, 1700, 2500, 3999)]
    for query in QUERIES[:10]:
        hits = either.search(query, k=10, among=np.array(among, dtype=np.int64))
        assert sorted(key for key, _ in hits) == among
        assert [score for _, score in hits] == sorted((score for _, score in hits), reverse=True)
        cosines = [float(VECTORS[(key - FAR) // 3] @ query) for key, _ in hits]
        assert np.allclose([score for _, score in hits], cosines, atol=1e-2)
        assert found(either, query, k=2, among=among) == [key for key, _ in hits[:2]]


def test_a_filter_may_be_empty_or_hold_unknown_ids(either: VectorIndex) -> None:
    assert found(either, QUERIES[0], k=5, among=[]) == []
    assert found(either, QUERIES[0], k=5, among=[1, FAR + 1, FAR + 2]) == []
    assert found(either, QUERIES[0], k=5, among=[1, FAR + 3]) == [FAR + 3]


@settings(max_examples=30, deadline=None)
@given(
    count=st.integers(0, 30),
    k=st.integers(1, 40),
    among=st.none() | st.lists(st.integers(0, 35), unique=True).map(sorted),
)
def test_search_returns_the_best_k_of_the_allowed_ids(count: int, k: int, among: list[int] | None) -> None:
    vectors = VECTORS[:count]
    ids = None if among is None else [FAR + 3 * number for number in among]
    allowed = [key for key in best(vectors, QUERIES[0], count) if ids is None or key in ids]
    assert found(build(vectors), QUERIES[0], k=k, among=ids) == allowed[:k]


# Building, saving, loading


def test_a_build_checks_the_number_of_vectors() -> None:
    with pytest.raises(IndexDamaged, match="holds 3 vectors, but 4 passages"):
        VectorIndex.build(lambda: [(np.arange(3), VECTORS[:3])], count=4, dimension=DIMENSION)


def test_a_saved_index_answers_as_before(either: VectorIndex, tmp_path: Path) -> None:
    path = tmp_path / "vectors-1.faiss"
    either.save(path)
    assert [file.name for file in tmp_path.iterdir()] == ["vectors-1.faiss"]
    loaded = VectorIndex.load(path, count=4000, placement=CPU)
    assert (loaded.count, loaded.kind, loaded.placement) == (4000, either.kind, CPU)
    among = np.array([FAR + 3 * number for number in range(50)], dtype=np.int64)
    for query in QUERIES[:10]:
        assert loaded.search(query, k=10) == either.search(query, k=10)
        assert loaded.search(query, k=10, among=among) == either.search(query, k=10, among=among)


def test_an_empty_index_may_be_saved(tmp_path: Path) -> None:
    build(VECTORS[:0]).save(tmp_path / "vectors-1.faiss")
    assert VectorIndex.load(tmp_path / "vectors-1.faiss", count=0, placement=CPU).search(QUERIES[0], k=3) == []


def test_a_save_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "vectors-1.faiss"
    build(VECTORS[:10]).save(path)

    def interrupted(index: object, writer: Any) -> None:
        writer.callback(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(faiss, "PyCallbackIOWriter", lambda write: SimpleNamespace(callback=write))
        patch.setattr(faiss, "write_index", interrupted)
        build(VECTORS[:20]).save(path)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert VectorIndex.load(path, count=10, placement=CPU).count == 10


def test_a_missing_file_is_reported_as_damaged(tmp_path: Path) -> None:
    with pytest.raises(IndexDamaged, match=r"vectors-7\.faiss cannot be read"):
        VectorIndex.load(tmp_path / "vectors-7.faiss", count=1, placement=CPU)


@pytest.mark.parametrize("size", [0, 1, 3, 4, 20, 60, 0.1, 0.5, 0.9, -1])
def test_a_truncated_file_is_reported_as_damaged(either: VectorIndex, tmp_path: Path, size: float) -> None:
    path = tmp_path / "vectors-1.faiss"
    either.save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(size * len(whole)) if isinstance(size, float) else size])
    with pytest.raises(IndexDamaged, match=r"vectors-1\.faiss"):
        VectorIndex.load(path, count=4000, placement=CPU)


@pytest.mark.parametrize(
    "content", [b"garbage" * 100, b"\x00" * 1000, b"IxM2" + b"\xff" * 1000, b"IxFI" + b"\x7f" * 99]
)
def test_garbage_is_reported_as_damaged(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "vectors-1.faiss"
    path.write_bytes(content)
    with pytest.raises(IndexDamaged, match=r"vectors-1\.faiss"):
        VectorIndex.load(path, count=1, placement=CPU)


def test_another_number_of_vectors_is_reported_as_damaged(tmp_path: Path) -> None:
    path = tmp_path / "vectors-1.faiss"
    build(VECTORS[:10]).save(path)
    with pytest.raises(IndexDamaged, match="holds 10 vectors, not 11"):
        VectorIndex.load(path, count=11, placement=CPU)


def test_a_faiss_index_without_ids_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "vectors-1.faiss"
    flat = faiss.IndexFlatIP(DIMENSION)
    flat.add(VECTORS[:10])
    faiss.write_index(flat, str(path))
    with pytest.raises(IndexDamaged):
        VectorIndex.load(path, count=10, placement=CPU)
