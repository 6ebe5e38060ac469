"""Similarity methods for pairs of sentences: each is one row of the result table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from echo_index.embeddings.vectors.paired_embeddings import EmbeddingPair
from echo_index.embeddings.vectors.vector_ops import (
    Vectors,
    center,
    principal_components,
    remove_directions,
)
from echo_index.retriever.evaluation.datasets import SentencePairs
from echo_index.retriever.evaluation.embedding_cache import cached_vectors
from echo_index.retriever.evaluation.indexed_dataset import HASH_LENGTH, Progress, stack_pair, unstack_pair

if TYPE_CHECKING:
    from echo_index.embeddings.encoder import EchoEncoder

DIRECTIONS = (1, 2, 4, 8)
"""Numbers of principal components that are removed, each by a method of its own."""


@dataclass(frozen=True, eq=False)
class EmbeddedPairs:
    """Pairs of sentences with the embeddings of all first ones, then all second ones; and the seconds per sentence."""

    pairs: SentencePairs
    embeddings: EmbeddingPair
    seconds_per_text: float


@dataclass(frozen=True)
class SimilarityMethod:
    """One similarity measure: `similarities` returns the similarity of each pair, (pairs,).

    `prepare` returns the seconds of embedding one pair; `lacking` is that of a `RetrievalSystem`.
    """

    name: str
    description: str
    similarities: Callable[[EmbeddedPairs], npt.NDArray[np.float32]]
    prepare: Callable[[EmbeddedPairs], float | None] = lambda embedded: 2 * embedded.seconds_per_text
    lacking: Callable[[EmbeddedPairs], str] = lambda embedded: ""


def embed_pairs(
    pairs: SentencePairs, encoder: EchoEncoder, *, work: Path, progress: Progress = lambda doing, done, total: None
) -> EmbeddedPairs:
    """Embed the sentences as documents; vectors are cached in `work`.

    Raises:
        IndexUnwritable: `work` cannot be written.
    """
    cached = cached_vectors(
        work / "sentences" / encoder.fingerprint[:HASH_LENGTH],
        [*pairs.first, *pairs.second],
        lambda texts: stack_pair(
            EmbeddingPair.gather(encoder.encode_document_pairs(texts), shape=(len(texts), encoder.dimension))
        ),
        progress=lambda done, total: progress(f"{pairs.name}: embedding sentences", done, total),
    )
    return EmbeddedPairs(pairs, unstack_pair(cached.vectors), cached.seconds_per_text)


def pair_cosines(vectors: Vectors) -> npt.NDArray[np.float32]:
    """Return the cosine of row i with row pairs + i of unit vectors (2 * pairs, dimension): (pairs,)."""
    first, second = np.split(vectors, 2)
    return np.asarray((first * second).sum(axis=1))


def _center(vectors: Vectors) -> Vectors:
    return center(vectors, vectors.mean(axis=0))


def _without_directions(count: int) -> SimilarityMethod:
    def similarities(embedded: EmbeddedPairs) -> npt.NDArray[np.float32]:
        centered = _center(embedded.embeddings.echo)
        return pair_cosines(remove_directions(centered, principal_components(centered, count)))

    description = f"echo embeddings, centred, without the first {count} principal components"
    return SimilarityMethod(f"echo-less-{count}", description, similarities)


def _classical(embedded: EmbeddedPairs) -> Vectors:
    classical = embedded.embeddings.classical
    assert classical is not None  # `_lacking_classical` was called before
    return classical


def _lacking_classical(embedded: EmbeddedPairs) -> str:
    return "the prompt contains the text only once" if embedded.embeddings.classical is None else ""


_ALL = (
    SimilarityMethod(
        "classical",
        "classical embeddings, centred",
        lambda embedded: pair_cosines(_center(_classical(embedded))),
        lacking=_lacking_classical,
    ),
    SimilarityMethod(
        "echo", "echo embeddings, centred", lambda embedded: pair_cosines(_center(embedded.embeddings.echo))
    ),
    *map(_without_directions, DIRECTIONS),
    SimilarityMethod(
        "classical-raw",
        "classical embeddings, not centred",
        lambda embedded: pair_cosines(_classical(embedded)),
        lacking=_lacking_classical,
    ),
    SimilarityMethod(
        "echo-raw", "echo embeddings, not centred", lambda embedded: pair_cosines(embedded.embeddings.echo)
    ),
)
SIMILARITY_METHODS: dict[str, SimilarityMethod] = {method.name: method for method in _ALL}
"""All similarity methods by name."""
