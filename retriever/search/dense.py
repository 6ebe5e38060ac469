"""Rank chunks by the cosine of their vectors with a query, with Rocchio feedback."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from echo_index.indexer.catalog.records import SearchFilter
from echo_index.indexer.stores.search_space import SearchSpace
from echo_index.retriever.search.hits import Scored, chunk_ids
from echo_index.retriever.search.rocchio import cosines, rocchio

if TYPE_CHECKING:
    from echo_index.embeddings.vectors.vector_ops import Vectors

CANDIDATES = 100
"""Chunks of each ranking that are ranked again after feedback or fusion."""


@dataclass(frozen=True, slots=True)
class DenseRanking:
    """Candidates as (chunk id, cosine), best first: `ranked` by the query after feedback, `nearest` without."""

    ranked: Scored
    nearest: Scored


def dense_ranking(space: SearchSpace, vector: Vectors, *, k: int, where: SearchFilter) -> DenseRanking:
    """Rank at least `k` chunks nearest to a query vector (dimension,), not normalized, with feedback from the best.

    The query moves towards the best chunks, see `rocchio`, and the candidates are ranked again.
    """
    normalized = space.normalization.normalize_query(vector)
    nearest = space.nearest(normalized, k=max(k, CANDIDATES), where=where)
    ids = chunk_ids(nearest)
    vectors = dict(zip(ids, space.chunk_vectors(ids), strict=True))
    ranked = cosines(vectors, rocchio(normalized.vector, ids, vectors))
    return DenseRanking(sorted(ranked.items(), key=lambda item: -item[1]), nearest)
