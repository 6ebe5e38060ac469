"""Search the classical vectors of one generation."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Lock

from echo_index.embeddings.vectors.vector_ops import Vectors
from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.vectors.faiss_index import Ids, VectorIndex
from echo_index.indexer.vectors.normalization import NormalizedQuery, VectorNormalization


class ClassicalIndex:
    """An exact vector index on the CPU, built in RAM at the first search. Thread-safe.

    It needs 2,560 bytes per chunk with the default model. It is meant for comparisons, not for searching large indexes.
    """

    def __init__(self, catalog: Catalog, *, generation: int, normalization: VectorNormalization) -> None:
        self.normalization = normalization
        self._catalog = catalog
        self._generation = generation
        self._lock = Lock()
        self._index: VectorIndex | None = None

    @property
    def count(self) -> int:
        """The number of chunks with a classical vector; chunks that an early version embedded have none."""
        return self._catalog.count_classical_vectors(generation=self._generation)

    def search(self, query: NormalizedQuery, *, k: int, among: Ids | None) -> list[tuple[int, float]]:
        """Return (chunk id, cosine) of the `k` chunks nearest to a query that `normalization` has normalized."""
        return self._get_index().search(query.vector, k=k, among=among)

    def _get_index(self) -> VectorIndex:
        with self._lock:
            if self._index is None:
                count = self.count

                def blocks() -> Iterator[tuple[Ids, Vectors]]:
                    for ids, vectors in self._catalog.classical_vectors(generation=self._generation):
                        yield ids, self.normalization.normalize_documents(vectors)

                self._index = VectorIndex.build(
                    blocks, count=count, dimension=self.normalization.dimension, exact_up_to=count
                )
            return self._index
