"""Run an evaluation: rank or compare by each system, compute the metrics, compare with the baseline."""

from __future__ import annotations

import time
from collections.abc import Sequence

from echo_index.retriever.evaluation.datasets import BeirDataset
from echo_index.retriever.evaluation.indexed_dataset import IndexedDataset
from echo_index.retriever.evaluation.metrics import METRICS, SPEARMAN, ranking_scores, spearman
from echo_index.retriever.evaluation.results import (
    BASELINE,
    PAIR_BASELINE,
    DatasetResult,
    SystemResult,
    with_differences,
)
from echo_index.retriever.evaluation.retrieval_systems import RetrievalSystem
from echo_index.retriever.evaluation.similarity_methods import EmbeddedPairs, SimilarityMethod

SIMILARITY = "similarity"


def evaluate_rankings(
    dataset: IndexedDataset, systems: Sequence[RetrievalSystem], *, baseline: str = BASELINE
) -> DatasetResult:
    """Rank all queries by each system and return the scores.

    Raises:
        MissingPackage: a package of the extra `evaluation` is not installed.
        ModelError, IndexMismatch: the model of the index no longer exists, or has changed.
    """
    left_out = {system.name: reason for system in systems if (reason := system.lacking(dataset))}
    results = [_evaluate_system(dataset, system) for system in systems if system.name not in left_out]
    manifest, collection = dataset.retriever.snapshot.manifest, dataset.collection
    result = DatasetResult(
        collection=collection.name,
        source=str(collection.folder if isinstance(collection, BeirDataset) else collection.path),
        kind="rankings",
        questions=[query.id for query in dataset.queries],
        documents=manifest.documents,
        passages=manifest.chunks,
        encoder=manifest.encoder,
        instruction=dataset.instruction,
        chunking=manifest.chunking,
        rows=results,
        left_out=left_out,
        baseline=baseline,
    )
    return with_differences(result, baseline)


def evaluate_similarities(
    embedded: EmbeddedPairs,
    methods: Sequence[SimilarityMethod],
    *,
    encoder: dict[str, str | int | None],
    baseline: str = PAIR_BASELINE,
) -> DatasetResult:
    """Return how well the similarities of each method correlate with human scores; `encoder` is the encoder's config.

    Raises:
        MissingPackage: a package of the extra `evaluation` is not installed.
    """
    pairs = embedded.pairs
    left_out = {method.name: reason for method in methods if (reason := method.lacking(embedded))}
    result = DatasetResult(
        collection=pairs.name,
        source=str(pairs.path),
        kind="similarities",
        questions=[str(number) for number in range(1, len(pairs.scores) + 1)],
        documents=None,
        passages=None,
        encoder=encoder,
        instruction=None,
        chunking=None,
        rows=[_evaluate_method(embedded, method) for method in methods if method.name not in left_out],
        left_out=left_out,
        baseline=baseline,
        judged=[*pairs.scores],
    )
    return with_differences(result, baseline)


def _evaluate_system(dataset: IndexedDataset, system: RetrievalSystem) -> SystemResult:
    embedding = system.prepare(dataset)
    began = time.perf_counter()
    rankings = system.rank(dataset)
    seconds = time.perf_counter() - began
    ids = [query.id for query in dataset.queries]
    scores = ranking_scores(
        dict(zip(ids, rankings, strict=True)), {query.id: query.grades for query in dataset.queries}
    )
    per_question = {metric: [scores[metric][query] for query in ids] for metric in METRICS}
    return SystemResult(
        row=system.name,
        description=system.description,
        scores={metric: sum(values) / len(values) for metric, values in per_question.items()},
        per_question=per_question,
        seconds_embedding=embedding,
        seconds_ranking=seconds / len(ids),
    )


def _evaluate_method(embedded: EmbeddedPairs, method: SimilarityMethod) -> SystemResult:
    embedding = method.prepare(embedded)
    began = time.perf_counter()
    similarities = method.similarities(embedded).tolist()
    seconds = time.perf_counter() - began
    return SystemResult(
        row=method.name,
        description=method.description,
        scores={SPEARMAN: spearman(similarities, embedded.pairs.scores)},
        per_question={SIMILARITY: similarities},
        seconds_embedding=embedding,
        seconds_ranking=seconds / len(similarities),
    )
