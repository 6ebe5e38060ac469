"""What all vectors of an index have in common, estimated from the index itself, without labels. Knows no FAISS.

Documents and questions have different prompts and so different means; each is removed from its own side.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from echo_embeddings import Vectors
from indexer.catalog import Catalog
from indexer.passages import sample_texts

if TYPE_CHECKING:
    from echo_embeddings import EchoEncoder

_LEAST_PASSAGES = 16  # of fewer, the mean says more about them than about the model
_PSEUDO_QUESTIONS = 96
_LONGEST_QUESTION = 150  # characters
_FIRST_SENTENCE_END = re.compile(r"(?<=[.!?])\s|\n")
_MARKUP = re.compile(r"[#*_`=|>\-]{2,}|^[#*>\-\s]+")


@dataclass(frozen=True)
class Means:
    """The mean vectors of documents and of questions, each (dimension,), and the number of passages they come from."""

    document: tuple[float, ...]
    query: tuple[float, ...]
    passages: int


@dataclass(frozen=True, eq=False)
class DocumentMeans:
    """The means of the passages of an index by each way of embedding, each float32 (dimension,)."""

    echo: Vectors
    classical: Vectors


def classical_document_mean(catalog: Catalog, *, generation: int, count: int, dimension: int) -> Vectors:
    """Return the mean of the `count` classical vectors of a generation; zero where they are too few."""
    total = np.zeros(dimension)
    if count >= _LEAST_PASSAGES:
        for _, vectors in catalog.classical_vectors(generation=generation):
            total += vectors.sum(axis=0)
    return (total / max(1, count)).astype(np.float32)


def classical_query_mean(catalog: Catalog, *, generation: int, count: int, encoder: EchoEncoder) -> Vectors:
    """Return the mean of the classical vectors of questions, the same ones as for the echo.

    Zero where there are too few classical vectors, `count`, for a mean of their own.
    """
    if count < _LEAST_PASSAGES:
        return np.zeros(encoder.dimension, dtype=np.float32)
    questions = _pseudo_questions(catalog, generation=generation)
    classical = encoder.query_readings(questions).classical
    assert classical is not None  # who searches by classical vectors has that of a question
    return np.asarray(classical.mean(axis=0))


def means_for(catalog: Catalog, before: Means | None, *, generation: int, count: int, encoder: EchoEncoder) -> Means:
    """Return the means for an index of `count` passages: the old ones until it has twice as many as they came from."""
    if count < _LEAST_PASSAGES:
        return _nothing(encoder.dimension, count)
    if before is not None and before.passages >= _LEAST_PASSAGES and count < 2 * before.passages:
        return before
    total = np.zeros(encoder.dimension)
    for _, vectors in catalog.vectors(generation=generation):
        total += vectors.sum(axis=0)
    questions = _pseudo_questions(catalog, generation=generation)
    query = encoder.encode_queries(questions).mean(axis=0)
    return Means(document=tuple((total / count).tolist()), query=tuple(query.tolist()), passages=count)


def means_of_fewer(before: Means, *, count: int) -> Means:
    """Return the means for an index that lost passages: the old ones, unless too few passages are left."""
    return before if count >= _LEAST_PASSAGES else _nothing(len(before.document), count)


def mean_vector(mean: tuple[float, ...]) -> Vectors:
    """Return a mean as an array."""
    return np.array(mean, dtype=np.float32)


def _nothing(dimension: int, count: int) -> Means:
    return Means(document=(0.0,) * dimension, query=(0.0,) * dimension, passages=count)


def _pseudo_questions(catalog: Catalog, *, generation: int) -> list[str]:
    """Return first sentences of passages from all over the index: what people ask about it is about such things."""
    texts = sample_texts(catalog, generation=generation, most=_PSEUDO_QUESTIONS)
    sentences = [_first_sentence(text) for text in texts]
    return [sentence for sentence in sentences if sentence] or ["What is this about?"]


def _first_sentence(text: str) -> str:
    plain = _MARKUP.sub("", text.strip()).strip()
    return _FIRST_SENTENCE_END.split(plain, maxsplit=1)[0][:_LONGEST_QUESTION].strip()
