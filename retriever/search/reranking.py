"""The best hits in a better order: by how likely the question is after each. Knows an encoder's model, no index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from echo_index.indexer.documents.chunking import embedded_text
from echo_index.retriever.search.fusion import zscore_fusion
from echo_index.retriever.search.hits import Hit, ranked_scores
from echo_index.retriever.search.vector_lru import VectorLRU

if TYPE_CHECKING:
    from echo_index.embeddings.encoder import EchoEncoder
    from echo_index.embeddings.generation.query_likelihood import QueryLikelihood
    from echo_index.embeddings.vectors.vector_ops import Vectors

LIKELIHOOD_WEIGHT = 1.0
"""Of the likelihood beside the score that a hit was found with, both as standard scores: 0.5 to 2 are about equal."""


class Reranker:
    """Reorders hits with the language model of the encoder, which `encoder` returns. Thread-safe."""

    def __init__(self, encoder: Callable[[], EchoEncoder]) -> None:
        self._encoder = encoder
        self._known: VectorLRU[tuple[str, str]] = VectorLRU(capacity=2048)

    def rerank(self, query: str, hits: Sequence[Hit], *, most: int) -> list[Hit]:
        """Return the hits with the first `most` of them reordered by score and likelihood; the others follow as before.

        A passage is read with its title and headings, as it was embedded. What was asked before costs nothing.

        Raises:
            ModelError: the model's context has no room for a passage and the question.
        """
        if not hits or not most:
            return [*hits]
        passages = [embedded_text(hit.title, hit.headings, hit.text) for hit in hits[:most]]
        found = self._known.get([(query, passage) for passage in passages], self._likelihoods)
        return reordered(hits, found.tolist())

    def _likelihoods(self, asked: list[tuple[str, str]]) -> Vectors:
        [query] = {query for query, _ in asked}
        return self._likelihood.score(query, [passage for _, passage in asked])

    @cached_property
    def _likelihood(self) -> QueryLikelihood:
        from echo_index.embeddings.generation.query_likelihood import QueryLikelihood

        encoder = self._encoder()
        return QueryLikelihood(encoder.model, max_tokens=encoder.max_tokens, precision=encoder.precision)


def reordered(hits: Sequence[Hit], likelihoods: Sequence[float]) -> list[Hit]:
    """Return hits of which the first have these likelihoods, those by both, best first; then the others as they were.

    Both are made standard scores over the hits that have a likelihood, and added up. The sums begin at the score of
    the last of these hits, so that scores go on falling.
    """
    first, others = hits[: len(likelihoods)], hits[len(likelihoods) :]
    likely = dict(enumerate(likelihoods))
    before = {number: hit.score for number, hit in enumerate(first)}
    spots = ranked_scores(sorted(likely.items(), key=lambda each: (-each[1], each[0])))
    fused = zscore_fusion([before, likely], weights=[1.0, LIKELIHOOD_WEIGHT])
    least = min(before.values(), default=0.0)
    best = [replace(first[number], score=least + score, likelihood=spots[number]) for number, score in fused]
    return [*best, *others]
