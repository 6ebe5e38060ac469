"""The contrastive loss between queries and documents (InfoNCE), and the mean reciprocal rank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F


@dataclass(frozen=True, eq=False)
class ContrastiveBatch:
    """The unit vectors of a batch: queries (n, dimension) and documents (m, dimension).

    Document i is the positive of query i; those after the first n are hard negatives. `false_negative_mask` (n, m),
    bool, marks documents that are as right for a query as its positive: they do not count as negatives.
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
    """Return the mean of the InfoNCE losses (arXiv 1807.03748) from queries to documents and back: a scalar.

    Args:
        batch: The vectors.
        temperature: Cosines are divided by this.
        dimensions: The loss is the mean over the whole vectors and their first so many dimensions (Matryoshka, arXiv
            2205.13147).
        teacher: Cosines (n, m) of a teacher to learn from by cross entropy with its softmax at the same temperature
            (Hinton et al., arXiv 1503.02531), false negatives included.
        distillation_weight: The weight of the teacher's part of the loss, from 0 to 1.
    """
    losses = []
    for width in [batch.queries.shape[1], *dimensions]:
        queries, documents = (F.normalize(vectors[:, :width], dim=1) for vectors in (batch.queries, batch.documents))
        scores = queries @ documents.T / temperature
        loss = _symmetric_cross_entropy(scores.masked_fill(batch.false_negative_mask, -torch.inf))
        if teacher is not None:
            distillation = _symmetric_cross_entropy(scores, teacher / temperature)
            loss = (1 - distillation_weight) * loss + distillation_weight * distillation
        losses.append(loss)
    return torch.stack(losses).mean()


def mean_reciprocal_rank(queries: torch.Tensor, documents: torch.Tensor) -> float:
    """Return 100 times the mean of 1 / rank of each query's own document; unit vectors (n, dimension) each."""
    cosines = queries @ documents.T
    ranks = 1 + (cosines > cosines.diagonal()[:, None]).sum(dim=1)
    return 100 * float((1 / ranks).mean())


def _symmetric_cross_entropy(scores: torch.Tensor, teacher: torch.Tensor | None = None) -> torch.Tensor:
    """Return the mean cross entropy over the rows, and over the first n columns, of scores (n, m).

    The targets are the diagonal, or the softmax of the scores of a `teacher` (n, m).
    """
    count = len(scores)
    diagonal = torch.arange(count, device=scores.device)
    square = scores[:, :count]
    if teacher is None:
        return (F.cross_entropy(scores, diagonal) + F.cross_entropy(square.T, diagonal)) / 2
    forward = F.cross_entropy(scores, teacher.softmax(dim=1))
    backward = F.cross_entropy(square.T, teacher[:, :count].T.softmax(dim=1))
    return (forward + backward) / 2
