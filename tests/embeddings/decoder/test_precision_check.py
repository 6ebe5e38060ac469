"""Precision "auto" takes int8 only where its measured fidelity is sufficient."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from passes import recorded_passes
from tiny_models import ARCHITECTURES, save_model

from echo_index.embeddings import encoder as encoder_module
from echo_index.embeddings.decoder.linear import Precision, int8_is_fast
from echo_index.embeddings.decoder.precision_check import (
    MIN_FIDELITY,
    cached_fidelity,
    centered_cosines,
    sample_texts,
)
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.language_model import LanguageModel, load_model
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
    """Report int8 as fast on this processor."""
    monkeypatch.setattr(encoder_module, "int8_is_fast", lambda: True)


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


def test_auto_is_fp32_where_int8_is_not_fast_and_nothing_is_measured(
    tiny_model: LanguageModel, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept(monkeypatch, least=0.0)
    monkeypatch.setattr(encoder_module, "int8_is_fast", lambda: False)
    assert EchoEncoder(tiny_model).with_precision("auto").precision is Precision.FP32
    assert not cache.exists()


def test_int8_is_tried_on_the_executor_thread(tiny_model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []
    monkeypatch.setattr(encoder_module, "int8_is_fast", lambda: bool(threads.append(threading.get_ident())))
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
def test_the_default_model_runs_in_int8_with_auto(gemma: LanguageModel, cache: Path) -> None:
    assert EchoEncoder(gemma).with_precision("auto").precision is Precision.INT8
    (file,) = cache.iterdir()
    assert MIN_FIDELITY <= json.loads(file.read_text())["mean"] < 1
