"""Passages ranked by meaning and by words at once. Knows the two rankings of an index, nothing of how hits are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from echo_embeddings import unit_rows
from indexer import Snapshot, Where
from retriever.fusion import standard_score_fusion
from retriever.hits import Scored, ids_of
from retriever.lexical import word_query

if TYPE_CHECKING:
    from echo_embeddings import Vectors

CANDIDATES = 100
"""The best so many of each ranking are candidates."""
WORDS_WEIGHT = 0.5
"""Of BM25 beside the cosine, both as standard scores: best of 0.3 to 1 on the mean of six public sets, all near it."""
FEEDBACK = 3
"""The best so many tell more of what is asked: 2 to 5 are about equal on six public sets."""
FEEDBACK_WEIGHT = 0.5
"""Of their mean beside the question's vector: 0.5 to 1 are about equal there."""
_COPY = 0.999  # the least cosine of a passage with its copy


@dataclass(frozen=True, slots=True)
class HybridRanking:
    """The fused ranking and the two that it was made from, each (chunk id, score), best first."""

    fused: Scored
    dense: Scored
    lexical: Scored


def hybrid_ranking(
    snapshot: Snapshot, query: str, vector: Vectors, *, k: int, where: Where, feedback: int = FEEDBACK
) -> HybridRanking:
    """Rank the best of both rankings, at least `k` of each, by the sum of their two scores.

    A candidate of one ranking is given its score in the other too, also where it stood far below there. Then the
    question's vector moves towards the best `feedback` of them, and the candidates are ranked once more: what meaning
    and words agree on says more of what is asked than the question alone (Rocchio's feedback on vectors: Li and others,
    arXiv 2108.11044). Where the question has a phrase, what has it not is no candidate.
    """
    depth = max(k, CANDIDATES)
    [asked] = snapshot.space.questions(vector[None, :])
    words_asked = word_query(query, snapshot.languages())
    dense = snapshot.nearest(vector, k=depth, where=where)
    lexical = snapshot.matching(words_asked, k=depth, where=where)
    words = dict(lexical)
    words |= snapshot.scores(words_asked, [each for each in ids_of(dense) if each not in words])
    candidates = [each for each, score in words.items() if score > 0 or not words_asked.phrases]
    vectors = dict(zip(candidates, snapshot.compared_chunks(candidates), strict=True))
    words = {each: words[each] for each in candidates}
    fused = _fused(vectors, words, asked)
    if feedback and fused:
        best = np.mean(_different(ids_of(fused), vectors, most=feedback), axis=0)
        fused = _fused(vectors, words, unit_rows((asked + FEEDBACK_WEIGHT * best)[None, :])[0])
    return HybridRanking(fused, dense, lexical)


def _different(ranked: Sequence[int], vectors: Mapping[int, Vectors], *, most: int) -> list[Vectors]:
    """Return the vectors of the first passages, a copy of one before it left out."""
    chosen: list[Vectors] = []
    for identifier in ranked:
        if len(chosen) == most:
            break
        if all(float(one @ vectors[identifier]) < _COPY for one in chosen):
            chosen.append(vectors[identifier])
    return chosen


def _fused(vectors: Mapping[int, Vectors], words: Mapping[int, float], asked: Vectors) -> Scored:
    """Return candidates by their cosine with what is asked and their BM25 score, (chunk id, sum), best first."""
    if not vectors:
        return []
    # einsum has no threads of its own, unlike the matrix product, whose threads would slow the model's down
    cosines = np.einsum("ij,j->i", np.stack(list(vectors.values())), asked).tolist()
    return standard_score_fusion([dict(zip(vectors, cosines, strict=True)), words], weights=[1.0, WORDS_WEIGHT])
