"""Compute the figures of the table from seconds and vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from echo_index.embeddings.vectors.vector_ops import Vectors, center


@dataclass(frozen=True)
class Fidelity:
    """Cosines of vectors with those of the plain engine, raw and after each side's mean is removed."""

    mean: float
    least: float
    centred_mean: float
    centred_least: float


@dataclass(frozen=True)
class Figures:
    """Figures of one row on one corpus."""

    row: str
    about: str
    texts: int
    tokens: int
    """Input tokens, without padding."""
    seconds: list[float]
    """One for each round."""
    ratio: float | None
    """Speed relative to the plain engine; None without it."""
    fidelity: Fidelity | None
    """None for other kinds of embeddings."""
    of_fp32_peak: float | None
    """Share of the peak; None if it was not measured or the row does other work than the plain engine."""
    of_int8_peak: float | None

    @property
    def tokens_per_second(self) -> float:
        """In the median round."""
        return self.tokens / median(self.seconds)

    @property
    def best_tokens_per_second(self) -> float:
        """In the fastest round."""
        return self.tokens / min(self.seconds)

    @property
    def texts_per_second(self) -> float:
        """In the median round."""
        return self.texts / median(self.seconds)


def median_ratio(plain: Sequence[float], seconds: Sequence[float]) -> float:
    """Return the speed relative to the plain engine: the median of the ratios of each round."""
    return median(slow / fast for slow, fast in zip(plain, seconds, strict=True))


def fidelity(vectors: Vectors, plain: Vectors) -> Fidelity:
    """Compare vectors (n, dimension) of the same texts, row by row; they need not be normalized."""
    ours, theirs = _unit(vectors), _unit(plain)
    raw = (ours * theirs).sum(axis=1)
    # Embeddings of language models have a large common mean, which would hide differences.
    centred = (center(ours, ours.mean(axis=0)) * center(theirs, theirs.mean(axis=0))).sum(axis=1)
    return Fidelity(float(raw.mean()), float(raw.min()), float(centred.mean()), float(centred.min()))


def operations_per_second(operations: int, seconds: Sequence[float]) -> float:
    """Return the rate of the fastest round, the peak."""
    return operations / min(seconds)


def share_of_peak(*, tokens: int, weights: int, seconds: Sequence[float], peak: float) -> float:
    """Return the share of a peak, in operations per second, that the linear layers reach in the median round.

    Each token takes one multiplication and one addition for each weight.
    """
    return 2 * tokens * weights / median(seconds) / peak


def _unit(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)
