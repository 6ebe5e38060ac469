"""Linear layers in float32, bfloat16 or int8, on the fastest kernels that torch has on this processor."""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import Any, cast

import torch
import torch.nn.functional as F

from echo_index.embeddings.decoder.config import Activation
from echo_index.embeddings.decoder.weights import Projection
from echo_index.embeddings.runtime.cache import cache_key, get_or_make

_TIMED_ROWS, _TIMED_WIDTH = 256, 640
_ROUNDS = 4  # the first one takes longer
_KEPT_ROUNDS = 16  # for what is timed once on a machine
_CLEARLY_FASTER = 0.8  # of the time; for a smaller gain torch's public function is used
_PLAIN_PRODUCTS, _PLAIN_ROWS = 2, 256  # products with a matrix in its plain layout, and the rows of such a product


class Precision(str, Enum):
    """The number format of matrix products; everything else is float32."""

    FP32 = "fp32"
    BF16 = "bf16"
    """Rows and matrices in bfloat16; fast only on processors that multiply it natively."""
    INT8 = "int8"
    """Matrices in int8 with a scale for each output channel; rows in int8 with a scale for each token."""


class Linear(ABC):
    """A linear layer in one precision: `rows @ weight.T + bias`, float32 (rows, out)."""

    @staticmethod
    @abstractmethod
    def prepare(rows: torch.Tensor) -> Any:
        """Convert float32 rows (rows, in) to the input that layers of this precision take; may overwrite `rows`."""

    @abstractmethod
    def __call__(self, rows: Any) -> torch.Tensor:
        """Return the product with rows that `prepare` returned."""

    def activated(self, rows: Any, activation: Activation) -> torch.Tensor:
        """Return the product with an activation function applied."""
        return activate(self(rows), activation)

    def times(self, rows: Any, other: torch.Tensor) -> torch.Tensor:
        """Return the product times `other` (rows, out), element by element."""
        return self(rows).mul_(other)


_Kernel = Callable[[Projection], Linear]
"""Makes a linear layer with one kernel."""


def linear(projection: Projection, precision: Precision) -> Linear:
    """Return the linear layer in a precision, on the fastest kernel that works on the device of the projection."""
    match precision:
        case Precision.FP32:
            return (_fp32_kernel() if projection.weight.device.type == "cpu" else _PlainLinear)(projection)
        case Precision.BF16:
            return _BFloat16Linear(projection)
        case Precision.INT8:
            return int8_linear(Int8Weights.quantize(projection))


@dataclass(frozen=True, eq=False)
class Int8Weights:
    """A matrix in int8 (out, in), the scale of each of its rows (out,), and the bias (out,) in float32.

    A weight is its int8 value times the scale of its row.
    """

    values: torch.Tensor
    scales: torch.Tensor
    bias: torch.Tensor | None

    @classmethod
    def quantize(cls, projection: Projection) -> Int8Weights:
        """Round the weights to the nearest multiples of the scales; the largest weight of a row becomes 127."""
        scales = projection.weight.abs().amax(dim=1).clamp_(min=1e-20) / 127
        return cls((projection.weight / scales[:, None]).round_().to(torch.int8), scales, projection.bias)


def int8_linear(weights: Int8Weights) -> Int8Linear:
    """Return the linear layer in int8, on the fastest kernel that works on this processor."""
    return _VnniLinear(weights) if _vnni_works() else _EmulatedInt8Linear(weights)


def precise_int8_product(matrix: Int8Linear, rows: torch.Tensor) -> torch.Tensor:
    """Return the product of a matrix without bias with float32 rows (rows, in) that are rounded to 15 bits.

    The rounding error of the int8 rows is multiplied as int8 rows, too. It takes about as long as one product where
    reading the matrix from memory takes longer than multiplying.
    """
    products = matrix(rows_of_15_bits(rows)[0])
    return products[: len(rows)].add_(products[len(rows) :])


def rows_of_15_bits(rows: torch.Tensor) -> tuple[tuple[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Return float32 rows (rows, in) as int8 rows (2 * rows, in) with scales, and what is missing from their sums.

    The first half of the int8 rows is that of `Int8Linear.prepare`, the second half its rounding errors.
    """
    missing, quantized, scales = rows, [], []
    for _ in range(2):
        part, scale = Int8Linear.prepare(missing.clone())
        quantized.append(part)
        scales.append(scale)
        missing = missing - (part.float() - 128) * scale
    return (torch.cat(quantized), torch.cat(scales)), missing


def plain_int8_product(rows: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Return the product of rows (rows, in) from `Int8Linear.prepare` and an int8 matrix (out, in) as it is.

    float32 (rows, out), without the scales. It is exact, or rounded as float32 where int8 products are not exact.
    """
    signed = rows.bitwise_xor(128).view(torch.int8)
    if _int_mm_is_exact():
        return torch._int_mm(signed, values.t()).float()
    return signed.float() @ values.float().t()


@cache
def _int_mm_is_exact() -> bool:
    """Try torch's int8 product, which is not public, on large numbers: before VNNI, sums of two saturate at 16 bits."""
    rows, values = torch.full((2, 64), 127, dtype=torch.int8), torch.full((8, 64), 127, dtype=torch.int8)
    try:
        return bool((torch._int_mm(rows, values.t()) == 64 * 127 * 127).all())
    except (AttributeError, RuntimeError):
        return False


def int8_is_fast() -> bool:
    """Return whether this processor multiplies int8 faster than float32."""
    capabilities = torch.cpu.get_capabilities()
    return _vnni_works() and bool(capabilities.get("avx512_vnni") or capabilities.get("avx_vnni"))


@cache
def bfloat16_is_fast() -> bool:
    """Return whether this processor multiplies bfloat16 faster than float32: timed once, and kept in the cache folder.

    The instructions alone do not tell: processors by Intel that lack AMX, or hide it, have them at half the rate.
    """
    capabilities = torch.cpu.get_capabilities()
    if not (capabilities.get("avx512_bf16") or capabilities.get("amx_bf16")):
        return False
    limits = (torch.backends.cpu.get_cpu_capability(), os.environ.get("ONEDNN_MAX_CPU_ISA", ""))
    fp32, bf16 = get_or_make(
        "rates",
        f"{cache_key('bfloat16', torch.__version__, str(sorted(capabilities.items())), *limits)}.json",
        read=_read_seconds,
        make=lambda: _best_seconds([_fp32_kernel(), _BFloat16Linear], rounds=_KEPT_ROUNDS),
        write=lambda path, seconds: path.write_text(json.dumps(seconds), encoding="utf-8"),
    )
    return bf16 < _CLEARLY_FASTER * fp32


def _read_seconds(path: Path) -> list[float]:
    fp32, bf16 = json.loads(path.read_text(encoding="utf-8"))
    return [float(fp32), float(bf16)]


def attention_dtype(precision: Precision, *, device: str = "cpu") -> torch.dtype:
    """Return the number format of attention in a precision: bfloat16 where it is exact enough and fast."""
    is_fast = bfloat16_is_fast() if device == "cpu" else True  # a GPU would not have been chosen for it otherwise
    return torch.bfloat16 if precision is not Precision.FP32 and is_fast else torch.float32


def activate(rows: torch.Tensor, activation: Activation) -> torch.Tensor:
    """Apply an activation function in place, and return the tensor."""
    match activation:
        case "silu":
            return F.silu(rows, inplace=True)
        case "gelu_tanh":
            return cast("torch.Tensor", torch.ops.aten.gelu_(rows, approximate="tanh"))
        case "gelu":
            return cast("torch.Tensor", torch.ops.aten.gelu_(rows))


class _PlainLinear(Linear):
    """float32 with torch's public function."""

    def __init__(self, projection: Projection) -> None:
        self._weight, self._bias = projection.weight, projection.bias

    @staticmethod
    def prepare(rows: torch.Tensor) -> torch.Tensor:
        return rows

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        return F.linear(rows, self._weight, self._bias)


class _OneDnnLinear(_PlainLinear):
    """float32 with oneDNN, which fuses the operation after the product into the kernel."""

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        return self._fused("none", "", rows)

    def activated(self, rows: torch.Tensor, activation: Activation) -> torch.Tensor:
        match activation:
            case "silu":
                return self._fused("swish", "", rows)
            case "gelu_tanh":
                return self._fused("gelu", "tanh", rows)
            case "gelu":
                return self._fused("gelu", "none", rows)

    def times(self, rows: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise.binary(rows, other, self._weight, self._bias, "mul")
        return product

    def _fused(self, activation: str, variant: str, rows: torch.Tensor) -> torch.Tensor:
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            rows, self._weight, self._bias, activation, [], variant
        )
        return product


class _BFloat16Linear(Linear):
    """bfloat16; the kernel accumulates in float32."""

    def __init__(self, projection: Projection) -> None:
        self._weight = projection.weight.bfloat16()
        self._bias = None if projection.bias is None else projection.bias.bfloat16()

    @staticmethod
    def prepare(rows: torch.Tensor) -> torch.Tensor:
        return rows.bfloat16()

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        return F.linear(rows, self._weight, self._bias).float()


class Int8Linear(Linear):
    """The common part of the int8 kernels: one scale for each output channel, and one for each token."""

    def __init__(self, weights: Int8Weights) -> None:
        self.scales = weights.scales
        self._bias = weights.bias

    @staticmethod
    def prepare(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return uint8 (rows, in) with the zero point 128, and the scale of each row: float32 (rows, 1)."""
        largest = torch.maximum(rows.amax(dim=1, keepdim=True), rows.amin(dim=1, keepdim=True).neg_())
        scale = largest.clamp_(min=1e-20).div_(127)
        signed = rows.mul_(scale.reciprocal()).round_().to(torch.int8)  # nine times as fast as the cast to uint8
        return signed.view(torch.uint8).bitwise_xor_(128), scale  # 128 more, in the bits of a byte

    def activated(self, rows: tuple[torch.Tensor, torch.Tensor], activation: Activation) -> torch.Tensor:
        # The exact GELU replaces its tanh approximation: they differ by less than the rounding of int8, and torch's
        # kernel for the exact one is five times as fast.
        return activate(self(rows), "gelu" if activation == "gelu_tanh" else activation)

    def _rescaled(self, products: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        products.mul_(scale)
        return products if self._bias is None else products.add_(self._bias)


class _VnniLinear(Int8Linear):
    """int8 with oneDNN, which uses the VNNI instructions if the processor has them.

    To arrange a matrix as the kernel likes it takes as long as twenty short products save by it. So the first products
    take the matrix as it is: many processes embed one question and end. The numbers are the same.
    """

    def __init__(self, weights: Int8Weights) -> None:
        super().__init__(weights)
        self._values = weights.values  # one attribute, read once for a product: several threads may multiply at a time
        self._plain_products = 0
        self._zeros = torch.zeros(len(self.scales), dtype=torch.int32)

    def __call__(self, rows: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        quantized, scale = rows
        values = self._values
        if not values.is_mkldnn:
            if self._plain_products < _PLAIN_PRODUCTS and len(quantized) <= _PLAIN_ROWS:
                self._plain_products += 1
                return self._rescaled(plain_int8_product(quantized, values).mul_(self.scales), scale)
            values = self._values = torch.ops.onednn.qlinear_prepack(values, None)
        products = torch.ops.onednn.qlinear_pointwise(
            quantized, 1.0, 128, values, self.scales, self._zeros, None, 1.0, 0, torch.float32, "none", [], ""
        )
        return self._rescaled(products, scale)


class _EmulatedInt8Linear(Int8Linear):
    """The same numbers computed in float32: no faster, but an index that was built in int8 opens on any processor."""

    def __init__(self, weights: Int8Weights) -> None:
        super().__init__(weights)
        self._weight = weights.values.float() * self.scales[:, None]

    def __call__(self, rows: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        quantized, scale = rows
        return self._rescaled(F.linear(quantized.float().sub_(128), self._weight), scale)


@cache
def _vnni_works() -> bool:
    return _works(lambda projection: _VnniLinear(Int8Weights.quantize(projection)))


@cache
def _fp32_kernel() -> _Kernel:
    """Time both kernels once: MKL, torch's own choice, is half as fast on processors that are not by Intel."""
    if not _works(_OneDnnLinear):
        return _PlainLinear
    one_dnn, plain = _best_seconds([_OneDnnLinear, _PlainLinear], rounds=_ROUNDS)
    return _OneDnnLinear if one_dnn < _CLEARLY_FASTER * plain else _PlainLinear


def _best_seconds(kernels: Sequence[_Kernel], *, rounds: int) -> list[float]:
    """Return the shortest time that a product takes with each kernel; they take turns, as other programs run, too."""
    rows, projection = torch.ones(_TIMED_ROWS, _TIMED_WIDTH), Projection(torch.ones(_TIMED_WIDTH, _TIMED_WIDTH), None)
    matrices, best = [kernel(projection) for kernel in kernels], [float("inf")] * len(kernels)
    for _ in range(rounds):
        for number, matrix in enumerate(matrices):
            start = perf_counter()
            matrix(matrix.prepare(rows))
            best[number] = min(best[number], perf_counter() - start)
    return best


def _works(kind: _Kernel) -> bool:
    """Try a kernel: it is not part of torch's public interface and may be removed or changed."""
    generator = torch.Generator().manual_seed(0)
    projection = Projection(torch.randn(16, 32, generator=generator), torch.randn(16, generator=generator))
    rows, other = torch.randn(4, 32, generator=generator), torch.randn(4, 16, generator=generator)
    expected = F.linear(rows, projection.weight, projection.bias)
    try:
        matrix = kind(projection)
        prepared = matrix.prepare(rows)
        found = torch.cat([matrix(prepared), matrix.activated(prepared, "silu"), matrix.times(prepared, other.clone())])
    except (AttributeError, RuntimeError, NotImplementedError, TypeError):
        return False
    expected = torch.cat([expected, F.silu(expected), expected * other])
    return float(F.cosine_similarity(found, expected, dim=1).min()) > 0.999
