"""Passages ranked by meaning and by words at once. Knows the two rankings of an index, nothing of how hits are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from echo_index.indexer.catalog.records import SearchFilter
from echo_index.indexer.generations.snapshot import Snapshot
from echo_index.retriever.search.dense import CANDIDATES
from echo_index.retriever.search.fusion import zscore_fusion
from echo_index.retriever.search.hits import Scored, chunk_ids
from echo_index.retriever.search.lexical import parse_lexical_query
from echo_index.retriever.search.rocchio import FEEDBACK_CHUNKS, cosines, rocchio

if TYPE_CHECKING:
    from echo_index.embeddings.vectors.vector_ops import Vectors

WORDS_WEIGHT = 0.5
"""Of BM25 beside the cosine, both as standard scores: best of 0.3 to 1 on the mean of six public sets, all near it."""


@dataclass(frozen=True, slots=True)
class HybridRanking:
    """The fused ranking and the two that it was made from, each (chunk id, score), best first."""

    fused: Scored
    dense: Scored
    lexical: Scored


def hybrid_ranking(
    snapshot: Snapshot, query: str, vector: Vectors, *, k: int, where: SearchFilter, feedback: int = FEEDBACK_CHUNKS
) -> HybridRanking:
    """Rank the best of both rankings, at least `k` of each, by the sum of their two scores.

    A candidate of one ranking is given its score in the other too, also where it stood far below there. Then the
    question's vector moves towards the best `feedback` of them, on which meaning and words agree, and the candidates
    are ranked once more. Where the question has a phrase, what has it not is no candidate.
    """
    depth = max(k, CANDIDATES)
    asked = snapshot.normalization.normalize_query(vector)
    words_asked = parse_lexical_query(query, snapshot.languages())
    dense = snapshot.nearest(asked, k=depth, where=where)
    lexical = snapshot.matching(words_asked, k=depth, where=where)
    words = dict(lexical)
    words |= snapshot.scores(words_asked, [each for each in chunk_ids(dense) if each not in words])
    candidates = [each for each, score in words.items() if score > 0 or not words_asked.phrases]
    vectors = dict(zip(candidates, snapshot.chunk_vectors(candidates), strict=True))
    words = {each: words[each] for each in candidates}
    fused = _fused(vectors, words, asked.vector)
    if feedback:
        fused = _fused(vectors, words, rocchio(asked.vector, chunk_ids(fused), vectors, most=feedback))
    return HybridRanking(fused, dense, lexical)


def _fused(vectors: Mapping[int, Vectors], words: Mapping[int, float], asked: Vectors) -> Scored:
    """Return candidates by their cosine with what is asked and their BM25 score, (chunk id, sum), best first."""
    return zscore_fusion([cosines(vectors, asked), words], weights=[1.0, WORDS_WEIGHT])
