"""How far vectors of queries are from those of what is right for them, among others: InfoNCE. Knows no texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F


@dataclass(frozen=True, eq=False)
class ContrastiveBatch:
    """The vectors of a batch, unit rows: queries (n, dimension), and documents (m, dimension) of which the first n are
    right for the queries of their number, and the others are wrong.

    `hidden` (n, m), bool, are documents that must not count as wrong for a query, for they are as right.
    """

    queries: torch.Tensor
    documents: torch.Tensor
    false_negative_mask: torch.Tensor


def contrastive_loss(
    batch: ContrastiveBatch,
    *,
    temperature: float,
    dimensions: Sequence[int] = (),
    teacher: torch.Tensor | None = None,
    distillation_weight: float = 0.5,
) -> torch.Tensor:
    """Return the mean InfoNCE loss (arXiv 1807.03748), from queries to documents and back, as a scalar.

    It is the mean over the whole vectors and their first `dimensions`, where there are any (Matryoshka, arXiv
    2205.13147). With the cosines of a `teacher` (n, m), `teacher_share` of it is the cross entropy with the teacher's
    softmax at the same temperature (Hinton and others, arXiv 1503.02531), hidden documents among the others.
    """
    widths = [batch.queries.shape[1], *dimensions]
    losses = []
    for width in widths:
        queries, documents = (F.normalize(each[:, :width], dim=1) for each in (batch.queries, batch.documents))
        scores = queries @ documents.T / temperature
        loss = _both_ways(scores.masked_fill(batch.false_negative_mask, -torch.inf))
        if teacher is not None:
            learned = _both_ways(scores, teacher / temperature)
            loss = (1 - distillation_weight) * loss + distillation_weight * learned
        losses.append(loss)
    return torch.stack(losses).mean()


def mean_reciprocal_rank(queries: torch.Tensor, documents: torch.Tensor) -> float:
    """Return the mean of 1 / the rank of each query's own document among all, x100; unit rows (n, dimension) each."""
    cosines = queries @ documents.T
    ranks = 1 + (cosines > cosines.diagonal()[:, None]).sum(dim=1)
    return 100 * float((1 / ranks).mean())


def _both_ways(scores: torch.Tensor, wanted: torch.Tensor | None = None) -> torch.Tensor:
    """Return the mean cross entropy of each row, and of each column of the first n, with what is wanted there."""
    count = len(scores)
    right = torch.arange(count, device=scores.device)
    square = scores[:, :count]
    if wanted is None:
        return (F.cross_entropy(scores, right) + F.cross_entropy(square.T, right)) / 2
    towards = F.cross_entropy(scores, wanted.softmax(dim=1))
    back = F.cross_entropy(square.T, wanted[:, :count].T.softmax(dim=1))
    return (towards + back) / 2
