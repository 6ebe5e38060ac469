"""Echo at the price of one reading: the first half of each passage, read twice. Knows an opened collection only."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from echo_index.embeddings.vectors.vector_ops import Vectors
from echo_index.indexer.catalog.chunk_queries import embedded_passages
from echo_index.indexer.documents.chunking import embedded_text
from echo_index.retriever.evaluation.exact_search import exact_nearest
from echo_index.retriever.evaluation.indexed_dataset import (
    KEPT_NAME,
    MORE_PASSAGES,
    OpenedCollection,
    Ranking,
)


def echo_of_halves(opened: OpenedCollection) -> list[Ranking]:
    """Return the ranking of each question by echo embeddings of the first half of each passage's words.

    The tokens that are read are those of the whole passage, as in one classical reading. The halves are compared in the
    space of the index, and their vectors are kept beside those of the questions.
    """
    ids, vectors = _embedded_halves(opened)
    space = opened.retriever.snapshot.space
    nearest = exact_nearest([(ids, space.documents(vectors))], space.questions(opened.readings.echo), k=MORE_PASSAGES)
    return opened.rank_scored(nearest)


def embed_halves(opened: OpenedCollection) -> float:
    """Embed the halves beforehand; return the seconds that it took to embed a question."""
    _embedded_halves(opened)
    return opened.seconds_per_question


def _embedded_halves(opened: OpenedCollection) -> tuple[npt.NDArray[np.int64], Vectors]:
    snapshot = opened.retriever.snapshot
    passages = embedded_passages(snapshot.catalog, generation=snapshot.manifest.generation)
    ids, texts = zip(
        *((key, embedded_text(title, headings, _half(text))) for key, title, headings, text in passages), strict=True
    )
    way = hashlib.sha256(f"{opened.encoder.fingerprint} halves".encode()).hexdigest()[:KEPT_NAME]
    return np.array(ids), opened.kept_vectors(way, texts, opened.encoder.encode_documents, doing="embedding halves")


def _half(text: str) -> str:
    """Return the first half of a text's words, of one word the word."""
    words = text.split()
    return " ".join(words[: (len(words) + 1) // 2])
