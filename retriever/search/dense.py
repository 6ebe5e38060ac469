"""Passages ranked by meaning. Knows the vectors of an index, nothing of words or of how hits are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from echo_index.indexer.catalog.records import SearchFilter
from echo_index.indexer.generations.snapshot import Snapshot
from echo_index.retriever.search.hits import Scored, chunk_ids
from echo_index.retriever.search.rocchio import cosines, rocchio

if TYPE_CHECKING:
    from echo_index.embeddings.vectors.vector_ops import Vectors

CANDIDATES = 100
"""The best so many of a ranking are candidates."""


@dataclass(frozen=True, slots=True)
class DenseRanking:
    """Candidates by their cosine with the moved question and with the question itself, each (chunk id, cosine)."""

    ranked: Scored
    nearest: Scored


def dense_ranking(snapshot: Snapshot, vector: Vectors, *, k: int, where: SearchFilter) -> DenseRanking:
    """Rank the passages nearest to a question, at least `k` of them, once more by the question moved towards the best.

    `vector` (dimension,) is the question's, as its encoder gave it.
    """
    asked = snapshot.normalization.normalize_query(vector)
    nearest = snapshot.nearest(asked, k=max(k, CANDIDATES), where=where)
    ids = chunk_ids(nearest)
    vectors = dict(zip(ids, snapshot.chunk_vectors(ids), strict=True))
    ranked = cosines(vectors, rocchio(asked.vector, ids, vectors))
    return DenseRanking(sorted(ranked.items(), key=lambda scored: -scored[1]), nearest)
