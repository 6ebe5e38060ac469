"""Exact search for the rows of a table with the largest inner products, sped up by int8 copies of the rows."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from echo_index.embeddings.runtime.executor import run_on_executor

if TYPE_CHECKING:
    import torch

    from echo_index.embeddings.vectors.vector_ops import Vectors

Positions = npt.NDArray[np.int64]
_BLOCK_ROWS = 256  # float32 blocks of this size stay in the cache of a core between operations
_MEAN_ROWS = 4096  # that the mean is estimated from: it need not be exact
_SEARCHES_WITHOUT = 4
_ROUNDING_MARGIN = 1.01  # more than the products of the int8 copies lose by rounding in float32


class Int8ExactSearch:
    """Find the rows of a table (n, dimension) with the largest inner products with a vector. Thread-safe.

    Comparing a vector with all rows means reading all of them from memory. So int8 copies of the centered rows are
    compared first (centering changes no order), and then only those rows whose copies come close enough: the product
    with a copy differs from the product with its row by no more than a known bound, so a row that is behind by more
    cannot be among the best. The copies take a quarter of the memory of the rows. They are made at the fifth search, as
    they take as long to make as ten searches save, and only on processors that multiply int8 faster than float32.
    """

    def __init__(self, rows: Vectors) -> None:
        self._rows = rows
        self._copies: _Int8Copies | None = None
        self._searches = 0
        self._lock = Lock()

    def search(self, vector: Vectors, *, k: int) -> tuple[Positions, Vectors]:
        """Return the positions (k,) and inner products (k,) of the best rows, best first; `k` is at most their number.

        Of rows with equal products, the first in the table comes first.
        """
        if copies := self._copies_if_worthwhile():
            positions = run_on_executor(lambda: _candidates(copies, vector, k))
            rows = self._rows[positions]
        else:
            positions, rows = np.arange(len(self._rows)), self._rows
        # Matrix-vector kernels may round equal rows differently, depending on their position. einsum sums every row in
        # the same order, so that equal rows have equal products; and it starts no threads that would slow down those of
        # the model.
        products = np.einsum("ij,j->i", rows, vector)
        least = np.partition(products, len(products) - k)[len(products) - k]
        best = np.flatnonzero(
            ~(products < least)
        )  # includes all rows that tie with the last, to take the first of them
        best = best[np.lexsort((best, -products[best]))[:k]]
        return positions[best], products[best]

    def _copies_if_worthwhile(self) -> _Int8Copies | None:
        """Return the copies after the first searches; None before, and if int8 is not fast here."""
        from echo_index.embeddings.decoder.linear import int8_is_fast

        if not int8_is_fast():
            return None
        with self._lock:
            if self._searches >= _SEARCHES_WITHOUT and self._copies is None:
                self._copies = run_on_executor(lambda: _quantize(self._rows))
            self._searches += 1
            return self._copies


@dataclass(frozen=True, eq=False)
class _Int8Copies:
    """The centered rows in int8 (n, dimension), their scales (n,), and the lengths of their rounding errors (n,)."""

    values: torch.Tensor
    scales: torch.Tensor
    errors: torch.Tensor
    longest: float
    """The length of the longest copy."""


def _quantize(rows: Vectors) -> _Int8Copies:
    import torch

    mean = torch.from_numpy(rows[:: 1 + len(rows) // _MEAN_ROWS].mean(axis=0))
    values = torch.empty(rows.shape, dtype=torch.int8)
    scales, errors, longest = torch.empty(len(rows)), torch.empty(len(rows)), 0.0
    for start in range(0, len(rows), _BLOCK_ROWS):
        part = slice(start, start + _BLOCK_ROWS)
        block = torch.from_numpy(rows[part]) - mean
        scales[part] = scale = block.abs().amax(dim=1).clamp_(min=1e-20).div_(127)
        copy = (block / scale[:, None]).round_()
        values[part] = copy
        copy.mul_(scale[:, None])
        errors[part] = torch.linalg.vector_norm(block.sub_(copy), dim=1)
        longest = max(longest, float(torch.linalg.vector_norm(copy, dim=1).max()))
    return _Int8Copies(values, scales, errors, longest)


def _candidates(copies: _Int8Copies, vector: Vectors, k: int) -> Positions:
    """Return the positions, ascending, of all rows that may be among the best `k`."""
    import torch

    from echo_index.embeddings.decoder.linear import plain_int8_product, rows_of_15_bits

    (quantized, scales), missing = rows_of_15_bits(torch.from_numpy(vector)[None, :])
    products = plain_int8_product(quantized, copies.values).mul_(scales).sum(dim=0).mul_(copies.scales)
    # By Cauchy-Schwarz, the error of a product is at most the sum of these products of lengths.
    bound = copies.errors * float(np.linalg.norm(vector)) + copies.longest * float(missing.norm())
    bound = bound * _ROUNDING_MARGIN
    threshold = (products - bound).topk(k).values[-1]
    return (products + bound >= threshold).nonzero()[:, 0].numpy()
