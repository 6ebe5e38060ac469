"""Results of an evaluation; all scores are x100."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from echo_index.retriever.evaluation.metrics import (
    METRICS,
    SPEARMAN,
    Difference,
    mean_difference,
    spearman_difference,
)

BASELINE = "bm25"
PAIR_BASELINE = "classical"
Kind = Literal["rankings", "similarities"]


@dataclass(frozen=True, slots=True)
class SystemResult:
    """Scores of one retrieval system or similarity method; `row` is its name.

    `per_question` has the scores of each metric in the order of the queries; for sentence pairs their similarities, not
    x100. `difference` is to the baseline, by the first metric. The seconds are per query: to embed it in a batch, if it
    was embedded, and to rank.
    """

    row: str
    description: str
    scores: dict[str, float]
    per_question: dict[str, list[float]]
    seconds_embedding: float | None
    seconds_ranking: float
    difference: Difference | None = None


@dataclass(frozen=True)
class DatasetResult:
    """Scores of all systems on one dataset, with the settings of the run.

    `questions` are query ids in the order of the scores; for sentence pairs their numbers, and `judged` their human
    scores. `encoder` is the encoder's config: model, precision, prompts, layer, pooling; None if no model was needed.
    `left_out` has the systems that were not run, with the reason.
    """

    collection: str
    source: str
    kind: Kind
    questions: list[str]
    documents: int | None
    passages: int | None
    encoder: dict[str, str | int | None] | None
    instruction: str | None
    chunking: dict[str, int] | None
    rows: list[SystemResult]
    left_out: dict[str, str]
    baseline: str
    judged: list[float] | None = None

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics of this kind of dataset; systems are compared by the first."""
        return METRICS if self.kind == "rankings" else (SPEARMAN,)


def with_differences(result: DatasetResult, baseline: str) -> DatasetResult:
    """Return the result with the difference of each system to a baseline; without differences if it is not there."""
    base = next((row for row in result.rows if row.row == baseline), None)

    def difference(row: SystemResult) -> Difference | None:
        if base is None or row is base:
            return None
        [(_, ours), *_], [(_, theirs), *_] = row.per_question.items(), base.per_question.items()
        if result.judged is None:
            return mean_difference(ours, theirs)
        return spearman_difference(ours, theirs, result.judged)

    rows = [replace(row, difference=difference(row)) for row in result.rows]
    return replace(result, rows=rows, baseline=baseline)


def mean_scores(results: Sequence[DatasetResult], kind: Kind) -> dict[str, dict[str, float]]:
    """Return {system: {metric: mean over all datasets of a kind}} for the systems that ran on all of them."""
    of_kind = [{row.row: row.scores for row in result.rows} for result in results if result.kind == kind]
    if not of_kind:
        return {}
    return {
        row: {metric: float(np.mean([scores[row][metric] for scores in of_kind])) for metric in metrics}
        for row, metrics in of_kind[0].items()
        if all(row in scores for scores in of_kind)
    }
