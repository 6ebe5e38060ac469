"""Models quantized to int8 on disk compute nearly what they compute in float32."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from tiny_models import ARCHITECTURES, save_model

from echo_index.embeddings.decoder.config import DecoderConfig, read_decoder_config
from echo_index.embeddings.decoder.decoder import Decoder
from echo_index.embeddings.decoder.int8_parameters import Int8Parameters, is_quantized_model, quantize_model
from echo_index.embeddings.decoder.kv_cache import KVCache
from echo_index.embeddings.decoder.linear import Precision, linear
from echo_index.embeddings.decoder.parameters import TensorParameters
from echo_index.embeddings.decoder.weights import Tensors, map_tensors

TEXTS = [[2 + (7 * number + position) % 300 for position in range(30)] for number in range(8)]
NATIVE = ["llama, biases", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3"]


def loaded(name: str, folder: Path) -> tuple[Tensors, DecoderConfig]:
    """Return the tensors and the configuration of a tiny model."""
    save_model(folder, ARCHITECTURES[name]())
    config = read_decoder_config(folder)
    assert config is not None
    return map_tensors(folder), config


def quantized(tensors: Tensors, config: DecoderConfig, folder: Path) -> Int8Parameters:
    """Quantize a model into a folder, and return its parameters."""
    folder.mkdir()
    assert not is_quantized_model(folder)
    quantize_model(tensors, config, TEXTS, folder)
    assert is_quantized_model(folder)
    return Int8Parameters(folder, config)


def last_states(decoder: Decoder, ids: list[int]) -> torch.Tensor:
    return torch.cat([decoder.extend(KVCache(), ids[: count + 1], layer=decoder.config.depth) for count in range(12)])


@pytest.mark.parametrize("name", NATIVE)
def test_states_and_logits_are_nearly_those_of_float32(name: str, tmp_path: Path) -> None:
    tensors, config = loaded(name, tmp_path / "model")
    exact = Decoder(TensorParameters(tensors, config, partial(linear, precision=Precision.FP32)))
    rounded = Decoder(quantized(tensors, config, tmp_path / "int8"))
    states, expected = last_states(rounded, TEXTS[3]), last_states(exact, TEXTS[3])
    assert float(F.cosine_similarity(states, expected).mean()) > 0.98
    logits, expected = rounded.logits(expected), exact.logits(expected)
    assert float((logits - expected).norm() / expected.norm()) < 0.02
    assert float((logits - expected).norm()) > 0, "the head is quantized, too"


def test_a_layer_is_read_as_it_was_quantized(tmp_path: Path) -> None:
    """Smoothed by what one pass in float32 measured in all layers."""
    from echo_index.embeddings.decoder.activation_observer import measure_smoothing

    tensors, config = loaded("qwen2", tmp_path / "model")
    stored = Decoder(quantized(tensors, config, tmp_path / "int8"))
    in_memory = TensorParameters(
        tensors,
        config,
        partial(linear, precision=Precision.INT8),
        smoothing=measure_smoothing(tensors, config, TEXTS),
    )
    expected = Decoder(in_memory)
    stored.parameters.embed = in_memory.embed  # type: ignore[method-assign]
    assert torch.equal(last_states(stored, TEXTS[1]), last_states(expected, TEXTS[1]))


def test_excluded_tokens_are_not_chosen(tmp_path: Path) -> None:
    tensors, config = loaded("qwen2", tmp_path / "model")
    decoder = Decoder(quantized(tensors, config, tmp_path / "int8"))
    state = last_states(decoder, TEXTS[0])[-1:]
    order = decoder.logits(state)[0].argsort(descending=True).tolist()
    for left_out in range(5):
        assert decoder.argmax_token(state, exclude=order[:left_out]) == order[left_out]


def test_rows_of_the_table_have_their_own_scales(tmp_path: Path) -> None:
    tensors, config = loaded("llama, biases", tmp_path / "model")
    parameters = quantized(tensors, config, tmp_path / "int8")
    ids = torch.tensor([5, 5, 399, 0])
    table = tensors["embed_tokens.weight"][ids]
    assert float((parameters.embed(ids) - table).abs().max()) <= float(table.abs().amax() / 127)
    assert torch.equal(parameters.embed(ids)[0], parameters.embed(ids)[1])
