"""Retrieval systems that are evaluated: each is one row of the result table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from echo_index.embeddings.vectors.vector_ops import principal_components, remove_directions
from echo_index.indexer.catalog.records import SearchFilter
from echo_index.retriever.evaluation.datasets import EvaluationQuery
from echo_index.retriever.evaluation.exact_search import exact_search
from echo_index.retriever.evaluation.half_text import embed_halves, rank_by_halves
from echo_index.retriever.evaluation.indexed_dataset import CHUNKS, MORE_CHUNKS, IndexedDataset, Ranking
from echo_index.retriever.evaluation.similarity_methods import DIRECTIONS
from echo_index.retriever.search.fusion import reciprocal_rank_fusion
from echo_index.retriever.search.hits import Hit, chunk_ids, make_hits
from echo_index.retriever.search.hybrid import hybrid_ranking
from echo_index.retriever.search.searcher import Mode

Rank = Callable[[IndexedDataset], list[Ranking]]


@dataclass(frozen=True)
class RetrievalSystem:
    """One way to rank. To add one, write a function that ranks all queries of an IndexedDataset.

    Args:
        name: name of its row.
        description: what it does, in words.
        rank: returns the ranking of each query.
        prepare: work that is not part of the ranking time; returns the seconds per query of embedding the queries,
            None if none was embedded.
        lacking: returns why a dataset cannot be ranked, '' if it can.
        default: whether it runs if no system is named; slow ones do not.
    """

    name: str
    description: str
    rank: Rank
    prepare: Callable[[IndexedDataset], float | None] = lambda dataset: None
    lacking: Callable[[IndexedDataset], str] = lambda dataset: ""
    default: bool = True


def _embed_queries(dataset: IndexedDataset) -> float:
    return dataset.seconds_per_query


def _search_system(mode: Mode, *, rerank: int = 0) -> Rank:
    """Return the ranking function of `Retriever.search`."""

    def rank(dataset: IndexedDataset) -> list[Ranking]:
        vectors = None if mode == "lexical" else dataset.embeddings.echo
        return dataset.rank_each(
            lambda position, query, k: dataset.retriever.search(
                query.text,
                k=k,
                mode=mode,
                vector=None if vectors is None else vectors[position],
                rerank=rerank if k == CHUNKS else 0,  # not again when more chunks are retrieved
            )
        )

    return rank


def _without_directions(count: int) -> RetrievalSystem:
    def rank(dataset: IndexedDataset) -> list[Ranking]:
        snapshot = dataset.retriever.snapshot
        blocks = snapshot.catalog.vectors(generation=snapshot.manifest.generation)
        ids, vectors = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
        chunks = snapshot.normalization.normalize_documents(vectors)
        directions = principal_components(chunks, count)
        queries = snapshot.normalization.normalize_queries(dataset.embeddings.echo)
        nearest = exact_search(
            [(ids, remove_directions(chunks, directions))], remove_directions(queries, directions), k=MORE_CHUNKS
        )
        return dataset.rank_scored(nearest)

    description = f"as echo, without the first {count} principal components of the passages"
    return RetrievalSystem(f"echo-less-{count}", description, rank, prepare=_embed_queries, default=False)


def _echo(dataset: IndexedDataset) -> list[Ranking]:
    snapshot = dataset.retriever.snapshot
    queries = map(snapshot.normalization.normalize_query, dataset.embeddings.echo)
    return dataset.rank_scored(snapshot.nearest(query, k=MORE_CHUNKS, where=SearchFilter()) for query in queries)


def _hybrid_without_feedback(dataset: IndexedDataset) -> list[Ranking]:
    snapshot = dataset.retriever.snapshot

    def fused(position: int, query: EvaluationQuery, k: int) -> list[Hit]:
        vector = dataset.embeddings.echo[position]
        ranking = hybrid_ranking(snapshot, query.text, vector, k=k, where=SearchFilter(), feedback=0)
        return make_hits(snapshot, ranking.fused, {}, {})

    return dataset.rank_each(fused)


def _hybrid_by_ranks(dataset: IndexedDataset) -> list[Ranking]:
    snapshot = dataset.retriever.snapshot

    def fused(position: int, query: EvaluationQuery, k: int) -> list[Hit]:
        ranking = hybrid_ranking(snapshot, query.text, dataset.embeddings.echo[position], k=k, where=SearchFilter())
        return make_hits(
            snapshot, reciprocal_rank_fusion([chunk_ids(ranking.dense), chunk_ids(ranking.lexical)]), {}, {}
        )

    return dataset.rank_each(fused)


def _classical(dataset: IndexedDataset) -> list[Ranking]:
    snapshot = dataset.retriever.snapshot
    queries = map(snapshot.classical.normalization.normalize_query, dataset.classical_queries)
    return dataset.rank_scored(
        snapshot.nearest_classical(query, k=MORE_CHUNKS, where=SearchFilter()) for query in queries
    )


def _prepare_classical(dataset: IndexedDataset) -> float:
    """Search once, as the first classical search builds the vector index."""
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
        exact_search(blocks, normalization.center_queries(dataset.embeddings.echo), k=MORE_CHUNKS)
    )


def _echo_raw(dataset: IndexedDataset) -> list[Ranking]:
    snapshot = dataset.retriever.snapshot
    blocks = snapshot.catalog.vectors(generation=snapshot.manifest.generation)
    return dataset.rank_scored(exact_search(blocks, dataset.embeddings.echo, k=MORE_CHUNKS))


def _classical_raw(dataset: IndexedDataset) -> list[Ranking]:
    snapshot = dataset.retriever.snapshot
    blocks = snapshot.catalog.classical_vectors(generation=snapshot.manifest.generation)
    return dataset.rank_scored(exact_search(blocks, dataset.classical_queries, k=MORE_CHUNKS))


_ALL = (
    RetrievalSystem("bm25", "lexical search: BM25", _search_system("lexical")),
    RetrievalSystem(
        "classical",
        "classical embeddings, normalized",
        _classical,
        prepare=_prepare_classical,
        lacking=_lacking_classical,
    ),
    RetrievalSystem(
        "echo",
        "echo embeddings, normalized as in the index",
        _echo,
        prepare=_embed_queries,
    ),
    RetrievalSystem(
        "dense", "dense search: echo embeddings with feedback", _search_system("dense"), prepare=_embed_queries
    ),
    RetrievalSystem(
        "hybrid",
        "hybrid search: dense and lexical, fused, with feedback",
        _search_system("hybrid"),
        prepare=_embed_queries,
    ),
    RetrievalSystem("hybrid-once", "hybrid search without feedback", _hybrid_without_feedback, prepare=_embed_queries),
    RetrievalSystem("hybrid-ranks", "hybrid search, fused by ranks", _hybrid_by_ranks, prepare=_embed_queries),
    *(
        RetrievalSystem(
            f"rerank-{count}",
            f"hybrid search, the best {count} reranked by query likelihood",
            _search_system("hybrid", rerank=count),
            prepare=_embed_queries,
            default=False,
        )
        for count in (20, 50)
    ),
    RetrievalSystem(
        "echo-half",
        "echo embeddings of the first half of each passage, at the cost of classical ones",
        rank_by_halves,
        prepare=embed_halves,
        default=False,
    ),
    *map(_without_directions, DIRECTIONS),
    RetrievalSystem(
        "classical-raw",
        "classical embeddings, not normalized",
        _classical_raw,
        prepare=_embed_queries,
        lacking=_lacking_classical,
    ),
    RetrievalSystem("echo-centred", "echo embeddings, centred only", _echo_centred, prepare=_embed_queries),
    RetrievalSystem("echo-raw", "echo embeddings, not normalized", _echo_raw, prepare=_embed_queries),
)
SYSTEMS: dict[str, RetrievalSystem] = {system.name: system for system in _ALL}
"""All retrieval systems by name."""
DEFAULT_SYSTEMS = tuple(system.name for system in _ALL if system.default)
"""Names of the systems that run if none is named."""
