"""Echo beside classical embeddings: one question's rankings, or one sentence's nearness to others, by each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from echo_index.embeddings.vectors.paired_embeddings import EmbeddingPair
from echo_index.indexer.catalog.records import SearchFilter
from echo_index.retriever.search.hits import Hit, Scored, make_hits, ranked_scores
from echo_index.retriever.search.lexical import lexical_ranking
from echo_index.retriever.search.retriever import Retriever, validate_query

if TYPE_CHECKING:
    from echo_index.embeddings.encoder import EchoEncoder
    from echo_index.embeddings.vectors.vector_ops import Vectors
    from echo_index.indexer.generations.snapshot import Snapshot
    from echo_index.indexer.vectors.normalization import NormalizationPair, VectorNormalization

RankingName = Literal["echo", "classical", "lexical"]


@dataclass(frozen=True, slots=True)
class Ranking:
    """The best hits by one way of searching, best first.

    Each hit's rank and score are in `dense` (echo and classical) or `lexical`; the other of the two is None.
    """

    name: RankingName
    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What each way of searching finds for one question.

    `without_classical` passages of the index have no classical vector and cannot be in that ranking; where none has
    one, or the prompts of the index read a text once, there is no such ranking.
    """

    query: str
    rankings: tuple[Ranking, ...]
    without_classical: int

    def ranks(self) -> dict[tuple[str, int], dict[RankingName, int | None]]:
        """Return of each passage, by (source, start), its rank in every ranking, from 1; None where it is not in it."""
        found: dict[tuple[str, int], dict[RankingName, int | None]] = {}
        for ranking in self.rankings:
            for rank, hit in enumerate(ranking.hits, start=1):
                nowhere: dict[RankingName, int | None] = {each.name: None for each in self.rankings}
                found.setdefault((hit.source, hit.start), nowhere)[ranking.name] = rank
        return found


@dataclass(frozen=True, slots=True)
class PairSimilarity:
    """The cosine of two sentences by each way of embedding; `classical` is None where the prompt reads a text once."""

    echo: float
    classical: float | None


def compare(
    retriever: Retriever, query: str, *, k: int = 10, instruction: str | None = None, where: SearchFilter | None = None
) -> Comparison:
    """Search by echo, by classical embeddings and by words, each its best `k`. The question is embedded once.

    The first comparison in a generation of the index is slower: it gathers the classical vectors.

    Raises:
        QuestionError: the question is empty or `k` is below 1.
        PromptError: an instruction was given and the query prompt has no place for it.
    """
    validate_query(query, k)
    filtered, encoder = where or SearchFilter(), retriever.encoder
    pairs = encoder.encode_query_pairs([query], instruction=instruction)

    def rank(snapshot: Snapshot) -> Comparison:
        echo = snapshot.normalization.normalize_query(pairs.echo[0])
        rankings = [_dense(snapshot, "echo", snapshot.nearest(echo, k=k, where=filtered))]
        with_classical = snapshot.classical.count
        if with_classical and pairs.classical is not None:
            classical = snapshot.classical.normalization.normalize_query(pairs.classical[0])
            nearest = snapshot.nearest_classical(classical, k=k, where=filtered)
            rankings.append(_dense(snapshot, "classical", nearest))
        matching = lexical_ranking(snapshot, query, k, filtered)
        rankings.append(Ranking("lexical", tuple(make_hits(snapshot, matching, {}, ranked_scores(matching)))))
        return Comparison(query, tuple(rankings), without_classical=snapshot.manifest.chunks - with_classical)

    return retriever.with_snapshot(rank)


def compare_sentences(
    encoder: EchoEncoder, sentence: str, others: Sequence[str], *, normalizations: NormalizationPair | None = None
) -> list[PairSimilarity]:
    """Return how near `sentence` is to each of the others by each way, all embedded as documents, together.

    In a causal model the first words of a text cannot see what follows. A single reading of "She loves summer but
    dislikes the heat" has its first half in common with every sentence that begins so, whatever it goes on to say; in
    the second copy of an echo every word has seen the whole (arXiv 2402.15449, section 3).

    Without `spaces` nearly all cosines are high. With those of an index, `Snapshot.spaces_of_both`, what all texts
    have in common is taken away, what only the wording changes counts for less, and the figures spread.

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


def _dense(snapshot: Snapshot, name: RankingName, nearest: Scored) -> Ranking:
    return Ranking(name, tuple(make_hits(snapshot, nearest, ranked_scores(nearest), {})))


def _cosines(vectors: Vectors, normalization: VectorNormalization | None) -> list[float]:
    """Return the cosine of the first vector with each of the others."""
    first, *others = vectors if normalization is None else normalization.normalize_documents(vectors)
    return [float(first @ other) for other in others]
