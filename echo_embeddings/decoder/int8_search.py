"""The rows of a table nearest to a vector, all compared but few read whole. Knows nothing of what a row stands for."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from echo_index.embeddings.runtime.executor import run_on_executor
from echo_index.embeddings.runtime.malloc import release_freed_memory

if TYPE_CHECKING:
    import torch

    from echo_index.embeddings.decoder.linear import Int8Linear
    from echo_index.embeddings.vectors.vector_ops import Vectors

Positions = npt.NDArray[np.int64]
_BLOCK = 8192  # rows are copied at a time
_ROUNDING = 1.01  # more than what the products of the copies lose in float32


class Int8ExactSearch:
    """Finds the rows (n, dimension) that have the largest inner products with a vector. Thread-safe.

    To compare a vector with all rows is to read all of them from memory. So copies of the rows in 8 bits are read, less
    the mean of all, which changes no order; and of the rows themselves only those whose copies come near enough: the
    product with a copy is not further from that with the row than a bound, and rows that stay behind by more cannot be
    among the best. The copies take a quarter of the rows' memory; they are made when a second vector comes, and only
    for processors that multiply int8 faster.
    """

    def __init__(self, rows: Vectors) -> None:
        self._rows = rows
        self._copies: _Copies | None = None
        self._asked_before = False
        self._copying = Lock()

    def search(self, vector: Vectors, *, k: int) -> tuple[Positions, Vectors]:
        """Return positions (k,) and inner products (k,) of the best `k` of at least as many rows, best first.

        Of equal ones, the one that stands first comes first.
        """
        if copies := self._copies_from_the_second_time():
            positions = run_on_executor(lambda: _possibly_best(copies, vector, k))
            rows = self._rows[positions]
        else:
            positions, rows = np.arange(len(self._rows)), self._rows
        # Matrix-vector kernels may round equal rows differently, by where they stand. einsum sums every row in the same
        # order, so that equal rows have equal products. It also has no threads that would slow the model's down.
        products = np.einsum("ij,j->i", rows, vector)
        least = np.partition(products, len(products) - k)[len(products) - k]
        best = np.flatnonzero(~(products < least))  # all that equal the last one too: the first of them come first
        best = best[np.lexsort((best, -products[best]))[:k]]
        return positions[best], products[best]

    def _copies_from_the_second_time(self) -> _Copies | None:
        from echo_index.embeddings.decoder.linear import int8_is_fast

        if not int8_is_fast():
            return None
        with self._copying:
            if self._asked_before and self._copies is None:
                self._copies = run_on_executor(lambda: _copied(self._rows))
            self._asked_before = True
            return self._copies


@dataclass(frozen=True, eq=False)
class _Copies:
    """Rows less their mean in 8 bits, in blocks, and what that loses: the length (n,) of the difference to each row."""

    blocks: list[Int8Linear]
    lost: torch.Tensor
    longest: float
    """The length of the longest copy."""


def _copied(rows: Vectors) -> _Copies:
    import torch

    from echo_index.embeddings.decoder.linear import int8_linear
    from echo_index.embeddings.decoder.weights import Projection

    mean = torch.from_numpy(rows.mean(axis=0))
    blocks, lost, longest = [], [], 0.0
    for start in range(0, len(rows), _BLOCK):
        block = torch.from_numpy(rows[start : start + _BLOCK]) - mean
        blocks.append(int8_linear(Projection(block, None)))
        steps = blocks[-1].steps[:, None]
        copy = (block / steps).round_().mul_(steps)
        lost.append(torch.linalg.vector_norm(block - copy, dim=1))
        longest = max(longest, float(torch.linalg.vector_norm(copy, dim=1).max()))
    release_freed_memory()  # what is free lies between the copies, twice as much as they are
    return _Copies(blocks, torch.cat(lost), longest)


def _possibly_best(copies: _Copies, vector: Vectors, k: int) -> Positions:
    """Return the positions, ascending, of all rows that may be among the best `k`."""
    import torch

    from echo_index.embeddings.decoder.linear import Int8Linear

    # The vector as the sum of two in 8 bits, the second made of what the first leaves: together they have 15 bits.
    wanted, parts = torch.from_numpy(vector)[None, :], []
    for _ in range(2):
        numbers, step = Int8Linear.prepare(wanted.clone())
        parts.append((numbers, step))
        wanted = wanted - (numbers.float() - 128) * step
    rows = (torch.cat([numbers for numbers, _ in parts]), torch.cat([step for _, step in parts]))
    products = torch.cat([block(rows).sum(dim=0) for block in copies.blocks])
    # A product is off by no more than the lengths of what the two sides have lost allow (Cauchy and Schwarz).
    off = (copies.lost * float(np.linalg.norm(vector)) + copies.longest * float(wanted.norm())) * _ROUNDING
    threshold = (products - off).topk(k).values[-1]
    return (products + off >= threshold).nonzero()[:, 0].numpy()
