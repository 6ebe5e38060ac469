"""A linear head: begins as the encoder is, learns from pairs, and is part of what an encoder is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_tuning import word_pairs

from echo_embeddings import TUNING_LOG, EchoEncoder, HeadOptions, LanguageModel, load_model, tune_head
from echo_embeddings.errors import ModelError
from echo_embeddings.head import Head

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


def test_a_head_that_learned_nothing_changes_nothing(encoder: EchoEncoder, tmp_path: Path) -> None:
    same = tuned(encoder, tmp_path, replace(OPTIONS, learning_rate=0.0, steps=1))
    assert np.allclose(same.encode_documents(TEXTS), encoder.encode_documents(TEXTS), atol=1e-6)
    assert np.allclose(same.encode_queries(TEXTS), encoder.encode_queries(TEXTS), atol=1e-6)
    assert same.layer == VIEWS
    assert same.fingerprint != encoder.fingerprint


def test_the_head_maps_each_view_by_its_matrix(encoder: EchoEncoder, tmp_path: Path) -> None:
    matrices = np.random.default_rng(0).normal(size=(2, 32, 32)).astype(np.float32)
    tuned(encoder, tmp_path / "a", replace(OPTIONS, steps=1))
    Head(matrices).save(tmp_path / "a")
    mapped = EchoEncoder(load_model(str(tmp_path / "a"), device="cpu")).encode_documents(TEXTS)
    views = np.empty((2, 3, 32), dtype=np.float32)
    for positions, found in encoder.document_views(TEXTS):
        views[:, positions] = found
    expected = sum(matrix @ view.T for matrix, view in zip(matrices, views, strict=True)).T
    assert np.allclose(mapped, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-5)


def test_more_is_found_with_a_head(encoder: EchoEncoder, tmp_path: Path) -> None:
    steps = [*tune_head(encoder, word_pairs(), tmp_path, options=OPTIONS)]
    assert len((tmp_path / TUNING_LOG).read_text(encoding="utf-8").splitlines()) == 40
    scores = [step.held_out for step in steps if step.held_out is not None]
    assert len(steps) == 40
    assert max(scores) > scores[0]
    assert np.mean([step.loss for step in steps[-5:]]) < 0.7 * np.mean([step.loss for step in steps[:5]])


def test_texts_are_read_once(encoder: EchoEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int]] = []
    first = [*tune_head(encoder, word_pairs(), tmp_path / "a", options=OPTIONS, progress=lambda *way: told.append(way))]
    assert told[-1][0] == told[-1][1] > 60
    monkeypatch.setattr(EchoEncoder, "_pooled", lambda *given: pytest.fail("read again"))
    again = [*tune_head(encoder, word_pairs(), tmp_path / "b", options=OPTIONS)]
    assert [step.loss for step in again] == pytest.approx([step.loss for step in first], rel=0.02)  # kept in float16


def test_a_head_belongs_to_its_views_and_its_model(encoder: EchoEncoder, tmp_path: Path) -> None:
    found = tuned(encoder, tmp_path, replace(OPTIONS, steps=1))
    with pytest.raises(ModelError, match=r"The head of .* is for layer echo:4\+0.5\*text:2, not 3"):
        found.changed(layer=3)
    with pytest.raises(ModelError, match="is tuned already"):
        next(tune_head(found, word_pairs(), tmp_path / "again"))
    Head(np.ones((2, 8, 8), dtype=np.float32)).save(tmp_path)
    with pytest.raises(ModelError, match="does not fit this model"):
        load_model(str(tmp_path), device="cpu")
    (tmp_path / "head.safetensors").write_bytes(b"x")
    with pytest.raises(ModelError, match="cannot be read"):
        load_model(str(tmp_path), device="cpu")


def test_an_encoder_with_a_head_comes_back_from_its_description(encoder: EchoEncoder, tmp_path: Path) -> None:
    found = tuned(encoder, tmp_path, replace(OPTIONS, steps=3))
    again = EchoEncoder.from_description(found.description(), device="cpu")
    assert again.fingerprint == found.fingerprint
    assert np.array_equal(again.encode_documents(TEXTS), found.encode_documents(TEXTS))
