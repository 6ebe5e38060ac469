"""Training of a linear head, and encoders with a head."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from word_pairs import word_pairs

from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.models.linear_head import LinearHead
from echo_index.embeddings.models.model_loading import load_model
from echo_index.embeddings.training.head_trainer import HeadOptions, tune_head
from echo_index.embeddings.training.step_log import TUNING_LOG, TuningStep
from echo_index.embeddings.training.trainer import TuningOptions, tune
from echo_index.errors import ModelError

VIEWS = "echo:4+0.5*text:2"
TEXTS = ["The quick brown fox", "wizards judge", "my vow and my box of jugs"]
OPTIONS = HeadOptions(steps=40, batch=16, learning_rate=5e-3, held_out=10, evaluate_every=10, patience=9)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ECHO_INDEX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "features"


@pytest.fixture
def encoder(tiny_model: LanguageModel) -> EchoEncoder:
    return EchoEncoder(tiny_model, layer=VIEWS)


def tuned(encoder: EchoEncoder, folder: Path, options: HeadOptions = OPTIONS) -> EchoEncoder:
    """Train a head, and open the model with it."""
    assert [*tune_head(encoder, word_pairs(), folder, options=options)]
    return EchoEncoder(load_model(str(folder), device="cpu"))


def losses(steps: list[TuningStep]) -> list[float]:
    return [step.loss for step in steps if step.loss is not None]


def test_an_untrained_head_changes_nothing(encoder: EchoEncoder, tmp_path: Path) -> None:
    same = tuned(encoder, tmp_path, replace(OPTIONS, learning_rate=0.0, steps=1))
    assert np.allclose(same.encode_documents(TEXTS), encoder.encode_documents(TEXTS), atol=1e-6)
    assert np.allclose(same.encode_queries(TEXTS), encoder.encode_queries(TEXTS), atol=1e-6)
    assert same.layer == VIEWS
    assert same.fingerprint != encoder.fingerprint


def test_the_head_maps_each_view_by_its_matrix(encoder: EchoEncoder, tmp_path: Path) -> None:
    matrices = np.random.default_rng(0).normal(size=(2, 32, 32)).astype(np.float32)
    tuned(encoder, tmp_path / "a", replace(OPTIONS, steps=1))
    LinearHead(matrices).save(tmp_path / "a")
    mapped = EchoEncoder(load_model(str(tmp_path / "a"), device="cpu")).encode_documents(TEXTS)
    views = np.empty((2, 3, 32), dtype=np.float32)
    for positions, found in encoder.document_views(TEXTS):
        views[:, positions] = found
    expected = sum(matrix @ view.T for matrix, view in zip(matrices, views, strict=True)).T
    assert np.allclose(mapped, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-5)


def test_a_head_improves_the_held_out_score(encoder: EchoEncoder, tmp_path: Path) -> None:
    steps = [*tune_head(encoder, word_pairs(), tmp_path, options=OPTIONS)]
    assert len((tmp_path / TUNING_LOG).read_text(encoding="utf-8").splitlines()) == 41
    scores = [step.held_out for step in steps if step.held_out is not None]
    assert [step.number for step in steps] == [*range(41)]
    assert max(scores) > scores[0]
    found = losses(steps)
    assert np.mean(found[-5:]) < 0.7 * np.mean(found[:5])


def test_a_head_is_trained_on_centered_views(
    encoder: EchoEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(name: str) -> list[float]:
        return losses([*tune_head(encoder, word_pairs(), tmp_path / name, options=replace(OPTIONS, steps=3))])

    before = found("a")
    pooled = EchoEncoder._pooled
    offset = np.linspace(-0.2, 0.2, encoder.dimension, dtype=np.float32)

    def shifted(self: EchoEncoder, *given: Any) -> Iterator[Any]:
        for positions, views in pooled(self, *given):
            yield positions, [view + offset for view in views]

    monkeypatch.setattr(EchoEncoder, "_pooled", shifted)
    monkeypatch.setenv("ECHO_INDEX_CACHE", str(tmp_path / "another"))
    assert found("b") == pytest.approx(before, rel=0.02)  # cached views are float16


def test_a_head_is_trained_on_top_of_an_adapter(encoder: EchoEncoder, tmp_path: Path) -> None:
    [*tune(encoder, word_pairs(), tmp_path / "below", options=TuningOptions(steps=3, held_out=0, learning_rate=0.05))]
    below = EchoEncoder(load_model(str(tmp_path / "below"), device="cpu"))
    same = tuned(below, tmp_path / "both", replace(OPTIONS, learning_rate=0.0, steps=1))
    assert np.allclose(same.encode_documents(TEXTS), below.encode_documents(TEXTS), atol=1e-6)
    assert not np.allclose(same.encode_documents(TEXTS), encoder.encode_documents(TEXTS), atol=1e-3)


def test_another_adapter_is_not_overwritten(encoder: EchoEncoder, tmp_path: Path) -> None:
    lora, head = tmp_path / "lora", tmp_path / "head"
    short = TuningOptions(steps=1, held_out=0)
    [*tune(encoder, word_pairs(), lora, options=short)]
    tuned(encoder, head, replace(OPTIONS, steps=1))
    further = EchoEncoder(load_model(str(lora), device="cpu"))
    for begin in (
        lambda: tune_head(encoder, word_pairs(), lora),
        lambda: tune_head(further, word_pairs(), lora),
        lambda: tune(further, word_pairs(), lora, options=short),
        lambda: tune(encoder, word_pairs(), head, options=short),
    ):
        with pytest.raises(ModelError, match="holds another adapter"):
            next(begin())


def test_texts_are_embedded_once(encoder: EchoEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    progress: list[tuple[int, int]] = []
    first = [
        *tune_head(
            encoder, word_pairs(), tmp_path / "a", options=OPTIONS, progress=lambda *counts: progress.append(counts)
        )
    ]
    assert progress[-1][0] == progress[-1][1] > 60
    monkeypatch.setattr(EchoEncoder, "_pooled", lambda *given: pytest.fail("read again"))
    again = [*tune_head(encoder, word_pairs(), tmp_path / "b", options=OPTIONS)]
    assert losses(again) == pytest.approx(losses(first), rel=0.02)  # cached views are float16


def test_the_instruction_of_a_pair_is_in_its_prompt(encoder: EchoEncoder, tmp_path: Path) -> None:
    other = EchoEncoder(encoder.model, layer=VIEWS, instruction="Find the code.")
    with_instruction = [replace(pair, instruction="Find the code.") for pair in word_pairs()]
    half = [pair if number % 2 else with_instruction[number] for number, pair in enumerate(word_pairs())]
    made = [
        losses([*tune_head(by, pairs, tmp_path / str(number), options=OPTIONS)])
        for number, (by, pairs) in enumerate(
            [(other, word_pairs()), (other, half), (encoder, with_instruction), (encoder, half)]
        )
    ]
    assert made[1] == pytest.approx(made[0], rel=0.02)  # in other batches
    assert made[2] == pytest.approx(made[0], rel=0.02)
    assert made[3] != pytest.approx(made[0], rel=0.1)


def test_a_head_belongs_to_its_views_and_its_model(encoder: EchoEncoder, tmp_path: Path) -> None:
    found = tuned(encoder, tmp_path, replace(OPTIONS, steps=1))
    with pytest.raises(ModelError, match=r"The head of .* is for layer echo:4\+0.5\*text:2, not 3"):
        found.with_options(layer=3)
    with pytest.raises(ModelError, match="has a head already"):
        next(tune_head(found, word_pairs(), tmp_path / "again"))
    LinearHead(np.ones((2, 8, 8), dtype=np.float32)).save(tmp_path)
    with pytest.raises(ModelError, match="does not fit this model"):
        load_model(str(tmp_path), device="cpu")
    (tmp_path / "head.safetensors").write_bytes(b"x")
    with pytest.raises(ModelError, match="cannot be read"):
        load_model(str(tmp_path), device="cpu")


def test_an_encoder_with_a_head_is_restored_from_its_config(encoder: EchoEncoder, tmp_path: Path) -> None:
    found = tuned(encoder, tmp_path, replace(OPTIONS, steps=3))
    again = EchoEncoder.from_config(found.config(), device="cpu")
    assert again.fingerprint == found.fingerprint
    assert np.array_equal(again.encode_documents(TEXTS), found.encode_documents(TEXTS))
