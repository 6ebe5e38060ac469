"""Metrics against values computed by hand, and the bootstrap against known intervals."""

from __future__ import annotations

from math import log2

import numpy as np
import pytest
from scipy.stats import spearmanr

from echo_index.retriever.evaluation import metrics
from echo_index.retriever.evaluation.metrics import (
    METRICS,
    mean_difference,
    ranking_scores,
    spearman,
    spearman_difference,
)


def test_rankings_are_scored_as_by_hand() -> None:
    judged = {"a": {"x": 2, "y": 1, "z": 0}, "b": {"x": 1}, "c": {"x": 1}}
    rankings = {"a": ["z", "x", "w", "y"], "b": [*(str(number) for number in range(10)), "x"], "c": []}
    scores = ranking_scores(rankings, judged)
    assert tuple(scores) == METRICS
    best = 2 + 1 / log2(3)
    assert scores["nDCG@10"]["a"] == pytest.approx(100 * (2 / log2(3) + 1 / log2(5)) / best), "gains are linear"
    assert scores["MRR@10"] == {"a": 50, "b": 0, "c": 0}, "of what is beyond the tenth nothing counts"
    assert scores["recall@10"] == {"a": 100, "b": 0, "c": 0}
    assert scores["recall@100"] == {"a": 100, "b": 100, "c": 0}


def test_ties_are_not_broken_by_names() -> None:
    documents = [f"{number:03}" for number in range(100)]
    for right, order in (("000", documents), ("099", documents[::-1])):
        assert ranking_scores({"a": order}, {"a": {right: 1}})["MRR@10"]["a"] == 100


def test_spearman_is_that_of_scipy() -> None:
    random = np.random.default_rng(1)
    ours, judged = random.normal(size=40).tolist(), random.integers(0, 5, size=40).tolist()
    assert spearman(ours, judged) == pytest.approx(100 * spearmanr(ours, judged).statistic)
    assert spearman([1, 2, 3], [10, 20, 40]) == pytest.approx(100)
    assert spearman([1, 1, 1], [1, 2, 3]) == 0


def test_the_interval_of_a_difference_is_that_of_theory() -> None:
    """The standard error of 400 differences, half 0 and half 100, is 50 / 20 = 2.5."""
    ours = [100.0, 0.0] * 200
    found = mean_difference(ours, [0.0] * 400)
    assert found.value == 50
    assert found.low == pytest.approx(50 - 1.96 * 2.5, abs=0.4)
    assert found.high == pytest.approx(50 + 1.96 * 2.5, abs=0.4)
    assert mean_difference(ours, [0.0] * 400) == found, "the seed is fixed"


def test_a_difference_is_of_pairs() -> None:
    ours = np.random.default_rng(2).normal(50, 20, size=30)
    found = mean_difference(ours.tolist(), (ours - 3).tolist())
    assert (found.value, found.low, found.high) == pytest.approx((3, 3, 3)), "each question differs by the same"


def test_correlations_are_compared_over_the_same_pairs() -> None:
    random = np.random.default_rng(3)
    judged = random.normal(size=60)
    near, far = judged + random.normal(0, 0.3, size=60), judged + random.normal(0, 2, size=60)
    same = spearman_difference(near.tolist(), (near * 3 + 1).tolist(), judged.tolist())
    assert (same.value, same.low, same.high) == pytest.approx((0, 0, 0))
    better = spearman_difference(near.tolist(), far.tolist(), judged.tolist())
    assert 0 < better.low < better.value < better.high


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "find_spec", lambda name: None)
    with pytest.raises(metrics.MissingPackage, match=r"ir-measures.*pip install 'echo-index\[evaluation\]'"):
        ranking_scores({}, {})
