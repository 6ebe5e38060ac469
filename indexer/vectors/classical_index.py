"""The classical vectors of one generation, searched: what one reading of each text finds. Knows no model by name."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Lock

from echo_index.embeddings.vectors.vector_ops import Vectors
from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.vectors.faiss_index import Ids, VectorIndex
from echo_index.indexer.vectors.normalization import VectorNormalization


class ClassicalIndex:
    """An exact vector index on the CPU, made when it is first searched and kept in memory only. Thread-safe.

    It takes 2,560 bytes a passage with the default model: it is for comparing, not for searching large indexes.
    """

    def __init__(self, catalog: Catalog, *, generation: int, normalization: VectorNormalization) -> None:
        self._catalog = catalog
        self._generation = generation
        self._normalization = normalization
        self._lock = Lock()
        self._made: VectorIndex | None = None

    @property
    def count(self) -> int:
        """How many passages have a classical vector; those embedded before these vectors were kept have none."""
        return self._catalog.count_classical_vectors(generation=self._generation)

    def search(self, query: Vectors, *, k: int, among: Ids | None) -> list[tuple[int, float]]:
        """Return (chunk id, cosine) of the best `k` for a question's vector (dimension,), as the encoder gave it."""
        return self._index().search(self._normalization.normalize_queries(query[None, :])[0], k=k, among=among)

    def _index(self) -> VectorIndex:
        with self._lock:
            if self._made is None:
                count = self.count

                def blocks() -> Iterator[tuple[Ids, Vectors]]:
                    for ids, vectors in self._catalog.classical_vectors(generation=self._generation):
                        yield ids, self._normalization.normalize_documents(vectors)

                self._made = VectorIndex.build(
                    blocks, count=count, dimension=self._normalization.dimension, exact_up_to=count
                )
            return self._made
