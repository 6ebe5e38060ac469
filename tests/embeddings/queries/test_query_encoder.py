"""The embedding of queries without torch: the same vectors as with torch, and when it is not possible."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tiny_models import ARCHITECTURES, FALL_BACK, llama_config, save_model

from echo_index.embeddings.decoder.decoder import Decoder
from echo_index.embeddings.decoder.int8_layers import read_int8_layers
from echo_index.embeddings.decoder.linear import Int8Weights, Linear, Precision, linear
from echo_index.embeddings.decoder.packing import Packing
from echo_index.embeddings.decoder.parameters import TensorParameters
from echo_index.embeddings.decoder.weights import Projection
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.models.linear_head import LinearHead
from echo_index.embeddings.models.lora import write_encoder_settings
from echo_index.embeddings.models.model_loading import load_model
from echo_index.embeddings.queries import query_weights
from echo_index.embeddings.queries.numpy_decoder import NumpyDecoder
from echo_index.embeddings.queries.query_encoder import QueryEncoder
from echo_index.embeddings.queries.query_weights import (
    embedding_table,
    float_rows,
    write_query_weights,
)
from echo_index.embeddings.text.echo_prompt import EchoPrompt
from echo_index.errors import PromptError

NEARLY = 0.995
"""The cosine: the rounding of int8 costs tiny models a little."""
QUERIES = ["Which fox jumps over the lazy dog?", "a", "seven wizards quietly judge my vow " * 8]


def opened(encoder: EchoEncoder) -> QueryEncoder | None:
    return QueryEncoder.from_config(encoder.config(), model=None, notice=print)


def in_int8(folder: Path, adapter: Path | None = None, **settings: str) -> EchoEncoder:
    return EchoEncoder(load_model(str(folder), adapter=adapter, device="cpu"), precision="int8", **settings)


def with_exact_inputs(model: LanguageModel) -> Decoder:
    """Return a decoder with the weights of int8, but nothing else in int8."""

    def rounded(projection: Projection) -> Linear:
        weights = Int8Weights.quantize(projection)
        return linear(Projection(weights.values.float() * weights.scales[:, None], weights.bias), Precision.FP32)

    assert model.decoder_config is not None
    # int8 takes the exact GELU for its approximation
    config = replace(model.decoder_config, activation=model.decoder_config.activation.replace("_tanh", ""))
    return Decoder(TensorParameters(model.weights(), config, rounded, smoothing=model.smoothing()))


@pytest.mark.parametrize("architecture", [name for name in ARCHITECTURES if name not in FALL_BACK])
def test_states_are_those_of_the_decoder_with_the_same_weights(architecture: str, tmp_path: Path) -> None:
    encoder = in_int8(save_model(tmp_path / "model", ARCHITECTURES[architecture]()))
    write_query_weights(encoder)
    weights = read_int8_layers(encoder.model.weights_hash, layers=encoder.deepest_layer)
    assert weights is not None and encoder.model.decoder_config is not None
    [tokens] = encoder.query_tokens(QUERIES[2:])
    every_row = torch.arange(len(tokens))
    with torch.inference_mode():
        expected = with_exact_inputs(encoder.model).forward(
            torch.tensor(tokens.ids),
            Packing.of([len(tokens)], prefix=0),
            prefix_cache=None,
            rows={2: every_row, 4: every_row},
        )
    states = NumpyDecoder(encoder.model.decoder_config, weights).states(
        float_rows(embedding_table(encoder.model.folder), tokens.ids), layers={2, 4}
    )
    for layer, found in states.items():
        np.testing.assert_allclose(found, expected[layer].numpy(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"pooling": "last"},
        {"layer": "echo:3+0.5*text:2"},
        {"query_prompt": "Once: {echo}"},
        {"query_prompt": "{instruction}\nOnce: {text}{end:<eos>}"},
    ],
)
def test_vectors_are_nearly_those_of_the_encoder(settings: dict[str, str], tiny_folder: Path) -> None:
    prompt = EchoPrompt(settings.pop("query_prompt", "{instruction} {text} again: {echo}"))
    encoder = in_int8(tiny_folder).with_options(query_prompt=prompt, **settings)  # type: ignore[arg-type]
    write_query_weights(encoder)
    without_torch = opened(encoder)
    assert without_torch is not None
    found, expected = without_torch.encode_queries(QUERIES), encoder.encode_queries(QUERIES)
    assert found.dtype == np.float32
    assert np.linalg.norm(found, axis=1) == pytest.approx(1)
    assert ((found * expected).sum(axis=1) > NEARLY).all()


def test_the_instruction_is_in_the_prompt(tiny_folder: Path) -> None:
    encoder = in_int8(tiny_folder)
    write_query_weights(encoder)
    without_torch = opened(encoder)
    assert without_torch is not None
    found = without_torch.encode_queries(["fox"], instruction="Find dogs.")
    assert float(found[0] @ encoder.encode_queries(["fox"], instruction="Find dogs.")[0]) > NEARLY
    assert float(found[0] @ encoder.encode_queries(["fox"])[0]) < NEARLY
    no_slot = opened(encoder.with_options(query_prompt=encoder.document_prompt))
    assert no_slot is not None
    with pytest.raises(PromptError, match=r"has no \{instruction\} slot"):
        no_slot.encode_queries(["fox"], instruction="Find dogs.")


def test_the_head_of_an_adapter_combines_the_views(tiny_folder: Path, tmp_path: Path) -> None:
    matrices = np.random.default_rng(0).standard_normal((2, 32, 32)).astype(np.float32)
    LinearHead(matrices).save(tmp_path)
    settings = EchoEncoder(load_model(str(tiny_folder), device="cpu"), layer="echo:3+text:2").config()
    write_encoder_settings(tmp_path, settings)
    encoder = in_int8(tiny_folder, tmp_path)
    write_query_weights(encoder)
    without_torch = opened(encoder)
    assert without_torch is not None
    products = without_torch.encode_queries(QUERIES) * encoder.encode_queries(QUERIES)
    assert (products.sum(axis=1) > NEARLY).all()


def test_a_table_in_any_number_format(tmp_path: Path) -> None:
    rows = torch.randn(5, 4)
    for number, dtype in enumerate((torch.float32, torch.float16, torch.bfloat16)):
        folder = tmp_path / str(number)
        folder.mkdir()
        save_file({"model.embed_tokens.weight": rows.to(dtype)}, folder / "model.safetensors")
        found = float_rows(embedding_table(folder), [3, 0, 3])
        assert np.array_equal(found, rows.to(dtype).float()[[3, 0, 3]].numpy())


def _change(config: dict[str, str | int | None]) -> None:
    config["weights"] = "0" * 64


def _in_fp32(config: dict[str, str | int | None]) -> None:
    config["dtype"] = "float32"


def _remove(config: dict[str, str | int | None]) -> None:
    config["model"] = "/nowhere"


@pytest.mark.parametrize("change", [_change, _in_fp32, _remove])
def test_none_for_other_weights_other_precisions_and_a_missing_model(
    change: Callable[[dict[str, str | int | None]], None], tiny_folder: Path
) -> None:
    encoder = in_int8(tiny_folder)
    write_query_weights(encoder)
    config = encoder.config()
    assert QueryEncoder.from_config(config, model=None, notice=print) is not None
    change(config)
    assert QueryEncoder.from_config(config, model=None, notice=print) is None


def test_none_before_the_weights_are_written(tmp_path: Path) -> None:
    encoder = in_int8(save_model(tmp_path / "model", llama_config(), seed=7))
    assert opened(encoder) is None
    write_query_weights(encoder)
    assert opened(encoder) is not None


def test_weights_of_large_models_and_other_precisions_are_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = in_int8(save_model(tmp_path / "model", llama_config(), seed=8))
    write_query_weights(encoder.with_options(precision="fp32"))
    assert opened(encoder) is None
    monkeypatch.setattr(query_weights, "_MOST_PARAMETERS", 10_000)
    write_query_weights(encoder)
    assert opened(encoder) is None
