"""Merging rankings."""

from __future__ import annotations

import pytest

from retriever import reciprocal_rank_fusion


def test_what_stands_high_in_both_rankings_wins() -> None:
    fused = reciprocal_rank_fusion([[1, 2, 3], [2, 4, 1]], rank_constant=60)
    assert [identifier for identifier, _ in fused] == [2, 1, 4, 3]
    assert dict(fused)[2] == pytest.approx(1 / 62 + 1 / 61)


def test_ties_are_broken_by_id_so_that_results_repeat() -> None:
    assert [identifier for identifier, _ in reciprocal_rank_fusion([[9], [4]])] == [4, 9]


def test_nothing_ranked_is_nothing_fused() -> None:
    assert reciprocal_rank_fusion([[], []]) == []
