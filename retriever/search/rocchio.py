"""A question's vector, moved towards the best passages found for it. Knows vectors, no words and no index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from echo_index.embeddings.vectors.vector_ops import l2_normalize

if TYPE_CHECKING:
    from echo_index.embeddings.vectors.vector_ops import Vectors

FEEDBACK_CHUNKS = 5
"""The best so many tell more of what is asked: with `NEARNESS`, 3 to 6 are about equal on six public sets."""
FEEDBACK_WEIGHT = 0.75
"""Of their mean beside the question's vector: 0.5 to 1 are about equal there."""
NEARNESS = 0.1
"""A passage whose cosine with the question is lower by so much counts e times less: 0.1 to 0.3 are about equal."""
_COPY = 0.999  # the least cosine of a passage with its copy


def rocchio(
    query: Vectors, ranked: Sequence[int], vectors: Mapping[int, Vectors], *, most: int = FEEDBACK_CHUNKS
) -> Vectors:
    """Return a question's unit vector (dimension,), moved towards the best `most` passages of a ranking of ids.

    What the best passages agree on says more of what is asked than the question alone: Rocchio's feedback on vectors
    (Li and others, arXiv 2108.11044). The nearer they are to the question, the more they count, as in relevance models
    (Lavrenko and Croft, SIGIR 2001): where one stands out, the others are hardly heard. Where there are none, or `most`
    is 0, the vector stays as it is.
    """
    best = _different(ranked, vectors, most=most)
    if not best:
        return query
    near = np.array([float(one @ query) for one in best])
    weights = np.exp((near - near.max()) / NEARNESS)
    mean = np.average(best, axis=0, weights=weights)
    [towards] = l2_normalize((query + FEEDBACK_WEIGHT * mean).astype(np.float32)[None, :])
    return np.asarray(towards, dtype=np.float32)


def cosines(vectors: Mapping[int, Vectors], query: Vectors) -> dict[int, float]:
    """Return the cosine of each unit vector with that of a question."""
    if not vectors:
        return {}
    # einsum has no threads of its own, unlike the matrix product, whose threads would slow the model's down
    products = np.einsum("ij,j->i", np.stack(list(vectors.values())), query)
    return dict(zip(vectors, products.tolist(), strict=True))


def _different(ranked: Sequence[int], vectors: Mapping[int, Vectors], *, most: int) -> list[Vectors]:
    """Return the vectors of the first passages, a copy of one before it left out."""
    chosen: list[Vectors] = []
    for identifier in ranked:
        if len(chosen) == most:
            break
        if all(float(one @ vectors[identifier]) < _COPY for one in chosen):
            chosen.append(vectors[identifier])
    return chosen
