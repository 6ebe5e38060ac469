"""The exact index over codes: it finds what comparing all normalized vectors finds, and measures only what it must."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echo_index.embeddings.decoder.int8_products import Int8Products
from echo_index.embeddings.vectors.vector_ops import l2_normalize
from echo_index.errors import IndexDamaged
from echo_index.indexer.catalog.vector_codes import decode_vectors, encode_vectors
from echo_index.indexer.vectors import exact_index as exact_module
from echo_index.indexer.vectors.exact_index import ExactIndex
from echo_index.indexer.vectors.normalization import VectorNormalization
from echo_index.indexer.vectors.normalization_estimate import estimate_normalization

DIMENSION, FAR = 80, 2**40


def language_model_vectors(count: int, *, seed: int = 0) -> npt.NDArray[np.float32]:
    """Return unit vectors around some centres, with a common component that is nearly the whole of each."""
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(40, DIMENSION))[random.integers(0, 40, count)] + random.normal(
        size=(count, DIMENSION)
    )
    vectors[:, 7] += 40
    return l2_normalize(vectors.astype(np.float32))


VECTORS = language_model_vectors(5000)
QUERIES = language_model_vectors(30, seed=1)
NORMALIZATION = estimate_normalization(VECTORS.mean(axis=0), VECTORS[:200], VECTORS[200:800], passages=5000)


def codes_of(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    keys = [number.to_bytes(4, "little") for number in range(len(vectors))]
    return np.frombuffer(b"".join(encode_vectors(vectors, keys)), dtype=np.uint8).reshape(len(vectors), -1)


CODES = codes_of(VECTORS)
DECODED = decode_vectors(CODES)
IDS = FAR + 3 * np.random.default_rng(2).permutation(len(VECTORS))


def opened(count: int = 5000, normalization: VectorNormalization = NORMALIZATION) -> ExactIndex:
    return ExactIndex(IDS[:count], CODES[:count], normalization)


def ranked(
    query: npt.NDArray[np.float32], chosen: npt.NDArray[np.bool_], normalization: VectorNormalization = NORMALIZATION
) -> list[tuple[int, float]]:
    """Return (id, cosine) of all chosen vectors, best first, from their normalized form."""
    cosines = normalization.normalize_documents(DECODED[: len(chosen)]).astype(np.float64) @ query
    return sorted(
        ((int(key), cosine) for key, cosine in zip(IDS[: len(chosen)][chosen], cosines[chosen], strict=True)),
        key=lambda pair: -pair[1],
    )


@pytest.mark.parametrize("k", [1, 10, 100, 4999, 9999])
def test_it_finds_the_nearest_with_their_cosines(k: int) -> None:
    index = opened()
    for query in NORMALIZATION.normalize_queries(QUERIES)[: 30 if k < 1000 else 3]:
        found, expected = index.search(query, k=k), ranked(query, np.ones(5000, dtype=bool))
        assert len({key for key, _ in found}) == min(k, 5000)
        assert [cosine for _, cosine in found] == pytest.approx([cosine for _, cosine in expected[:k]], abs=2e-6)
        cosines = dict(expected)  # of cosines that are equal in float32, either may come first
        assert [cosine for _, cosine in found] == pytest.approx([cosines[key] for key, _ in found], abs=2e-6)


def test_lengths_are_measured_only_of_what_may_be_among_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[int] = []
    lengths = VectorNormalization.document_lengths
    monkeypatch.setattr(
        VectorNormalization,
        "document_lengths",
        lambda self, vectors: (measured.append(len(vectors)), lengths(self, vectors))[1],
    )
    index, [query, *_] = opened(), NORMALIZATION.normalize_queries(QUERIES)
    first = index.search(query, k=10)
    assert 10 <= sum(measured) < 2500
    known = sum(measured)
    assert index.search(query, k=10) == first
    assert sum(measured) == known
    index.search(query, k=5000)
    assert sum(measured) == 5000, "the farthest passages can be told apart only by their own lengths"


def test_a_large_index_is_searched_by_copies_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch  # noqa: F401

    monkeypatch.setattr(exact_module, "int8_products_are_fast", lambda: True)
    made: list[Int8Products] = []
    monkeypatch.setattr(
        exact_module,
        "Int8Products",
        lambda blocks: made.append(Int8Products(blocks)) or made[-1],  # type: ignore[func-returns-value]
    )
    plain, index, queries = opened(), opened(), NORMALIZATION.normalize_queries(QUERIES)
    expected, many = ([plain.search(query, k=k) for query in queries] for k in (20, 2000))
    monkeypatch.setattr(exact_module, "_COPIED_FROM", 5000)
    assert index.search(queries[0], k=20) == expected[0]
    assert made == [], "a single search is faster without"
    assert [index.search(query, k=20) for query in queries] == expected
    assert [index.search(query, k=2000) for query in queries] == many, "of many, some are nearer to each other"
    assert len(made) == 1


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(0, 40),
    k=st.integers(1, 50),
    among=st.none() | st.lists(st.integers(0, 60), unique=True),
    query=st.integers(0, 29),
    is_identity=st.booleans(),
)
def test_search_returns_the_best_k_of_the_allowed_ids(
    count: int, k: int, among: list[int] | None, query: int, is_identity: bool
) -> None:
    normalization = VectorNormalization.identity(DIMENSION, count) if is_identity else NORMALIZATION
    vector = normalization.normalize_queries(QUERIES)[query]
    allowed = np.ones(count, dtype=bool)
    ids = None
    if among is not None:
        ids = np.sort(np.array([IDS[number] if number < 40 else number for number in among], dtype=np.int64))
        allowed = np.isin(IDS[:count], ids)
    found = opened(count, normalization).search(vector, k=k, among=ids)
    expected = ranked(vector, allowed, normalization)[:k]
    assert [key for key, _ in found] == [key for key, _ in expected]


def test_of_equal_vectors_the_lowest_id_comes_first_wherever_it_is_stored() -> None:
    vectors = VECTORS[np.arange(3000) % 7]
    ids = np.random.default_rng(3).permutation(3000)
    index = ExactIndex(ids.astype(np.int64), codes_of(vectors), NORMALIZATION)
    for query in NORMALIZATION.normalize_queries(QUERIES)[:5]:
        found = index.search(query, k=700)
        assert len({cosine for _, cosine in found}) == 2
        groups = [[key for key, cosine in found if cosine == one] for one in dict.fromkeys(c for _, c in found)]
        assert [key for group in groups for key in sorted(group)] == [key for key, _ in found]
        best = vectors[np.flatnonzero(ids == groups[0][0])[0]]
        assert groups[0] == sorted(ids[(vectors == best).all(axis=1)])


def test_a_vector_that_is_the_mean_has_no_direction_and_does_no_harm() -> None:
    no_directions = np.empty((0, DIMENSION), dtype=np.float32)
    moved = VectorNormalization.of(DECODED[3], DECODED[3], no_directions, no_directions[:, 0], 1)
    mean = replace(NORMALIZATION, document_mean=moved.document_mean)
    for query in mean.normalize_queries(QUERIES)[:5]:
        found = opened(100, mean).search(query, k=100)
        assert len(found) == 100
        assert [key for key, _ in found if key != IDS[3]] == [
            key for key, _ in ranked(query, np.ones(100, dtype=bool), mean) if key != IDS[3]
        ]


def test_many_queries_at_once_find_what_each_finds_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact_module, "_BLOCK", 999)
    queries = NORMALIZATION.normalize_queries(QUERIES)
    ids, cosines = opened().search_each(queries, k=5)
    for query, row, scores in zip(queries, ids, cosines, strict=True):
        alone = opened().search(query, k=5)
        assert row.tolist() == [key for key, _ in alone]
        assert scores == pytest.approx([cosine for _, cosine in alone], abs=2e-6)
    assert opened().search_each(queries[:0], k=5)[0].shape == (0, 0)
    assert [found.shape for found in opened(3).search_each(queries[:2], k=5)] == [(2, 3), (2, 3)]
    assert [found.shape for found in opened(0).search_each(queries[:2], k=5)] == [(2, 0), (2, 0)]


def test_vectors_of_ids_are_normalized_and_have_the_order_of_the_ids() -> None:
    rows = [17, 4999, 0, 17, 1234]
    expected = NORMALIZATION.normalize_documents(DECODED[rows])
    assert opened().vectors_of(IDS[rows].tolist()) == pytest.approx(expected, abs=1e-6)
    assert opened().vectors_of([]).shape == (0, DIMENSION)


@pytest.mark.parametrize("missing", [FAR - 1, FAR + 1, FAR + 3 * 5000])
def test_missing_vectors_are_reported_as_damage(missing: int) -> None:
    for count in (5000, 0):
        with pytest.raises(IndexDamaged, match="lacks passages of the catalog"):
            opened(count).vectors_of([missing])


def test_an_empty_index_finds_nothing() -> None:
    index = opened(0)
    assert (index.count, index.kind) == (0, "exact")
    assert index.search(NORMALIZATION.normalize_queries(QUERIES)[0], k=10) == []


@pytest.mark.parametrize("codes", [CODES[:5, :-1], np.zeros_like(CODES[:5]), codes_of(VECTORS[:5, :60])])
def test_what_are_no_codes_of_such_vectors_is_reported_as_damage(codes: npt.NDArray[np.uint8]) -> None:
    with pytest.raises(IndexDamaged, match="cannot be read") as caught:
        ExactIndex(IDS[:5], codes, NORMALIZATION)
    assert "echo-index verify" in caught.value.remedy
