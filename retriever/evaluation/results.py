"""What an evaluation found, as records. All scores are x100. Knows nothing of how they were measured or are shown."""

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
    """What one row scored. `per_question` has each metric's scores in the order of the questions.

    Of pairs of sentences it has their similarities, not x100. `difference` is to the baseline, by the first metric. The
    seconds are for each question: to embed it among others, when that was done, and to rank.
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
    """What all rows scored on one collection, and with what.

    `questions` are ids in the order of the scores; of pairs their numbers, and `judged` has what people said of them.
    `encoder` is its description: model, precision, prompts, layer, pooling; None where no model was needed.
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
        """What was measured; the first is the one that rows are compared by."""
        return METRICS if self.kind == "rankings" else (SPEARMAN,)


def with_differences(result: DatasetResult, baseline: str) -> DatasetResult:
    """Return the result with the difference of each row to a baseline; without, where there is no such row."""
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
    """Return of each row its mean of each metric over all collections of a kind; only rows that all of them have."""
    of_kind = [{row.row: row.scores for row in result.rows} for result in results if result.kind == kind]
    if not of_kind:
        return {}
    return {
        row: {metric: float(np.mean([scores[row][metric] for scores in of_kind])) for metric in metrics}
        for row, metrics in of_kind[0].items()
        if all(row in scores for scores in of_kind)
    }
