"""Ways to tell how alike two sentences are, one row of the table each. Knows vectors; nothing of what people judged."""

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
from echo_index.retriever.evaluation.indexed_dataset import KEPT_NAME, Progress, stacked, unstacked

if TYPE_CHECKING:
    from echo_index.embeddings.encoder import EchoEncoder

DIRECTIONS = (1, 2, 4, 8)
"""How many dominant directions are taken away in rows of their own."""


@dataclass(frozen=True, eq=False)
class EmbeddedPairs:
    """Pairs of sentences with the vectors of all first ones, then all second ones; and how long a sentence took."""

    pairs: SentencePairs
    embeddings: EmbeddingPair
    seconds_per_text: float


@dataclass(frozen=True)
class SimilarityMethod:
    """One way to tell similarity: `similarities` returns that of each pair, (pairs,).

    `prepare` returns the seconds that it took to embed a pair; it and `lacking` are as those of a `Row`.
    """

    name: str
    description: str
    similarities: Callable[[EmbeddedPairs], npt.NDArray[np.float32]]
    prepare: Callable[[EmbeddedPairs], float | None] = lambda embedded: 2 * embedded.seconds_per_text
    lacking: Callable[[EmbeddedPairs], str] = lambda embedded: ""


def embed_pairs(
    pairs: SentencePairs, encoder: EchoEncoder, *, work: Path, progress: Progress = lambda doing, done, total: None
) -> EmbeddedPairs:
    """Embed the sentences as documents; what `work` has already is not made again.

    Raises:
        IndexUnwritable: nothing can be written to `work`.
    """
    kept = cached_vectors(
        work / "sentences" / encoder.fingerprint[:KEPT_NAME],
        [*pairs.first, *pairs.second],
        lambda texts: stacked(
            EmbeddingPair.gather(encoder.encode_document_pairs(texts), shape=(len(texts), encoder.dimension))
        ),
        progress=lambda done, total: progress(f"{pairs.name}: embedding sentences", done, total),
    )
    return EmbeddedPairs(pairs, unstacked(kept.vectors), kept.seconds_per_text)


def pair_cosines(vectors: Vectors) -> npt.NDArray[np.float32]:
    """Return the cosine of each of the first half of unit rows (2 pairs, dimension) with its like in the second."""
    first, second = np.split(vectors, 2)
    return np.asarray((first * second).sum(axis=1))


def _centred(vectors: Vectors) -> Vectors:
    return center(vectors, vectors.mean(axis=0))


def _without_directions(count: int) -> SimilarityMethod:
    def similarities(embedded: EmbeddedPairs) -> npt.NDArray[np.float32]:
        centred = _centred(embedded.embeddings.echo)
        return pair_cosines(remove_directions(centred, principal_components(centred, count)))

    told = f"echo embeddings less their mean and the {count} directions in which they differ most"
    return SimilarityMethod(f"echo-less-{count}", told, similarities)


def _classical(embedded: EmbeddedPairs) -> Vectors:
    classical = embedded.embeddings.classical
    assert classical is not None  # who asks has seen that there is one
    return classical


def _lacking_classical(embedded: EmbeddedPairs) -> str:
    return "the prompt reads a text once" if embedded.embeddings.classical is None else ""


_ALL = (
    SimilarityMethod(
        "classical",
        "classical embeddings, the first copy of the text, less their mean",
        lambda embedded: pair_cosines(_centred(_classical(embedded))),
        lacking=_lacking_classical,
    ),
    SimilarityMethod(
        "echo", "echo embeddings less their mean", lambda embedded: pair_cosines(_centred(embedded.embeddings.echo))
    ),
    *map(_without_directions, DIRECTIONS),
    SimilarityMethod(
        "classical-raw",
        "classical embeddings as the model gives them",
        lambda embedded: pair_cosines(_classical(embedded)),
        lacking=_lacking_classical,
    ),
    SimilarityMethod(
        "echo-raw", "echo embeddings as the model gives them", lambda embedded: pair_cosines(embedded.embeddings.echo)
    ),
)
SIMILARITY_METHODS: dict[str, SimilarityMethod] = {system.name: system for system in _ALL}
"""The ways to tell similarity that are known by name."""
