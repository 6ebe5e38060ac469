"""Measuring an approximate index: the true recall, the fewest candidates that reach a target, changes of the index."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_approximate_index import CODES, COUNT, IDS, NORMALIZATION, QUERIES, exact_among

from echo_index.indexer.catalog.vector_codes import decode_vectors
from echo_index.indexer.vectors.approximate_index import ApproximateIndex
from echo_index.indexer.vectors.faiss_index import FaissIndex
from echo_index.indexer.vectors.index_kind import IndexDescription, SearchParameters
from echo_index.indexer.vectors.recall import HeldOutQueries, choose_parameters, default_parameters

DOCUMENTS = NORMALIZATION.normalize_documents(decode_vectors(CODES))


def filled(kind: str) -> ApproximateIndex:
    index = FaissIndex.train(kind, DOCUMENTS)
    index.add(IDS, DOCUMENTS)
    return ApproximateIndex(index, parameters=SearchParameters(), exact=exact_among)


def known() -> HeldOutQueries:
    queries = HeldOutQueries.of(QUERIES)
    for start in range(0, COUNT, 900):
        queries = queries.with_chunks(IDS[start : start + 900], DOCUMENTS[start : start + 900], QUERIES)
    return queries


def true_recall(index: ApproximateIndex) -> float:
    exact = exact_among(IDS)
    pairs = [({*dict(index.search(query, k=10))}, {*dict(exact.search(query, k=10))}) for query in QUERIES]
    return sum(len(found & wanted) for found, wanted in pairs) / (10 * len(QUERIES))


@pytest.mark.parametrize("kind", ["IVF1,PQ8x4fs", "IVF32,PQ16x4fs", "HNSW8,SQ8"])
@pytest.mark.parametrize("target", [0.6, 0.9])
def test_the_recall_that_is_told_is_the_true_one_and_reaches_the_target(kind: str, target: float) -> None:
    index = filled(kind)
    measured = known().measured(COUNT)
    described = choose_parameters(index, measured, QUERIES, IndexDescription(kind, SearchParameters(), target))
    assert described.recall is not None and described.recall >= target
    assert (described.kind, described.target, described.queries) == (kind, target, len(QUERIES))
    assert described.queries_per_second > 0
    assert true_recall(index.with_parameters(described.parameters)) == pytest.approx(described.recall, abs=0.005)


def test_a_target_that_cannot_be_reached_gives_the_best_there_is() -> None:
    index = filled("IVF1,PQ1x4fs")
    described = choose_parameters(
        index, known().measured(COUNT), QUERIES, IndexDescription("IVF1,PQ1x4fs", SearchParameters(), 0.98)
    )
    assert described.parameters.candidates == 1280
    assert described.has_lost_recall


def test_a_lower_target_is_reached_with_fewer_candidates() -> None:
    index, measured = filled("IVF1,PQ8x4fs"), known().measured(COUNT)
    few, many = (
        choose_parameters(index, measured, QUERIES, IndexDescription("IVF1,PQ8x4fs", SearchParameters(), target))
        for target in (0.5, 0.95)
    )
    assert few.parameters.candidates < many.parameters.candidates


def test_an_index_that_nobody_measured_is_searched_thoroughly() -> None:
    assert default_parameters(filled("IVF32,PQ16x4fs").index).probes == 16
    assert default_parameters(filled("IVF1,PQ16x4fs").index).probes == 1


def test_the_nearest_are_those_of_all_vectors_and_survive_being_stored() -> None:
    queries = HeldOutQueries.parse(known().as_text())
    for query, ids, cosines in zip(QUERIES, queries.ids, queries.cosines, strict=True):
        assert {*ids.tolist()} == {*IDS[np.argsort(-(DOCUMENTS @ query))[:40]].tolist()}
        assert cosines == pytest.approx(np.sort(DOCUMENTS @ query)[::-1][:40], abs=1e-6)
    assert queries.vectors == pytest.approx(QUERIES, abs=1e-3)  # half precision


@settings(max_examples=30, deadline=None)
@given(removed=st.sets(st.integers(0, 99)), again=st.sets(st.integers(0, 99)))
def test_changes_give_what_a_new_comparison_gives(removed: set[int], again: set[int]) -> None:
    ids, vectors = IDS[:100], DOCUMENTS[:100]
    gone, back = np.array(sorted(removed), dtype=int), np.array(sorted(removed & again), dtype=int)
    changed = HeldOutQueries.of(QUERIES).with_chunks(ids, vectors, QUERIES).without(ids[gone])
    if len(back):
        changed = changed.with_chunks(ids[back], vectors[back], QUERIES)
    kept = np.array(sorted({*range(100)} - removed | {*back.tolist()}), dtype=int)
    for query, found in zip(QUERIES, changed.ids, strict=True):
        nearest = ids[kept[np.argsort(-(vectors[kept] @ query))]].tolist() if len(kept) else []
        count = int((found >= 0).sum())
        if not removed - again:
            assert found[:count].tolist() == nearest[:count]
        assert {*found[found >= 0].tolist()} <= {*nearest}
    assert changed.know_their_nearest(len(kept)) == bool(
        np.mean((changed.ids >= 0).sum(axis=1) >= min(10, len(kept))) >= 0.5
    )


def test_queries_that_have_lost_too_many_are_not_measured() -> None:
    queries = known()
    lost = queries.ids[0, :35]
    without = queries.without(lost)
    assert (without.ids[0] >= 0).sum() == 5
    assert len(without.measured(COUNT).vectors) == len(QUERIES) - 1
    assert not queries.without(IDS).know_their_nearest(COUNT)
    assert not HeldOutQueries.of(QUERIES[:0]).know_their_nearest(COUNT)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"count": 2}', '{"count": 2, "vectors": "AAA=", "ids": ""}', "7"])
def test_damaged_queries_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        HeldOutQueries.parse(text)


def test_chunks_that_are_compared_twice_count_once() -> None:
    twice = known().with_chunks(IDS[:900], DOCUMENTS[:900], QUERIES)
    assert all(len({*row}) == 40 for row in twice.ids.tolist())
    assert twice.cosines == pytest.approx(known().cosines, abs=1e-6)
