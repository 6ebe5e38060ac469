"""Loading models by name, the errors for what cannot be loaded, and adapters."""

from __future__ import annotations

import gc
import json
import shutil
import struct
import sys
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf_files import write_gguf
from tiny_models import ARCHITECTURES, llama_config, save_model

from echo_index.app.services.encoder_factory import EncoderOptions, open_encoder
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models import gguf as conversion_module
from echo_index.embeddings.models import language_model as models_module
from echo_index.embeddings.models import lora as adapters_module
from echo_index.embeddings.models import model_loading
from echo_index.embeddings.models.bundled import EMBEDDED_MODELS, EmbeddedModel
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.models.model_loading import load_model
from echo_index.embeddings.runtime.devices import choose_device
from echo_index.embeddings.vectors.layer_views import LayerView, TextPass
from echo_index.errors import DeviceError, MissingPackage, ModelError
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.building.built_with import BuiltWith, read_built_with
from echo_index.indexer.sources.source import Source

IDS = torch.tensor([[0, 40, 77, 120, 9]])
MATRICES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def save_adapter(
    folder: Path,
    base: Path,
    *,
    targets: tuple[str, ...] = ("q_proj", "v_proj"),
    alpha: int = 8,
    layers: list[int] | None = None,
) -> Path:
    """Write a LoRA adapter with nonzero weights."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(1)
    config = LoraConfig(
        r=4, lora_alpha=alpha, target_modules=list(targets), init_lora_weights=False, layers_to_transform=layers
    )
    get_peft_model(AutoModelForCausalLM.from_pretrained(base), config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def adapter(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_adapter(tmp_path_factory.mktemp("adapter"), tiny_folder)


@pytest.fixture(scope="module")
def adapted(tiny_folder: Path, adapter: Path) -> LanguageModel:
    return load_model(str(tiny_folder), adapter=adapter, device="cpu")


def states(model: LanguageModel) -> torch.Tensor:
    found: torch.Tensor = model.base_model(input_ids=IDS).last_hidden_state
    return found


def logits(model: LanguageModel) -> torch.Tensor:
    found: torch.Tensor = model.causal_lm(input_ids=IDS).logits
    return found


def damaged(folder: Path, target: Path, *, file: str, content: bytes | None) -> str:
    shutil.copytree(folder, target)
    if content is None:
        (target / file).unlink()
    else:
        (target / file).write_bytes(content)
    return str(target)


# names


def test_a_local_folder_is_named_by_its_absolute_path(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny_folder.parent)
    assert load_model(tiny_folder.name, device="cpu").name == str(tiny_folder)


def test_the_error_for_an_unknown_model_names_the_cache_and_an_embedded_model() -> None:
    from huggingface_hub import constants

    with pytest.raises(ModelError) as refusal:
        load_model("nobody/no-such-model", device="cpu")
    assert "'nobody/no-such-model' is not in the cache" in refusal.value.message
    assert constants.HF_HUB_CACHE in refusal.value.message
    assert "--model gemma3-270m" in refusal.value.remedy


@pytest.mark.parametrize("name", ["/no/such/folder", "no such model", "a/b/c"])
def test_the_error_for_an_invalid_name_lists_the_embedded_models(name: str) -> None:
    with pytest.raises(ModelError) as refusal:
        load_model(name, device="cpu")
    assert f"There is no model {name!r}" in refusal.value.message
    assert all(embedded in refusal.value.remedy for embedded in EMBEDDED_MODELS)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"contains no model: config\.json is missing"):
        load_model(str(tmp_path), device="cpu")


def test_a_file_that_is_not_a_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(ModelError, match=r"is not a model\. Name a folder or a \.gguf file\."):
        load_model(str(tmp_path / "notes.txt"), device="cpu")


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("model.safetensors", None),
        ("model.safetensors", b""),
        ("model.safetensors", b"not weights at all"),
        ("config.json", b"{"),
        ("config.json", b"[]"),
        ("config.json", b'{"model_type": "no_such_architecture"}'),
        ("config.json", b'{"model_type": "t5"}'),
        ("tokenizer.json", b"{"),
        ("tokenizer_config.json", b"{"),
    ],
)
def test_the_error_for_a_damaged_folder_names_it(
    tiny_folder: Path, tmp_path: Path, file: str, content: bytes | None
) -> None:
    folder = damaged(tiny_folder, tmp_path / "damaged", file=file, content=content)
    with pytest.raises(ModelError, match="damaged"):
        load_model(folder, device="cpu")


def test_truncated_weights_are_refused(tiny_folder: Path, tmp_path: Path) -> None:
    whole = (tiny_folder / "model.safetensors").read_bytes()
    folder = damaged(tiny_folder, tmp_path / "cut", file="model.safetensors", content=whole[:-100])
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_model(folder, device="cpu")


def test_special_tokens_in_the_older_format_are_read(
    tiny_folder: Path, tiny_model: LanguageModel, tmp_path: Path
) -> None:
    old = json.dumps({"bos_token": {"content": "<bos>", "lstrip": False}, "eos_token": None}).encode()
    folder = damaged(tiny_folder, tmp_path / "old", file="tokenizer_config.json", content=old)
    vocabulary = load_model(folder, device="cpu").tokenizer
    assert vocabulary.bos_id == tiny_model.tokenizer.bos_id == 0
    assert vocabulary.end_id is None


def test_embedding_and_generation_share_their_weights(tiny_model: LanguageModel) -> None:
    assert {weight.data_ptr() for weight in tiny_model.base_model.parameters()} <= {
        weight.data_ptr() for weight in tiny_model.causal_lm.parameters()
    }


def test_a_model_has_no_gradients_and_no_dropout(tiny_model: LanguageModel) -> None:
    assert not tiny_model.causal_lm.training
    assert not any(weight.requires_grad for weight in tiny_model.causal_lm.parameters())


@pytest.mark.parametrize("other", ["weights", "tokenizer"])
def test_the_hash_of_the_weights_includes_weights_and_tokenizer(
    tiny_folder: Path, tiny_model: LanguageModel, tmp_path: Path, other: str
) -> None:
    copied = shutil.copytree(tiny_folder, tmp_path / "copied")
    assert load_model(str(copied), device="cpu").weights_hash == tiny_model.weights_hash
    if other == "weights":
        save_model(copied, llama_config(), seed=1)
    else:
        file = copied / "tokenizer.json"
        file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8"))), encoding="utf-8")
    assert load_model(str(copied), device="cpu").weights_hash != tiny_model.weights_hash


# devices


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_cuda_it_is_refused_and_auto_chooses_the_cpu() -> None:
    with pytest.raises(DeviceError, match=r"The device cuda was asked for, but .* Use --device cpu or --device auto"):
        load_model("gemma3-270m", device="cuda")
    assert choose_device("auto").name == "cpu"
    assert "CUDA" in choose_device("auto").reason


def test_the_cpu_can_be_requested() -> None:
    assert (choose_device("cpu").name, choose_device("cpu").reason) == ("cpu", "asked for")


# embedded models


def carrier(folder: Path, monkeypatch: pytest.MonkeyPatch, *, sha256: str) -> EmbeddedModel:
    """Return an embedded model in two real packages."""
    for number, content in (("one", b"GGUF first "), ("two", b"second")):
        (folder / f"carrier_{number}").mkdir()
        (folder / f"carrier_{number}" / "__init__.py").touch()
        (folder / f"carrier_{number}" / "part").write_bytes(content)
    monkeypatch.syspath_prepend(str(folder))
    return EmbeddedModel("carried", (("carrier_one", "part"), ("carrier_two", "part")), sha256, "pip install carried")


def test_an_embedded_model_is_assembled_from_its_parts_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hashlib

    whole = b"GGUF first second"
    model = carrier(tmp_path, monkeypatch, sha256=hashlib.sha256(whole).hexdigest())
    assert model.is_installed()
    model.assemble(tmp_path / "whole")
    assert (tmp_path / "whole").read_bytes() == whole
    assert "carrier_one" not in sys.modules  # nothing of the package is run


def test_the_error_for_a_damaged_part_has_the_command_to_reinstall_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECHO_INDEX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(EMBEDDED_MODELS, "carried", carrier(tmp_path, monkeypatch, sha256="0" * 64))
    with pytest.raises(ModelError, match="embedded model carried are damaged") as refusal:
        load_model("carried", device="cpu")
    assert refusal.value.remedy == "Install them again: pip install --force-reinstall carried"
    assert [path.name for path in (tmp_path / "cache" / "models").iterdir() if path.suffix != ".lock"] == []


def test_the_error_for_a_missing_package_has_the_command_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECHO_INDEX_CACHE", str(tmp_path / "cache"))
    model = EmbeddedModel("absent", (("no_such_package_here", "part"),), "0" * 64, "pip install absent")
    monkeypatch.setitem(EMBEDDED_MODELS, "absent", model)
    assert not model.is_installed()
    with pytest.raises(MissingPackage, match="no_such_package_here is missing") as refusal:
        load_model("absent", device="cpu")
    assert refusal.value.remedy == "pip install absent"


@pytest.mark.model
def test_a_folder_with_the_name_of_an_embedded_model_does_not_hide_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "smollm2-135m-instruct").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load_model("smollm2-135m-instruct", device="cpu").name == "smollm2-135m-instruct"


@pytest.mark.model
def test_the_embedded_models_have_their_own_profiles(gemma: LanguageModel, smollm: LanguageModel) -> None:
    assert (gemma.profile.views, gemma.profile.writes) == (
        (LayerView(TextPass.ECHO, 16), LayerView(TextPass.TEXT, 13, weight=0.5)),
        "completion",
    )
    assert (smollm.profile.views, smollm.profile.writes) == ((LayerView(TextPass.ECHO, 24),), "chat")
    assert EchoEncoder(gemma).layer == "echo:16+0.5*text:13"


def test_a_model_without_a_profile_has_the_zero_shot_settings(tiny_model: LanguageModel) -> None:
    encoder = EchoEncoder(tiny_model)
    assert encoder.document_prompt.template.startswith("Rewrite the following paragraph:")
    assert (encoder.pooling.value, encoder.max_tokens, encoder.layer) == ("mean", 256, 4)


# GGUF files


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"GGUF" + bytes(100),
        b"GGUF" + struct.pack("<IQQ", 3, 1, 1),
        b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 40) + b"general.arch",
    ],
    ids=["empty", "text", "version 0", "cut in the header", "cut in a key"],
)
def test_a_damaged_gguf_file_is_refused_and_leaves_no_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.setenv("ECHO_INDEX_CACHE", str(tmp_path / "cache"))
    (tmp_path / "broken.gguf").write_bytes(content)
    with pytest.raises(ModelError, match=r"broken\.gguf is not a GGUF model"):
        load_model(str(tmp_path / "broken.gguf"), device="cpu")
    assert [path.name for path in (tmp_path / "cache" / "models").iterdir() if path.suffix != ".lock"] == []


def test_a_gguf_file_without_the_package_gguf_is_refused_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECHO_INDEX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(conversion_module, "find_spec", lambda name: None)
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    with pytest.raises(MissingPackage) as refusal:
        load_model(str(tmp_path / "model.gguf"), device="cpu")
    assert "pip install 'echo-index[gguf]'" in refusal.value.remedy


def test_a_gguf_file_is_converted_once(
    tiny_folder: Path, tiny_model: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECHO_INDEX_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "tiny.gguf"
    write_gguf(file, tiny_folder, tiny_model)
    told: list[str] = []
    model = load_model(str(file), device="cpu", notice=told.append)
    assert told == ["Converting tiny.gguf: once, a minute or more."]
    assert torch.allclose(logits(model), logits(tiny_model), atol=1e-4)
    assert model.tokenizer.encode("lazy dog") == tiny_model.tokenizer.encode("lazy dog")
    again = load_model(str(file), device="cpu", notice=told.append)
    assert len(told) == 1
    assert again.weights_hash == model.weights_hash


def test_transformers_computes_the_softcap_of_attention(tmp_path: Path) -> None:
    """Some versions leave it out of every implementation but this one."""
    capped = load_model(str(save_model(tmp_path / "gemma2", ARCHITECTURES["gemma2"]())), device="cpu")
    assert capped.causal_lm.config._attn_implementation == "eager"


# LoRA adapters


def test_an_adapter_changes_embeddings_but_not_generation(tiny_model: LanguageModel, adapted: LanguageModel) -> None:
    assert not torch.allclose(states(adapted), states(tiny_model), atol=1e-2)
    assert torch.equal(logits(adapted), logits(tiny_model))


def test_an_adapter_is_merged_as_peft_does(tiny_folder: Path, adapter: Path, adapted: LanguageModel) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    with_peft = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_folder), str(adapter)).eval()
    expected = with_peft(input_ids=IDS, output_hidden_states=True).hidden_states[-1]
    assert torch.allclose(states(adapted), expected, atol=1e-4)


def test_the_embedding_table_is_in_memory_once(adapted: LanguageModel) -> None:
    tables = [model.get_input_embeddings().weight.data_ptr() for model in (adapted.base_model, adapted.causal_lm)]
    assert tables[0] == tables[1]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("target", ["embed_tokens", "lm_head"])
def test_an_adapter_of_the_embedding_table_does_not_change_generation(
    tiny_folder: Path, tiny_model: LanguageModel, tmp_path: Path, target: str
) -> None:
    save_adapter(tmp_path, tiny_folder, targets=("q_proj", target))
    model = load_model(str(tiny_folder), adapter=tmp_path, device="cpu")
    assert torch.equal(logits(model), logits(tiny_model))
    assert not torch.allclose(states(model), states(tiny_model), atol=1e-2)


def test_a_folder_with_only_an_adapter_loads_its_base_model(
    tiny_folder: Path, adapter: Path, adapted: LanguageModel
) -> None:
    model = load_model(str(adapter), device="cpu")
    assert (model.name, model.adapter) == (str(tiny_folder), adapter)
    assert torch.equal(states(model), states(adapted))


def test_an_adapter_changes_the_fingerprint(
    tiny_folder: Path, tiny_model: LanguageModel, adapter: Path, adapted: LanguageModel, tmp_path: Path
) -> None:
    stronger = save_adapter(tmp_path / "stronger", tiny_folder, alpha=16)
    hashes = {
        tiny_model.weights_hash,
        adapted.weights_hash,
        load_model(str(tiny_folder), adapter=stronger, device="cpu").weights_hash,
    }
    assert len(hashes) == 3
    moved = shutil.copytree(adapter, tmp_path / "moved")
    config = json.loads((moved / "adapter_config.json").read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = "where/its/base/was/before"
    (moved / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    assert load_model(str(tiny_folder), adapter=moved, device="cpu").weights_hash == adapted.weights_hash


def test_from_config_restores_an_encoder_with_an_adapter(adapted: LanguageModel, adapter: Path) -> None:
    encoder = EchoEncoder(adapted)
    assert encoder.config()["adapter"] == str(adapter)
    again = EchoEncoder.from_config(encoder.config(), device="cpu")
    assert again.fingerprint == encoder.fingerprint


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("base", ["wider", "shallower", "deeper", "gpt2"])
def test_an_adapter_of_another_model_is_refused(adapter: Path, tmp_path: Path, base: str) -> None:
    config = {
        "wider": lambda: llama_config(hidden_size=64),
        "shallower": lambda: llama_config(num_hidden_layers=2),
        "deeper": lambda: llama_config(num_hidden_layers=6),
        "gpt2": ARCHITECTURES["gpt2"],
    }[base]()
    with pytest.raises(ModelError, match="does not fit this model"):
        load_model(str(save_model(tmp_path, config)), adapter=adapter, device="cpu")


@pytest.mark.parametrize(
    ("file", "content"),
    [("adapter_config.json", b"{"), ("adapter_model.safetensors", b"xx"), ("adapter_model.safetensors", None)],
)
def test_a_damaged_adapter_is_refused(
    tiny_folder: Path, adapter: Path, tmp_path: Path, file: str, content: bytes | None
) -> None:
    folder = damaged(adapter, tmp_path / "damaged", file=file, content=content)
    for name, on_top in ((str(tiny_folder), Path(folder)), (folder, None)):
        with pytest.raises(ModelError, match="damaged"):
            load_model(name, adapter=on_top, device="cpu")


def test_an_adapter_that_does_not_name_its_base_model_is_refused(adapter: Path, tmp_path: Path) -> None:
    folder = damaged(adapter, tmp_path / "orphan", file="adapter_config.json", content=b"{}")
    with pytest.raises(ModelError, match=r"does not name its base model\. Name the model with --model"):
        load_model(folder, device="cpu")


def test_a_plain_lora_adapter_does_not_need_peft(
    tiny_folder: Path, adapter: Path, adapted: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapters_module, "find_spec", lambda name: None)
    fresh = shutil.copytree(adapter, tmp_path / "adapter")  # the other one may still be loaded
    encoder = EchoEncoder(load_model(str(tiny_folder), adapter=fresh, device="cpu"))
    texts = ["the quick brown fox", "seven wizards"]
    assert np.array_equal(encoder.encode_documents(texts), EchoEncoder(adapted).encode_documents(texts))


@pytest.mark.parametrize("layers", [[1, 2], None])
def test_the_native_decoder_and_transformers_agree_on_an_adapter(
    tiny_folder: Path, tmp_path: Path, layers: list[int] | None
) -> None:
    save_adapter(tmp_path, tiny_folder, targets=MATRICES, layers=layers)
    model = load_model(str(tiny_folder), adapter=tmp_path, device="cpu")
    ours = EchoEncoder(model).encode_documents(["the quick brown fox", "seven wizards"])
    fallen_back = replace(model, _tensors={}, _built={}, decoder_config=None)
    theirs = EchoEncoder(fallen_back).encode_documents(["the quick brown fox", "seven wizards"])
    assert np.allclose(ours, theirs, atol=1e-5)
    plain = EchoEncoder(load_model(str(tiny_folder), device="cpu"))
    assert not np.allclose(ours, plain.encode_documents(["the quick brown fox", "seven wizards"]), atol=1e-2)


def bundle(monkeypatch: pytest.MonkeyPatch, model: Path, adapter: Path) -> None:
    for module in (models_module, model_loading):
        monkeypatch.setattr(module, "bundled_adapter", lambda name: adapter if name == str(model) else None)


def test_the_bundled_adapter_is_known_as_own(
    tiny_folder: Path, adapter: Path, adapted: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_model(str(tiny_folder), adapter="own", device="cpu").adapter is None
    bundle(monkeypatch, tiny_folder, adapter)
    model = load_model(str(tiny_folder), adapter="own", device="cpu")
    assert (model.adapter, model.adapter_name) == (adapter, "own")
    described = EchoEncoder(model).config()
    assert described["adapter"] == "own"
    assert EchoEncoder.from_config(described, device="cpu").fingerprint == EchoEncoder(adapted).fingerprint
    assert load_model(str(tiny_folder), device="cpu").adapter is None


def test_a_new_index_uses_the_bundled_adapter_by_default(
    tiny_folder: Path, adapter: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bundle(monkeypatch, tiny_folder, adapter)

    def opened(options: EncoderOptions, before: BuiltWith | None = None) -> str | None:
        return open_encoder(options, before=before, chunk_tokens=0, notice=print).model.adapter_name

    plain = EncoderOptions(model=str(tiny_folder), no_adapter=True, device="cpu")
    assert opened(EncoderOptions(model=str(tiny_folder), device="cpu")) == "own"
    assert opened(plain) is None
    other = shutil.copytree(adapter, tmp_path / "other")
    assert opened(EncoderOptions(model=str(tiny_folder), adapter=other, device="cpu")) == str(other)
    (tmp_path / "a.txt").write_text("The quick brown fox.", encoding="utf-8")
    encoder = open_encoder(plain, before=None, chunk_tokens=0, notice=print)
    build_index([Source.parse(str(tmp_path / "a.txt"))], tmp_path / "index", encoder=encoder)
    before = read_built_with(tmp_path / "index")
    assert opened(EncoderOptions(device="cpu"), before) is None  # an index goes on as it was begun


@pytest.mark.filterwarnings("ignore")
def test_any_other_adapter_needs_peft_and_the_error_has_the_command_to_install_it(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_adapter(tmp_path, tiny_folder, targets=("q_proj", "embed_tokens"))
    monkeypatch.setattr(adapters_module, "find_spec", lambda name: None)
    with pytest.raises(MissingPackage) as refusal:
        load_model(str(tiny_folder), adapter=tmp_path, device="cpu")
    assert "pip install 'echo-index[lora]'" in refusal.value.remedy


def test_a_model_in_use_is_not_loaded_again(tiny_model: LanguageModel, tiny_folder: Path) -> None:
    assert load_model(str(tiny_folder), device="cpu") is tiny_model


@pytest.mark.filterwarnings("ignore")
def test_models_with_different_adapters_share_the_base_model(
    tiny_model: LanguageModel, tiny_folder: Path, adapted: LanguageModel, adapter: Path, tmp_path: Path
) -> None:
    other = load_model(str(tiny_folder), adapter=save_adapter(tmp_path / "other", tiny_folder, alpha=16), device="cpu")
    assert load_model(str(tiny_folder), adapter=adapter, device="cpu") is adapted
    assert other.weights_hash != adapted.weights_hash
    for model in (adapted, other):
        assert model.causal_lm is tiny_model.causal_lm


def test_a_model_whose_files_have_changed_is_loaded_again(tiny_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "model")
    before = load_model(str(folder), device="cpu")
    vector = EchoEncoder(before).encode_documents(["fox"])
    save_model(folder, llama_config(), seed=3)
    after = load_model(str(folder), device="cpu")
    assert after.weights_hash != before.weights_hash
    assert not np.allclose(EchoEncoder(after).encode_documents(["fox"]), vector, atol=1e-3)


def test_a_bidirectional_model_is_refused(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "both-ways", ARCHITECTURES["gemma3"]())
    load_model(str(folder), device="cpu")
    config = folder / "config.json"
    fields = json.loads(config.read_text(encoding="utf-8")) | {"use_bidirectional_attention": True}
    config.write_text(json.dumps(fields), encoding="utf-8")
    with pytest.raises(ModelError, match="both-ways is not causal") as refusal:
        load_model(str(folder), device="cpu")
    assert "leave out --model" in refusal.value.remedy


def test_a_model_that_is_not_in_use_is_freed(tiny_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "model")
    gone = weakref.ref(load_model(str(folder), device="cpu"))
    gc.collect()
    assert gone() is None


def test_the_context_is_never_longer_than_the_model_has_positions(tiny_model: LanguageModel, tmp_path: Path) -> None:
    assert tiny_model.context == 512
    assert load_model(str(save_model(tmp_path, ARCHITECTURES["gpt2"]())), device="cpu").context == 512


def test_the_generation_mode_is_that_of_the_profile_or_the_chat_template(
    gemma: LanguageModel, smollm: LanguageModel, tiny_model: LanguageModel, tmp_path: Path
) -> None:
    bare = load_model(str(save_model(tmp_path, llama_config())), device="cpu")
    assert [model.generation_mode for model in (gemma, smollm, tiny_model, bare)] == [
        "completion",
        "chat",
        "chat",
        "completion",
    ]
