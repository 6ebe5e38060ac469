"""Read adapters, with LoRA weights, a linear head or both, and merge LoRA weights into a model."""

from __future__ import annotations

import copy
import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from echo_index.embeddings.decoder.lora_delta import LoraDelta
from echo_index.embeddings.decoder.weights import Tensors
from echo_index.embeddings.models.linear_head import is_linear_head
from echo_index.embeddings.models.profiles import Profile
from echo_index.embeddings.models.weights_hash import CONFIG_FILE, read_adapter_config, read_json
from echo_index.embeddings.text.echo_prompt import EchoPrompt
from echo_index.embeddings.vectors.layer_views import parse_views
from echo_index.embeddings.vectors.pooling import Pooling
from echo_index.errors import EchoIndexError, MissingPackage, ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_SETTINGS_FILE = "echo_embeddings.json"  # encoder settings, beside the files of peft
_GENERATION_FILE = "echo_generation.json"  # beside the files of peft of an adapter that generates text
ANSWER_PROMPT = "numbered-passages-1"
"""The name of the prompt that adapters for answers are trained for."""
_SETTINGS = ("model", "document_prompt", "query_prompt", "instruction", "pooling", "layer")
_PLAIN_LORA = {  # config of an adapter with uniform low-rank matrices only
    "peft_type": "LORA",
    "alpha_pattern": {},
    "bias": "none",
    "fan_in_fan_out": False,
    "lora_bias": False,
    "modules_to_save": None,
    "rank_pattern": {},
    "use_dora": False,
    "use_rslora": False,
}
_BASE_PREFIX = "model."  # of tensor names in transformers
_PEFT_PREFIX = f"base_model.model.{_BASE_PREFIX}"  # of tensor names in peft
_MATRIX_NAME = r"(layers\.([0-9]+)\.(?:self_attn|mlp)\.[a-z]+_proj)"
_MATRIX = re.compile(rf"{_MATRIX_NAME}\.weight")
_FACTOR = re.compile(rf"{_MATRIX_NAME}\.lora_[AB]\.weight")


def base_model_name(adapter: Path) -> str:
    """Return the name of the base model of an adapter.

    Raises:
        ModelError: the files of the adapter do not name it.
    """
    settings = read_json(adapter / _SETTINGS_FILE)
    name = read_adapter_config(adapter).get("base_model_name_or_path") or settings.get("model")
    if not name:
        raise ModelError(f"The adapter {adapter} does not name its base model.", remedy="Name the model with --model.")
    return str(name)


def is_adapter(folder: Path) -> bool:
    """Return whether a folder contains an adapter: LoRA weights, a linear head, or both."""
    return (folder / CONFIG_FILE).exists() or is_linear_head(folder)


def is_plain_lora(adapter: Path) -> bool:
    """Return whether an adapter has only low-rank matrices with the same rank and scale, as `tune` writes them."""
    config = read_adapter_config(adapter)
    return bool(config) and all(config.get(name, plain) == plain for name, plain in _PLAIN_LORA.items())


def copy_lora_weights(source: Path, folder: Path) -> None:
    """Copy the LoRA weights of an adapter into the folder of another adapter."""
    for path in (source / CONFIG_FILE, *source.glob("adapter_model.*")):
        shutil.copyfile(path, folder / path.name)


def write_encoder_settings(adapter: Path, config: Mapping[str, object], *, dimensions: Sequence[int] = ()) -> None:
    """Write the prompts, pooling and views from an encoder's config, for which the adapter is trained, beside it.

    `dimensions` are shorter lengths at which its vectors are trained, too.
    """
    settings: dict[str, object] = {name: config[name] for name in _SETTINGS}
    if dimensions:
        settings["dimensions"] = [*dimensions]
    (adapter / _SETTINGS_FILE).write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def trained_dimensions(adapter: Path) -> tuple[int, ...]:
    """Return the shorter lengths at which the vectors of an adapter are trained, too; most have none."""
    dimensions = read_json(adapter / _SETTINGS_FILE).get("dimensions")
    return tuple(length for length in dimensions if isinstance(length, int)) if isinstance(dimensions, list) else ()


def write_generation_settings(adapter: Path) -> None:
    """Mark an adapter as one that answers questions, by the version of the prompt that it is trained for."""
    settings = {"prompt": ANSWER_PROMPT}
    (adapter / _GENERATION_FILE).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def is_answer_adapter(folder: Path) -> bool:
    """Return whether a folder has an adapter that answers questions.

    Raises:
        ModelError: it is trained for a prompt of another version.
    """
    path = folder / _GENERATION_FILE
    if not path.exists():
        return False
    prompt = read_json(path).get("prompt")
    if prompt != ANSWER_PROMPT:
        raise ModelError(f"The adapter {folder} is trained for the prompt {prompt!r}, not {ANSWER_PROMPT!r}.")
    return True


def refusal_bias(adapter: Path) -> float:
    """Return what is added to the logit of a refusal where an adapter for answers begins one; 0 if it says nothing.

    Raises:
        ModelError: it is not a number.
    """
    bias = read_json(adapter / _GENERATION_FILE).get("refusal_bias", 0.0)
    if not isinstance(bias, int | float) or isinstance(bias, bool):
        raise ModelError(f"The refusal_bias of the adapter {adapter} is {bias!r}; it must be a number.")
    return float(bias)


def profile_with_adapter(adapter: Path, profile: Profile) -> Profile:
    """Return a model's profile with the settings for which the adapter was trained, if it names them.

    Raises:
        ModelError: the settings cannot be read.
    """
    path = adapter / _SETTINGS_FILE
    if not path.exists():
        return profile
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        return replace(
            profile,
            document=EchoPrompt(str(settings["document_prompt"])),
            query=EchoPrompt(str(settings["query_prompt"])),
            instruction=str(settings["instruction"]),
            pooling=Pooling(settings["pooling"]),
            views=parse_views(settings["layer"]),
        )
    except (ValueError, KeyError, TypeError, EchoIndexError) as error:
        raise ModelError(f"The file {path} cannot be read: {error}.") from None


def adapted_tensors(adapter: Path, tensors: Tensors) -> Tensors | None:
    """Return a model's tensors with the LoRA matrices of an adapter added; each sum is computed when it is read.

    Return None for an adapter with more than plain LoRA matrices of layers: it has to be merged by peft.

    Raises:
        ModelError: the adapter does not fit the model or cannot be read.
    """
    if not (adapter / CONFIG_FILE).exists():
        return tensors  # a linear head changes no weights
    deltas = read_deltas(adapter, tensors)
    return None if deltas is None else _AdaptedTensors(tensors, deltas)


def read_deltas(adapter: Path, tensors: Tensors) -> dict[str, LoraDelta] | None:
    """Return the changes of a LoRA adapter by the names of the tensors that they are added to.

    Return None for an adapter with more than plain LoRA matrices of layers.

    Raises:
        ModelError: the adapter does not fit the model or cannot be read.
    """
    config = read_adapter_config(adapter)
    path = adapter / "adapter_model.safetensors"
    targets = config.get("target_modules")
    if not path.exists() or not is_plain_lora(adapter) or not isinstance(targets, list):
        return None
    try:
        with safe_open(path, framework="pt") as file:
            factors = {name.removeprefix(_PEFT_PREFIX): file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        matches = [_FACTOR.fullmatch(name) for name in factors]
        if not all(matches):
            return None
        names = {match[1] for match in matches if match}
        scale = float(config["lora_alpha"]) / float(config["r"])  # type: ignore[arg-type]
        deltas = {
            f"{name}.weight": LoraDelta(factors[f"{name}.lora_A.weight"], factors[f"{name}.lora_B.weight"], scale)
            for name in names
        }
        fits = all(delta.shape == tuple(tensors[name].shape) for name, delta in deltas.items())
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"The adapter {adapter} does not fit this model: {str(error).splitlines()[0]}") from None
    if names != _target_matrices(tensors, targets, config.get("layers_to_transform")):
        raise ModelError(f"The adapter {adapter} does not fit this model: it was trained for other layers.")
    if not fits:
        raise ModelError(f"The adapter {adapter} does not fit this model: it was trained for layers of another size.")
    return deltas


def deltas_by_layer(deltas: Mapping[str, LoraDelta]) -> dict[int, dict[str, LoraDelta]]:
    """Return the changes that `read_deltas` returned by layer, counted from 0, and by name within the layer."""
    by_layer: dict[int, dict[str, LoraDelta]] = {}
    for name, delta in deltas.items():
        _, number, matrix = name.removesuffix(".weight").split(".", 2)
        by_layer.setdefault(int(number), {})[matrix] = delta
    return by_layer


def _target_matrices(tensors: Tensors, targets: Sequence[str], layers: object) -> set[str]:
    """Return the names of the matrices that peft adapts: those that end with one of the target names."""
    names = set()
    for weight in tensors:
        match = _MATRIX.fullmatch(weight)
        if match and any(f".model.{match[1]}".endswith(f".{target}") for target in targets):
            number = int(match[2])
            if layers is None or number == layers or (isinstance(layers, list) and number in layers):
                names.add(match[1])
    return names


class _AdaptedTensors(Mapping[str, torch.Tensor]):
    """The tensors of a model; a matrix with a LoRA delta is summed up each time it is read."""

    def __init__(self, base: Tensors, deltas: Mapping[str, LoraDelta]) -> None:
        self._base, self._deltas = base, deltas

    def __getitem__(self, name: str) -> torch.Tensor:
        base = self._base[name]
        delta = self._deltas.get(name)
        if delta is None:
            return base
        up, down = (factor.to(base.device, torch.float32) for factor in (delta.up, delta.down))
        return torch.addmm(base.float(), up, down, alpha=delta.scale)

    def __iter__(self) -> Iterator[str]:
        return iter(self._base)

    def __len__(self) -> int:
        return len(self._base)


def with_adapter(causal_lm: PreTrainedModel, adapter: Path) -> PreTrainedModel:
    """Return a copy of a model with an adapter merged into its weights; answers come from the unmodified model.

    Raises:
        ModelError: the adapter does not fit the model or cannot be read.
        MissingPackage: peft is not installed.
    """
    adapted = adapted_tensors(adapter, dict(_layer_tensors(causal_lm)))
    if adapted is not None:
        return _with_tensors(causal_lm, adapted)
    if find_spec("peft") is None:
        raise MissingPackage(
            "A LoRA adapter needs the package peft.", remedy="Install it: pip install 'echo-index[lora]'"
        )
    from peft import PeftModel, get_peft_model_state_dict, load_peft_weights

    # Both models share the embedding table, which is the largest part of a small model.
    table = cast("nn.Parameter", causal_lm.get_input_embeddings().weight)
    copied = copy.deepcopy(causal_lm, memo={id(table): table})
    try:
        adapted = PeftModel.from_pretrained(copied, str(adapter))
        stored = load_peft_weights(str(adapter), device="cpu")
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"The adapter {adapter} does not fit this model: {str(error).splitlines()[0]}") from None
    # peft ignores weights that the model has no place for, and leaves missing weights at zero
    if _lora_names(stored) != _lora_names(get_peft_model_state_dict(adapted, save_embedding_layers=False)):
        raise ModelError(f"The adapter {adapter} does not fit this model: it was trained for other layers.")
    _unshare(adapted, table)
    return cast("PreTrainedModel", adapted.merge_and_unload())


def _layer_tensors(model: PreTrainedModel) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the tensors of a model by the names without prefix that `adapted_tensors` uses."""
    for name, tensor in model.named_parameters():
        yield name.removeprefix(_BASE_PREFIX), tensor.detach()


def _with_tensors(model: PreTrainedModel, tensors: Tensors) -> PreTrainedModel:
    """Return a copy of a model with these tensors; it shares all tensors that did not change."""
    copied = copy.deepcopy(model, memo={id(parameter): parameter for parameter in model.parameters()})
    for name, before in model.named_parameters():
        after = tensors[name.removeprefix(_BASE_PREFIX)]
        if after.data_ptr() != before.data_ptr():
            module, _, attribute = name.rpartition(".")
            setattr(copied.get_submodule(module), attribute, nn.Parameter(after.to(before.dtype), requires_grad=False))
    return copied


def _lora_names(weights: Iterable[str]) -> set[str]:
    return {name for name in weights if "lora_" in name}


def _unshare(adapted: nn.Module, table: nn.Parameter) -> None:
    """Copy the shared embedding table if the adapter changes it, as merging overwrites weights."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for module in adapted.modules():
        if isinstance(module, BaseTunerLayer) and module.get_base_layer().weight is table:
            module.get_base_layer().weight = nn.Parameter(table.detach().clone(), requires_grad=False)
