"""Search all vectors on a GPU, exactly."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import faiss
import numpy as np

from echo_index.embeddings.vectors.vector_ops import Vectors
from echo_index.indexer.vectors.approximate_index import ExactIndexOf
from echo_index.indexer.vectors.chunk_ids import Ids

_MOST_RESULTS = 2048  # the limit of FAISS's GPU kernels


class GpuIndex:
    """The normalized vectors of chunks on a GPU, by chunk id, searched exactly. Thread-safe.

    What the GPU cannot do is done on the CPU: filters, and very many results.
    """

    kind = "exact"

    def __init__(self, blocks: Iterable[tuple[Ids, Vectors]], *, dimension: int, exact: ExactIndexOf) -> None:
        """Copy blocks of chunk ids and unit vectors to the GPU; `exact` is for searches on the CPU."""
        flat = faiss.IndexFlatIP(dimension)
        ids = [np.empty(0, dtype=np.int64)]
        for block_ids, vectors in blocks:
            ids.append(block_ids)
            flat.add(vectors)
        self._ids = np.concatenate(ids)
        self._exact = exact
        self._resources = faiss.StandardGpuResources()
        self._index = faiss.index_cpu_to_gpu(self._resources, 0, flat)

    @property
    def count(self) -> int:
        """The number of vectors."""
        return len(self._ids)

    def search(self, query: Vectors, *, k: int, among: Ids | None = None) -> list[tuple[int, float]]:
        """Return (chunk id, cosine) of the `k` vectors nearest to a unit vector (dimension,), best first.

        `among` limits the search to these ids, in ascending order. The result may be shorter than `k`.
        """
        if among is not None or k > _MOST_RESULTS:
            return self._exact(self._ids if among is None else among).search(query, k=k)
        ids, cosines = self.search_each(query[None, :], k=k)
        return list(zip(ids[0].tolist(), cosines[0].tolist(), strict=True))

    def search_each(self, queries: Vectors, *, k: int) -> tuple[Ids, Vectors]:
        """Return (chunk ids, cosines), each (n, at most `k`), nearest to each unit row of `queries`, best first."""
        k = min(k, self.count, _MOST_RESULTS)
        if k == 0 or not len(queries):
            return np.empty((len(queries), 0), dtype=np.int64), np.empty((len(queries), 0), dtype=np.float32)
        cosines, positions = self._index.search(queries, k)
        return self._ids[positions], cosines

    def vectors_of(self, ids: Sequence[int]) -> Vectors:
        """Return the normalized vectors (n, dimension) of these chunk ids.

        Raises:
            IndexDamaged: a chunk has no vector.
        """
        return self._exact(np.unique(np.asarray(ids, dtype=np.int64))).vectors_of(ids)
