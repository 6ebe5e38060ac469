"""Large models that only write text are converted to int8 once, from every form that a model comes in."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from gguf_files import write_gguf
from peft import LoraConfig, get_peft_model
from tiny_models import ARCHITECTURES, save_model
from transformers import AutoModelForCausalLM

from echo_index.embeddings.decoder.config import read_decoder_config
from echo_index.embeddings.decoder.weights import map_tensors
from echo_index.embeddings.generation.text_generation import generate
from echo_index.embeddings.models import gguf_tensors
from echo_index.embeddings.models import quantized as quantized_module
from echo_index.embeddings.models.bundled import EMBEDDED_MODELS
from echo_index.embeddings.models.gguf_tensors import GgufTensors
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.models.model_loading import load_writer
from echo_index.errors import ModelError

PROMPT = [5, 60, 70, 8, 90, 100, 7, 44]


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every model be large, with an empty cache."""
    monkeypatch.setenv("ECHO_INDEX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(quantized_module, "_LARGE_BYTES", 1)


def text(model: LanguageModel) -> str:
    return "".join(generate(model, PROMPT, max_tokens=20))


def test_a_small_model_is_shared_with_the_encoder(tiny_folder: Path, tiny_model: LanguageModel) -> None:
    assert load_writer(str(tiny_folder), device="cpu") is tiny_model


@pytest.mark.usefixtures("large")
def test_a_folder_is_converted_once(tiny_folder: Path, tiny_model: LanguageModel) -> None:
    told: list[str] = []
    writer = load_writer(str(tiny_folder), device="cpu", notice=told.append)
    assert told == ["Converting llama to int8: once, a few minutes."]
    assert writer.is_quantized
    assert not tiny_model.is_quantized
    assert writer.chat_template == tiny_model.chat_template
    assert writer.tokenizer.encode("lazy dog") == tiny_model.tokenizer.encode("lazy dog")
    assert writer.weights_hash != tiny_model.weights_hash
    assert load_writer(str(tiny_folder), device="cpu", notice=told.append) is writer
    assert len(told) == 1
    assert text(writer)


@pytest.mark.usefixtures("large")
def test_a_gguf_file_is_converted_without_its_float32_weights(
    tiny_folder: Path, tiny_model: LanguageModel, tmp_path: Path
) -> None:
    file = tmp_path / "tiny.gguf"
    write_gguf(file, tiny_folder, tiny_model)
    writer = load_writer(str(file), device="cpu")
    assert writer.is_quantized
    assert text(writer) == text(load_writer(str(tiny_folder), device="cpu"))
    assert file.exists(), "it was only linked"
    assert not [*writer.folder.glob("*.gguf"), *writer.folder.glob("model*")]


@pytest.mark.usefixtures("large")
def test_what_only_transformers_can_run_is_loaded_as_it_is(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "gpt2", ARCHITECTURES["gpt2"]())
    writer = load_writer(str(folder), device="cpu")
    assert not writer.is_quantized
    assert not writer.uses_native_decoder
    assert text(writer)


@pytest.mark.usefixtures("large")
def test_a_damaged_gguf_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(ModelError, match=r"broken\.gguf is not a GGUF model"):
        load_writer(str(tmp_path / "broken.gguf"), device="cpu")


@pytest.mark.usefixtures("large")
def test_a_gguf_file_that_lacks_weights_is_refused(
    tiny_folder: Path, tiny_model: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_gguf(tmp_path / "tiny.gguf", tiny_folder, tiny_model)
    shapes = gguf_tensors.tensor_shapes
    monkeypatch.setattr(gguf_tensors, "tensor_shapes", lambda config: {**shapes(config), "layers.9.x.weight": (1,)})
    with pytest.raises(ModelError, match=r"tiny\.gguf is not a complete model: the weights layers\.9\.x\.weight are"):
        load_writer(str(tmp_path / "tiny.gguf"), device="cpu")


@pytest.mark.parametrize("is_large", [True, False])
def test_the_folder_of_an_adapter_stands_for_its_base_model(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_large: bool
) -> None:
    monkeypatch.setenv("ECHO_INDEX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(quantized_module, "_LARGE_BYTES", 1 if is_large else 1 << 40)
    lora = LoraConfig(r=4, target_modules=["q_proj"], init_lora_weights=False)
    get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_folder), lora).save_pretrained(tmp_path / "adapter")
    writer = load_writer(str(tmp_path / "adapter"), device="cpu")
    assert writer is load_writer(str(tiny_folder), device="cpu")
    assert writer.is_quantized is is_large


@pytest.mark.model
@pytest.mark.parametrize("name", ["gemma3-270m", "smollm2-135m-instruct"])
def test_tensors_of_a_gguf_file_are_those_that_transformers_reads(
    name: str, gemma: LanguageModel, smollm: LanguageModel, tmp_path: Path
) -> None:
    folder = {"gemma3-270m": gemma, "smollm2-135m-instruct": smollm}[name].folder
    config = read_decoder_config(folder)
    assert config is not None
    EMBEDDED_MODELS[name].assemble(tmp_path / "model.gguf")
    found, expected = GgufTensors(tmp_path / "model.gguf", config), map_tensors(folder)
    assert {*found} == {*expected} - ({"lm_head.weight"} if config.tied_embeddings else set())
    assert len(found) > 100
    for tensor_name in found:
        assert torch.equal(found[tensor_name], expected[tensor_name].float()), tensor_name
