"""Several rankings to one. Knows ids and ranks, nothing of what they stand for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

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
    return sorted(scores.items(), key=lambda scored: (-scored[1], scored[0]))
