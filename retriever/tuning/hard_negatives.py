"""Hard negatives: what an encoder finds for a query though it is not right. Knows no files."""

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

_LOOKED_AT = 50  # of the nearest documents of its source
_AT_ONCE = 512  # texts between two reports of progress
_TOO_NEAR = 0.95
"""Of the cosine of what is right: what is nearer is too often right itself (NV-Retriever, arXiv 2407.15831)."""


def add_hard_negatives(
    pairs: Sequence[TrainingPair],
    encoder: EchoEncoder,
    *,
    each: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[TrainingPair]:
    """Return the pairs, each with up to `each` more negatives: the nearest that are not too near.

    They are of pairs of the same source and instruction. Means of queries and of documents are removed, as an index
    does. The order is that of `pairs`.

    Raises:
        TextError: a text is empty.
        PromptError: a pair has an instruction, and the query prompt has no place for it.
    """
    found = list(pairs)
    alike: dict[tuple[str, str | None], list[int]] = {}
    for position, pair in enumerate(pairs):
        alike.setdefault((pair.source, pair.instruction), []).append(position)
    total, done = 2 * len(pairs), 0

    def embedded(encode: Callable[[list[str]], Vectors], texts: Sequence[str]) -> Vectors:
        nonlocal done
        blocks = []
        for start in range(0, len(texts), _AT_ONCE):
            blocks.append(encode(list(texts[start : start + _AT_ONCE])))
            done += len(blocks[-1])
            progress(done, total)
        vectors = np.concatenate(blocks)
        return center(vectors, vectors.mean(axis=0))

    for (_, instruction), positions in alike.items():
        same = [pairs[position] for position in positions]
        queries = embedded(partial(encoder.encode_queries, instruction=instruction), [pair.query for pair in same])
        documents = embedded(encoder.encode_documents, [pair.positive for pair in same])
        for position, wrong in zip(positions, _wrong(same, queries, documents), strict=True):
            known = pairs[position].negatives
            new = [text for text in dict.fromkeys(wrong) if text not in known][:each]
            found[position] = replace(pairs[position], negatives=(*known, *new))
    return found


def _wrong(pairs: Sequence[TrainingPair], queries: Vectors, documents: Vectors) -> Iterator[list[str]]:
    """Yield for each pair the documents of the others that are near its query and not right for it, nearest first."""
    right: dict[str, set[str]] = {}
    for pair in pairs:
        right.setdefault(pair.query, set()).add(pair.positive)
    numbers = np.arange(len(pairs))
    nearest = exact_search([(numbers, documents)], queries, k=_LOOKED_AT)
    for pair, query, document, scored in zip(pairs, queries, documents, nearest, strict=True):
        most = _TOO_NEAR * float(query @ document)
        yield [
            pairs[number].positive
            for number, cosine in scored
            if cosine < most and pairs[number].positive not in right[pair.query]
        ]
