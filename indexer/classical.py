"""The classical vectors of one generation, searched: what one reading of each text finds. Knows no model by name."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Lock
from typing import TYPE_CHECKING

from echo_embeddings import Vectors, remove_mean
from indexer.catalog import Catalog
from indexer.means import classical_document_mean, classical_query_mean
from indexer.vectors import Ids, VectorIndex

if TYPE_CHECKING:
    from echo_embeddings import EchoEncoder


class ClassicalIndex:
    """An exact vector index on the CPU, made when it is first searched and kept in memory only. Thread-safe.

    It takes 2,560 bytes a passage with the default model: it is for comparing, not for searching large indexes.
    """

    def __init__(self, catalog: Catalog, *, generation: int, dimension: int) -> None:
        self._catalog = catalog
        self._generation = generation
        self._dimension = dimension
        self._lock = Lock()
        self._document_mean: Vectors | None = None
        self._searched: tuple[VectorIndex, Vectors] | None = None

    @property
    def count(self) -> int:
        """How many passages have a classical vector; those embedded before these vectors were kept have none."""
        return self._catalog.count_classical_vectors(generation=self._generation)

    def document_mean(self) -> Vectors:
        """Return the mean (dimension,) of the classical vectors; zero where there are too few of them."""
        with self._lock:
            return self._mean()

    def search(self, query: Vectors, *, k: int, among: Ids | None, encoder: EchoEncoder) -> list[tuple[int, float]]:
        """Return (chunk id, cosine) of the best `k` for a question's classical vector (dimension,).

        The vector is as `encoder` gave it, which the first search asks for the mean of questions.
        """
        vectors, query_mean = self._made(encoder)
        return vectors.search(remove_mean(query[None, :], query_mean)[0], k=k, among=among)

    def _made(self, encoder: EchoEncoder) -> tuple[VectorIndex, Vectors]:
        with self._lock:
            if self._searched is None:
                count, mean = self.count, self._mean()

                def blocks() -> Iterator[tuple[Ids, Vectors]]:
                    for ids, vectors in self._catalog.classical_vectors(generation=self._generation):
                        yield ids, remove_mean(vectors, mean)

                query_mean = classical_query_mean(
                    self._catalog, generation=self._generation, count=count, encoder=encoder
                )
                index = VectorIndex.build(blocks, count=count, dimension=self._dimension, exact_up_to=count)
                self._searched = index, query_mean
            return self._searched

    def _mean(self) -> Vectors:
        if self._document_mean is None:
            self._document_mean = classical_document_mean(
                self._catalog, generation=self._generation, count=self.count, dimension=self._dimension
            )
        return self._document_mean
