"""Seconds and vectors to the figures of the table. Knows nothing of how they came about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from echo_index.embeddings.vectors.vector_ops import Vectors, center


@dataclass(frozen=True)
class Fidelity:
    """How near vectors are to those of the plain way: cosines, raw and with each side's mean removed."""

    mean: float
    least: float
    centred_mean: float
    centred_least: float


@dataclass(frozen=True)
class Figures:
    """One row on one corpus."""

    row: str
    about: str
    texts: int
    tokens: int
    """What the row reads, without padding."""
    seconds: list[float]
    """One a round."""
    ratio: float | None
    """How many times as fast as the plain way, None without it."""
    fidelity: Fidelity | None
    """None where the embedding is another one."""
    of_fp32_peak: float | None
    """The share of the peak, None where there is no peak or the row does other work than the plain way."""
    of_int8_peak: float | None

    @property
    def tokens_per_second(self) -> float:
        """By the median round."""
        return self.tokens / median(self.seconds)

    @property
    def best_tokens_per_second(self) -> float:
        """By the fastest round."""
        return self.tokens / min(self.seconds)

    @property
    def texts_per_second(self) -> float:
        """By the median round."""
        return self.texts / median(self.seconds)


def median_ratio(plain: Sequence[float], seconds: Sequence[float]) -> float:
    """Return how many times as fast as the plain way: the median of the ratios of each round."""
    return median(slow / fast for slow, fast in zip(plain, seconds, strict=True))


def fidelity(vectors: Vectors, plain: Vectors) -> Fidelity:
    """Compare vectors (n, dimension) of the same texts, row by row; the lengths of the rows do not matter."""
    ours, theirs = _unit(vectors), _unit(plain)
    raw = (ours * theirs).sum(axis=1)
    # Language models' embeddings share a large part, which hides what became of the rest.
    centred = (center(ours, ours.mean(axis=0)) * center(theirs, theirs.mean(axis=0))).sum(axis=1)
    return Fidelity(float(raw.mean()), float(raw.min()), float(centred.mean()), float(centred.min()))


def operations_per_second(operations: int, seconds: Sequence[float]) -> float:
    """Return the rate of the fastest round: what a peak is."""
    return operations / min(seconds)


def share_of_peak(*, tokens: int, weights: int, seconds: Sequence[float], peak: float) -> float:
    """Return the part of a peak (operations a second) that the linear layers used, by the median round.

    A token costs one multiplication and one addition a weight.
    """
    return 2 * tokens * weights / median(seconds) / peak


def _unit(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)
