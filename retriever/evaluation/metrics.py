"""How good rankings and similarities are, by well-known measures, all x100. Knows ids, ranks and numbers only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import numpy.typing as npt

from echo_index.errors import MissingPackage

METRICS = ("nDCG@10", "recall@10", "recall@100", "MRR@10")
"""Of rankings; the first is the one by which rows are compared. Gains are linear, as in trec_eval."""
SPEARMAN = "Spearman"
Scores = npt.NDArray[np.float64]

_PACKAGES = {"ir_measures": "ir-measures", "pytrec_eval": "pytrec-eval-terrier", "scipy": "scipy"}
_RESAMPLES = 10_000
_AT_A_TIME = 500  # resamples: more would take much memory
_SEED = 0


@dataclass(frozen=True, slots=True)
class Difference:
    """How much better a row is than the baseline, and its 95 % interval, x100."""

    value: float
    low: float
    high: float


def require_packages() -> None:
    """See that the packages that measure are there, best before what is measured takes its time.

    Raises:
        MissingPackage: one of them is not installed.
    """
    for module, package in _PACKAGES.items():
        if find_spec(module) is None:
            raise MissingPackage(
                f"The package {package}, which evaluating needs, is not installed.",
                remedy="Install it: pip install 'echo-index[evaluation]'",
            )


def ranking_scores(
    rankings: Mapping[str, Sequence[str]], judged: Mapping[str, Mapping[str, int]]
) -> dict[str, dict[str, float]]:
    """Return of each metric the score of every judged question, x100, by the question's id.

    `rankings` are ids of documents, best first; `judged` the grades of documents, of which 1 and more are right. A
    question without a ranking scores 0.

    Raises:
        MissingPackage: a package of the extra `evaluation` is not installed.
    """
    require_packages()
    from ir_measures import RR, R, iter_calc, nDCG

    measures = dict(zip((nDCG @ 10, R @ 10, R @ 100, RR @ 10), METRICS, strict=True))
    scores = {metric: dict.fromkeys(judged, 0.0) for metric in METRICS}
    # The tools break ties by the ids of documents: falling scores leave them none.
    run = {
        query: {document: float(-rank) for rank, document in enumerate(ranking)} for query, ranking in rankings.items()
    }
    for found in iter_calc([*measures], {query: dict(grades) for query, grades in judged.items()}, run):
        scores[measures[found.measure]][found.query_id] = 100 * float(found.value)
    return scores


def spearman(similarities: Sequence[float], judged: Sequence[float]) -> float:
    """Return Spearman's correlation of similarities with what people judged, x100; 0 where one of them never varies.

    Raises:
        MissingPackage: a package of the extra `evaluation` is not installed.
    """
    require_packages()
    from scipy.stats import rankdata

    return float(_correlations(rankdata([similarities], axis=1), rankdata([judged], axis=1))[0])


def mean_difference(scores: Sequence[float], baseline: Sequence[float]) -> Difference:
    """Compare two ways by their scores for the same questions: a paired bootstrap over the questions.

    Efron and Tibshirani, "An Introduction to the Bootstrap", 1993: the percentiles of 10,000 resamples. The same scores
    give the same interval.
    """
    differences = np.subtract(scores, baseline)
    means = [differences[drawn].mean(axis=1) for drawn in _resamples(len(differences))]
    return _interval(float(differences.mean()), np.concatenate(means))


def spearman_difference(
    similarities: Sequence[float], baseline: Sequence[float], judged: Sequence[float]
) -> Difference:
    """Compare two ways by Spearman's correlation over the same pairs, with the same bootstrap over the pairs.

    Raises:
        MissingPackage: a package of the extra `evaluation` is not installed.
    """
    require_packages()
    from scipy.stats import rankdata

    ways = [np.asarray(values) for values in (similarities, baseline, judged)]
    found = []
    for drawn in _resamples(len(judged)):
        ours, theirs, right = (rankdata(values[drawn], axis=1) for values in ways)
        found.append(_correlations(ours, right) - _correlations(theirs, right))
    return _interval(spearman(similarities, judged) - spearman(baseline, judged), np.concatenate(found))


def _resamples(count: int) -> Iterator[npt.NDArray[np.int64]]:
    random = np.random.default_rng(_SEED)
    for _ in range(_RESAMPLES // _AT_A_TIME):
        yield random.integers(0, count, size=(_AT_A_TIME, count))


def _interval(value: float, resampled: Scores) -> Difference:
    low, high = np.percentile(resampled, [2.5, 97.5])
    return Difference(value, float(low), float(high))


def _correlations(first: Scores, second: Scores) -> Scores:
    """Return Pearson's correlation x100 of each row (n, values) of one with the same row of the other: (n,)."""
    first, second = (rows - rows.mean(axis=1, keepdims=True) for rows in (first, second))
    scale = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    return np.asarray(100 * (first * second).sum(axis=1) / np.where(scale > 0, scale, 1))
