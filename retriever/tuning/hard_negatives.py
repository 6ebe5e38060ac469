"""Mine hard negatives: documents that an encoder ranks high for a query although they are not relevant."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from echo_index.embeddings.training.pairs import TrainingPair
from echo_index.embeddings.vectors.vector_ops import center
from echo_index.retriever.evaluation.exact_search import exact_search

if TYPE_CHECKING:
    from echo_index.embeddings.encoder import EchoEncoder
    from echo_index.embeddings.vectors.vector_ops import Vectors

_CANDIDATES = 50  # nearest documents of the same source
_BATCH = 512  # texts between two progress reports
_MAX_COSINE_RATIO = 0.95
"""Maximum cosine relative to the positive; nearer documents are often relevant (NV-Retriever, arXiv 2407.15831)."""


def add_hard_negatives(
    pairs: Sequence[TrainingPair],
    encoder: EchoEncoder,
    *,
    count: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[TrainingPair]:
    """Return the pairs in the same order, each with up to `count` more negatives.

    Negatives are the nearest positives of other pairs of the same source and instruction whose cosine with the query is
    at most 0.95 of that of the pair's own positive. Query and document vectors are centred as in an index.

    Raises:
        TextError: a text is empty.
        PromptError: a pair has an instruction, and the query prompt has no slot for it.
    """
    results = list(pairs)
    groups: dict[tuple[str, str | None], list[int]] = {}
    for position, pair in enumerate(pairs):
        groups.setdefault((pair.source, pair.instruction), []).append(position)
    total, done = 2 * len(pairs), 0

    def embed(encode: Callable[[list[str]], Vectors], texts: Sequence[str]) -> Vectors:
        nonlocal done
        blocks = []
        for start in range(0, len(texts), _BATCH):
            blocks.append(encode(list(texts[start : start + _BATCH])))
            done += len(blocks[-1])
            progress(done, total)
        vectors = np.concatenate(blocks)
        return center(vectors, vectors.mean(axis=0))

    for (_, instruction), positions in groups.items():
        group = [pairs[position] for position in positions]
        queries = embed(partial(encoder.encode_queries, instruction=instruction), [pair.query for pair in group])
        documents = embed(encoder.encode_documents, [pair.positive for pair in group])
        for position, candidates in zip(positions, _hard_negatives(group, queries, documents), strict=True):
            known = pairs[position].negatives
            new = [text for text in dict.fromkeys(candidates) if text not in known][:count]
            results[position] = replace(pairs[position], negatives=(*known, *new))
    return results


def _hard_negatives(pairs: Sequence[TrainingPair], queries: Vectors, documents: Vectors) -> Iterator[list[str]]:
    """Yield for each pair the positives of other pairs that are near its query, nearest first."""
    relevant: dict[str, set[str]] = {}
    for pair in pairs:
        relevant.setdefault(pair.query, set()).add(pair.positive)
    numbers = np.arange(len(pairs))
    nearest = exact_search([(numbers, documents)], queries, k=_CANDIDATES)
    for pair, query, document, scored in zip(pairs, queries, documents, nearest, strict=True):
        max_cosine = _MAX_COSINE_RATIO * float(query @ document)
        yield [
            pairs[number].positive
            for number, cosine in scored
            if cosine < max_cosine and pairs[number].positive not in relevant[pair.query]
        ]
