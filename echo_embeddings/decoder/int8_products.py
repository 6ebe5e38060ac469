"""Multiply the rows of a large int8 table with a vector, on all cores, on processors that are fast at it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from echo_index.embeddings.runtime.executor import run_on_executor

if TYPE_CHECKING:
    from echo_index.embeddings.decoder.linear import Int8Linear
    from echo_index.embeddings.vectors.vector_ops import Vectors

Int8Rows = tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]
"""Rows (n, dimension) in int8, and the scale (n,) of each."""


class Int8Products:
    """The inner products of int8 rows, each times its scale, with a vector. It copies the rows. Thread-safe."""

    def __init__(self, blocks: Iterable[Int8Rows]) -> None:
        """Copy the rows, block by block."""
        import torch

        from echo_index.embeddings.decoder.linear import Int8Weights, int8_linear

        def copy() -> None:
            for rows, scales in blocks:
                weights = Int8Weights(torch.from_numpy(rows), torch.from_numpy(scales), None)
                self._blocks.append(int8_linear(weights))

        self._blocks: list[Int8Linear] = []
        run_on_executor(copy)

    def __call__(self, vector: Vectors) -> tuple[Vectors, float]:
        """Return the products (n,) with a vector (dimension,) of 15 bits, and how far it is from `vector`.

        The error of a product is at most that distance times the length of the row.
        """
        import torch

        from echo_index.embeddings.decoder.linear import rows_of_15_bits

        def multiply() -> tuple[Vectors, float]:
            rows, missing = rows_of_15_bits(torch.from_numpy(vector)[None, :])
            products = torch.cat([block(rows).sum(dim=0) for block in self._blocks])
            return products.numpy(), float(missing.norm())

        return run_on_executor(multiply)


def int8_products_are_fast() -> bool:
    """Return whether this processor multiplies int8 faster than float32."""
    from echo_index.embeddings.decoder.linear import int8_is_fast

    return int8_is_fast()
