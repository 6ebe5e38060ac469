"""Merging rankings."""

from __future__ import annotations

import pytest

from echo_index.retriever.search.fusion import reciprocal_rank_fusion, zscore_fusion


def test_what_stands_high_in_both_rankings_wins() -> None:
    fused = reciprocal_rank_fusion([[1, 2, 3], [2, 4, 1]], rank_constant=60)
    assert [identifier for identifier, _ in fused] == [2, 1, 4, 3]
    assert dict(fused)[2] == pytest.approx(1 / 62 + 1 / 61)


def test_ties_are_broken_by_id_so_that_results_repeat() -> None:
    assert [identifier for identifier, _ in reciprocal_rank_fusion([[9], [4]])] == [4, 9]


def test_nothing_ranked_is_nothing_fused() -> None:
    assert reciprocal_rank_fusion([[], []]) == []


def test_scores_of_different_scales_are_added_as_standard_scores() -> None:
    cosines, words = {1: 0.9, 2: 0.5, 3: 0.1}, {1: 0.0, 2: 30.0, 3: 0.0}
    fused = dict(zscore_fusion([cosines, words], weights=[1.0, 0.5]))
    spread = 1.5**0.5  # of three equal steps, in standard deviations from the mean
    expected = {1: spread - 0.5 * 0.5**0.5, 2: 0.5 * 2**0.5, 3: -spread - 0.5 * 0.5**0.5}
    assert fused == pytest.approx({key: value - expected[3] for key, value in expected.items()})
    assert list(fused) == [1, 2, 3]


def test_a_ranking_that_tells_nothing_apart_changes_nothing() -> None:
    fused = zscore_fusion([{1: 0.2, 2: 0.4}, {1: 7.0, 2: 7.0}], weights=[1.0, 1.0])
    assert fused == [(2, pytest.approx(2.0)), (1, 0.0)]
    assert zscore_fusion([{}, {}], weights=[1.0, 1.0]) == []
