"""Rerank hits by query likelihood: how likely the language model finds the query given each chunk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from echo_index.embeddings.models.profiles import only_embeds
from echo_index.errors import ModelError
from echo_index.indexer.documents.chunking import embedded_text
from echo_index.retriever.search.fusion import zscore_fusion
from echo_index.retriever.search.hits import Hit, ranked_scores
from echo_index.retriever.search.vector_lru import VectorLRU

if TYPE_CHECKING:
    from echo_index.embeddings.encoder import EchoEncoder
    from echo_index.embeddings.generation.query_likelihood import QueryLikelihood
    from echo_index.embeddings.vectors.vector_ops import Vectors

LIKELIHOOD_WEIGHT = 1.0
"""Weight of the likelihood relative to the search score, both as z-scores: 0.5 to 2 are about equal."""


class Reranker:
    """Reranks hits with the language model of the encoder, which `encoder` returns. Thread-safe."""

    def __init__(self, encoder: Callable[[], EchoEncoder]) -> None:
        self._encoder = encoder
        self._cache: VectorLRU[tuple[str, str]] = VectorLRU(capacity=2048)

    def rerank(self, query: str, hits: Sequence[Hit], *, limit: int) -> list[Hit]:
        """Return the hits with the first `limit` reordered by score and likelihood; the others follow unchanged.

        The model reads each chunk with its title and headings, as it was embedded. Likelihoods are cached.

        Raises:
            ModelError: the model only embeds, or a chunk and the query do not fit into its context.
        """
        if not hits or not limit:
            return [*hits]
        chunks = [embedded_text(hit.title, hit.headings, hit.full_text) for hit in hits[:limit]]
        likelihoods = self._cache.get([(query, chunk) for chunk in chunks], self._compute_likelihoods)
        return reorder(hits, likelihoods.tolist())

    def score(self, query: str, chunks: Sequence[str]) -> Vectors:
        """Return the mean log probability per token of the query after each chunk: float32 (n,). Nothing is cached.

        Raises:
            TextError: the query or a chunk is empty.
            ModelError: the model only embeds, or a chunk and the query do not fit into its context.
        """
        return self._model.score(query, chunks)

    def _compute_likelihoods(self, pairs: list[tuple[str, str]]) -> Vectors:
        [query] = {query for query, _ in pairs}
        return self.score(query, [chunk for _, chunk in pairs])

    @cached_property
    def _model(self) -> QueryLikelihood:
        from echo_index.embeddings.generation.query_likelihood import QueryLikelihood

        encoder = self._encoder()
        if only_embeds(encoder.config()):
            raise ModelError(
                f"The model {encoder.model.name} is trained for embeddings: it cannot rerank.",
                remedy="Leave out the reranking.",
            )
        return QueryLikelihood(encoder.model, max_tokens=encoder.max_tokens, precision=encoder.precision)


def reorder(hits: Sequence[Hit], likelihoods: Sequence[float]) -> list[Hit]:
    """Return the hits with the first `len(likelihoods)` of them ordered by search score and likelihood.

    Both are added as z-scores. The sums are shifted to start at the lowest search score of these hits, so that scores
    still fall towards the hits that follow.
    """
    first, others = hits[: len(likelihoods)], hits[len(likelihoods) :]
    by_likelihood = dict(enumerate(likelihoods))
    by_score = {number: hit.score for number, hit in enumerate(first)}
    ranks = ranked_scores(sorted(by_likelihood.items(), key=lambda item: (-item[1], item[0])))
    fused = zscore_fusion([by_score, by_likelihood], weights=[1.0, LIKELIHOOD_WEIGHT])
    least = min(by_score.values(), default=0.0)
    best = [replace(first[number], score=least + score, likelihood=ranks[number]) for number, score in fused]
    return [*best, *others]
