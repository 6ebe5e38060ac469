"""Search many vectors in two steps: a FAISS index finds candidates, and their codes are compared exactly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from echo_index.embeddings.vectors.vector_ops import Vectors
from echo_index.indexer.vectors.chunk_ids import Ids
from echo_index.indexer.vectors.exact_index import ExactIndex
from echo_index.indexer.vectors.index_kind import SearchParameters

if TYPE_CHECKING:  # FAISS takes a fifth of a second to load
    from echo_index.indexer.vectors.faiss_index import FaissIndex

ExactIndexOf = Callable[[Ids], ExactIndex]
"""Returns an exact index of the vectors of some chunks."""

_EXACT_AMONG = 4096  # chunks: so few that pass a filter are all compared
_TOGETHER = 64  # queries whose candidates are read at once


class ApproximateIndex:
    """The vectors of chunks in a FAISS index, of which only candidates are compared exactly. Thread-safe.

    So the cosines are those of an exact search. What is missing among the results, the candidates lacked.
    """

    kind = "approximate"

    def __init__(self, index: FaissIndex, *, parameters: SearchParameters, exact: ExactIndexOf) -> None:
        self.index = index
        self.parameters = parameters
        self._exact = exact

    def with_parameters(self, parameters: SearchParameters) -> ApproximateIndex:
        """Return the same index, searched with other parameters."""
        return ApproximateIndex(self.index, parameters=parameters, exact=self._exact)

    @property
    def count(self) -> int:
        """The number of vectors."""
        return self.index.count

    def search(self, query: Vectors, *, k: int, among: Ids | None = None) -> list[tuple[int, float]]:
        """Return (chunk id, cosine) of the `k` vectors nearest to a normalized query (dimension,), best first.

        Of equal vectors, the one with the lowest id comes first. `among` limits the search to these ids, in ascending
        order. The result may be shorter than `k`.
        """
        if among is not None and len(among) <= _EXACT_AMONG:
            return self._exact(among).search(query, k=k)
        found = self.index.candidates(
            query[None, :], k=self.parameters.candidates_for(k), parameters=self.parameters, among=among
        )[0]
        return self._exact(np.sort(found[found >= 0])).search(query, k=k)

    def search_each(self, queries: Vectors, *, k: int) -> tuple[Ids, Vectors]:
        """Return (chunk ids, cosines), each (n, at most `k`), nearest to each unit row of `queries`, best first.

        Short results are padded with the id -1.
        """
        k = min(k, self.count)
        ids = np.full((len(queries), k), -1, dtype=np.int64)
        cosines = np.zeros((len(queries), k), dtype=np.float32)
        for start in range(0, len(queries), _TOGETHER):
            block = queries[start : start + _TOGETHER]
            found = self.index.candidates(block, k=self.parameters.candidates_for(k), parameters=self.parameters)
            union = np.unique(found[found >= 0])
            exact = self._exact(union)
            for row, (query, candidates) in enumerate(zip(block, found, strict=True), start=start):
                nearest = exact.search(query, k=k, among=np.sort(candidates[candidates >= 0]))
                ids[row, : len(nearest)] = [key for key, _ in nearest]
                cosines[row, : len(nearest)] = [cosine for _, cosine in nearest]
        return ids, cosines

    def vectors_of(self, ids: Sequence[int]) -> Vectors:
        """Return the normalized vectors (n, dimension) of these chunk ids.

        Raises:
            IndexDamaged: a chunk has no vector.
        """
        return self._exact(np.unique(np.asarray(ids, dtype=np.int64))).vectors_of(ids)
