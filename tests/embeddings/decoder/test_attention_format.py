"""Attention in bfloat16 gives nearly the same states, and is used where it is fast and exactness is not asked for."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from tiny_models import ARCHITECTURES, save_model

from echo_index.embeddings.decoder import linear as linear_module
from echo_index.embeddings.decoder.config import read_decoder_config
from echo_index.embeddings.decoder.decoder import Decoder
from echo_index.embeddings.decoder.kv_cache import KVCache
from echo_index.embeddings.decoder.linear import Precision, attention_dtype, linear
from echo_index.embeddings.decoder.packing import Packing
from echo_index.embeddings.decoder.parameters import TensorParameters
from echo_index.embeddings.decoder.weights import map_tensors
from echo_index.embeddings.models.model_loading import load_model

IDS = torch.arange(3, 73)


@pytest.mark.parametrize("name", ["llama, biases", "qwen3", "gemma2", "gemma3"])
def test_states_are_nearly_those_of_float32(name: str, tmp_path: Path) -> None:
    save_model(tmp_path, ARCHITECTURES[name]())
    config = read_decoder_config(tmp_path)
    assert config is not None
    parameters = TensorParameters(map_tensors(tmp_path), config, partial(linear, precision=Precision.FP32))

    def states(dtype: torch.dtype) -> torch.Tensor:
        decoder, cache = Decoder(parameters, attention_dtype=dtype), KVCache()
        decoder.extend(cache, [1, 2], layer=config.depth)
        packing = Packing.of([50, 20], prefix=2)
        return decoder.forward(IDS, packing, prefix_cache=cache, rows={config.depth: torch.arange(70)})[config.depth]

    exact, rounded = states(torch.float32), states(torch.bfloat16)
    assert rounded.dtype is torch.float32
    assert not torch.equal(rounded, exact), "the format was used"
    assert float(F.cosine_similarity(rounded, exact).min()) > 0.999


@pytest.mark.parametrize(("is_fast", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_bfloat16_is_used_where_it_is_fast_unless_vectors_must_be_exact(
    is_fast: bool, expected: torch.dtype, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear_module, "bfloat16_is_fast", lambda: is_fast)
    assert attention_dtype(Precision.FP32) is torch.float32
    save_model(tmp_path, ARCHITECTURES["gemma3"]())
    model = load_model(str(tmp_path), device="cpu")
    for precision in (Precision.INT8, Precision.BF16):
        assert model.decoder(precision).attention_dtype is expected
    assert model.decoder(Precision.FP32).attention_dtype is torch.float32
