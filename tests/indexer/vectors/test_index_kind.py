"""Which kind of index a number of vectors gets."""

from __future__ import annotations

import pytest

from echo_index.errors import IndexKindError
from echo_index.indexer.vectors.faiss_index import validate_kind
from echo_index.indexer.vectors.index_kind import IndexChoice, IndexDescription, SearchParameters, approximate_kind


def test_few_vectors_are_searched_exactly_unless_a_kind_is_named() -> None:
    assert IndexChoice().kind_for(100_000, dimension=640) == "exact"
    assert IndexChoice().kind_for(100_001, dimension=640) == "IVF1,PQ160x4fs"
    assert IndexChoice("IVF64,SQ8").kind_for(5, dimension=640) == "IVF64,SQ8"
    assert IndexChoice("IVF64,SQ8").kind_for(0, dimension=640) == "exact"
    for name in ("exact", "Flat", "EXACT"):
        assert IndexChoice(name).kind_for(10**9, dimension=640) == "exact"


def test_very_many_vectors_get_cells() -> None:
    assert approximate_kind(5_000_000, dimension=640) == "IVF1,PQ160x4fs"
    assert approximate_kind(5_000_001, dimension=640) == "IVF8192,PQ160x4fs"
    assert approximate_kind(100_000_000, dimension=64) == "IVF32768,PQ16x4fs"
    assert approximate_kind(200_000, dimension=3) == "IVF1,PQ1x4fs"


@pytest.mark.parametrize(("dimension", "codes"), [(640, 160), (250, 50), (62, 2), (7, 1)])
def test_codes_stand_for_equally_many_components(dimension: int, codes: int) -> None:
    kind = approximate_kind(200_000, dimension=dimension)
    assert kind == f"IVF1,PQ{codes}x4fs"
    validate_kind(kind, dimension=dimension)


@pytest.mark.parametrize("recall", [0.0, -1, 1.01, float("nan")])
def test_a_recall_that_is_none_is_refused(recall: float) -> None:
    with pytest.raises(IndexKindError, match="must be above 0 and at most 1"):
        IndexChoice(recall=recall)


def test_more_results_need_more_candidates() -> None:
    parameters = SearchParameters(candidates=160)
    assert [parameters.candidates_for(k) for k in (1, 10, 11, 100)] == [160, 160, 165, 610]


def test_a_lost_recall_is_one_below_the_target() -> None:
    parameters = SearchParameters()
    assert not IndexDescription("IVF1,SQ8", parameters, target=0.98).has_lost_recall  # nobody measured it
    assert not IndexDescription("IVF1,SQ8", parameters, target=0.98, recall=0.98).has_lost_recall
    assert IndexDescription("IVF1,SQ8", parameters, target=0.98, recall=0.9799).has_lost_recall
