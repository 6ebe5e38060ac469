"""Tell from the cosine of a chunk how rarely a query that has nothing to do with the index finds one as near."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

_QUANTILES = (0.25, 0.5, 0.75, 0.9)  # of the best cosines; the few largest belong to queries that are related by chance
_LEAST_SCALE = 1e-4
_LARGEST_EXPONENT = 700.0  # whose exponential is a float


@dataclass(frozen=True, slots=True)
class RelevanceScale:
    """The distribution of the cosine of the nearest of `chunks` chunks with a query that has nothing to do with them.

    It is a Gumbel distribution, as that of the largest of many numbers is. `location` is its mode.
    """

    location: float
    scale: float
    chunks: int

    @classmethod
    def of(cls, best_cosines: npt.NDArray[Any], *, chunks: int) -> RelevanceScale:
        """Fit the distribution to the largest cosines of queries (n,) that have nothing to do with an index."""
        expected = -np.log(-np.log(_QUANTILES))
        scale, location = np.polyfit(expected, np.quantile(best_cosines, _QUANTILES), 1)
        return cls(float(location), max(float(scale), _LEAST_SCALE), chunks)

    def relevance(self, cosine: float, *, chunks: int) -> float:
        """Return the share, from 0 to 1, of such queries whose nearest chunk is not as near as this cosine.

        The largest of more cosines is larger: `chunks` is how many there are now.
        """
        location = self.location + self.scale * math.log(max(1, chunks) / max(1, self.chunks))
        exponent = (location - cosine) / self.scale
        return math.exp(-math.exp(min(exponent, _LARGEST_EXPONENT)))
