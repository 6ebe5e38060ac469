"""Passages ranked by meaning and by words at once. Knows the two rankings of an index, nothing of how hits are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from indexer import Snapshot, Where
from retriever.fusion import standard_score_fusion
from retriever.hits import Scored
from retriever.lexical import word_query

if TYPE_CHECKING:
    from echo_embeddings import Vectors

CANDIDATES = 100
"""The best so many of each ranking are candidates."""
WORDS_WEIGHT = 0.5
"""Of BM25 beside the cosine, both as standard scores: best of 0.3 to 1 on the mean of six public sets, all near it."""


@dataclass(frozen=True, slots=True)
class HybridRanking:
    """The fused ranking and the two that it was made from, each (chunk id, score), best first."""

    fused: Scored
    dense: Scored
    lexical: Scored


def hybrid_ranking(snapshot: Snapshot, query: str, vector: Vectors, *, k: int, where: Where) -> HybridRanking:
    """Rank the best of both rankings, at least `k` of each, by the sum of their two scores.

    A candidate of one ranking is given its score in the other too, also where it stood far below there. Where the
    question has a phrase, what has it not is no candidate.
    """
    depth = max(k, CANDIDATES)
    dense = snapshot.nearest(vector, k=depth, where=where)
    asked = word_query(query, snapshot.languages())
    lexical = snapshot.matching(asked, k=depth, where=where)
    cosines, words = dict(dense), dict(lexical)
    cosines |= snapshot.cosines(vector, [each for each in words if each not in cosines])
    words |= snapshot.scores(asked, [each for each in cosines if each not in words])
    if asked.phrases:
        words = {each: score for each, score in words.items() if score > 0}
        cosines = {each: cosines[each] for each in words}
    return HybridRanking(standard_score_fusion([cosines, words], weights=[1.0, WORDS_WEIGHT]), dense, lexical)
