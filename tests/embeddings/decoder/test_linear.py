"""Linear layers in every precision: how accurate each is, and that rows do not affect each other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from echo_index.embeddings.decoder import linear as linear_module
from echo_index.embeddings.decoder.config import Activation
from echo_index.embeddings.decoder.linear import (
    Int8Weights,
    Linear,
    Precision,
    _BFloat16Linear,
    _EmulatedInt8Linear,
    _fp32_kernel,
    _OneDnnLinear,
    _PlainLinear,
    _vnni_works,
    _VnniLinear,
    _works,
    activate,
    bfloat16_is_fast,
    int8_is_fast,
    int8_linear,
    linear,
    precise_int8_product,
)
from echo_index.embeddings.decoder.weights import Projection

Make = Callable[[Projection], Linear]

HAS_KERNEL = pytest.mark.skipif(not _vnni_works(), reason="the kernel does not work here")
HAS_ONEDNN = pytest.mark.skipif(not _works(_OneDnnLinear), reason="the kernel does not work here")


def vnni(projection: Projection) -> Linear:
    return _VnniLinear(Int8Weights.quantize(projection))


def packed(projection: Projection) -> Linear:
    """Return a matrix that the kernel has arranged, as it does for later products."""
    matrix = vnni(projection)
    for _ in range(linear_module._PLAIN_PRODUCTS + 1):
        product(matrix, torch.ones(1, projection.weight.shape[1]))
    return matrix


def emulated(projection: Projection) -> Linear:
    return _EmulatedInt8Linear(Int8Weights.quantize(projection))


INT8 = [pytest.param(vnni, marks=HAS_KERNEL), pytest.param(packed, marks=HAS_KERNEL), emulated]
FP32 = [pytest.param(_OneDnnLinear, marks=HAS_ONEDNN), _PlainLinear]
EVERY = [*FP32, partial(linear, precision=Precision.BF16), *INT8]


def projection(*, rows: int = 48, width: int = 64, bias: bool = True) -> Projection:
    generator = torch.Generator().manual_seed(1)
    drawn = torch.randn(rows, width, generator=generator)
    return Projection(drawn, torch.randn(rows, generator=generator) if bias else None)


def some_rows(*, count: int = 9, width: int = 64) -> torch.Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(2))


def product(matrix: Linear, rows: torch.Tensor) -> torch.Tensor:
    return matrix(matrix.prepare(rows.clone()))


def error(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Return the largest error of a row, relative to its length."""
    return float(((found - expected).norm(dim=1) / expected.norm(dim=1)).max())


@pytest.mark.parametrize("make", FP32)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("count", "rows", "width"), [(9, 48, 64), (1, 1, 2), (70, 33, 130)])
def test_fp32_is_exact(make: Make, bias: bool, count: int, rows: int, width: int) -> None:
    given = projection(rows=rows, width=width, bias=bias)
    given_rows = some_rows(count=count, width=width)
    exact = F.linear(given_rows.double(), given.weight.double(), None if given.bias is None else given.bias.double())
    assert product(make(given), given_rows).double() == pytest.approx(exact, rel=1e-5, abs=1e-4)


@HAS_ONEDNN
def test_fp32_uses_the_faster_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(self: object, rows: torch.Tensor) -> torch.Tensor:
        time.sleep(0.02)
        return rows

    for slower, faster in ((_OneDnnLinear, _PlainLinear), (_PlainLinear, _OneDnnLinear)):
        with monkeypatch.context() as patched:
            if slower is _OneDnnLinear:
                patched.setattr(linear_module, "_works", lambda kind: True)
            patched.setattr(slower, "__call__", slow)
            patched.setattr(linear_module, "_fp32_kernel", _fp32_kernel.__wrapped__)
            assert type(linear(projection(), Precision.FP32)) is faster


def test_bfloat16_is_fast_where_it_takes_less_time_than_float32(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def is_fast(*capabilities: str, bf16: float, fp32: float, folder: str = "one") -> bool:
        monkeypatch.setenv("ECHO_INDEX_CACHE", str(tmp_path / folder))
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: dict.fromkeys(capabilities, True))
        for kernel, seconds in ((_BFloat16Linear, bf16), (_PlainLinear, fp32)):
            monkeypatch.setattr(kernel, "__call__", lambda self, rows, seconds=seconds: time.sleep(seconds))
        return bool(bfloat16_is_fast.__wrapped__())

    monkeypatch.setattr(linear_module, "_fp32_kernel", lambda: _PlainLinear)
    assert not is_fast("avx2", "avx512_vnni", bf16=0.0, fp32=0.01)
    assert is_fast("avx512_bf16", bf16=0.001, fp32=0.01)
    assert is_fast("avx512_bf16", bf16=0.01, fp32=0.001), "it is timed once, as the vectors depend on it"
    assert not is_fast("avx512_bf16", bf16=0.01, fp32=0.001, folder="two"), "has the instructions, but slowly"
    assert is_fast("avx512_bf16", "amx_bf16", bf16=0.001, fp32=0.01, folder="two"), "another processor"
    [kept] = (tmp_path / "one").glob("rates/*.json")
    kept.write_text("[1]", encoding="utf-8")
    assert not is_fast("avx512_bf16", bf16=0.01, fp32=0.001), "what is damaged is timed again"


@pytest.mark.parametrize("bias", [True, False])
def test_bf16_is_close_and_returns_float32(bias: bool) -> None:
    given, rows = projection(bias=bias), some_rows()
    found = product(linear(given, Precision.BF16), rows)
    assert found.dtype is torch.float32
    assert 0 < error(found, F.linear(rows, given.weight, given.bias)) < 0.01


@pytest.mark.parametrize("make", INT8)
@pytest.mark.parametrize("bias", [True, False])
def test_int8_is_close_and_returns_float32(make: Make, bias: bool) -> None:
    given, rows = projection(bias=bias), some_rows()
    found = product(make(given), rows)
    assert found.dtype is torch.float32
    assert 0 < error(found, F.linear(rows, given.weight, given.bias)) < 0.02


@pytest.mark.parametrize("make", INT8)
def test_int8_is_exact_where_nothing_is_rounded(make: Make) -> None:
    generator = torch.Generator().manual_seed(3)
    weight, rows = (torch.randint(-127, 128, (20, 64), generator=generator).float() for _ in range(2))
    weight[:, 0], rows[:, 5] = 127.0, -127.0  # the scale is 1
    given = Projection(weight * 0.5, None)
    rows *= torch.logspace(-6, 6, 20, base=2)[:, None]  # a scale for each row
    assert error(product(make(given), rows), F.linear(rows, given.weight)) < 1e-6


@HAS_KERNEL
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("count", "rows", "width"), [(9, 48, 64), (1, 1, 2), (70, 33, 130)])
def test_emulated_int8_equals_the_kernel(bias: bool, count: int, rows: int, width: int) -> None:
    given = projection(rows=rows, width=width, bias=bias)
    given_rows = some_rows(count=count, width=width)
    assert error(product(vnni(given), given_rows), product(emulated(given), given_rows)) < 1e-4


@HAS_KERNEL
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("count", "rows", "width"), [(9, 48, 64), (1, 1, 2), (70, 33, 130), (255, 640, 2048)])
def test_a_matrix_as_it_is_and_as_the_kernel_arranges_it_give_equal_numbers(
    bias: bool, count: int, rows: int, width: int
) -> None:
    given, given_rows = projection(rows=rows, width=width, bias=bias), some_rows(count=count, width=width)
    assert torch.equal(product(vnni(given), given_rows), product(packed(given), given_rows))


@HAS_KERNEL
def test_a_matrix_is_arranged_at_the_third_product_or_for_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    plain: list[int] = []
    multiply = linear_module.plain_int8_product
    monkeypatch.setattr(
        linear_module, "plain_int8_product", lambda rows, values: (plain.append(len(rows)), multiply(rows, values))[1]
    )
    matrix = vnni(projection())
    for count in (1, 2, 3):
        product(matrix, some_rows(count=count))
    assert plain == [1, 2]
    product(vnni(projection()), some_rows(count=linear_module._PLAIN_ROWS + 1))
    assert plain == [1, 2]


@pytest.mark.parametrize("make", EVERY)
def test_rows_do_not_affect_each_other(make: Make) -> None:
    matrix, rows = make(projection()), some_rows()
    before = product(matrix, rows)
    rows[4] *= 1e4
    rows[4, 7] = 1e8
    after = product(matrix, rows)
    others = [0, 1, 2, 3, 5, 6, 7, 8]
    assert torch.allclose(after[others], before[others], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("make", INT8)
def test_each_output_channel_has_its_own_scale(make: Make) -> None:
    given, rows = projection(bias=False), some_rows()
    given.weight[3] *= 1e-5
    found, expected = product(make(given), rows), F.linear(rows, given.weight)
    assert error(found[:, 3:4].T, expected[:, 3:4].T) < 0.02


@pytest.mark.parametrize("make", EVERY)
@pytest.mark.parametrize("bias", [True, False])
def test_zeros_give_the_bias(make: Make, bias: bool) -> None:
    given = projection(bias=bias)
    given.weight[2] = 0.0
    rows = some_rows()
    rows[1] = 0.0
    found = product(make(given), rows)
    expected = torch.zeros(48) if given.bias is None else given.bias
    assert found.isfinite().all()
    assert torch.allclose(found[1], expected, rtol=1e-2)
    assert torch.allclose(found[:, 2], expected[2].expand(len(rows)), rtol=1e-2)


@pytest.mark.parametrize("make", EVERY)
def test_a_product_times_another_tensor(make: Make) -> None:
    matrix, rows = make(projection()), some_rows()
    other = torch.randn(len(rows), 48)
    found = matrix.times(matrix.prepare(rows.clone()), other.clone())
    assert torch.allclose(found, product(matrix, rows) * other)


@pytest.mark.parametrize("make", EVERY)
@pytest.mark.parametrize("activation", ["silu", "gelu_tanh", "gelu"])
def test_the_activation_of_a_product(make: Make, activation: Activation) -> None:
    matrix, rows = make(projection()), some_rows()
    plain = product(matrix, rows)
    expected = {
        "silu": F.silu(plain),
        "gelu_tanh": F.gelu(plain, approximate="tanh"),
        "gelu": F.gelu(plain),
    }[activation]
    is_int8 = isinstance(matrix, (_VnniLinear, _EmulatedInt8Linear))
    near = 1e-3 if is_int8 and activation == "gelu_tanh" else 1e-6
    assert torch.allclose(matrix.activated(matrix.prepare(rows.clone()), activation), expected, atol=near)


def test_exact_and_tanh_gelu_differ() -> None:
    rows = torch.linspace(-4, 4, 101)[None]
    exact, tanh = (activate(rows.clone(), form) for form in ("gelu", "gelu_tanh"))
    assert torch.allclose(exact, F.gelu(rows))
    assert torch.allclose(tanh, F.gelu(rows, approximate="tanh"))
    assert not torch.equal(exact, tanh)


@pytest.mark.parametrize("precision", Precision)
def test_the_given_weights_are_not_modified(precision: Precision) -> None:
    given = projection()
    before = given.weight.clone()
    matrix = linear(given, precision)
    product(matrix, some_rows())
    assert torch.equal(given.weight, before)


@HAS_KERNEL
def test_the_kernel_is_used_where_it_works() -> None:
    assert isinstance(linear(projection(), Precision.INT8), _VnniLinear)


def test_without_the_kernel_int8_is_emulated_and_not_reported_as_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_module, "_vnni_works", lambda: False)
    assert isinstance(linear(projection(), Precision.INT8), _EmulatedInt8Linear)
    assert not int8_is_fast()


@pytest.mark.parametrize("missing", [AttributeError, RuntimeError, NotImplementedError, TypeError])
def test_a_kernel_that_raises_does_not_work(missing: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: object, rows: object) -> torch.Tensor:
        raise missing

    monkeypatch.setattr(_VnniLinear, "__call__", fail)
    assert not _vnni_works.__wrapped__()


def test_a_kernel_with_wrong_results_does_not_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_VnniLinear, "__call__", lambda self, rows: torch.ones(4, 16))
    assert not _vnni_works.__wrapped__()


@HAS_KERNEL
def test_int8_is_fast_only_where_the_processor_has_instructions_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for capabilities, fast in (
        ({}, False),
        ({"avx2": True, "avx512_f": True}, False),
        ({"avx512_vnni": True}, True),
        ({"avx_vnni": True}, True),
    ):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda capabilities=capabilities: capabilities)
        assert int8_is_fast() is fast


def test_a_processor_without_the_instructions_gives_the_same_product() -> None:
    """Without VNNI the sums of the kernel overflow; it is not used only because it is tried first."""
    multiplies = (
        "import torch; from echo_index.embeddings.decoder.linear import Precision, int8_is_fast, linear\n"
        "from echo_index.embeddings.decoder.weights import Projection\n"
        "matrix = linear(Projection(torch.ones(3, 640), None), Precision.INT8)\n"
        "print(int8_is_fast(), matrix(matrix.prepare(torch.ones(2, 640))).tolist())"
    )
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"}
    ran = subprocess.run(
        [sys.executable, "-c", multiplies], env=environment, capture_output=True, text=True, check=True
    )
    fast, found = ran.stdout.split(maxsplit=1)
    assert fast == "False"
    assert torch.allclose(torch.tensor(json.loads(found)), torch.full((2, 3), 640.0))


def test_rows_of_15_bits_lose_hardly_more_than_the_matrix() -> None:
    given = Int8Weights.quantize(projection(rows=300, bias=False))
    rows = some_rows()
    exact = rows.double() @ (given.values.double() * given.scales.double()[:, None]).T
    matrix = int8_linear(given)
    assert error(matrix(matrix.prepare(rows.clone())).double(), exact) > 2e-3
    assert error(precise_int8_product(matrix, rows).double(), exact) < 1e-4
