"""Exact nearest-neighbour search over blocks of vectors."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from echo_index.embeddings.vectors.vector_ops import Vectors, inner_products
from echo_index.retriever.search.hits import Scored

Block = tuple[npt.NDArray[np.int64], Vectors]
"""Ids (n,) and their vectors (n, dimension)."""


def exact_search(blocks: Iterable[Block], queries: Vectors, *, k: int) -> list[Scored]:
    """Return for each query (m, dimension) the `k` vectors with the highest inner product: (id, score), best first.

    There are fewer if there are fewer vectors.
    """
    ids = np.empty((len(queries), 0), dtype=np.int64)
    scores = np.empty((len(queries), 0), dtype=np.float32)
    for block_ids, vectors in blocks:
        products = inner_products(queries, vectors)
        ids = np.hstack([ids, np.broadcast_to(block_ids, products.shape)])
        scores = np.hstack([scores, products])
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        ids, scores = np.take_along_axis(ids, order, axis=1), np.take_along_axis(scores, order, axis=1)
    return [
        list(zip(row_ids, row_scores, strict=True))
        for row_ids, row_scores in zip(ids.tolist(), scores.tolist(), strict=True)
    ]
