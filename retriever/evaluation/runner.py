"""The composer of an evaluation: each row ranks, the rankings are measured, the rows are compared."""

from __future__ import annotations

import time
from collections.abc import Sequence

from echo_index.retriever.evaluation.datasets import BeirCollection
from echo_index.retriever.evaluation.indexed_dataset import OpenedCollection
from echo_index.retriever.evaluation.metrics import METRICS, SPEARMAN, ranking_scores, spearman
from echo_index.retriever.evaluation.results import (
    BASELINE,
    PAIR_BASELINE,
    CollectionResult,
    RowResult,
    compared,
)
from echo_index.retriever.evaluation.retrieval_systems import Row
from echo_index.retriever.evaluation.similarity_methods import EmbeddedPairs, PairRow

SIMILARITY = "similarity"


def evaluate_rankings(opened: OpenedCollection, rows: Sequence[Row], *, baseline: str = BASELINE) -> CollectionResult:
    """Rank all questions by each row, and tell how good the rankings are.

    Raises:
        MissingPackage: a package of the extra `evaluation` is not installed.
        ModelError, IndexMismatch: the model of the index is not there any more, or has changed.
    """
    left_out = {row.name: reason for row in rows if (reason := row.lacking(opened))}
    found = [_ranked(opened, row) for row in rows if row.name not in left_out]
    manifest, collection = opened.retriever.snapshot.manifest, opened.collection
    result = CollectionResult(
        collection=collection.name,
        source=str(collection.folder if isinstance(collection, BeirCollection) else collection.path),
        kind="rankings",
        questions=[question.id for question in opened.questions],
        documents=manifest.documents,
        passages=manifest.chunks,
        encoder=manifest.encoder,
        instruction=opened.instruction,
        chunking=manifest.chunking,
        rows=found,
        left_out=left_out,
        baseline=baseline,
    )
    return compared(result, baseline)


def evaluate_similarities(
    embedded: EmbeddedPairs,
    rows: Sequence[PairRow],
    *,
    encoder: dict[str, str | int | None],
    baseline: str = PAIR_BASELINE,
) -> CollectionResult:
    """Tell how well the similarities of each row agree with what people judged. `encoder` describes what embedded.

    Raises:
        MissingPackage: a package of the extra `evaluation` is not installed.
    """
    pairs = embedded.pairs
    left_out = {row.name: reason for row in rows if (reason := row.lacking(embedded))}
    result = CollectionResult(
        collection=pairs.name,
        source=str(pairs.path),
        kind="similarities",
        questions=[str(number) for number in range(1, len(pairs.scores) + 1)],
        documents=None,
        passages=None,
        encoder=encoder,
        instruction=None,
        chunking=None,
        rows=[_correlated(embedded, row) for row in rows if row.name not in left_out],
        left_out=left_out,
        baseline=baseline,
        judged=[*pairs.scores],
    )
    return compared(result, baseline)


def _ranked(opened: OpenedCollection, row: Row) -> RowResult:
    embedding = row.prepare(opened)
    began = time.perf_counter()
    rankings = row.rank(opened)
    seconds = time.perf_counter() - began
    ids = [question.id for question in opened.questions]
    scores = ranking_scores(
        dict(zip(ids, rankings, strict=True)), {question.id: question.grades for question in opened.questions}
    )
    per_question = {metric: [scores[metric][question] for question in ids] for metric in METRICS}
    return RowResult(
        row=row.name,
        told=row.told,
        scores={metric: sum(values) / len(values) for metric, values in per_question.items()},
        per_question=per_question,
        seconds_embedding=embedding,
        seconds_ranking=seconds / len(ids),
    )


def _correlated(embedded: EmbeddedPairs, row: PairRow) -> RowResult:
    embedding = row.prepare(embedded)
    began = time.perf_counter()
    similarities = row.similarities(embedded).tolist()
    seconds = time.perf_counter() - began
    return RowResult(
        row=row.name,
        told=row.told,
        scores={SPEARMAN: spearman(similarities, embedded.pairs.scores)},
        per_question={SIMILARITY: similarities},
        seconds_embedding=embedding,
        seconds_ranking=seconds / len(similarities),
    )
