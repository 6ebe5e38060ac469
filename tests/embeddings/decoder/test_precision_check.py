"""Precision "auto" takes the fastest precision of those whose measured fidelity is sufficient."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from passes import recorded_passes
from tiny_models import ARCHITECTURES, save_model

from echo_index.embeddings import encoder as encoder_module
from echo_index.embeddings.decoder import precision_check
from echo_index.embeddings.decoder.linear import Precision, int8_is_fast
from echo_index.embeddings.decoder.precision_check import (
    MIN_FIDELITY,
    cached_fidelity,
    cached_seconds,
    centered_cosines,
    clearly_fastest,
    sample_texts,
)
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.models.model_loading import load_model
from echo_index.embeddings.runtime.executor import run_on_executor
from echo_index.errors import ModelError

INT8_IS_FAST = pytest.mark.skipif(not int8_is_fast(), reason="this processor is not fast in int8")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty cache folder."""
    monkeypatch.setenv("ECHO_INDEX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "fidelity"


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Report int8, and only that, as fast on this processor and with every model."""
    native(monkeypatch, Precision.INT8)
    measured(monkeypatch, fp32=1.0, int8=0.5)


def native(monkeypatch: pytest.MonkeyPatch, *precisions: Precision) -> None:
    """Let the processor multiply in these precisions."""
    monkeypatch.setattr(precision_check, "bfloat16_is_fast", lambda: Precision.BF16 in precisions)
    monkeypatch.setattr(precision_check, "int8_is_fast", lambda: Precision.INT8 in precisions)


def measured(monkeypatch: pytest.MonkeyPatch, **seconds: float) -> None:
    """Let each precision take so long."""
    monkeypatch.setattr(
        encoder_module,
        "cached_seconds",
        lambda model, encode, *, device: {each: seconds[each.value] for each in encode},
    )


def accept(monkeypatch: pytest.MonkeyPatch, *, least: float) -> None:
    monkeypatch.setattr(encoder_module, "MIN_FIDELITY", least)


class Measure:
    """Returns the same cosines each time, and records the texts of each call."""

    def __init__(self, *cosines: float) -> None:
        self.cosines = np.array(cosines, dtype=np.float32)
        self.calls: list[list[str]] = []

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        self.calls.append(list(texts))
        return self.cosines


# Fidelity


def test_a_common_component_does_not_count() -> None:
    generator = np.random.default_rng(1)
    vectors = generator.normal(size=(40, 16)).astype(np.float32)
    others = vectors + generator.normal(size=(40, 16)).astype(np.float32)
    shared = np.full(16, 50, dtype=np.float32)
    bare = centered_cosines(vectors, others)
    assert bare.shape == (40,)
    assert 0.4 < bare.mean() < 0.9
    assert np.allclose(centered_cosines(vectors + shared, others + shared), bare, atol=1e-3)
    assert np.allclose(centered_cosines(vectors + shared, others - 2 * shared), bare, atol=1e-3)


def test_equal_vectors_have_cosines_of_one_at_any_length() -> None:
    vectors = np.random.default_rng(1).normal(size=(10, 8)).astype(np.float32)
    assert np.allclose(centered_cosines(vectors, vectors), 1, atol=1e-6)
    assert np.allclose(centered_cosines(vectors, 3 * vectors), 1, atol=1e-6)
    assert np.allclose(centered_cosines(vectors, -vectors), -1, atol=1e-6)


def test_the_sample_has_many_different_texts() -> None:
    texts = sample_texts()
    assert len(set(texts)) == len(texts) >= 30
    assert all(text.strip() for text in texts)


def test_fidelity_is_measured_once_for_each_fingerprint(cache: Path) -> None:
    one, other = Measure(0.5, 1.0), Measure(0.25)
    for _ in range(3):
        assert cached_fidelity("one", one) == 0.75
    assert one.calls == [sample_texts()]
    assert cached_fidelity("other", other) == 0.25
    assert cached_fidelity("one", other) == 0.75
    assert len(other.calls) == 1
    assert sorted(path.name for path in cache.iterdir()) == ["one.json", "other.json"]
    assert json.loads((cache / "one.json").read_text()) == {"mean": 0.75, "least": 0.5, "texts": 2}


def test_an_interrupted_measurement_is_not_cached(cache: Path) -> None:
    def fail(texts: Sequence[str]) -> np.ndarray:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached_fidelity("one", fail)
    assert cached_fidelity("one", Measure(0.5)) == 0.5


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"mean": null}', b"\xff"])
def test_a_damaged_cache_file_is_replaced(cache: Path, content: bytes) -> None:
    cache.mkdir(parents=True)
    (cache / "one.json").write_bytes(content)
    for _ in range(2):
        assert cached_fidelity("one", Measure(0.5, 1.0)) == 0.75
    assert json.loads((cache / "one.json").read_text())["mean"] == 0.75


# Precision "auto"


def test_auto_is_int8_where_its_fidelity_is_sufficient(
    tiny_model: LanguageModel, cache: Path, fast: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept(monkeypatch, least=0.5)
    encoder = EchoEncoder(tiny_model).with_precision("auto")
    assert encoder.precision is Precision.INT8
    assert encoder.fingerprint == EchoEncoder(tiny_model, precision="int8").fingerprint
    assert [path.stem for path in cache.iterdir()] == [encoder.fingerprint]


def test_auto_is_fp32_where_the_fidelity_of_int8_is_insufficient(
    tiny_model: LanguageModel, fast: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept(monkeypatch, least=1.1)
    assert EchoEncoder(tiny_model).with_precision("auto").precision is Precision.FP32


def test_fidelity_compares_int8_with_fp32(tiny_model: LanguageModel, cache: Path, fast: None) -> None:
    settings = {"layer": 3, "pooling": "last", "max_tokens": 20}
    EchoEncoder(tiny_model, **settings).with_precision("auto")  # type: ignore[arg-type]
    int8, exact = (
        EchoEncoder(tiny_model, precision=each, **settings).encode_documents(sample_texts())  # type: ignore[arg-type]
        for each in (Precision.INT8, Precision.FP32)
    )
    cosines = centered_cosines(int8, exact)
    (file,) = cache.iterdir()
    found = json.loads(file.read_text())
    assert found["mean"] == pytest.approx(cosines.mean(), abs=1e-5)
    assert found["least"] == pytest.approx(cosines.min(), abs=1e-5)
    assert found["least"] < 1


def test_fidelity_is_measured_again_for_other_settings_only(
    tiny_model: LanguageModel, cache: Path, fast: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept(monkeypatch, least=0.5)
    EchoEncoder(tiny_model).with_precision("auto")
    with recorded_passes() as passes:
        again = EchoEncoder(tiny_model, batch_tokens=99).with_precision("auto")
        assert again.best_precision() is Precision.INT8
    assert passes == []
    with recorded_passes() as passes:
        EchoEncoder(tiny_model, layer=2).with_precision("auto")
    assert len(passes) > 1
    assert len(list(cache.iterdir())) == 2


def test_auto_is_fp32_where_nothing_else_is_fast_and_nothing_is_measured(
    tiny_model: LanguageModel, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept(monkeypatch, least=0.0)
    native(monkeypatch)
    assert EchoEncoder(tiny_model).with_precision("auto").precision is Precision.FP32
    assert not cache.exists()


@pytest.mark.parametrize(
    ("fidelity", "seconds", "expected"),
    [
        ({"bf16": 1.0, "int8": 1.0}, {"fp32": 9.0, "bf16": 5.0, "int8": 3.0}, Precision.INT8),
        ({"bf16": 1.0, "int8": 0.9}, {"fp32": 9.0, "bf16": 5.0, "int8": 3.0}, Precision.BF16),
        ({"bf16": 1.0, "int8": 1.0}, {"fp32": 9.0, "bf16": 3.0, "int8": 5.0}, Precision.BF16),
        ({"bf16": 0.9, "int8": 1.0}, {"fp32": 9.0, "bf16": 3.0, "int8": 5.0}, Precision.INT8),
        ({"bf16": 1.0, "int8": 1.0}, {"fp32": 9.0, "bf16": 9.0, "int8": 12.0}, Precision.FP32),
        ({"bf16": 0.9, "int8": 0.9}, {"fp32": 9.0, "bf16": 5.0, "int8": 3.0}, Precision.FP32),
    ],
)
def test_auto_is_the_fastest_precision_that_keeps_fidelity(
    fidelity: dict[str, float],
    seconds: dict[str, float],
    expected: Precision,
    tiny_model: LanguageModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    native(monkeypatch, Precision.BF16, Precision.INT8)
    monkeypatch.setattr(EchoEncoder, "_fidelity", lambda encoder, exact: fidelity[encoder.precision.value])
    measured(monkeypatch, **seconds)
    assert EchoEncoder(tiny_model).with_precision("auto").precision is expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ((1.0, 0.85, 0.8), Precision.BF16),
        ((1.0, 0.95, 0.86), Precision.INT8),
        ((1.0, 0.95, 0.95), Precision.FP32),
        ((0.012, 0.005, 0.004), Precision.FP32),
    ],
)
def test_a_small_gain_is_not_worth_a_less_exact_precision(
    seconds: tuple[float, float, float], expected: Precision
) -> None:
    assert clearly_fastest(dict(zip(Precision, seconds, strict=True))) is expected


class Timed:
    """Takes the given times, one after the other, on a clock that all of them share."""

    def __init__(self, clock: list[float], *seconds: float) -> None:
        self._clock, self._seconds = clock, [*seconds]
        self.texts: list[Sequence[str]] = []

    def __call__(self, texts: Sequence[str]) -> None:
        self.texts.append(texts)
        self._clock[0] += self._seconds.pop(0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the time, which only moves when it is changed."""
    now = [0.0]
    monkeypatch.setattr(precision_check.time, "perf_counter", lambda: now[0])
    return now


def test_the_best_time_of_each_precision_counts_and_is_measured_once(clock: list[float], cache: Path) -> None:
    """The first time has the matrices made; another program is running during all but one of the others."""
    exact, int8 = Timed(clock, 1.0, 8.0, 4.0, 8.0), Timed(clock, 9.0, 2.0, 6.0, 6.0)
    for _ in range(2):
        found = cached_seconds("model", {Precision.FP32: exact, Precision.INT8: int8})
        assert found == {Precision.FP32: 4.0, Precision.INT8: 2.0}
    assert len(exact.texts) == len(int8.texts) == 4
    assert exact.texts[0] == sample_texts()[::2]
    with pytest.raises(IndexError):  # another model is measured
        cached_seconds("other", {Precision.FP32: exact, Precision.INT8: int8})
    [file] = (cache.parent / "rates").iterdir()
    file.write_text("{}")
    assert cached_seconds("model", {Precision.FP32: Timed(clock, *[3.0] * 4), Precision.INT8: Timed(clock, *[1.0] * 4)})
    assert json.loads(file.read_text()) == {"fp32": 3.0, "int8": 1.0}


@pytest.mark.parametrize("change", ["get_capabilities", "get_num_threads", "version"])
def test_another_machine_is_measured_again(change: str, clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    def times(seconds: float) -> dict[Precision, Callable[[Sequence[str]], object]]:
        return {Precision.FP32: Timed(clock, *[seconds] * 4)}

    assert cached_seconds("model", times(1.0)) == cached_seconds("model", times(2.0)) == {Precision.FP32: 1.0}
    match change:
        case "get_capabilities":
            monkeypatch.setattr(torch.cpu, change, lambda: {"another": True})
        case "get_num_threads":
            monkeypatch.setattr(torch, change, lambda: 99)
        case "version":
            monkeypatch.setattr(torch, "__version__", "99.0")
    assert cached_seconds("model", times(2.0)) == {Precision.FP32: 2.0}


def test_precisions_are_tried_on_the_executor_thread(
    tiny_model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []
    monkeypatch.setattr(precision_check, "int8_is_fast", lambda: bool(threads.append(threading.get_ident())))
    monkeypatch.setattr(precision_check, "bfloat16_is_fast", lambda: False)
    EchoEncoder(tiny_model).with_precision("auto")
    assert threads == [run_on_executor(threading.get_ident)], "another thread's helpers would slow every pass"


@pytest.mark.parametrize("architecture", ["gpt2", "llama, dynamic rope"])
def test_without_a_native_decoder_auto_is_fp32_and_int8_is_refused(
    architecture: str, tmp_path: Path, fast: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept(monkeypatch, least=0.0)
    model = load_model(str(save_model(tmp_path / "model", ARCHITECTURES[architecture]())), device="cpu")
    assert EchoEncoder(model).with_precision("auto").precision is Precision.FP32
    with pytest.raises(ModelError, match="cannot be run in int8 on cpu") as refusal:
        EchoEncoder(model, precision="int8")
    assert refusal.value.remedy == "Use --precision fp32, or auto."


def test_the_constructor_does_not_measure(tiny_model: LanguageModel) -> None:
    with pytest.raises(ModelError, match="'auto' is measured") as refusal:
        EchoEncoder(tiny_model, precision="auto")  # type: ignore[arg-type]
    assert "with_precision" in refusal.value.remedy


@pytest.mark.parametrize("name", ["fp16", "float32", "INT8", ""])
def test_an_unknown_precision_is_refused_and_the_valid_ones_are_listed(tiny_model: LanguageModel, name: str) -> None:
    with pytest.raises(ModelError, match=f"There is no precision {name!r}") as refusal:
        EchoEncoder(tiny_model, precision=name)  # type: ignore[arg-type]
    assert refusal.value.remedy == "The precisions are: auto, fp32, bf16, int8."


@INT8_IS_FAST
@pytest.mark.model
def test_the_default_model_tolerates_int8_and_the_choice_stays(gemma: LanguageModel, cache: Path) -> None:
    encoder = EchoEncoder(gemma).with_precision("auto")
    int8 = EchoEncoder(gemma, precision="int8")
    assert json.loads((cache / f"{int8.fingerprint}.json").read_text())["mean"] > MIN_FIDELITY
    assert len(list((cache.parent / "rates").iterdir())) == 1
    with recorded_passes() as passes:
        assert EchoEncoder(gemma).with_precision("auto").precision is encoder.precision
    assert passes == []
