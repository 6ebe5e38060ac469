"""Loading tensors: every way to store a model is read alike, and errors name the damaged file or tensor."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import ARCHITECTURES, llama_config, save_model
from transformers import AutoModelForCausalLM

from echo_index.embeddings.decoder.config import read_decoder_config
from echo_index.embeddings.decoder.weights import map_tensors
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.generation.text_generation import generate
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.models.model_loading import load_model
from echo_index.errors import ModelError

TEXTS = ["The quick brown fox jumps over the lazy dog.", "a", "seven wizards quietly judge my vow " * 5]
TensorsByName = dict[str, torch.Tensor]


def vectors(folder: Path) -> np.ndarray:
    found: np.ndarray = EchoEncoder(load_model(str(folder), device="cpu")).encode_documents(TEXTS)
    return found


def rewritten(folder: Path, target: Path, change: Callable[[TensorsByName], object]) -> Path:
    """Copy a model and change its tensors."""
    shutil.copytree(folder, target)
    tensors = load_file(target / "model.safetensors")
    change(tensors)
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    return target


def sharded(folder: Path, target: Path) -> Path:
    """Copy a model into shards of at most 20 kB."""
    shutil.copytree(folder, target)
    (target / "model.safetensors").unlink()
    AutoModelForCausalLM.from_pretrained(folder).save_pretrained(target, max_shard_size="20KB")
    assert len(list(target.glob("model-*.safetensors"))) > 3
    return target


@pytest.fixture(scope="module")
def gemma3_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("gemma3"), ARCHITECTURES["gemma3"]())


@pytest.mark.parametrize(
    "name",
    [
        "model.embed_tokens.weight",
        "model.norm.weight",
        "lm_head.weight",
        "model.layers.0.self_attn.q_proj.weight",
        "model.layers.1.self_attn.k_norm.weight",
        "model.layers.2.post_feedforward_layernorm.weight",
        "model.layers.3.mlp.down_proj.weight",
    ],
)
def test_an_error_names_a_tensor_that_is_missing_or_has_another_shape(
    gemma3_folder: Path, tmp_path: Path, name: str
) -> None:
    pattern = name.removeprefix("model.").replace(".", r"\.")
    folder = rewritten(gemma3_folder, tmp_path / "missing", lambda tensors: tensors.pop(name))
    with pytest.raises(ModelError, match=rf"missing cannot be loaded: the weights {pattern} are missing\."):
        load_model(str(folder), device="cpu")
    folder = rewritten(
        gemma3_folder, tmp_path / "short", lambda tensors: tensors.update({name: tensors[name][:-1].clone()})
    )
    with pytest.raises(
        ModelError, match=rf"short cannot be loaded: the weights {pattern} are \(\d+.*\), not \(\d+.*\)\."
    ):
        load_model(str(folder), device="cpu")


@pytest.mark.parametrize("left", [0, 7, 100, -1])
def test_an_error_names_a_truncated_file(tiny_folder: Path, tmp_path: Path, left: int) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "cut")
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:left])
    with pytest.raises(ModelError, match=r"cut cannot be loaded: model\.safetensors: "):
        load_model(str(folder), device="cpu")


def test_a_sharded_model_equals_the_model_in_one_file(tiny_folder: Path, tmp_path: Path) -> None:
    folder = sharded(tiny_folder, tmp_path / "sharded")
    assert np.array_equal(vectors(folder), vectors(tiny_folder))


def test_other_safetensors_files_beside_the_model_are_ignored(tiny_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "model")
    other = save_model(tmp_path / "other", llama_config(), seed=1) / "model.safetensors"
    for name in ("model.variant.safetensors", "model-00001-of-00001.safetensors"):
        shutil.copy(other, folder / name)
    assert np.array_equal(vectors(folder), vectors(tiny_folder))


def test_a_damaged_or_missing_shard_is_reported(tiny_folder: Path, tmp_path: Path) -> None:
    folder = sharded(tiny_folder, tmp_path / "sharded")
    last = sorted(folder.glob("model-*.safetensors"))[-1]
    last.write_bytes(last.read_bytes()[:-10])
    with pytest.raises(ModelError, match=last.name):
        load_model(str(folder), device="cpu")
    last.unlink()
    with pytest.raises(ModelError, match=r"the weights .* are missing"):
        load_model(str(folder), device="cpu")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("architecture", ["llama, biases", "gemma3"])
def test_half_precision_weights_are_computed_with_in_float32(
    architecture: str, dtype: torch.dtype, tmp_path: Path
) -> None:
    whole = save_model(tmp_path / "whole", ARCHITECTURES[architecture]())

    def halve(tensors: TensorsByName) -> None:
        tensors.update({name: tensor.to(dtype) for name, tensor in tensors.items()})

    def round_off(tensors: TensorsByName) -> None:
        tensors.update({name: tensor.to(dtype).float() for name, tensor in tensors.items()})

    half = rewritten(whole, tmp_path / "half", halve)
    assert {tensor.dtype for tensor in map_tensors(half).values()} == {dtype}
    assert np.array_equal(vectors(half), vectors(rewritten(whole, tmp_path / "rounded", round_off)))
    assert not np.array_equal(vectors(half), vectors(whole))


def test_quantized_weights_are_left_to_transformers(tiny_folder: Path, tmp_path: Path) -> None:
    def quantize(tensors: TensorsByName) -> None:
        for name in [name for name in tensors if "_proj" in name]:
            scale = tensors[name].abs().max() / 448
            tensors[name] = (tensors[name] / scale).to(torch.float8_e4m3fn)
            tensors[f"{name}_scale_inv"] = scale.reshape(1, 1)

    folder = rewritten(tiny_folder, tmp_path / "quantized", quantize)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["quantization_config"] = {"quant_method": "fp8", "weight_block_size": [128, 128]}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert read_decoder_config(tiny_folder) is not None
    assert read_decoder_config(folder) is None


def test_tensor_names_may_lack_the_prefix_of_the_model(tiny_folder: Path, tmp_path: Path) -> None:
    def shorten(tensors: TensorsByName) -> None:
        shortened = {name.removeprefix("model."): tensors.pop(name) for name in list(tensors)}
        tensors.update(shortened)

    assert np.array_equal(vectors(rewritten(tiny_folder, tmp_path / "short", shorten)), vectors(tiny_folder))


def test_a_model_saved_for_embeddings_has_no_head_and_writes_nothing(gemma3_folder: Path, tmp_path: Path) -> None:
    folder = rewritten(gemma3_folder, tmp_path / "headless", lambda tensors: tensors.pop("lm_head.weight"))
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["architectures"] == ["Gemma3ForCausalLM"], "with it, a weight is missing"
    config["architectures"] = ["Gemma3TextModel"]
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert np.array_equal(vectors(folder), vectors(gemma3_folder))
    with pytest.raises(ModelError, match="no language-modeling head: it embeds texts and writes none"):
        list(generate(load_model(str(folder), device="cpu"), [0, 40, 77], max_tokens=2))


@pytest.mark.parametrize("architecture", ["llama", "llama, biases", "gemma3"])
def test_weights_in_other_file_formats_are_loaded_by_transformers(architecture: str, tmp_path: Path) -> None:
    whole = save_model(tmp_path / "whole", ARCHITECTURES[architecture]())
    folder = shutil.copytree(whole, tmp_path / "pickled")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    model = load_model(str(folder), device="cpu")
    assert map_tensors(folder) == {}
    assert model.uses_native_decoder
    assert np.allclose(EchoEncoder(model).encode_documents(TEXTS), vectors(whole), atol=1e-6)
    stored = load_model(str(whole), device="cpu")
    assert list(generate(model, [0, 40, 77], max_tokens=9)) == list(generate(stored, [0, 40, 77], max_tokens=9)) != []


def test_tied_embeddings_need_not_be_stored_twice(tiny_model: LanguageModel, tmp_path: Path) -> None:
    assert tiny_model.decoder_config is not None and tiny_model.decoder_config.tied_embeddings
    assert "lm_head.weight" not in map_tensors(tiny_model.folder)
    config = llama_config(tie_word_embeddings=False)
    folder = save_model(tmp_path / "untied", config)
    assert map_tensors(folder)["lm_head.weight"].shape == (config.vocab_size, config.hidden_size)
    assert not json.loads((folder / "config.json").read_text(encoding="utf-8"))["tie_word_embeddings"]
