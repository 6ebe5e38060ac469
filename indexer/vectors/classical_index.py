"""Search the classical vectors of one generation."""

from __future__ import annotations

from threading import Lock

from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.vectors.chunk_ids import Ids
from echo_index.indexer.vectors.exact_index import ExactIndex
from echo_index.indexer.vectors.normalization import NormalizedQuery, VectorNormalization


class ClassicalIndex:
    """An exact index on the CPU, loaded at the first search. Thread-safe."""

    def __init__(self, catalog: Catalog, *, generation: int, normalization: VectorNormalization) -> None:
        self.normalization = normalization
        self._catalog = catalog
        self._generation = generation
        self._lock = Lock()
        self._index: ExactIndex | None = None

    @property
    def count(self) -> int:
        """The number of chunks with a classical vector; chunks that an early version embedded have none."""
        return self._catalog.count_classical_vectors(generation=self._generation)

    def search(self, query: NormalizedQuery, *, k: int, among: Ids | None) -> list[tuple[int, float]]:
        """Return (chunk id, cosine) of the `k` chunks nearest to a query that `normalization` has normalized."""
        return self._get_index().search(query.vector, k=k, among=among)

    def _get_index(self) -> ExactIndex:
        with self._lock:
            if self._index is None:
                ids, codes = self._catalog.codes("classical", generation=self._generation)
                self._index = ExactIndex(ids, codes, self.normalization)
            return self._index
