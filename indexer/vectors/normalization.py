"""How an index compares vectors: less what all of them have in common, and less of what only the wording changes.

Estimated from the index itself, without labels. Knows no FAISS.
"""

from __future__ import annotations

import random
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from echo_index.embeddings.vectors.paired_embeddings import EmbeddingPair
from echo_index.embeddings.vectors.vector_ops import (
    Vectors,
    attenuate,
    center,
    l2_normalize,
    within_class_directions,
)
from echo_index.indexer.catalog.catalog import Block, Catalog
from echo_index.indexer.catalog.chunk_queries import evenly_spaced, sample_chunks
from echo_index.indexer.catalog.records import SearchFilter
from echo_index.indexer.text.synthetic_queries import synthetic_queries

if TYPE_CHECKING:
    from echo_index.embeddings.encoder import EchoEncoder

_LEAST_PASSAGES = 16  # of fewer, the mean says more about them than about the model
_ASKED = 200  # passages: each in three wordings
_DIRECTIONS = 128  # that are weakened; what is beyond them changed nothing on six public sets
_SHARE_OF_DIMENSION = 4  # but no more of them than one in so many dimensions
_RIDGE = 3.0  # of 1 to 12, the best mean of six public sets, all from 2 to 4 near it
_RIDGE_TUNED = 6.0  # for a model with an adapter, which has learnt some of it: 4 to 8 are near the best of nine sets
_FAR = 0.2  # an error of 0.3 in the mean of questions costs about 2 points of nDCG@10
_LOOKED_AT = 4096  # passages, to tell whether they are about other things
_AT_ONCE = 64  # questions between two reports of progress

QueryProgress = Callable[[int, int], None]
"""Told how many questions have been embedded, and of how many."""


@dataclass(frozen=True)
class VectorNormalization:
    """What is done to vectors of an encoder before they are compared: means leave, directions are weakened.

    Arrays are kept in base64: means float32, directions float16 (count, dimension), `kept` float32 (count,).
    """

    document_mean: str
    query_mean: str
    directions: str
    gains: str
    passages: int
    """How many there were when it was estimated."""

    @classmethod
    def of(
        cls, document_mean: Vectors, query_mean: Vectors, directions: Vectors, gains: Vectors, passages: int
    ) -> VectorNormalization:
        """Return the space of these arrays, as the class describes them."""
        return cls(
            document_mean=_packed(document_mean.astype("<f4")),
            query_mean=_packed(query_mean.astype("<f4")),
            directions=_packed(directions.astype("<f2")),
            gains=_packed(gains.astype("<f4")),
            passages=passages,
        )

    @classmethod
    def identity(cls, dimension: int, passages: int) -> VectorNormalization:
        """Return the space in which vectors are compared as they are."""
        nothing = np.zeros(dimension, dtype=np.float32)
        return cls.of(nothing, nothing, np.empty((0, dimension), np.float32), np.empty(0, np.float32), passages)

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        return len(self._means[0])

    @property
    def is_identity(self) -> bool:
        """Whether vectors are compared as they are: there were too few passages to estimate anything."""
        return not self._means[0].any()

    def is_far_from(self, mean: Vectors) -> bool:
        """Whether passages whose mean is this one (dimension,) are about other things than those it was estimated from.

        The distance between the means is taken in units of how far unit vectors lie from their mean. A mean of n of
        them lies 1/√n from that of all by chance.
        """
        spread = np.sqrt(max(1e-12, 1.0 - float(mean @ mean)))
        return bool(np.linalg.norm(mean - self._means[0]) > (_FAR + self.passages**-0.5) * spread)

    def normalize_documents(self, vectors: Vectors) -> Vectors:
        """Return vectors of texts (n, dimension), as the encoder gave them, as they are compared: unit rows."""
        return self._weakened(vectors - self._means[0])

    def normalize_queries(self, vectors: Vectors) -> Vectors:
        """Return vectors of questions (n, dimension), as the encoder gave them, as they are compared: unit rows."""
        return self._weakened(vectors - self._means[1])

    def center_documents(self, vectors: Vectors) -> Vectors:
        """Return vectors of texts (n, dimension) less their mean only: unit rows."""
        return center(vectors, self._means[0])

    def center_queries(self, vectors: Vectors) -> Vectors:
        """Return vectors of questions (n, dimension) less their mean only: unit rows."""
        return center(vectors, self._means[1])

    def _weakened(self, vectors: Vectors) -> Vectors:
        directions, kept = self._directions
        return attenuate(vectors, directions, kept) if len(kept) else l2_normalize(vectors)

    @cached_property
    def _means(self) -> tuple[Vectors, Vectors]:
        document, query = (np.frombuffer(b64decode(mean), "<f4") for mean in (self.document_mean, self.query_mean))
        return document, query

    @cached_property
    def _directions(self) -> tuple[Vectors, Vectors]:
        kept = np.frombuffer(b64decode(self.gains), "<f4")
        directions = np.frombuffer(b64decode(self.directions), "<f2").astype(np.float32)
        return directions.reshape(len(kept), self.dimension), kept


@dataclass(frozen=True)
class NormalizationPair:
    """The space of each way of embedding; `classical` is None unless every passage has a classical vector."""

    echo: VectorNormalization
    classical: VectorNormalization | None


def estimate_normalizations(
    catalog: Catalog,
    before: NormalizationPair | None,
    *,
    generation: int,
    count: int,
    encoder: EchoEncoder,
    asked: QueryProgress,
) -> NormalizationPair:
    """Return the spaces for an index of `count` passages.

    They are the old ones until it has twice as many passages as they came from, or its passages are about other things.
    """
    if count < _LEAST_PASSAGES:
        return _nothing(encoder.dimension, count)
    if (
        before is not None
        and before.echo.gains
        and count < 2 * before.echo.passages
        and not has_drifted(before.echo, catalog, generation=generation)
    ):
        return before
    mean = _mean(catalog.vectors(generation=generation))
    sample = sample_chunks(catalog, generation=generation, most=_ASKED)
    chance, languages = random.Random(0), catalog.languages()
    ways = {
        key: synthetic_queries("\n".join([*path[-1:], text]), languages=languages, chance=chance)
        for key, path, text in sample
    }
    ids = [key for key, said in ways.items() if said is not None]
    if not ids:
        return _nothing(encoder.dimension, count)
    queries = [question for said in zip(*(ways[key] or () for key in ids), strict=True) for question in said]
    pairs = _ask(encoder, queries, asked)
    tuned = encoder.config().get("adapter") is not None
    echo = estimate_normalization(mean, catalog.vectors_of(ids), pairs.echo, passages=count, tuned=tuned)
    if pairs.classical is None or catalog.count_classical_vectors(generation=generation) < count:
        return NormalizationPair(echo, None)
    mean = _mean(catalog.classical_vectors(generation=generation))
    vectors = catalog.classical_vectors_of(ids)
    return NormalizationPair(echo, estimate_normalization(mean, vectors, pairs.classical, passages=count, tuned=tuned))


def has_drifted(normalization: VectorNormalization, catalog: Catalog, *, generation: int) -> bool:
    """Whether the passages of a generation are about other things than those that a space was estimated from.

    Some thousands from all over it are looked at.
    """
    ids = catalog.chunk_ids(SearchFilter(), generation=generation)
    if normalization.is_identity or not len(ids):
        return False
    return normalization.is_far_from(catalog.vectors_of(evenly_spaced(ids, _LOOKED_AT).tolist()).mean(axis=0))


def truncated_normalizations(before: NormalizationPair, *, count: int) -> NormalizationPair:
    """Return the spaces for an index that lost passages: the old ones, unless too few passages are left."""
    return before if count >= _LEAST_PASSAGES else _nothing(before.echo.dimension, count)


def _nothing(dimension: int, count: int) -> NormalizationPair:
    return NormalizationPair(
        VectorNormalization.identity(dimension, count), VectorNormalization.identity(dimension, count)
    )


def _ask(encoder: EchoEncoder, queries: list[str], asked: QueryProgress) -> EmbeddingPair:
    def parts() -> Iterator[tuple[list[int], EmbeddingPair]]:
        for start in range(0, len(queries), _AT_ONCE):
            asked(start, len(queries))
            positions = list(range(start, min(start + _AT_ONCE, len(queries))))
            yield positions, encoder.encode_query_pairs([queries[position] for position in positions])
        asked(len(queries), len(queries))

    return EmbeddingPair.gather(parts(), shape=(len(queries), encoder.dimension))


def _mean(blocks: Iterable[Block]) -> Vectors:
    """Return the mean (dimension,) of all vectors in some blocks."""
    total: npt.NDArray[np.float64] | float = 0.0
    count = 0
    for ids, vectors in blocks:
        total = total + vectors.sum(axis=0, dtype=np.float64)
        count += len(ids)
    return np.asarray(total / count, dtype=np.float32)


def estimate_normalization(
    mean: Vectors, sampled: Vectors, queries: Vectors, *, passages: int, tuned: bool = False
) -> VectorNormalization:
    """Return the space for passages of this `mean` (dimension,), some of which were asked for in some wordings.

    `sampled` (n, dimension) are these; `questions` (wordings * n, dimension) are all their first wordings, then all
    second ones, in the same order. All as the encoder gave them, whose model was `tuned` to embed or was not.
    """
    dimension = sampled.shape[1]
    query_mean = queries.mean(axis=0)
    directions, kept = within_class_directions(
        l2_normalize(sampled - mean),
        l2_normalize(queries - query_mean).reshape(-1, len(sampled), dimension),
        count=min(_DIRECTIONS, dimension // _SHARE_OF_DIMENSION),
        # a few passages say little of a model
        ridge=(_RIDGE_TUNED if tuned else _RIDGE) * max(1.0, _ASKED / len(sampled)),
    )
    return VectorNormalization.of(mean, query_mean, directions, kept, passages)


def _packed(array: np.ndarray) -> str:
    return b64encode(np.ascontiguousarray(array).tobytes()).decode()
