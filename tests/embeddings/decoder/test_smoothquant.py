"""Smoothing does not change states in float32, and makes int8 accurate."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
from tiny_models import ARCHITECTURES, save_model

from echo_index.embeddings.decoder.activation_observer import cached_smoothing, measure_smoothing
from echo_index.embeddings.decoder.decoder import Decoder
from echo_index.embeddings.decoder.linear import Precision, linear
from echo_index.embeddings.decoder.packing import Packing
from echo_index.embeddings.decoder.parameters import TensorParameters
from echo_index.embeddings.decoder.precision_check import centered_cosines, sample_texts
from echo_index.embeddings.decoder.smoothquant import Smoothing
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models import language_model as models_module
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.models.model_loading import load_model

TEXTS = [[1, 7, 30, 4, 55, 21, 9], [1, 12, 12, 40], [1, 3, 2, 60, 33, 8, 5, 41, 17]]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use an empty cache folder; return its folder of scales."""
    monkeypatch.setenv("ECHO_INDEX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "smoothing"


def states(decoder: Decoder) -> torch.Tensor:
    """Return the last states of all tokens of the texts."""
    rows = torch.arange(sum(map(len, TEXTS)))
    packing = Packing.of([len(text) for text in TEXTS], prefix=0)
    ids = torch.tensor([token for text in TEXTS for token in text])
    depth = decoder.config.depth
    return decoder.forward(ids, packing, prefix_cache=None, rows={depth: rows})[depth]


@pytest.mark.parametrize("name", ["llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3"])
def test_smoothing_does_not_change_float32_states(name: str, tmp_path: Path) -> None:
    model = load_model(str(save_model(tmp_path / "model", ARCHITECTURES[name]())), device="cpu")
    config = model.decoder_config
    assert config is not None
    measured = measure_smoothing(model._tensors, config, TEXTS)
    assert len(measured) == config.depth
    assert all(float(layer.down.max() / layer.down.min()) > 1.2 for layer in measured), "the scales are not all 1"

    make = partial(linear, precision=Precision.FP32)
    exact = states(Decoder(TensorParameters(model._tensors, config, make)))
    smoothed = states(Decoder(TensorParameters(model._tensors, config, make, smoothing=measured)))
    torch.testing.assert_close(smoothed, exact, rtol=1e-4, atol=1e-4)


def test_scales_are_positive_with_geometric_mean_one(tiny_model: LanguageModel) -> None:
    assert tiny_model.decoder_config is not None
    for layer in measure_smoothing(tiny_model._tensors, tiny_model.decoder_config, TEXTS):
        for scales in (layer.queries_keys_values, layer.attention_out, layer.feed_forward, layer.down):
            assert (scales > 0).all()
            assert float(scales.log().mean()) == pytest.approx(0, abs=1e-5)


def test_scales_are_measured_once_and_a_damaged_file_is_replaced(tiny_model: LanguageModel, cache: Path) -> None:
    assert tiny_model.decoder_config is not None
    measured = measure_smoothing(tiny_model._tensors, tiny_model.decoder_config, TEXTS)
    calls: list[int] = []

    def measure() -> list[Smoothing]:
        calls.append(1)
        return measured

    for _ in range(2):
        again = cached_smoothing("abc", measure)
        assert all(torch.equal(one.down, other.down) for one, other in zip(again, measured, strict=True))
        assert all(
            torch.equal(one.attention_out, other.attention_out) for one, other in zip(again, measured, strict=True)
        )
    assert len(calls) == 1
    [stored] = cache.iterdir()
    stored.write_bytes(b"damaged")
    cached_smoothing("abc", measure)
    cached_smoothing("abc", measure)
    cached_smoothing("another", measure)
    assert len(calls) == 3
    assert len([*cache.iterdir()]) == 2


@pytest.mark.model
@pytest.mark.parametrize("name", ["gemma", "smollm"])
def test_smoothing_halves_the_error_of_int8(
    name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    model: LanguageModel = request.getfixturevalue(name)
    texts = [text.swapcase() for text in sample_texts()[:16]]  # not those that the scales were measured on
    exact = EchoEncoder(model, precision="fp32").encode_documents(texts)

    def fidelity() -> float:
        model._built.pop(Precision.INT8, None)  # so that it is built again
        return float(centered_cosines(EchoEncoder(model, precision="int8").encode_documents(texts), exact).mean())

    smoothed = fidelity()
    monkeypatch.setattr(models_module, "cached_smoothing", lambda weights_hash, measure: [])
    plain = fidelity()
    model._built.pop(Precision.INT8)
    assert smoothed > 0.99
    assert 1 - smoothed < (1 - plain) / 2, "at most half of the error"
