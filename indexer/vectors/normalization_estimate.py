"""Estimate the normalization of an index, and what its cosines mean, from the index itself, without labels."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from echo_index.embeddings.vectors.paired_embeddings import EmbeddingPair
from echo_index.embeddings.vectors.vector_ops import Vectors, inner_products, l2_normalize, within_class_directions
from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.catalog.chunk_queries import evenly_spaced, sample_chunks
from echo_index.indexer.catalog.records import SearchFilter
from echo_index.indexer.catalog.stored_vectors import Block
from echo_index.indexer.text.synthetic_queries import synthetic_queries
from echo_index.indexer.text.unrelated_queries import unrelated_queries
from echo_index.indexer.vectors.normalization import NormalizationPair, VectorNormalization
from echo_index.indexer.vectors.relevance import RelevanceScale

if TYPE_CHECKING:
    from echo_index.embeddings.encoder import EchoEncoder

_LEAST_CHUNKS = 16  # the mean of fewer vectors describes these chunks rather than the model
_SAMPLE_SIZE = 200  # chunks, each with three synthetic queries
_DIRECTIONS = 128  # attenuated ones; more of them changed nothing on six public data sets
_DIMENSIONS_PER_DIRECTION = 4  # at least, for vectors of few dimensions
_RIDGE = 3.0  # of 1 to 12 the best mean over six public data sets; 2 to 4 are close
_RIDGE_TUNED = 6.0  # an adapter has learnt part of the correction: 4 to 8 are close to the best of nine data sets
_DRIFT_SAMPLE = 4096  # chunks that are compared with the old mean
_HELD_OUT = 300  # chunks with a query to measure searches with
_QUERY_BATCH = 64  # synthetic queries between two reports of progress

QueryProgress = Callable[[int, int], None]
"""Receives the number of synthetic queries that have been embedded, and the number of all."""


def estimate_normalizations(
    catalog: Catalog,
    before: NormalizationPair | None,
    *,
    generation: int,
    count: int,
    encoder: EchoEncoder,
    on_progress: QueryProgress,
) -> NormalizationPair:
    """Estimate the normalizations for an index of `count` chunks from a sample of them and synthetic queries.

    The normalizations `before` are reused until the number of chunks has doubled or their mean has drifted. What a
    cosine means is estimated with them.
    """
    pair = _estimate_pair(catalog, before, generation=generation, count=count, encoder=encoder, on_progress=on_progress)
    if pair.echo.is_identity or pair.relevance is not None:
        return pair
    scale = _estimate_relevance(
        catalog, pair.echo, generation=generation, count=count, encoder=encoder, on_progress=on_progress
    )
    return replace(pair, relevance=scale)


def embed_held_out_queries(
    catalog: Catalog, *, generation: int, encoder: EchoEncoder, on_progress: QueryProgress
) -> Vectors:
    """Embed a synthetic query for each of some hundred chunks, unit rows (n, dimension), to measure searches with."""
    chance, languages = random.Random(1), catalog.languages()
    queries = []
    for _, path, text in sample_chunks(catalog, generation=generation, most=_HELD_OUT):
        variants = synthetic_queries("\n".join([*path[-1:], text]), languages=languages, rng=chance)
        if variants is not None:
            queries.append(chance.choice(variants))
    return _embed_queries(encoder, queries, on_progress).echo


def _estimate_relevance(
    catalog: Catalog,
    normalization: VectorNormalization,
    *,
    generation: int,
    count: int,
    encoder: EchoEncoder,
    on_progress: QueryProgress,
) -> RelevanceScale:
    """Compare queries that have nothing to do with the index with all chunks."""
    sample = sample_chunks(catalog, generation=generation, most=_SAMPLE_SIZE)
    texts = [text for _, _, text in sample]
    unrelated = unrelated_queries(texts, languages=catalog.languages(), rng=random.Random(0))
    queries = normalization.normalize_queries(_embed_queries(encoder, unrelated, on_progress).echo)
    best = np.full(len(queries), -1.0, dtype=np.float32)
    for _, vectors in catalog.vectors(generation=generation):
        cosines = inner_products(queries, normalization.normalize_documents(vectors))
        best = np.maximum(best, cosines.max(axis=1))
    return RelevanceScale.of(best, chunks=count)


def _estimate_pair(
    catalog: Catalog,
    before: NormalizationPair | None,
    *,
    generation: int,
    count: int,
    encoder: EchoEncoder,
    on_progress: QueryProgress,
) -> NormalizationPair:
    if count < _LEAST_CHUNKS:
        return _identity_pair(encoder.dimension, count)
    with_classical = catalog.count_classical_vectors(generation=generation) == count
    if (
        before is not None
        and before.echo.gains
        and (before.classical is not None or not with_classical)
        and count < 2 * before.echo.passages
        and not has_drifted(before.echo, catalog, generation=generation)
    ):
        return before if with_classical else replace(before, classical=None)
    mean = _mean(catalog.vectors(generation=generation))
    sample = sample_chunks(catalog, generation=generation, most=_SAMPLE_SIZE)
    chance, languages = random.Random(0), catalog.languages()
    variants = {
        key: synthetic_queries("\n".join([*path[-1:], text]), languages=languages, rng=chance)
        for key, path, text in sample
    }
    ids = [key for key, queries in variants.items() if queries is not None]
    if not ids:
        return _identity_pair(encoder.dimension, count)
    # All first variants, then all second ones, and so on: the order that `estimate_normalization` expects.
    queries = [query for same_kind in zip(*(variants[key] or () for key in ids), strict=True) for query in same_kind]
    pairs = _embed_queries(encoder, queries, on_progress)
    tuned = encoder.config().get("adapter") is not None
    echo = estimate_normalization(mean, catalog.vectors_of(ids), pairs.echo, passages=count, tuned=tuned)
    if pairs.classical is None or not with_classical:
        return NormalizationPair(echo, None)
    mean = _mean(catalog.classical_vectors(generation=generation))
    vectors = catalog.classical_vectors_of(ids)
    return NormalizationPair(echo, estimate_normalization(mean, vectors, pairs.classical, passages=count, tuned=tuned))


def has_drifted(normalization: VectorNormalization, catalog: Catalog, *, generation: int) -> bool:
    """Return whether the mean of some thousand chunks of a generation is too far from that of a normalization."""
    ids = catalog.chunk_ids(SearchFilter(), generation=generation)
    if normalization.is_identity or not len(ids):
        return False
    return normalization.is_far_from(catalog.vectors_of(evenly_spaced(ids, _DRIFT_SAMPLE).tolist()).mean(axis=0))


def truncated_normalizations(before: NormalizationPair, *, count: int) -> NormalizationPair:
    """Return the normalizations for an index after a removal: those `before`, unless too few chunks are left."""
    return before if count >= _LEAST_CHUNKS else _identity_pair(before.echo.dimension, count)


def _identity_pair(dimension: int, count: int) -> NormalizationPair:
    return NormalizationPair(
        VectorNormalization.identity(dimension, count), VectorNormalization.identity(dimension, count)
    )


def _embed_queries(encoder: EchoEncoder, queries: list[str], on_progress: QueryProgress) -> EmbeddingPair:
    def batches() -> Iterator[tuple[list[int], EmbeddingPair]]:
        for start in range(0, len(queries), _QUERY_BATCH):
            on_progress(start, len(queries))
            positions = list(range(start, min(start + _QUERY_BATCH, len(queries))))
            yield positions, encoder.encode_query_pairs([queries[position] for position in positions])
        on_progress(len(queries), len(queries))

    return EmbeddingPair.gather(batches(), shape=(len(queries), encoder.dimension))


def _mean(blocks: Iterable[Block]) -> Vectors:
    total: npt.NDArray[np.float64] | float = 0.0
    count = 0
    for ids, vectors in blocks:
        total = total + vectors.sum(axis=0, dtype=np.float64)
        count += len(ids)
    return np.asarray(total / count, dtype=np.float32)


def estimate_normalization(
    mean: Vectors, sampled: Vectors, queries: Vectors, *, passages: int, tuned: bool = False
) -> VectorNormalization:
    """Estimate a normalization from vectors that an encoder returned.

    Args:
        mean: of all document vectors, (dimension,).
        sampled: the vectors of a sample of documents, (n, dimension).
        queries: synthetic queries for the sample, (variants * n, dimension): the first variant of each document in the
            order of `sampled`, then the second variants, and so on.
        passages: the number of all documents.
        tuned: whether the model has an adapter that was trained to embed.
    """
    dimension = sampled.shape[1]
    query_mean = queries.mean(axis=0)
    directions, gains = within_class_directions(
        l2_normalize(sampled - mean),
        l2_normalize(queries - query_mean).reshape(-1, len(sampled), dimension),
        count=min(_DIRECTIONS, dimension // _DIMENSIONS_PER_DIRECTION),
        # A smaller sample is less reliable, so it is given less weight.
        ridge=(_RIDGE_TUNED if tuned else _RIDGE) * max(1.0, _SAMPLE_SIZE / len(sampled)),
    )
    return VectorNormalization.of(mean, query_mean, directions, gains, passages)
