"""Ways to rank, one row of the table each. Knows the search and the index; nothing of judgements or metrics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from echo_index.embeddings.vectors.vector_ops import principal_components, remove_directions
from echo_index.indexer.catalog.records import SearchFilter
from echo_index.retriever.evaluation.datasets import EvaluationQuery
from echo_index.retriever.evaluation.exact_search import exact_search
from echo_index.retriever.evaluation.half_text import echo_of_halves, embed_halves
from echo_index.retriever.evaluation.indexed_dataset import MORE_PASSAGES, PASSAGES, IndexedDataset, Ranking
from echo_index.retriever.evaluation.similarity_methods import DIRECTIONS
from echo_index.retriever.search.fusion import reciprocal_rank_fusion
from echo_index.retriever.search.hits import Hit, chunk_ids, make_hits
from echo_index.retriever.search.hybrid import hybrid_ranking
from echo_index.retriever.search.retriever import Mode

Rank = Callable[[IndexedDataset], list[Ranking]]


@dataclass(frozen=True)
class RetrievalSystem:
    """One way to rank. More of them: write a function that ranks all questions of an opened collection.

    `told` says in words what it is. `prepare` does beforehand what is not to be in the time of the ranking, and returns
    the seconds that it took to embed a question, None where none was embedded. `lacking` returns why a collection
    cannot be ranked so, '' where it can. A row that is not `usual` is ranked only where it is named: it takes long.
    """

    name: str
    description: str
    rank: Rank
    prepare: Callable[[IndexedDataset], float | None] = lambda dataset: None
    lacking: Callable[[IndexedDataset], str] = lambda dataset: ""
    default: bool = True


def _embed_questions(dataset: IndexedDataset) -> float:
    return dataset.seconds_per_query


def _searched(mode: Mode, *, rerank: int = 0) -> Rank:
    """Return what ranks by the search itself."""

    def rank(dataset: IndexedDataset) -> list[Ranking]:
        vectors = None if mode == "lexical" else dataset.embeddings.echo
        return dataset.rank_each(
            lambda position, query, most: dataset.retriever.search(
                query.text,
                k=most,
                mode=mode,
                vector=None if vectors is None else vectors[position],
                rerank=rerank if most == PASSAGES else 0,  # once: what follows the first passages is as it was
            )
        )

    return rank


def _without_directions(count: int) -> RetrievalSystem:
    def rank(dataset: IndexedDataset) -> list[Ranking]:
        snapshot = dataset.retriever.snapshot
        blocks = snapshot.catalog.vectors(generation=snapshot.manifest.generation)
        ids, vectors = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
        passages = snapshot.normalization.normalize_documents(vectors)
        directions = principal_components(passages, count)
        queries = snapshot.normalization.normalize_queries(dataset.embeddings.echo)
        nearest = exact_search(
            [(ids, remove_directions(passages, directions))], remove_directions(queries, directions), k=MORE_PASSAGES
        )
        return dataset.rank_scored(nearest)

    told = f"as echo, less the {count} directions in which passages differ most"
    return RetrievalSystem(f"echo-less-{count}", told, rank, prepare=_embed_questions, default=False)


def _echo(dataset: IndexedDataset) -> list[Ranking]:
    snapshot = dataset.retriever.snapshot
    queries = map(snapshot.normalization.normalize_query, dataset.embeddings.echo)
    return dataset.rank_scored(snapshot.nearest(query, k=MORE_PASSAGES, where=SearchFilter()) for query in queries)


def _fused_once(dataset: IndexedDataset) -> list[Ranking]:
    snapshot = dataset.retriever.snapshot

    def fused(position: int, query: EvaluationQuery, most: int) -> list[Hit]:
        vector = dataset.embeddings.echo[position]
        both = hybrid_ranking(snapshot, query.text, vector, k=most, where=SearchFilter(), feedback=0)
        return make_hits(snapshot, both.fused, {}, {})

    return dataset.rank_each(fused)


def _fused_by_ranks(dataset: IndexedDataset) -> list[Ranking]:
    snapshot = dataset.retriever.snapshot

    def fused(position: int, query: EvaluationQuery, most: int) -> list[Hit]:
        both = hybrid_ranking(snapshot, query.text, dataset.embeddings.echo[position], k=most, where=SearchFilter())
        return make_hits(snapshot, reciprocal_rank_fusion([chunk_ids(both.dense), chunk_ids(both.lexical)]), {}, {})

    return dataset.rank_each(fused)


def _classical(dataset: IndexedDataset) -> list[Ranking]:
    snapshot = dataset.retriever.snapshot
    queries = map(snapshot.classical.normalization.normalize_query, dataset.classical_queries)
    return dataset.rank_scored(
        snapshot.nearest_classical(query, k=MORE_PASSAGES, where=SearchFilter()) for query in queries
    )


def _prepare_classical(dataset: IndexedDataset) -> float:
    """Search once: the first search by classical vectors gathers them."""
    [first, *_] = dataset.classical_queries
    snapshot = dataset.retriever.snapshot
    query = snapshot.classical.normalization.normalize_query(first)
    snapshot.nearest_classical(query, k=1, where=SearchFilter())
    return dataset.seconds_per_query


def _lacking_classical(dataset: IndexedDataset) -> str:
    snapshot = dataset.retriever.snapshot
    return "" if snapshot.classical.count == snapshot.manifest.chunks else "not all passages have a classical vector"


def _echo_centred(dataset: IndexedDataset) -> list[Ranking]:
    snapshot = dataset.retriever.snapshot
    normalization = snapshot.normalization
    blocks = (
        (ids, normalization.center_documents(vectors))
        for ids, vectors in snapshot.catalog.vectors(generation=snapshot.manifest.generation)
    )
    return dataset.rank_scored(
        exact_search(blocks, normalization.center_queries(dataset.embeddings.echo), k=MORE_PASSAGES)
    )


def _echo_raw(dataset: IndexedDataset) -> list[Ranking]:
    snapshot = dataset.retriever.snapshot
    blocks = snapshot.catalog.vectors(generation=snapshot.manifest.generation)
    return dataset.rank_scored(exact_search(blocks, dataset.embeddings.echo, k=MORE_PASSAGES))


def _classical_raw(dataset: IndexedDataset) -> list[Ranking]:
    snapshot = dataset.retriever.snapshot
    blocks = snapshot.catalog.classical_vectors(generation=snapshot.manifest.generation)
    return dataset.rank_scored(exact_search(blocks, dataset.classical_queries, k=MORE_PASSAGES))


_ALL = (
    RetrievalSystem("bm25", "by words: BM25 of SQLite's full text", _searched("lexical")),
    RetrievalSystem(
        "classical",
        "by classical embeddings, the first copy of the text, in their own space",
        _classical,
        prepare=_prepare_classical,
        lacking=_lacking_classical,
    ),
    RetrievalSystem(
        "echo",
        "by echo embeddings in the space of the index",
        _echo,
        prepare=_embed_questions,
    ),
    RetrievalSystem(
        "dense", "by echo embeddings, with feedback: dense search", _searched("dense"), prepare=_embed_questions
    ),
    RetrievalSystem(
        "hybrid", "dense and lexical search, fused, with feedback", _searched("hybrid"), prepare=_embed_questions
    ),
    RetrievalSystem(
        "hybrid-once", "the same, the question's vector left as it is", _fused_once, prepare=_embed_questions
    ),
    RetrievalSystem("hybrid-ranks", "the same two, fused by their ranks", _fused_by_ranks, prepare=_embed_questions),
    *(
        RetrievalSystem(
            f"rerank-{most}",
            f"hybrid search, the best {most} reordered by query likelihood",
            _searched("hybrid", rerank=most),
            prepare=_embed_questions,
            default=False,
        )
        for most in (20, 50)
    ),
    RetrievalSystem(
        "echo-half",
        "by echo embeddings of the first half of each passage, at the price of one reading",
        echo_of_halves,
        prepare=embed_halves,
        default=False,
    ),
    *map(_without_directions, DIRECTIONS),
    RetrievalSystem(
        "classical-raw",
        "by classical embeddings as the model gives them",
        _classical_raw,
        prepare=_embed_questions,
        lacking=_lacking_classical,
    ),
    RetrievalSystem(
        "echo-centred", "by echo embeddings less their means only", _echo_centred, prepare=_embed_questions
    ),
    RetrievalSystem("echo-raw", "by echo embeddings as the model gives them", _echo_raw, prepare=_embed_questions),
)
SYSTEMS: dict[str, RetrievalSystem] = {system.name: system for system in _ALL}
"""The ways to rank that are known by name."""
DEFAULT_SYSTEMS = tuple(system.name for system in _ALL if system.default)
"""Those that are ranked where none is named."""
