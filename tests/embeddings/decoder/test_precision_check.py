"""A faster precision is taken by itself where it was measured to be nearly as good, and nowhere else."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from passes import passes_noted
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
    """Say that int8 is fast on this processor."""
    monkeypatch.setattr(encoder_module, "int8_is_fast", lambda: True)


def accept(monkeypatch: pytest.MonkeyPatch, *, least: float) -> None:
    monkeypatch.setattr(encoder_module, "MIN_FIDELITY", least)


class Measure:
    """Finds the same cosines each time and notes what it was asked about."""

    def __init__(self, *cosines: float) -> None:
        self.cosines = np.array(cosines, dtype=np.float32)
        self.asked: list[list[str]] = []

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        self.asked.append(list(texts))
        return self.cosines


# the figure


def test_what_all_vectors_share_does_not_count() -> None:
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


def test_the_sample_is_of_many_different_texts() -> None:
    texts = sample_texts()
    assert len(set(texts)) == len(texts) >= 30
    assert all(text.strip() for text in texts)


def test_it_is_measured_once_and_remembered_by_fingerprint(cache: Path) -> None:
    one, other = Measure(0.5, 1.0), Measure(0.25)
    for _ in range(3):
        assert cached_fidelity("one", one) == 0.75
    assert one.asked == [sample_texts()]
    assert cached_fidelity("other", other) == 0.25
    assert cached_fidelity("one", other) == 0.75
    assert len(other.asked) == 1
    assert sorted(path.name for path in cache.iterdir()) == ["one.json", "other.json"]
    assert json.loads((cache / "one.json").read_text()) == {"mean": 0.75, "least": 0.5, "texts": 2}


def test_what_was_not_finished_is_not_remembered(cache: Path) -> None:
    def fail(texts: Sequence[str]) -> np.ndarray:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached_fidelity("one", fail)
    assert cached_fidelity("one", Measure(0.5)) == 0.5


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"mean": null}', b"\xff"])
def test_a_damaged_figure_is_measured_anew(cache: Path, content: bytes) -> None:
    cache.mkdir(parents=True)
    (cache / "one.json").write_bytes(content)
    for _ in range(2):
        assert cached_fidelity("one", Measure(0.5, 1.0)) == 0.75
    assert json.loads((cache / "one.json").read_text())["mean"] == 0.75


# the choice


def test_auto_is_int8_where_that_is_good_enough(
    tiny_model: LanguageModel, cache: Path, fast: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept(monkeypatch, least=0.5)
    encoder = EchoEncoder(tiny_model).with_precision("auto")
    assert encoder.precision is Precision.INT8
    assert encoder.fingerprint == EchoEncoder(tiny_model, precision="int8").fingerprint
    assert [path.stem for path in cache.iterdir()] == [encoder.fingerprint]


def test_auto_is_fp32_where_int8_is_not_good_enough(
    tiny_model: LanguageModel, fast: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept(monkeypatch, least=1.1)
    assert EchoEncoder(tiny_model).with_precision("auto").precision is Precision.FP32


def test_what_is_measured_is_int8_against_fp32(tiny_model: LanguageModel, cache: Path, fast: None) -> None:
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


def test_it_is_measured_anew_for_other_settings_only(
    tiny_model: LanguageModel, cache: Path, fast: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept(monkeypatch, least=0.5)
    EchoEncoder(tiny_model).with_precision("auto")
    with passes_noted() as passes:
        again = EchoEncoder(tiny_model, batch_tokens=99).with_precision("auto")
        assert again.best_precision() is Precision.INT8
    assert passes == []
    with passes_noted() as passes:
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


def test_whether_int8_is_fast_is_tried_in_the_thread_of_the_passes(
    tiny_model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []
    monkeypatch.setattr(encoder_module, "int8_is_fast", lambda: bool(threads.append(threading.get_ident())))
    EchoEncoder(tiny_model).with_precision("auto")
    assert threads == [run_on_executor(threading.get_ident)], "another thread's helpers would slow every pass"


@pytest.mark.parametrize("architecture", ["gpt2", "llama, dynamic rope"])
def test_a_model_that_is_not_ours_is_fp32_by_itself_and_never_int8(
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
def test_an_unknown_precision_is_refused_with_those_that_there_are(tiny_model: LanguageModel, name: str) -> None:
    with pytest.raises(ModelError, match=f"There is no precision {name!r}") as refusal:
        EchoEncoder(tiny_model, precision=name)  # type: ignore[arg-type]
    assert refusal.value.remedy == "The precisions are: auto, fp32, bf16, int8."


@INT8_IS_FAST
@pytest.mark.model
def test_the_default_model_runs_in_int8_by_itself(gemma: LanguageModel, cache: Path) -> None:
    assert EchoEncoder(gemma).with_precision("auto").precision is Precision.INT8
    (file,) = cache.iterdir()
    assert MIN_FIDELITY <= json.loads(file.read_text())["mean"] < 1
