"""Echo at the price of one reading: the first half of each passage, read twice. Knows an opened collection only."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from echo_index.embeddings.vectors.vector_ops import Vectors
from echo_index.indexer.catalog.chunk_queries import embedded_chunks
from echo_index.indexer.documents.chunking import embedded_text
from echo_index.retriever.evaluation.exact_search import exact_search
from echo_index.retriever.evaluation.indexed_dataset import (
    KEPT_NAME,
    MORE_PASSAGES,
    IndexedDataset,
    Ranking,
)


def echo_of_halves(dataset: IndexedDataset) -> list[Ranking]:
    """Return the ranking of each question by echo embeddings of the first half of each passage's words.

    The tokens that are read are those of the whole passage, as in one classical reading. The halves are compared in the
    space of the index, and their vectors are kept beside those of the questions.
    """
    ids, vectors = _embedded_halves(dataset)
    normalization = dataset.retriever.snapshot.normalization
    nearest = exact_search(
        [(ids, normalization.normalize_documents(vectors))],
        normalization.normalize_queries(dataset.embeddings.echo),
        k=MORE_PASSAGES,
    )
    return dataset.rank_scored(nearest)


def embed_halves(dataset: IndexedDataset) -> float:
    """Embed the halves beforehand; return the seconds that it took to embed a question."""
    _embedded_halves(dataset)
    return dataset.seconds_per_query


def _embedded_halves(dataset: IndexedDataset) -> tuple[npt.NDArray[np.int64], Vectors]:
    snapshot = dataset.retriever.snapshot
    passages = embedded_chunks(snapshot.catalog, generation=snapshot.manifest.generation)
    ids, texts = zip(
        *((key, embedded_text(title, headings, _half(text))) for key, title, headings, text in passages), strict=True
    )
    way = hashlib.sha256(f"{dataset.encoder.fingerprint} halves".encode()).hexdigest()[:KEPT_NAME]
    return np.array(ids), dataset.kept_vectors(way, texts, dataset.encoder.encode_documents, doing="embedding halves")


def _half(text: str) -> str:
    """Return the first half of a text's words, of one word the word."""
    words = text.split()
    return " ".join(words[: (len(words) + 1) // 2])
