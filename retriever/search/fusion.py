"""Several rankings to one. Knows ids, ranks and scores, nothing of what they stand for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

RANK_CONSTANT = 10
"""Smaller trusts the first ranks more; in our measurements 10 did better than the 60 of the paper."""


def reciprocal_rank_fusion(
    rankings: Sequence[Sequence[int]], *, rank_constant: int = RANK_CONSTANT
) -> list[tuple[int, float]]:
    """Return (id, score), best first; the score is the sum of 1 / (constant + rank), rank counted from 1.

    Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet", SIGIR 2009.
    """
    scores: dict[int, float] = defaultdict(float)
    for ranking in rankings:
        for rank, identifier in enumerate(ranking, start=1):
            scores[identifier] += 1 / (rank_constant + rank)
    return _best_first(scores)


def zscore_fusion(scores: Sequence[Mapping[int, float]], *, weights: Sequence[float]) -> list[tuple[int, float]]:
    """Return (id, score), best first, of candidates that every ranking has a score for.

    In each ranking the mean of the candidates' scores is taken away and the rest divided by their standard deviation,
    so that cosines and BM25 can be added, each with its weight (a convex combination: Bruch, Gai and Ingber, "An
    Analysis of Fusion Functions for Hybrid Retrieval", arXiv 2210.11934). The least sum is shifted to 0.
    """
    ids = sorted(scores[0])
    if not ids:
        return []
    total = np.zeros(len(ids))
    for of_one, weight in zip(scores, weights, strict=True):
        total += weight * zscores([of_one[identifier] for identifier in ids])
    return _best_first(dict(zip(ids, (total - total.min()).tolist(), strict=True)))


def zscores(scores: Sequence[float]) -> np.ndarray:
    """Return scores less their mean, over their standard deviation; zeros where they are all the same."""
    values = np.asarray(scores, dtype=np.float64)
    spread = values.std()
    return (values - values.mean()) / spread if spread > 0 else np.zeros(len(values))


def _best_first(scores: Mapping[int, float]) -> list[tuple[int, float]]:
    return sorted(scores.items(), key=lambda scored: (-scored[1], scored[0]))
