"""A question's vector, moved towards the best passages found for it. Knows vectors, no words and no index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from echo_embeddings import unit_rows

if TYPE_CHECKING:
    from echo_embeddings import Vectors

FEEDBACK = 3
"""The best so many tell more of what is asked: 2 to 5 are about equal on six public sets."""
FEEDBACK_WEIGHT = 0.5
"""Of their mean beside the question's vector: 0.5 to 1 are about equal there."""
_COPY = 0.999  # the least cosine of a passage with its copy


def moved(asked: Vectors, ranked: Sequence[int], vectors: Mapping[int, Vectors], *, most: int = FEEDBACK) -> Vectors:
    """Return a question's unit vector (dimension,), moved towards the best `most` passages of a ranking of ids.

    What the best passages agree on says more of what is asked than the question alone: Rocchio's feedback on vectors
    (Li and others, arXiv 2108.11044). Where there are none, or `most` is 0, the vector stays as it is.
    """
    best = _different(ranked, vectors, most=most)
    return unit_rows((asked + FEEDBACK_WEIGHT * np.mean(best, axis=0))[None, :])[0] if best else asked


def cosines(vectors: Mapping[int, Vectors], asked: Vectors) -> dict[int, float]:
    """Return the cosine of each unit vector with that of a question."""
    if not vectors:
        return {}
    # einsum has no threads of its own, unlike the matrix product, whose threads would slow the model's down
    products = np.einsum("ij,j->i", np.stack(list(vectors.values())), asked)
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
