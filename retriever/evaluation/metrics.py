"""Metrics of rankings and similarities, all x100, with bootstrap confidence intervals of differences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import numpy.typing as npt

from echo_index.errors import MissingPackage

METRICS = ("nDCG@10", "recall@10", "recall@100", "MRR@10")
"""Of rankings; systems are compared by the first. Gains are linear, as in trec_eval."""
SPEARMAN = "Spearman"
Scores = npt.NDArray[np.float64]

_PACKAGES = {"ir_measures": "ir-measures", "pytrec_eval": "pytrec-eval-terrier", "scipy": "scipy"}
_RESAMPLES = 10_000
_BATCH = 500  # resamples at once: more would take much memory
_SEED = 0


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its 95 % confidence interval, x100."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """Difference of a system to the baseline with its 95 % confidence interval, x100."""

    value: float
    low: float
    high: float


def require_packages() -> None:
    """Check that the packages of the metrics are installed; call this before a long computation.

    Raises:
        MissingPackage: a package is not installed.
    """
    for module, package in _PACKAGES.items():
        if find_spec(module) is None:
            raise MissingPackage(
                f"The package {package}, which the evaluation needs, is not installed.",
                remedy="Install it: pip install 'echo-index[evaluation]'",
            )


def ranking_scores(
    rankings: Mapping[str, Sequence[str]], judged: Mapping[str, Mapping[str, int]]
) -> dict[str, dict[str, float]]:
    """Return {metric: {query id: score x100}} for every judged query.

    `rankings` are document ids by query id, best first; `judged` are grades by query id and document id, relevant from
    1. A query without a ranking scores 0.

    Raises:
        MissingPackage: a package of the extra `evaluation` is not installed.
    """
    require_packages()
    from ir_measures import RR, R, iter_calc, nDCG

    measures = dict(zip((nDCG @ 10, R @ 10, R @ 100, RR @ 10), METRICS, strict=True))
    scores = {metric: dict.fromkeys(judged, 0.0) for metric in METRICS}
    # The tools break ties by document id: strictly falling scores leave no ties.
    run = {
        query: {document: float(-rank) for rank, document in enumerate(ranking)} for query, ranking in rankings.items()
    }
    grades_by_query = {query: dict(grades) for query, grades in judged.items()}
    for score in iter_calc([*measures], grades_by_query, run):
        scores[measures[score.measure]][score.query_id] = 100 * float(score.value)
    return scores


def spearman(similarities: Sequence[float], judged: Sequence[float]) -> float:
    """Return Spearman's rank correlation of similarities with human judgements, x100; 0 if one of them is constant.

    Raises:
        MissingPackage: a package of the extra `evaluation` is not installed.
    """
    require_packages()
    from scipy.stats import spearmanr

    if min(len({*similarities}), len({*judged})) < 2:
        return 0.0
    return 100 * float(spearmanr(similarities, judged).statistic)


def mean_estimate(scores: Sequence[float]) -> Estimate:
    """Return the mean of the scores of at least one query, with a bootstrap over the queries, as `mean_difference`."""
    values = np.asarray(scores, dtype=np.float64)
    means = np.concatenate([values[sample].mean(axis=1) for sample in _resamples(len(values))])
    return Estimate(float(values.mean()), *_bounds(means))


def mean_difference(scores: Sequence[float], baseline: Sequence[float]) -> Difference:
    """Return the mean difference of scores for the same queries, with a paired bootstrap over the queries.

    The interval has the percentiles of 10,000 resamples (Efron and Tibshirani, "An Introduction to the Bootstrap",
    1993). The seed is fixed: the same scores give the same interval.
    """
    differences = np.subtract(scores, baseline)
    means = [differences[sample].mean(axis=1) for sample in _resamples(len(differences))]
    return Difference(float(differences.mean()), *_bounds(np.concatenate(means)))


def spearman_difference(
    similarities: Sequence[float], baseline: Sequence[float], judged: Sequence[float]
) -> Difference:
    """Return the difference of two Spearman correlations over the same pairs, with a paired bootstrap over the pairs.

    Raises:
        MissingPackage: a package of the extra `evaluation` is not installed.
    """
    require_packages()
    from scipy.stats import rankdata

    samples = []
    columns = [np.asarray(values) for values in (similarities, baseline, judged)]
    for sample in _resamples(len(judged)):
        ours, theirs, relevant = (rankdata(values[sample], axis=1) for values in columns)
        samples.append(_pearson_by_row(ours, relevant) - _pearson_by_row(theirs, relevant))
    difference = spearman(similarities, judged) - spearman(baseline, judged)
    return Difference(difference, *_bounds(np.concatenate(samples)))


def _resamples(count: int) -> Iterator[npt.NDArray[np.int64]]:
    random = np.random.default_rng(_SEED)
    for _ in range(_RESAMPLES // _BATCH):
        yield random.integers(0, count, size=(_BATCH, count))


def _bounds(resampled: Scores) -> tuple[float, float]:
    low, high = np.percentile(resampled, [2.5, 97.5])
    return float(low), float(high)


def _pearson_by_row(first: Scores, second: Scores) -> Scores:
    """Return Pearson's correlation x100 of each row (n, values) with the same row of the other array: (n,).

    scipy computes one pair of rows at a time, which would take minutes for all resamples.
    """
    first, second = (rows - rows.mean(axis=1, keepdims=True) for rows in (first, second))
    scale = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    return np.asarray(100 * (first * second).sum(axis=1) / np.where(scale > 0, scale, 1))
