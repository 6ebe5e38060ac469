"""The search in two steps: candidates come from FAISS, cosines and order from the codes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from echo_index.embeddings.vectors.vector_ops import l2_normalize
from echo_index.indexer.catalog.vector_codes import decode_vectors, encode_vectors
from echo_index.indexer.vectors import approximate_index as module
from echo_index.indexer.vectors.approximate_index import ApproximateIndex
from echo_index.indexer.vectors.exact_index import ExactIndex
from echo_index.indexer.vectors.faiss_index import FaissIndex
from echo_index.indexer.vectors.index_kind import SearchParameters
from echo_index.indexer.vectors.normalization import VectorNormalization

DIMENSION, COUNT = 64, 5000
RANDOM = np.random.default_rng(0)
VECTORS = l2_normalize(RANDOM.normal(size=(COUNT, DIMENSION)).astype(np.float32))
VECTORS[10] = VECTORS[4321]  # equal ones come in the order of their ids
IDS = 5 + 2 * np.arange(COUNT, dtype=np.int64)
_BLOBS = encode_vectors(VECTORS, [b""] * COUNT)
CODES = np.frombuffer(b"".join(_BLOBS), dtype=np.uint8).reshape(COUNT, -1)
NORMALIZATION = VectorNormalization.of(
    np.full(DIMENSION, 0.01, dtype=np.float32),
    np.zeros(DIMENSION, dtype=np.float32),
    np.empty((0, DIMENSION), dtype=np.float32),
    np.empty(0, dtype=np.float32),
    COUNT,
)
QUERIES = l2_normalize(VECTORS[:40] + 0.1 * RANDOM.normal(size=(40, DIMENSION)).astype(np.float32))


def exact_among(ids: npt.NDArray[np.int64]) -> ExactIndex:
    return ExactIndex(ids, CODES[(ids - 5) // 2], NORMALIZATION)


@pytest.fixture(scope="module")
def index() -> ApproximateIndex:
    vectors = NORMALIZATION.normalize_documents(decode_vectors(CODES))
    filled = FaissIndex.train("IVF1,PQ16x4fs", vectors)
    filled.add(IDS, vectors)
    return ApproximateIndex(filled, parameters=SearchParameters(candidates=640), exact=exact_among)


def test_what_is_found_is_what_an_exact_search_finds(index: ApproximateIndex) -> None:
    exact = exact_among(IDS)
    found, wanted = ([space.search(query, k=10) for query in QUERIES] for space in (index, exact))
    shared = [len({*map(tuple, one)} & {*map(tuple, two)}) for one, two in zip(found, wanted, strict=True)]
    assert sum(shared) >= 0.99 * 400, "with the same cosines, bit by bit"
    assert index.kind == "approximate" and index.count == COUNT


def test_equal_vectors_come_in_the_order_of_their_ids(index: ApproximateIndex) -> None:
    vector = NORMALIZATION.normalize_documents(decode_vectors(CODES[10:11]))[0]
    assert [key for key, _ in index.search(vector, k=2)] == [25, 5 + 2 * 4321]


def test_more_results_than_candidates_can_be_asked_for(index: ApproximateIndex) -> None:
    hasty = index.with_parameters(SearchParameters(candidates=1))
    assert len(hasty.search(QUERIES[0], k=100)) == 100
    assert len(index.search(QUERIES[0], k=2 * COUNT)) == COUNT


@pytest.mark.parametrize("exact_among_at_most", [0, COUNT])
@pytest.mark.parametrize("step", [2, 50, 1000])
def test_a_filter_limits_the_search(
    index: ApproximateIndex, step: int, exact_among_at_most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_EXACT_AMONG", exact_among_at_most)
    among = IDS[::step]
    for query in QUERIES[:10]:
        assert index.search(query, k=5, among=among) == exact_among(among).search(query, k=5)


def test_a_filter_that_nothing_passes_finds_nothing(index: ApproximateIndex) -> None:
    assert index.search(QUERIES[0], k=5, among=IDS[:0]) == []


def test_many_queries_at_once_find_what_each_finds_alone(
    index: ApproximateIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TOGETHER", 16)
    ids, cosines = index.search_each(QUERIES, k=5)
    for query, row, scores in zip(QUERIES, ids, cosines, strict=True):
        alone = index.search(query, k=5)
        assert row.tolist() == [key for key, _ in alone]
        assert scores == pytest.approx([score for _, score in alone], abs=1e-6)
    assert index.search_each(QUERIES[:0], k=5)[0].shape == (0, 5)


def test_vectors_of_ids_have_the_order_of_the_ids(index: ApproximateIndex) -> None:
    rows = [17, 4999, 0, 17, 1234]
    expected = NORMALIZATION.normalize_documents(decode_vectors(CODES[rows]))
    assert index.vectors_of([5 + 2 * row for row in rows]) == pytest.approx(expected, abs=1e-6)
    assert index.vectors_of([]).shape == (0, DIMENSION)
