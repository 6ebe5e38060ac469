"""Rocchio feedback: move a query vector towards the best chunks found for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from echo_index.embeddings.vectors.vector_ops import l2_normalize

if TYPE_CHECKING:
    from echo_index.embeddings.vectors.vector_ops import Vectors

FEEDBACK_CHUNKS = 5
"""Chunks that the query moves towards. With `SOFTMAX_TEMPERATURE`, 3 to 6 are about equal on six public sets."""
FEEDBACK_WEIGHT = 0.75
"""Weight of their mean relative to the query: 0.5 to 1 are about equal there."""
SOFTMAX_TEMPERATURE = 0.1
"""A chunk whose cosine with the query is lower by this much counts e times less: 0.1 to 0.3 are about equal."""
_MIN_COPY_COSINE = 0.999


def rocchio(
    query: Vectors, ranked: Sequence[int], vectors: Mapping[int, Vectors], *, limit: int = FEEDBACK_CHUNKS
) -> Vectors:
    """Return the unit query vector (dimension,), moved towards the first `limit` distinct chunks of a ranking.

    Rocchio feedback on dense vectors (Li et al., arXiv 2108.11044). Chunks are weighted by a softmax over their cosines
    with the query, as in relevance models (Lavrenko and Croft, SIGIR 2001): if one stands out, the others hardly count.
    Without chunks, or with `limit` 0, the query is returned unchanged.
    """
    best = _distinct_vectors(ranked, vectors, limit=limit)
    if not best:
        return query
    similarities = np.array([float(vector @ query) for vector in best])
    weights = np.exp((similarities - similarities.max()) / SOFTMAX_TEMPERATURE)
    mean = np.average(best, axis=0, weights=weights)
    [moved] = l2_normalize((query + FEEDBACK_WEIGHT * mean).astype(np.float32)[None, :])
    return np.asarray(moved, dtype=np.float32)


def cosines(vectors: Mapping[int, Vectors], query: Vectors) -> dict[int, float]:
    """Return the cosine of each unit vector with the unit query vector, by the same keys."""
    if not vectors:
        return {}
    # Unlike a matrix product, einsum starts no threads, which would slow down those of the model.
    products = np.einsum("ij,j->i", np.stack(list(vectors.values())), query)
    return dict(zip(vectors, products.tolist(), strict=True))


def _distinct_vectors(ranked: Sequence[int], vectors: Mapping[int, Vectors], *, limit: int) -> list[Vectors]:
    """Return the vectors of the first chunks, without copies of earlier ones."""
    chosen: list[Vectors] = []
    for identifier in ranked:
        if len(chosen) == limit:
            break
        if all(float(other @ vectors[identifier]) < _MIN_COPY_COSINE for other in chosen):
            chosen.append(vectors[identifier])
    return chosen
