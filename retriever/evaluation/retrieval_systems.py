"""Ways to rank, one row of the table each. Knows the search and the index; nothing of judgements or metrics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from echo_index.embeddings.vectors.vector_ops import dominant_directions, remove_directions
from echo_index.indexer.catalog.records import Where
from echo_index.retriever.evaluation.datasets import Question
from echo_index.retriever.evaluation.exact_search import exact_nearest
from echo_index.retriever.evaluation.half_text import echo_of_halves, embed_halves
from echo_index.retriever.evaluation.indexed_dataset import MORE_PASSAGES, PASSAGES, OpenedCollection, Ranking
from echo_index.retriever.evaluation.similarity_methods import DIRECTIONS
from echo_index.retriever.search.fusion import reciprocal_rank_fusion
from echo_index.retriever.search.hits import Hit, ids_of, make_hits
from echo_index.retriever.search.hybrid import hybrid_ranking
from echo_index.retriever.search.retriever import Mode

Rank = Callable[[OpenedCollection], list[Ranking]]


@dataclass(frozen=True)
class Row:
    """One way to rank. More of them: write a function that ranks all questions of an opened collection.

    `told` says in words what it is. `prepare` does beforehand what is not to be in the time of the ranking, and returns
    the seconds that it took to embed a question, None where none was embedded. `lacking` returns why a collection
    cannot be ranked so, '' where it can. A row that is not `usual` is ranked only where it is named: it takes long.
    """

    name: str
    told: str
    rank: Rank
    prepare: Callable[[OpenedCollection], float | None] = lambda opened: None
    lacking: Callable[[OpenedCollection], str] = lambda opened: ""
    usual: bool = True


def _embed_questions(opened: OpenedCollection) -> float:
    return opened.seconds_per_question


def _searched(mode: Mode, *, rerank: int = 0) -> Rank:
    """Return what ranks by the search itself."""

    def rank(opened: OpenedCollection) -> list[Ranking]:
        vectors = None if mode == "lexical" else opened.readings.echo
        return opened.rank_each(
            lambda position, question, most: opened.retriever.search(
                question.text,
                k=most,
                mode=mode,
                vector=None if vectors is None else vectors[position],
                rerank=rerank if most == PASSAGES else 0,  # once: what follows the first passages is as it was
            )
        )

    return rank


def _without_directions(count: int) -> Row:
    def rank(opened: OpenedCollection) -> list[Ranking]:
        snapshot = opened.retriever.snapshot
        blocks = snapshot.catalog.vectors(generation=snapshot.manifest.generation)
        ids, vectors = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
        passages = snapshot.space.documents(vectors)
        directions = dominant_directions(passages, count)
        questions = snapshot.space.questions(opened.readings.echo)
        nearest = exact_nearest(
            [(ids, remove_directions(passages, directions))], remove_directions(questions, directions), k=MORE_PASSAGES
        )
        return opened.rank_scored(nearest)

    told = f"as echo, less the {count} directions in which passages differ most"
    return Row(f"echo-less-{count}", told, rank, prepare=_embed_questions, usual=False)


def _echo(opened: OpenedCollection) -> list[Ranking]:
    snapshot = opened.retriever.snapshot
    return opened.rank_scored(
        snapshot.nearest(vector, k=MORE_PASSAGES, where=Where()) for vector in opened.readings.echo
    )


def _fused_once(opened: OpenedCollection) -> list[Ranking]:
    snapshot = opened.retriever.snapshot

    def fused(position: int, question: Question, most: int) -> list[Hit]:
        vector = opened.readings.echo[position]
        both = hybrid_ranking(snapshot, question.text, vector, k=most, where=Where(), feedback=0)
        return make_hits(snapshot, both.fused, {}, {})

    return opened.rank_each(fused)


def _fused_by_ranks(opened: OpenedCollection) -> list[Ranking]:
    snapshot = opened.retriever.snapshot

    def fused(position: int, question: Question, most: int) -> list[Hit]:
        both = hybrid_ranking(snapshot, question.text, opened.readings.echo[position], k=most, where=Where())
        return make_hits(snapshot, reciprocal_rank_fusion([ids_of(both.dense), ids_of(both.lexical)]), {}, {})

    return opened.rank_each(fused)


def _classical(opened: OpenedCollection) -> list[Ranking]:
    vectors, snapshot = opened.classical_questions, opened.retriever.snapshot
    return opened.rank_scored(snapshot.nearest_classical(vector, k=MORE_PASSAGES, where=Where()) for vector in vectors)


def _prepare_classical(opened: OpenedCollection) -> float:
    """Search once: the first search by classical vectors gathers them."""
    [first, *_] = opened.classical_questions
    opened.retriever.snapshot.nearest_classical(first, k=1, where=Where())
    return opened.seconds_per_question


def _lacking_classical(opened: OpenedCollection) -> str:
    snapshot = opened.retriever.snapshot
    return "" if snapshot.classical.count == snapshot.manifest.chunks else "not all passages have a classical vector"


def _echo_centred(opened: OpenedCollection) -> list[Ranking]:
    snapshot = opened.retriever.snapshot
    space = snapshot.space
    blocks = (
        (ids, space.centred_documents(vectors))
        for ids, vectors in snapshot.catalog.vectors(generation=snapshot.manifest.generation)
    )
    return opened.rank_scored(exact_nearest(blocks, space.centred_questions(opened.readings.echo), k=MORE_PASSAGES))


def _echo_raw(opened: OpenedCollection) -> list[Ranking]:
    snapshot = opened.retriever.snapshot
    blocks = snapshot.catalog.vectors(generation=snapshot.manifest.generation)
    return opened.rank_scored(exact_nearest(blocks, opened.readings.echo, k=MORE_PASSAGES))


def _classical_raw(opened: OpenedCollection) -> list[Ranking]:
    snapshot = opened.retriever.snapshot
    blocks = snapshot.catalog.classical_vectors(generation=snapshot.manifest.generation)
    return opened.rank_scored(exact_nearest(blocks, opened.classical_questions, k=MORE_PASSAGES))


_ALL = (
    Row("bm25", "by words: BM25 of SQLite's full text", _searched("lexical")),
    Row(
        "classical",
        "by classical embeddings, the first copy of the text, in their own space",
        _classical,
        prepare=_prepare_classical,
        lacking=_lacking_classical,
    ),
    Row(
        "echo",
        "by echo embeddings in the space of the index",
        _echo,
        prepare=_embed_questions,
    ),
    Row("dense", "by echo embeddings, with feedback: dense search", _searched("dense"), prepare=_embed_questions),
    Row("hybrid", "dense and lexical search, fused, with feedback", _searched("hybrid"), prepare=_embed_questions),
    Row("hybrid-once", "the same, the question's vector left as it is", _fused_once, prepare=_embed_questions),
    Row("hybrid-ranks", "the same two, fused by their ranks", _fused_by_ranks, prepare=_embed_questions),
    *(
        Row(
            f"rerank-{most}",
            f"hybrid search, the best {most} reordered by query likelihood",
            _searched("hybrid", rerank=most),
            prepare=_embed_questions,
            usual=False,
        )
        for most in (20, 50)
    ),
    Row(
        "echo-half",
        "by echo embeddings of the first half of each passage, at the price of one reading",
        echo_of_halves,
        prepare=embed_halves,
        usual=False,
    ),
    *map(_without_directions, DIRECTIONS),
    Row(
        "classical-raw",
        "by classical embeddings as the model gives them",
        _classical_raw,
        prepare=_embed_questions,
        lacking=_lacking_classical,
    ),
    Row("echo-centred", "by echo embeddings less their means only", _echo_centred, prepare=_embed_questions),
    Row("echo-raw", "by echo embeddings as the model gives them", _echo_raw, prepare=_embed_questions),
)
ROWS: dict[str, Row] = {row.name: row for row in _ALL}
"""The ways to rank that are known by name."""
USUAL_ROWS = tuple(row.name for row in _ALL if row.usual)
"""Those that are ranked where none is named."""
