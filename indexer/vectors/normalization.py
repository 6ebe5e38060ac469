"""Normalize vectors before they are compared: subtract the mean, and attenuate directions that only reflect phrasing.

The normalization is estimated from the index itself, see `normalization_estimate`.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from echo_index.embeddings.vectors.vector_ops import (
    Vectors,
    attenuate,
    center,
    inner_products,
    l2_normalize,
    scale_components,
)
from echo_index.indexer.vectors.relevance import RelevanceScale

_GAIN_TOLERANCE = 0.01  # more than a length differs from that with exactly orthonormal directions
_ROUNDING = 1e-5  # more than sums in float32 lose, relative to the squares
_DRIFT_THRESHOLD = 0.2  # an error of 0.3 in the mean of queries costs about 2 points of nDCG@10
_LEAST_SHARE = 1e-4  # of a direction that several attenuations remove together; a smaller one is rounding
_HALF_WEIGHT = 200  # passages of an index that has half of the weight of a very large one


@dataclass(frozen=True, eq=False, slots=True)
class NormalizedQuery:
    """A query whose unit `vector` (dimension,) is normalized and so comparable with normalized document vectors.

    `encoded` (dimension,) is the vector that the encoder returned.
    """

    vector: Vectors
    encoded: Vectors


@dataclass(frozen=True, eq=False, slots=True)
class FoldedQueries:
    """Queries that are compared with document vectors as the encoder gave them.

    The cosine of a query with a document vector v, both normalized, is (v · weights - offset) / length of v, with
    `VectorNormalization.document_lengths`.
    """

    weights: Vectors
    """(n, dimension)."""
    offsets: npt.NDArray[np.float64]
    """float64 (n,)."""


@dataclass(frozen=True)
class VectorNormalization:
    """The means to subtract from encoder outputs, and the directions to attenuate, before vectors are compared.

    Arrays are stored in base64: means as float32, `directions` as float16 (count, dimension), `gains` as float32
    (count,): the factors from 0 to 1 of the components along each direction.
    """

    document_mean: str
    query_mean: str
    directions: str
    gains: str
    passages: int
    """The number of chunks at the time of the estimate."""

    @classmethod
    def of(
        cls, document_mean: Vectors, query_mean: Vectors, directions: Vectors, gains: Vectors, passages: int
    ) -> VectorNormalization:
        """Encode the arrays as the class describes them."""
        return cls(
            document_mean=_base64(document_mean.astype("<f4")),
            query_mean=_base64(query_mean.astype("<f4")),
            directions=_base64(directions.astype("<f2")),
            gains=_base64(gains.astype("<f4")),
            passages=passages,
        )

    @classmethod
    def identity(cls, dimension: int, passages: int) -> VectorNormalization:
        """Return the normalization that leaves unit vectors unchanged."""
        zeros = np.zeros(dimension, dtype=np.float32)
        return cls.of(zeros, zeros, np.empty((0, dimension), np.float32), np.empty(0, np.float32), passages)

    @property
    def dimension(self) -> int:
        """The number of components of a vector."""
        return len(self._means[0])

    @property
    def mean(self) -> Vectors:
        """The mean (dimension,) that is subtracted from document vectors."""
        return self._means[0]

    @property
    def is_identity(self) -> bool:
        """Whether vectors stay unchanged, because there were too few chunks for an estimate."""
        return not self._means[0].any()

    def is_far_from(self, mean: Vectors) -> bool:
        """Return whether document vectors with this `mean` (dimension,) need another normalization.

        The distance between the means is compared with the distance of unit vectors from their mean. The mean of a
        random sample of n vectors differs by 1/√n of that by chance.
        """
        spread = np.sqrt(max(1e-12, 1.0 - float(mean @ mean)))
        return bool(np.linalg.norm(mean - self._means[0]) > (_DRIFT_THRESHOLD + self.passages**-0.5) * spread)

    def normalize_documents(self, vectors: Vectors) -> Vectors:
        """Normalize document vectors (n, dimension) from the encoder; the result has unit rows."""
        return self._attenuate(vectors - self._means[0])

    def normalize_queries(self, vectors: Vectors) -> Vectors:
        """Normalize query vectors (n, dimension) from the encoder; the result has unit rows."""
        return self._attenuate(vectors - self._means[1])

    def normalize_query(self, vector: Vectors) -> NormalizedQuery:
        """Normalize one query vector (dimension,) from the encoder."""
        return NormalizedQuery(self.normalize_queries(vector[None, :])[0], vector)

    def fold_queries(self, normalized: Vectors) -> FoldedQueries:
        """Apply to normalized queries (n, dimension) what else documents need: that map is its own transpose."""
        directions, gains = self._decoded_directions
        weights = scale_components(normalized, directions, gains) if len(gains) else normalized
        return FoldedQueries(weights, np.einsum("ij,j->i", weights, self._means[0], dtype=np.float64))

    def document_lengths(self, vectors: Vectors) -> Vectors:
        """Return the lengths (n,) of document vectors (n, dimension) before `normalize_documents` divides by them."""
        centered = vectors - self._means[0]
        squares = np.einsum("ij,ij->i", centered, centered)
        if len(self._decoded_directions[1]):
            removed = inner_products(centered, self._shortening)
            squares -= np.einsum("ij,ij->i", removed, removed)
        return np.asarray(np.sqrt(np.maximum(squares, 0)), dtype=np.float32)

    def shortest_lengths(self, squares: Vectors, mean_products: Vectors) -> Vectors:
        """Return lower bounds of `document_lengths` (n,) in a small part of its time.

        `squares` (n,) are the squared lengths of the vectors, `mean_products` (n,) the products with `mean`.
        """
        mean, gains = self._means[0], self._decoded_directions[1]
        distances = squares - 2 * mean_products + mean @ mean  # squared
        rounding = _ROUNDING * (squares + mean @ mean)
        least = max(0.0, float(gains.min()) - _GAIN_TOLERANCE) if len(gains) else 1.0
        return np.asarray(least * np.sqrt(np.maximum(distances - rounding, 0)), dtype=np.float32)

    def center_documents(self, vectors: Vectors) -> Vectors:
        """Subtract the mean from document vectors (n, dimension), without attenuation; the result has unit rows."""
        return center(vectors, self._means[0])

    def center_queries(self, vectors: Vectors) -> Vectors:
        """Subtract the mean from query vectors (n, dimension), without attenuation; the result has unit rows."""
        return center(vectors, self._means[1])

    def _attenuate(self, vectors: Vectors) -> Vectors:
        directions, gains = self._decoded_directions
        return attenuate(vectors, directions, gains) if len(gains) else l2_normalize(vectors)

    @cached_property
    def _means(self) -> tuple[Vectors, Vectors]:
        document, query = (np.frombuffer(b64decode(mean), "<f4") for mean in (self.document_mean, self.query_mean))
        return document, query

    @cached_property
    def _decoded_directions(self) -> tuple[Vectors, Vectors]:
        gains = np.frombuffer(b64decode(self.gains), "<f4")
        directions = np.frombuffer(b64decode(self.directions), "<f2").astype(np.float32)
        return directions.reshape(len(gains), self.dimension), gains

    @cached_property
    def _shortening(self) -> Vectors:
        """Rows (count, dimension): attenuation takes the square of the product with them from the square of a length.

        If c are the components of a vector v along the directions D, it becomes v - Dᵀ S c with S = 1 - gains. Its
        square is v² - cᵀ (2 S - S D Dᵀ S) c, where D Dᵀ is only nearly the identity, because D is stored in float16.
        """
        directions, gains = (array.astype(np.float64) for array in self._decoded_directions)
        shares = 1 - gains
        values, axes = np.linalg.eigh(np.diag(2 * shares) - shares[:, None] * (directions @ directions.T) * shares)
        rows = (axes * np.sqrt(np.maximum(values, 0))).T @ directions
        return np.ascontiguousarray(rows, dtype=np.float32)


def pooled_normalization(normalizations: Sequence[VectorNormalization]) -> VectorNormalization:
    """Return one normalization for the vectors of several indexes of the same encoder: their weighted mean.

    An estimate from few passages is inaccurate; one from many differs from the others only in what its subject is,
    which concerns each index alike. So the weight of an index grows with its passages, but at most to 1, as in a
    meta-analysis with random effects. Indexes that were too small for an estimate of their own do not count.
    """
    estimated = [normalization for normalization in normalizations if not normalization.is_identity]
    if len(estimated) < 2:
        return estimated[0] if estimated else normalizations[0]
    passages = np.array([normalization.passages for normalization in estimated], dtype=np.float64)
    weights = passages / (passages + _HALF_WEIGHT)
    weights /= weights.sum()
    means = [np.tensordot(weights, [normalization._means[side] for normalization in estimated], 1) for side in (0, 1)]
    # An attenuation is the identity without Σ (1 - gain) direction directionᵀ; so is the mean of several.
    removed = np.zeros((estimated[0].dimension,) * 2)
    for weight, normalization in zip(weights, estimated, strict=True):
        directions, gains = normalization._decoded_directions
        removed += weight * (directions.T * (1 - gains)) @ directions
    shares, axes = np.linalg.eigh(removed)
    is_removed = shares > _LEAST_SHARE
    gains = np.clip(1 - shares[is_removed], 0, 1)
    return VectorNormalization.of(
        means[0], means[1], axes[:, is_removed].T, gains, sum(normalization.passages for normalization in estimated)
    )


@dataclass(frozen=True)
class NormalizationPair:
    """The normalizations of echo and classical vectors; `classical` is None if chunks lack a classical vector.

    `relevance` tells what a cosine of normalized echo vectors means; None if there are too few chunks to know it, or if
    an earlier version estimated the normalization.
    """

    echo: VectorNormalization
    classical: VectorNormalization | None
    relevance: RelevanceScale | None = None


def _base64(array: np.ndarray) -> str:
    return b64encode(np.ascontiguousarray(array).tobytes()).decode()
