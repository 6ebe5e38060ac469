"""Rows times a matrix, in float32, bfloat16 or int8, on the fastest kernels that torch has here. Knows no layers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import Enum
from functools import cache
from time import perf_counter
from typing import Any, cast

import torch
import torch.nn.functional as F

from echo_index.embeddings.decoder.config import Activation
from echo_index.embeddings.decoder.weights import Projection

_TIMED_ROWS, _TIMED_WIDTH = 256, 640
_TIMES = 4  # the first of them takes longer
_CLEARLY = 0.8  # of the time: by less, what is public is taken


class Precision(str, Enum):
    """In which numbers rows are multiplied by matrices; all the rest is float32."""

    FP32 = "fp32"
    BF16 = "bf16"
    """Rows and matrices in bfloat16. Fast only where the processor multiplies it natively."""
    INT8 = "int8"
    """Matrices in int8, a scale for each column of the result; rows in int8, a scale for each token."""


class Linear(ABC):
    """A matrix in one precision: `rows @ weight.T + bias`, float32 (rows, out)."""

    @staticmethod
    @abstractmethod
    def prepare(rows: torch.Tensor) -> Any:
        """Bring float32 rows into the form that the matrices of this precision take; `rows` may be overwritten."""

    @abstractmethod
    def __call__(self, rows: Any) -> torch.Tensor:
        """Multiply rows that `prepare` gave."""

    def activated(self, rows: Any, activation: Activation) -> torch.Tensor:
        """Return the activation of the product."""
        return activate(self(rows), activation)

    def times(self, rows: Any, other: torch.Tensor) -> torch.Tensor:
        """Return the product times `other`, number by number."""
        return self(rows).mul_(other)


def linear(projection: Projection, precision: Precision) -> Linear:
    """Return the matrix in a precision, on the best kernel there is for it here."""
    match precision:
        case Precision.FP32:
            return _OneDnnLinear(projection) if _onednn_is_faster() else _PlainLinear(projection)
        case Precision.BF16:
            return _HalfLinear(projection)
        case Precision.INT8:
            return int8_linear(projection)


def int8_linear(projection: Projection) -> Int8Linear:
    """Return the matrix in int8, on the best kernel there is for it here."""
    return _VnniLinear(projection) if _vnni_works() else _EmulatedInt8Linear(projection)


def int8_is_fast() -> bool:
    """Tell whether this processor multiplies int8 faster than float32."""
    capabilities = torch.cpu.get_capabilities()
    return _vnni_works() and bool(capabilities.get("avx512_vnni") or capabilities.get("avx_vnni"))


def bfloat16_is_fast() -> bool:
    """Tell whether this processor multiplies bfloat16 faster than float32."""
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def activate(rows: torch.Tensor, activation: Activation) -> torch.Tensor:
    """Put the activation of each number in its place."""
    match activation:
        case "silu":
            return F.silu(rows, inplace=True)
        case "gelu_tanh":
            return cast("torch.Tensor", torch.ops.aten.gelu_(rows, approximate="tanh"))
        case "gelu":
            return cast("torch.Tensor", torch.ops.aten.gelu_(rows))


class _PlainLinear(Linear):
    """float32 by torch's public function."""

    def __init__(self, projection: Projection) -> None:
        self._weight, self._bias = projection.weight, projection.bias

    @staticmethod
    def prepare(rows: torch.Tensor) -> torch.Tensor:
        return rows

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        return F.linear(rows, self._weight, self._bias)


class _OneDnnLinear(_PlainLinear):
    """float32 by oneDNN, which does what comes after the product while it is at hand."""

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        return self._then("none", "", rows)

    def activated(self, rows: torch.Tensor, activation: Activation) -> torch.Tensor:
        match activation:
            case "silu":
                return self._then("swish", "", rows)
            case "gelu_tanh":
                return self._then("gelu", "tanh", rows)
            case "gelu":
                return self._then("gelu", "none", rows)

    def times(self, rows: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise.binary(rows, other, self._weight, self._bias, "mul")
        return product

    def _then(self, act: str, form: str, rows: torch.Tensor) -> torch.Tensor:
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(rows, self._weight, self._bias, act, [], form)
        return product


class _HalfLinear(Linear):
    """bfloat16, the sums in float32 within the kernel."""

    def __init__(self, projection: Projection) -> None:
        self._weight = projection.weight.bfloat16()
        self._bias = None if projection.bias is None else projection.bias.bfloat16()

    @staticmethod
    def prepare(rows: torch.Tensor) -> torch.Tensor:
        return rows.bfloat16()

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        return F.linear(rows, self._weight, self._bias).float()


class Int8Linear(Linear):
    """The common part of int8: weights scaled by row, activations by token."""

    steps: torch.Tensor
    """(out,): what one step of the weights in each of their rows is worth."""

    def __init__(self, projection: Projection) -> None:
        scale = projection.weight.abs().amax(dim=1).clamp_(min=1e-20) / 127
        self.steps = scale
        self._quantized = (projection.weight / scale[:, None]).round_().to(torch.int8)
        self._bias = projection.bias

    @staticmethod
    def prepare(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return uint8 (rows, in), zero at 128, and float32 (rows, 1): what one step of it is worth."""
        largest = torch.maximum(rows.amax(dim=1, keepdim=True), rows.amin(dim=1, keepdim=True).neg_())
        step = largest.clamp_(min=1e-20).div_(127)
        quantized = rows.mul_(step.reciprocal()).add_(128.5).to(torch.uint8)  # a cast cuts off: half a step more rounds
        return quantized, step

    def activated(self, rows: tuple[torch.Tensor, torch.Tensor], activation: Activation) -> torch.Tensor:
        # The exact GELU stands in for its tanh form: they differ by less than a step of int8, and torch's kernel for
        # the exact one is five times as fast.
        return activate(self(rows), "gelu" if activation == "gelu_tanh" else activation)

    def _finished(self, products: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
        products.mul_(step)
        return products if self._bias is None else products.add_(self._bias)


class _VnniLinear(Int8Linear):
    """int8 by oneDNN, with the instructions for it (VNNI) where the processor has them."""

    def __init__(self, projection: Projection) -> None:
        super().__init__(projection)
        self._quantized = torch.ops.onednn.qlinear_prepack(self._quantized, None)
        self._zeros = torch.zeros(len(self.steps), dtype=torch.int32)

    def __call__(self, rows: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        quantized, step = rows
        products = torch.ops.onednn.qlinear_pointwise(
            quantized, 1.0, 128, self._quantized, self.steps, self._zeros, None, 1.0, 0, torch.float32, "none", [], ""
        )
        return self._finished(products, step)


class _EmulatedInt8Linear(Int8Linear):
    """The same numbers in float32, for processors without int8: no faster, but an index built elsewhere opens."""

    def __init__(self, projection: Projection) -> None:
        super().__init__(projection)
        self._weight = self._quantized.float() * self.steps[:, None]

    def __call__(self, rows: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        quantized, step = rows
        return self._finished(F.linear(quantized.float().sub_(128), self._weight), step)


@cache
def _vnni_works() -> bool:
    return _works(_VnniLinear)


@cache
def _onednn_is_faster() -> bool:
    """Time the kernel once: MKL, which torch itself takes for float32, is half as fast on processors not by Intel."""
    if not _works(_OneDnnLinear):
        return False
    rows, projection = torch.ones(_TIMED_ROWS, _TIMED_WIDTH), Projection(torch.ones(_TIMED_WIDTH, _TIMED_WIDTH), None)
    best = dict.fromkeys((_OneDnnLinear, _PlainLinear), float("inf"))
    for kind in [*best] * _TIMES:
        matrix, began = kind(projection), perf_counter()
        matrix(rows)
        best[kind] = min(best[kind], perf_counter() - began)
    return best[_OneDnnLinear] < _CLEARLY * best[_PlainLinear]


def _works(kind: Callable[[Projection], Linear]) -> bool:
    """Try a kernel: it is not part of torch's public interface and may go or change."""
    generator = torch.Generator().manual_seed(0)
    projection = Projection(torch.randn(16, 32, generator=generator), torch.randn(16, generator=generator))
    rows, other = torch.randn(4, 32, generator=generator), torch.randn(4, 16, generator=generator)
    expected = F.linear(rows, projection.weight, projection.bias)
    try:
        tried = kind(projection)
        prepared = tried.prepare(rows)
        found = torch.cat([tried(prepared), tried.activated(prepared, "silu"), tried.times(prepared, other.clone())])
    except (AttributeError, RuntimeError, NotImplementedError, TypeError):
        return False
    expected = torch.cat([expected, F.silu(expected), expected * other])
    return float(F.cosine_similarity(found, expected, dim=1).min()) > 0.999
