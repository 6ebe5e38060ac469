"""Rank by echo embeddings of the first half of each chunk, at the cost of one classical embedding."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from echo_index.embeddings.vectors.vector_ops import Vectors
from echo_index.indexer.catalog.chunk_queries import embedded_chunks
from echo_index.indexer.documents.chunking import embedded_text
from echo_index.retriever.evaluation.exact_search import exact_search
from echo_index.retriever.evaluation.indexed_dataset import (
    HASH_LENGTH,
    MORE_CHUNKS,
    IndexedDataset,
    Ranking,
)


def rank_by_halves(dataset: IndexedDataset) -> list[Ranking]:
    """Return the ranking of each query by echo embeddings of the first half of each chunk's words.

    Two passes over half of the text have as many tokens as one classical embedding of all of it. Vectors are compared
    with the normalization of the index and cached beside those of the queries.
    """
    ids, vectors = _half_vectors(dataset)
    normalization = dataset.retriever.snapshot.normalization
    nearest = exact_search(
        [(ids, normalization.normalize_documents(vectors))],
        normalization.normalize_queries(dataset.embeddings.echo),
        k=MORE_CHUNKS,
    )
    return dataset.rank_scored(nearest)


def embed_halves(dataset: IndexedDataset) -> float:
    """Embed the halves before the ranking; return the seconds per query of embedding the queries."""
    _half_vectors(dataset)
    return dataset.seconds_per_query


def _half_vectors(dataset: IndexedDataset) -> tuple[npt.NDArray[np.int64], Vectors]:
    snapshot = dataset.retriever.snapshot
    chunks = embedded_chunks(snapshot.catalog, generation=snapshot.manifest.generation)
    ids, texts = zip(
        *((chunk_id, embedded_text(title, headings, _first_half(text))) for chunk_id, title, headings, text in chunks),
        strict=True,
    )
    key = hashlib.sha256(f"{dataset.encoder.fingerprint} halves".encode()).hexdigest()[:HASH_LENGTH]
    return np.array(ids), dataset.text_vectors(key, texts, dataset.encoder.encode_documents, doing="embedding halves")


def _first_half(text: str) -> str:
    """Return the first half of a text's words, at least one."""
    words = text.split()
    return " ".join(words[: (len(words) + 1) // 2])
