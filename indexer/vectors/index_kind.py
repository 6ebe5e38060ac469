"""Say which kind of vector index an index has, and what was measured of it, without loading FAISS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from echo_index.errors import IndexKindError

AUTO, EXACT = "auto", "exact"
_FLAT = "flat"  # FAISS's own name of an exact index

EXACT_UP_TO = 100_000
"""The most vectors that are searched exactly unless another kind is asked for."""

_ONE_CELL_UP_TO = 5_000_000  # vectors, whose codes are compared in less time than the rest of a search takes
_CELLS_PER_ROOT = 4  # cells are so many times the square root of the number of vectors
_COMPONENTS_PER_CODE = 4  # of a vector: 4 bits each
_CANDIDATES_PER_RESULT = 5  # beyond the tenth
MEASURED_RESULTS = 10
"""The number of results whose recall is measured."""


@dataclass(frozen=True, slots=True)
class IndexChoice:
    """What builds were asked for: `auto`, `exact` or a FAISS factory string, and the least recall@10 of searches."""

    kind: str = AUTO
    recall: float = 0.98

    def __post_init__(self) -> None:
        """Validate the recall.

        Raises:
            IndexKindError: it is not above 0 and at most 1.
        """
        if not 0 < self.recall <= 1:
            raise IndexKindError(f"The recall is {self.recall}; it must be above 0 and at most 1.")

    def kind_for(self, count: int, *, dimension: int) -> str:
        """Return `exact` or the FAISS factory string of an index of `count` vectors."""
        if self.kind.lower() in (EXACT, _FLAT) or not count:
            return EXACT
        if self.kind != AUTO:
            return self.kind
        return EXACT if count <= EXACT_UP_TO else approximate_kind(count, dimension=dimension)


def approximate_kind(count: int, *, dimension: int) -> str:
    """Return the FAISS factory string of the approximate index that suits `count` vectors.

    The vectors are compared by codes of 4 bits for each group of components. An index of one cell compares all codes.
    Questions are far from the passages that answer them, so cells would have to be looked at by the hundred, and miss
    some of the nearest all the same.
    """
    cells = 1 if count <= _ONE_CELL_UP_TO else 1 << int(_CELLS_PER_ROOT * count**0.5).bit_length() - 1
    codes = max(1, dimension // _COMPONENTS_PER_CODE)
    while dimension % codes:  # each stands for as many components
        codes -= 1
    return f"IVF{cells},PQ{codes}x4fs"


@dataclass(frozen=True, slots=True)
class SearchParameters:
    """How thoroughly an approximate index is searched.

    `probes` is the number of cells that are looked at (FAISS's nprobe), `breadth` that of the vectors of a graph that
    are kept in view (efSearch); kinds without cells or a graph ignore them. `candidates` are compared exactly, to find
    the ten nearest.
    """

    probes: int = 1
    breadth: int = 64
    candidates: int = 160

    def candidates_for(self, k: int) -> int:
        """Return the number of candidates among which the `k` nearest are found as reliably as the ten nearest."""
        return self.candidates + _CANDIDATES_PER_RESULT * max(0, k - MEASURED_RESULTS)


@dataclass(frozen=True, slots=True)
class IndexDescription:
    """An approximate index as the manifest describes it: its kind, how it is searched, and what was measured.

    `recall` is the share of the ten nearest chunks that are found, a mean over `queries` synthetic queries that are no
    part of the index; None if there was no model to make queries with. `target` is the recall that was asked for.
    `queries_per_second` are those of one thread, the exact comparison included.
    """

    kind: str
    parameters: SearchParameters
    target: float
    recall: float | None = None
    queries: int = 0
    queries_per_second: float = 0.0
    bytes_per_vector: float = 0.0

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> IndexDescription:
        """Return the description that `dataclasses.asdict` turned into fields.

        Raises:
            TypeError: a field is missing or unknown.
        """
        return cls(**{**fields, "parameters": SearchParameters(**fields["parameters"])})

    @property
    def has_lost_recall(self) -> bool:
        """Whether searches find less than was asked for, although they look as thoroughly as they can."""
        return self.recall is not None and self.recall < self.target
