"""Compare echo with classical embeddings: the rankings of a query, or the similarities of sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from echo_index.embeddings.vectors.paired_embeddings import EmbeddingPair
from echo_index.embeddings.vectors.vector_ops import center
from echo_index.indexer.catalog.records import SearchFilter
from echo_index.retriever.search.hits import Hit, Scored, chunk_ids, make_hits, ranked_scores
from echo_index.retriever.search.lexical import lexical_ranking
from echo_index.retriever.search.retriever import Retriever
from echo_index.retriever.search.searcher import validate_query

if TYPE_CHECKING:
    from echo_index.embeddings.encoder import EchoEncoder
    from echo_index.embeddings.vectors.vector_ops import Vectors
    from echo_index.indexer.generations.snapshot import Snapshot
    from echo_index.indexer.vectors.normalization import NormalizationPair, VectorNormalization

RankingName = Literal["echo", "classical", "lexical"]


@dataclass(frozen=True, slots=True)
class Ranking:
    """The best hits of one search method, best first.

    Each hit's rank and score are in `dense` (echo and classical) or `lexical`; the other of the two is None.
    """

    name: RankingName
    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The rankings of each search method for one query.

    `without_classical` chunks of the index have no classical vector and cannot be in that ranking. If none has one,
    those of the hits of the other rankings are computed, and the ranking `is_among_hits`. If the prompts of the index
    contain the text only once, there is no classical ranking.
    """

    query: str
    rankings: tuple[Ranking, ...]
    without_classical: int
    is_among_hits: bool = False

    def ranks(self) -> dict[tuple[str, int], dict[RankingName, int | None]]:
        """Return the rank of each chunk, from 1, by (source, start) and ranking; None where it is not a hit."""
        ranks: dict[tuple[str, int], dict[RankingName, int | None]] = {}
        for ranking in self.rankings:
            for rank, hit in enumerate(ranking.hits, start=1):
                unranked: dict[RankingName, int | None] = {ranking.name: None for ranking in self.rankings}
                ranks.setdefault((hit.source, hit.start), unranked)[ranking.name] = rank
        return ranks


@dataclass(frozen=True, slots=True)
class PairSimilarity:
    """Cosine of two sentences by echo and classical embeddings; `classical` is None if the prompt has one text pass."""

    echo: float
    classical: float | None


def compare(
    retriever: Retriever, query: str, *, k: int = 10, instruction: str | None = None, where: SearchFilter | None = None
) -> Comparison:
    """Return the best `k` hits of echo, classical and lexical search for a query, which is embedded once.

    If the index has no classical vectors, the hits of the other two rankings are embedded, which takes about as long as
    a build takes for so many passages. If it has, the first comparison in a generation is slower than later ones, as it
    builds the classical vector index.

    Raises:
        QuestionError: the query is empty or `k` is below 1.
        PromptError: an instruction was given and the query prompt has no slot for it.
    """
    validate_query(query, k)
    search_filter, encoder = where or SearchFilter(), retriever.encoder
    pairs = encoder.encode_query_pairs([query], instruction=instruction)

    def rank(snapshot: Snapshot) -> Comparison:
        echo = snapshot.normalization.normalize_query(pairs.echo[0])
        nearest = snapshot.nearest(echo, k=k, where=search_filter)
        rankings = [_dense(snapshot, "echo", nearest)]
        matching = lexical_ranking(snapshot, query, k, search_filter)
        classical_count = snapshot.classical.count
        best: Scored | None = None
        if pairs.classical is not None and classical_count:
            classical = snapshot.classical.normalization.normalize_query(pairs.classical[0])
            best = snapshot.nearest_classical(classical, k=k, where=search_filter)
        elif pairs.classical is not None:
            found = list(dict.fromkeys(chunk_ids(nearest + matching)))
            best = _classical_ranking(snapshot, encoder, pairs.classical[0], found, k=k)
        if best is not None:
            rankings.append(_dense(snapshot, "classical", best))
        rankings.append(Ranking("lexical", tuple(make_hits(snapshot, matching, {}, ranked_scores(matching)))))
        return Comparison(
            query,
            tuple(rankings),
            without_classical=snapshot.manifest.chunks - classical_count,
            is_among_hits=best is not None and classical_count == 0,
        )

    return retriever.with_snapshot(rank)


def compare_sentences(
    encoder: EchoEncoder, sentence: str, others: Sequence[str], *, normalizations: NormalizationPair | None = None
) -> list[PairSimilarity]:
    """Return the cosines of `sentence` with each of the others, all embedded as documents.

    In a causal model the first tokens of a text cannot attend to later ones: classical embeddings of sentences that
    begin alike are similar however they end. In the second text pass of an echo every token has seen the whole sentence
    (arXiv 2402.15449, section 3).

    Without `normalizations` nearly all cosines are high. Those of an index, `Snapshot.normalizations`, remove the mean
    of its texts and attenuate directions that only depend on phrasing, so that the cosines spread.

    Raises:
        TextError: a sentence is empty.
    """
    texts = [sentence, *others]
    pairs = EmbeddingPair.gather(encoder.encode_document_pairs(texts), shape=(len(texts), encoder.dimension))
    echo = _cosines(pairs.echo, normalizations.echo if normalizations else None)
    if pairs.classical is None:
        return [PairSimilarity(cosine, None) for cosine in echo]
    classical = _cosines(pairs.classical, normalizations.classical if normalizations else None)
    return [PairSimilarity(*pair) for pair in zip(echo, classical, strict=True)]


def _classical_ranking(
    snapshot: Snapshot, encoder: EchoEncoder, query: Vectors, ids: Sequence[int], *, k: int
) -> Scored | None:
    """Return (chunk id, cosine) of the best of these chunks by classical vectors that are computed now; None without.

    The mean of the chunks is subtracted, as there is no normalization; it is a constant for the query, too.
    """
    if not ids:
        return []
    texts = snapshot.catalog.embedded_texts_of(ids, context=snapshot.manifest.context)
    pairs = EmbeddingPair.gather(encoder.encode_document_pairs(texts), shape=(len(texts), encoder.dimension))
    if pairs.classical is None:
        return None
    mean = pairs.classical.mean(axis=0)
    [centered] = center(query[None, :], mean)
    scores = center(pairs.classical, mean) @ centered
    return sorted(zip(ids, scores.tolist(), strict=True), key=lambda scored: (-scored[1], scored[0]))[:k]


def _dense(snapshot: Snapshot, name: RankingName, nearest: Scored) -> Ranking:
    return Ranking(name, tuple(make_hits(snapshot, nearest, ranked_scores(nearest), {})))


def _cosines(vectors: Vectors, normalization: VectorNormalization | None) -> list[float]:
    """Return the cosine of the first vector with each of the others."""
    first, *others = vectors if normalization is None else normalization.normalize_documents(vectors)
    return [float(first @ other) for other in others]
