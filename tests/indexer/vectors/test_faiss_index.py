"""The FAISS index of candidates: its kinds, changes, filters, and damaged files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
import pytest

from echo_index.errors import IndexDamaged, IndexKindError
from echo_index.indexer.vectors import faiss_index
from echo_index.indexer.vectors.faiss_index import (
    FaissIndex,
    principal_axes,
    training_size,
    validate_checksum,
    validate_kind,
)
from echo_index.indexer.vectors.index_kind import SearchParameters

DIMENSION = 64
KINDS = ["IVF1,PQ16x4fs", "IVF16,PQ16x4fs", "IVF16,SQ8", "HNSW16,SQ8", "PCA32,IVF4,SQ8", "IVF4,PQ16x4fs,Refine(SQ8)"]
THOROUGH = SearchParameters(probes=16, breadth=400)


def clustered(count: int, *, seed: int = 0) -> npt.NDArray[np.float32]:
    """Return unit vectors around a few dozen centres."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(40, DIMENSION))
    vectors = centres[random.integers(0, 40, count)] + 0.5 * random.normal(size=(count, DIMENSION))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


VECTORS = clustered(2000)
IDS = 7 + 3 * np.arange(2000, dtype=np.int64)
QUERIES = clustered(30, seed=0)[:20] + 0.05 * clustered(20, seed=2)


def build(kind: str = "IVF1,PQ16x4fs", count: int = 2000) -> FaissIndex:
    """Return an index in which vector n has the id 7 + 3 n."""
    index = FaissIndex.train(kind, VECTORS)
    for start in range(0, count, 700):
        index.add(IDS[start : min(start + 700, count)], VECTORS[start : min(start + 700, count)])
    return index


def best(query: npt.NDArray[np.float32], k: int, among: npt.NDArray[np.int64] | None = None) -> set[int]:
    rows = np.arange(2000) if among is None else (among - 7) // 3
    return {int(key) for key in IDS[rows[np.argsort(-(VECTORS[rows] @ query))[:k]]]}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Limit FAISS to one thread: training with several is slow while other processes use the cores."""
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    yield
    faiss.omp_set_num_threads(threads)


# Kinds


@pytest.mark.parametrize("kind", KINDS)
def test_candidates_hold_nearly_all_of_the_nearest(kind: str) -> None:
    found = build(kind).candidates(QUERIES, k=60, parameters=THOROUGH)
    assert found.shape == (20, 60)
    shared = [len(best(query, 10) & {*row.tolist()}) for query, row in zip(QUERIES, found, strict=True)]
    assert sum(shared) >= 0.97 * 200


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("IVF16,PQ7x4fs", "cannot be|There is no index kind 'IVF16,PQ7x4fs' for vectors of 64"),
        ("nonsense", "^There is no index kind 'nonsense' for vectors of 64 dimensions: could not parse index string"),
        ("SQ8", "'SQ8' cannot be searched here"),
        ("PQ16x4fs", "cannot be searched here"),  # it knows no filters
    ],
)
def test_a_kind_that_cannot_be_used_is_refused(kind: str, reason: str) -> None:
    with pytest.raises(IndexKindError, match=reason) as caught:
        validate_kind(kind, dimension=DIMENSION)
    assert "IVF1024,PQ160x4fs" in caught.value.remedy


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_that_can_be_used_is_valid(kind: str) -> None:
    validate_kind(kind, dimension=DIMENSION)


def test_too_few_vectors_for_the_cells_are_an_error_that_says_so() -> None:
    with pytest.raises(IndexKindError, match="'IVF64,SQ8' cannot be trained with 20 passages"):
        FaissIndex.train("IVF64,SQ8", VECTORS[:20])


def test_more_cells_are_trained_with_more_vectors() -> None:
    assert training_size("IVF1,PQ16x4fs", dimension=DIMENSION) == training_size("HNSW16,SQ8", dimension=DIMENSION)
    assert training_size("IVF1024,SQ8", dimension=DIMENSION) == 64 * 1024


@pytest.mark.parametrize("kind", KINDS)
def test_cells_and_graphs_are_recognized(kind: str) -> None:
    index = build(kind)
    assert index.has_graph == kind.startswith("HNSW")
    cells = {"IVF1,PQ16x4fs": 1, "HNSW16,SQ8": 1, "PCA32,IVF4,SQ8": 4, "IVF4,PQ16x4fs,Refine(SQ8)": 4}
    assert index.cells == cells.get(kind, 16)


def test_more_probes_and_more_breadth_find_more() -> None:
    far = clustered(20, seed=9)

    def found(kind: str, parameters: SearchParameters) -> int:
        rows = build(kind).candidates(far, k=60, parameters=parameters)
        return sum(len(best(query, 10) & {*row.tolist()}) for query, row in zip(far, rows, strict=True))

    assert found("IVF16,SQ8", SearchParameters(probes=1)) < found("IVF16,SQ8", SearchParameters(probes=16))
    hasty, thorough = SearchParameters(breadth=1), SearchParameters(breadth=400)
    assert found("HNSW4,SQ8", hasty) < found("HNSW4,SQ8", thorough)


# Changing


@pytest.mark.parametrize("kind", KINDS)
def test_ids_are_those_that_were_added(kind: str) -> None:
    assert build(kind).ids().tolist() == IDS.tolist()
    assert build(kind).count == 2000
    assert build(kind, 0).ids().tolist() == []


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "HNSW" not in kind and "Refine" not in kind])
def test_removed_vectors_are_not_found_and_the_others_are(kind: str) -> None:
    index, removed = build(kind), IDS[::2]
    assert index.remove(removed)
    assert index.ids().tolist() == IDS[1::2].tolist()
    found = index.candidates(QUERIES, k=60, parameters=THOROUGH)
    assert not {*found.ravel().tolist()} & {*removed.tolist()}
    shared = [len(best(query, 10, IDS[1::2]) & {*row.tolist()}) for query, row in zip(QUERIES, found, strict=True)]
    assert sum(shared) >= 0.97 * 200
    index.add(removed, VECTORS[::2])
    assert index.ids().tolist() == IDS.tolist()


def test_a_graph_says_that_it_cannot_forget() -> None:
    assert not build("HNSW16,SQ8").remove(IDS[:5])


# Filters


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", [2, 7, 400])
def test_a_filter_limits_the_candidates_to_its_ids(kind: str, step: int) -> None:
    among = IDS[::step]
    found = build(kind).candidates(QUERIES, k=60, parameters=SearchParameters(probes=16, breadth=2000), among=among)
    assert {*found.ravel().tolist()} <= {*among.tolist(), -1}
    wanted = min(10, len(among))
    shared = [len(best(query, wanted, among) & {*row.tolist()}) for query, row in zip(QUERIES, found, strict=True)]
    assert sum(shared) >= 0.95 * 20 * wanted


def test_a_filter_may_be_empty_or_hold_unknown_ids() -> None:
    index = build()
    for among in ([], [1, 8, 100_000]):
        found = index.candidates(QUERIES, k=5, parameters=THOROUGH, among=np.array(among, dtype=np.int64))
        assert {*found.ravel().tolist()} <= {-1}


def test_no_more_candidates_than_vectors_and_none_without_queries() -> None:
    assert sorted(build(count=3).candidates(QUERIES[:1], k=50, parameters=THOROUGH)[0].tolist()) == [7, 10, 13]
    assert build(count=0).candidates(QUERIES, k=5, parameters=THOROUGH).shape == (20, 0)
    assert build().candidates(QUERIES[:0], k=5, parameters=THOROUGH).shape == (0, 0)


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


# Saving and loading


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mapped", [False, True])
def test_a_saved_index_answers_as_before(
    kind: str, mapped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if mapped:
        monkeypatch.setattr(faiss_index, "_MAPPED_FROM", 0)
    path, index = tmp_path / "vectors-1.faiss", build(kind)
    assert index.save(path) == path.stat().st_size
    assert [file.name for file in tmp_path.iterdir()] == ["vectors-1.faiss"]
    loaded = FaissIndex.load(path, count=2000)
    assert loaded.ids().tolist() == IDS.tolist()
    for among in (None, IDS[:500]):
        before = index.candidates(QUERIES, k=30, parameters=THOROUGH, among=among)
        assert loaded.candidates(QUERIES, k=30, parameters=THOROUGH, among=among).tolist() == before.tolist()


def test_a_save_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "vectors-1.faiss"
    build(count=10).save(path)

    def interrupted(index: object, writer: Any) -> None:
        writer.callback(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(faiss, "PyCallbackIOWriter", lambda write: SimpleNamespace(callback=write))
        patch.setattr(faiss, "write_index", interrupted)
        build(count=20).save(path)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert FaissIndex.load(path, count=10).count == 10


def test_a_missing_file_is_reported_as_damaged(tmp_path: Path) -> None:
    with pytest.raises(IndexDamaged, match=r"vectors-7\.faiss cannot be read"):
        FaissIndex.load(tmp_path / "vectors-7.faiss", count=1)


@pytest.mark.parametrize("size", [0, 1, 3, 4, 20, 60, 0.1, 0.5, 0.9, -1])
def test_a_truncated_file_is_reported_as_damaged(tmp_path: Path, size: float) -> None:
    path = tmp_path / "vectors-1.faiss"
    build().save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(size * len(whole)) if isinstance(size, float) else size])
    with pytest.raises(IndexDamaged, match=r"vectors-1\.faiss"):
        FaissIndex.load(path, count=2000)


@pytest.mark.parametrize(
    "content", [b"garbage" * 100, b"\x00" * 1000, b"IxM2" + b"\xff" * 1000, b"IxFI" + b"\x7f" * 99]
)
def test_garbage_is_reported_as_damaged(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "vectors-1.faiss"
    path.write_bytes(content)
    with pytest.raises(IndexDamaged, match=r"vectors-1\.faiss"):
        FaissIndex.load(path, count=1)


def test_a_changed_byte_of_a_large_file_is_found_when_its_checksum_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "vectors-1.faiss"
    build().save(path)
    whole = bytearray(path.read_bytes())
    whole[-500] ^= 1
    path.write_bytes(whole)
    monkeypatch.setattr(faiss_index, "_MAPPED_FROM", 0)
    assert FaissIndex.load(path, count=2000).count == 2000  # reading it all would take seconds
    with pytest.raises(IndexDamaged, match="its checksum is wrong"):
        validate_checksum(path)


def test_another_number_of_vectors_is_reported_as_damaged(tmp_path: Path) -> None:
    path = tmp_path / "vectors-1.faiss"
    build(count=10).save(path)
    with pytest.raises(IndexDamaged, match="holds 10 vectors, not 11"):
        FaissIndex.load(path, count=11)


def test_a_faiss_index_without_ids_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "vectors-1.faiss"
    flat = faiss.IndexFlatIP(DIMENSION)
    flat.add(VECTORS[:10])
    faiss.write_index(flat, str(path))
    with pytest.raises(IndexDamaged):
        FaissIndex.load(path, count=10, has_checksum=False)
