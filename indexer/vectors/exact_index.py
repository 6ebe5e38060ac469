"""Search all vectors of a generation by their codes, exactly, without decoding or normalizing them first."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from threading import Lock

import numpy as np

from echo_index.embeddings.decoder.int8_products import Int8Products, int8_products_are_fast
from echo_index.embeddings.vectors.vector_ops import Vectors, inner_products
from echo_index.errors import IndexDamaged
from echo_index.indexer.catalog.vector_codes import CodedVectors, Codes
from echo_index.indexer.vectors.chunk_ids import ChunkIds, Ids, Positions
from echo_index.indexer.vectors.normalization import FoldedQueries, VectorNormalization

_BLOCK = 2048
_COPIED_FROM = 10_000  # vectors
_ROUNDING = 1e-5  # more than an inner product with a unit vector loses by rounding in float32, relative to the length
_MEASURED_SHARE = 0.5  # of all lengths: more searches will not need many fewer
_LEAST_LENGTH = 1e-12


class ExactIndex:
    """The vectors of chunks as codes, by chunk id, searched by the cosine of the normalized vectors. Thread-safe.

    A query is moved to where the vectors are instead of the vectors to where it is, see `FoldedQueries`. So the codes
    take 80 MB for 100,000 vectors of 640 dimensions, and only the vectors that are among the best are decoded. The
    length that the normalization gives a vector is measured when it may be among the best for the first time.
    """

    kind = "exact"

    def __init__(self, ids: Ids, codes: Codes, normalization: VectorNormalization) -> None:
        """Prepare ids (n,) and codes (n, bytes), in any order, for the search.

        Raises:
            IndexDamaged: the codes are none of vectors of the normalization's dimension.
        """
        self._ids = ChunkIds(ids)
        self._codes = codes
        self._normalization = normalization
        self._copies: Int8Products | None = None
        self._has_searched = False
        self._lock = Lock()
        if not len(ids):
            return
        try:
            self._vectors = CodedVectors(codes)
        except ValueError:
            raise _cannot_be_read() from None
        if self._vectors.dimension != normalization.dimension:
            raise _cannot_be_read()
        squares = self._vectors.squares()
        self._longest = float(np.sqrt(squares.max()))
        lengths = normalization.shortest_lengths(squares, self._vectors.products(normalization.mean))
        self._lengths = np.maximum(lengths, _LEAST_LENGTH)  # lower bounds until they are measured
        self._is_measured = np.zeros(len(ids), dtype=bool)

    @property
    def count(self) -> int:
        """The number of vectors."""
        return len(self._ids)

    def search(self, query: Vectors, *, k: int, among: Ids | None = None) -> list[tuple[int, float]]:
        """Return (chunk id, cosine) of the `k` vectors nearest to a normalized query (dimension,), best first.

        Of equal vectors, the one with the lowest id comes first. `among` limits the search to these ids, in ascending
        order. The result may be shorter than `k`.
        """
        positions = np.arange(self.count) if among is None else np.flatnonzero(np.isin(self._ids.values, among))
        k = min(k, len(positions))
        if k == 0:
            return []
        folded = self._normalization.fold_queries(query[None, :])
        products, error = self._products(folded.weights[0], None if among is None else positions)
        products -= folded.offsets[0].astype(np.float32)
        self._measure_best(positions, products, k, error)
        lengths = self._lengths[positions]
        cosines, bounds = products / lengths, error / lengths
        least = np.partition(cosines - bounds, len(positions) - k)[len(positions) - k]
        candidates = positions[cosines + bounds >= least]
        ids, exact = self._ids.values[candidates], self._exact_cosines(candidates, folded)
        order = np.lexsort((ids, -exact))[:k]
        return list(zip(ids[order].tolist(), exact[order].tolist(), strict=True))

    def _products(self, vector: Vectors, positions: Positions | None) -> tuple[Vectors, float]:
        """Return the inner products (n,) of some vectors, or all, with `vector`, and a bound of their errors."""
        rounding = _ROUNDING * self._longest
        if positions is not None:
            return self._vectors.products(vector, positions), rounding
        copies = self._copies_if_worthwhile()
        if copies is None:
            return self._vectors.products(vector), rounding
        products, distance = copies(vector)
        return products + self._vectors.large_products(vector), rounding + distance * self._longest

    def _copies_if_worthwhile(self) -> Int8Products | None:
        """Return int8 copies of a large index from the second search on, if torch is there and multiplies them fast.

        They take a third of the time. To load torch would take much longer than a search.
        """
        if self.count < _COPIED_FROM or "torch" not in sys.modules or not int8_products_are_fast():
            return None
        with self._lock:
            if self._has_searched and self._copies is None:
                self._copies = Int8Products(self._vectors.small_blocks(block=4 * _BLOCK))
            self._has_searched = True
            return self._copies

    def _measure_best(self, positions: Positions, products: Vectors, k: int, error: float) -> None:
        """Measure the lengths of all vectors that can be among the best `k`; with their bounds, the others are not."""
        if self._is_measured[positions].all():
            return
        if self._is_measured.mean() > _MEASURED_SHARE:
            self._measure(np.arange(self.count))
            return
        best = np.argpartition(-products / self._lengths[positions], k - 1)[:k]
        self._measure(positions[best])
        least = (products[best] / self._lengths[positions[best]]).min()
        # If a cosine is negative, a lower bound of the length is no upper bound of it.
        self._measure(positions[products + error >= least * self._lengths[positions]] if least > 0 else positions)

    def _measure(self, positions: Positions) -> None:
        unknown = positions[~self._is_measured[positions]]
        for start in range(0, len(unknown), _BLOCK):
            block = unknown[start : start + _BLOCK]
            lengths = self._normalization.document_lengths(self._vectors.decoded(block))
            self._lengths[block] = np.maximum(lengths, _LEAST_LENGTH)
        self._is_measured[unknown] = True

    def search_each(self, queries: Vectors, *, k: int) -> tuple[Ids, Vectors]:
        """Return (chunk ids, cosines), each (n, at most `k`), nearest to each unit row of `queries`, best first."""
        k = min(k, self.count)
        ids, cosines = np.empty((len(queries), 0), dtype=np.int64), np.empty((len(queries), 0), dtype=np.float32)
        if k == 0 or not len(queries):
            return ids, cosines
        folded = self._normalization.fold_queries(queries)
        offsets = folded.offsets[:, None].astype(np.float32)
        self._measure(np.arange(self.count))
        for start in range(0, self.count, _BLOCK):
            block = slice(start, min(start + _BLOCK, self.count))
            products = inner_products(folded.weights, self._vectors.decoded(block)) - offsets
            ids = np.hstack([ids, np.broadcast_to(self._ids.values[block], products.shape)])
            cosines = np.hstack([cosines, products / self._lengths[block]])
            best = np.argpartition(-cosines, min(k, cosines.shape[1]) - 1, axis=1)[:, :k]
            ids, cosines = np.take_along_axis(ids, best, axis=1), np.take_along_axis(cosines, best, axis=1)
        order = np.argsort(-cosines, axis=1, kind="stable")
        return np.take_along_axis(ids, order, axis=1), np.take_along_axis(cosines, order, axis=1)

    def vectors_of(self, ids: Sequence[int]) -> Vectors:
        """Return the normalized vectors (n, dimension) of these chunk ids.

        Raises:
            IndexDamaged: an id is not in the index.
        """
        if not len(ids):
            return np.empty((0, self._normalization.dimension), dtype=np.float32)
        positions = self._ids.positions(ids)  # an empty index has no vectors, and this says so
        return self._normalization.normalize_documents(self._vectors.decoded(positions))

    def _exact_cosines(self, positions: Positions, folded: FoldedQueries) -> Vectors:
        """Return the cosines (n,) of some vectors with a query; those of equal vectors are equal."""
        vectors = self._vectors.decoded(positions).astype(np.float64)
        # Unlike a matrix product, einsum starts no threads, which would slow down those of the model.
        products = np.einsum("ij,j->i", vectors, folded.weights[0].astype(np.float64))
        cosines = ((products - folded.offsets[0]) / self._lengths[positions]).astype(np.float32)
        firsts: dict[bytes, int] = {}
        equal = [firsts.setdefault(code.tobytes(), row) for row, code in enumerate(self._codes[positions, 4:])]
        return np.asarray(cosines[equal])


def _cannot_be_read() -> IndexDamaged:
    return IndexDamaged("The vectors of the catalog cannot be read.", remedy="See what is damaged: echo-index verify")
