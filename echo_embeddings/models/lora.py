"""LoRA adapters: which model one belongs to, what decides its vectors, and how it is merged. Knows no texts."""

from __future__ import annotations

import copy
import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from echo_index.embeddings.decoder.weights import Tensors
from echo_index.embeddings.models.linear_head import HEAD_FILE, is_linear_head
from echo_index.embeddings.models.profiles import Profile
from echo_index.embeddings.runtime.cache import sha256_of
from echo_index.embeddings.text.echo_prompt import EchoPrompt
from echo_index.embeddings.vectors.layer_views import parse_views
from echo_index.embeddings.vectors.pooling import Pooling
from echo_index.errors import EchoIndexError, MissingPackage, ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_USE_FILE = "echo_embeddings.json"  # beside the adapter's own files
_CONFIG_FILE = "adapter_config.json"
_USE = ("model", "document_prompt", "query_prompt", "instruction", "pooling", "layer")
_PLAIN_LORA = {  # what an adapter that is only low-rank additions, all alike, has in its config
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
_BEFORE_LAYERS = "model."  # how transformers calls a causal model's layers
_BEFORE_NAMES = f"base_model.model.{_BEFORE_LAYERS}"  # how peft does
_MATRIX_NAME = r"(layers\.([0-9]+)\.(?:self_attn|mlp)\.[a-z]+_proj)"
_MATRIX = re.compile(rf"{_MATRIX_NAME}\.weight")
_FACTOR = re.compile(rf"{_MATRIX_NAME}\.lora_[AB]\.weight")
_SAYS_WHENCE = {"base_model_name_or_path", "peft_version", "revision"}  # in an adapter's config: changes no vector


def base_model_name(adapter: Path) -> str:
    """Return the name of the model that an adapter was made for.

    Raises:
        ModelError: the adapter does not say it.
    """
    named = (_read_config(adapter).get("base_model_name_or_path"), _read(adapter / _USE_FILE).get("model"))
    base = next((name for name in named if name), None)
    if base is None:
        raise ModelError(f"The adapter {adapter} does not say which model it belongs to.", remedy="Name it: --model.")
    return str(base)


def is_adapter(folder: Path) -> bool:
    """Tell whether a folder is one of an adapter: low-rank additions, a head, or both."""
    return (folder / _CONFIG_FILE).exists() or is_linear_head(folder)


def adapter_digest(adapter: Path) -> bytes:
    """Return what changes when the adapter's weights do, or how strongly they count."""
    hashes = [sha256_of(path) for path in sorted([*adapter.glob("adapter_model.*"), *adapter.glob(HEAD_FILE)])]
    scale = {name: value for name, value in _read_config(adapter).items() if name not in _SAYS_WHENCE}
    return ("".join(hashes) + json.dumps(scale, sort_keys=True)).encode()


def is_plain_lora(adapter: Path) -> bool:
    """Tell whether an adapter is nothing but low-rank additions, all alike, as `tune` makes them."""
    config = _read_config(adapter)
    return bool(config) and all(config.get(name, usual) == usual for name, usual in _PLAIN_LORA.items())


def copy_lora_weights(source: Path, folder: Path) -> None:
    """Copy the low-rank additions of an adapter into the folder of another one."""
    for path in (source / _CONFIG_FILE, *source.glob("adapter_model.*")):
        shutil.copyfile(path, folder / path.name)


def write_encoder_settings(adapter: Path, described: Mapping[str, object]) -> None:
    """Write beside an adapter for which prompts, pooling and views it was trained: what describes an encoder."""
    told = {name: described[name] for name in _USE}
    (adapter / _USE_FILE).write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def profile_with_adapter(adapter: Path, profile: Profile) -> Profile:
    """Return the profile of a model with an adapter on top: where the adapter says how it was trained, that.

    Raises:
        ModelError: what it says cannot be read.
    """
    path = adapter / _USE_FILE
    if not path.exists():
        return profile
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return replace(
            profile,
            document=EchoPrompt(str(told["document_prompt"])),
            query=EchoPrompt(str(told["query_prompt"])),
            instruction=str(told["instruction"]),
            pooling=Pooling(told["pooling"]),
            views=parse_views(told["layer"]),
        )
    except (ValueError, KeyError, TypeError, EchoIndexError) as error:
        raise ModelError(f"The file {path} cannot be read: {error}.") from None


def _read_config(adapter: Path) -> dict[str, object]:
    return _read(adapter / _CONFIG_FILE)


def _read(path: Path) -> dict[str, object]:
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except ValueError as error:
        raise ModelError(f"The file {path} is not valid JSON: {error}.") from None
    return found if isinstance(found, dict) else {}


def adapted_tensors(adapter: Path, tensors: Tensors) -> Tensors | None:
    """Return a model's tensors with those of an adapter added, each when it is asked for; nothing is copied before.

    None where the adapter is more than low-rank additions to matrices of layers: that takes peft.

    Raises:
        ModelError: the adapter does not fit the model, or cannot be read.
    """
    if not (adapter / _CONFIG_FILE).exists():
        return tensors  # a head alone changes no weights
    config = _read_config(adapter)
    path = adapter / "adapter_model.safetensors"
    targets = config.get("target_modules")
    if not path.exists() or not is_plain_lora(adapter) or not isinstance(targets, list):
        return None
    try:
        with safe_open(path, framework="pt") as file:
            found = {name.removeprefix(_BEFORE_NAMES): file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        matrices = {name: _FACTOR.fullmatch(name) for name in found}
        if not all(matrices.values()):
            return None
        names = {match[1] for match in matrices.values() if match}
        scale = float(config["lora_alpha"]) / float(config["r"])  # type: ignore[arg-type]
        additions = {
            f"{name}.weight": _Addition(found[f"{name}.lora_A.weight"], found[f"{name}.lora_B.weight"], scale)
            for name in names
        }
        fits = all(each.shape == tuple(tensors[name].shape) for name, each in additions.items())
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"The adapter {adapter} does not fit this model: {str(error).splitlines()[0]}") from None
    if names != _targeted(tensors, targets, config.get("layers_to_transform")):
        raise ModelError(f"The adapter {adapter} does not fit this model: it was made for other layers.")
    if not fits:
        raise ModelError(f"The adapter {adapter} does not fit this model: it was made for layers of another size.")
    return _Adapted(tensors, additions)


def _targeted(tensors: Tensors, targets: Sequence[str], layers: object) -> set[str]:
    """Return the names of the matrices that peft adds something to, by its config's names or ends of names."""
    found = set()
    for weight in tensors:
        match = _MATRIX.fullmatch(weight)
        if match and any(f".model.{match[1]}".endswith(f".{target}") for target in targets):
            number = int(match[2])
            if layers is None or number == layers or (isinstance(layers, list) and number in layers):
                found.add(match[1])
    return found


@dataclass(frozen=True, eq=False)
class _Addition:
    """What is added to a matrix (out, in): `scale * up @ down`, with `down` (rank, in) and `up` (out, rank)."""

    down: torch.Tensor
    up: torch.Tensor
    scale: float

    @property
    def shape(self) -> tuple[int, int]:
        return self.up.shape[0], self.down.shape[1]


class _Adapted(Mapping[str, torch.Tensor]):
    """Tensors of which some are put together when they are asked for."""

    def __init__(self, plain: Tensors, additions: Mapping[str, _Addition]) -> None:
        self._plain, self._additions = plain, additions

    def __getitem__(self, name: str) -> torch.Tensor:
        plain = self._plain[name]
        added = self._additions.get(name)
        if added is None:
            return plain
        up, down = (each.to(plain.device, torch.float32) for each in (added.up, added.down))
        return torch.addmm(plain.float(), up, down, alpha=added.scale)

    def __iter__(self) -> Iterator[str]:
        return iter(self._plain)

    def __len__(self) -> int:
        return len(self._plain)


def with_adapter(writer: PreTrainedModel, adapter: Path) -> PreTrainedModel:
    """Return a copy of a model with an adapter merged into its weights.

    Raises:
        ModelError: the adapter does not fit the model, or cannot be read.
        MissingPackage: peft is not installed.
    """
    # The adapter is merged into a copy, so that answers come from the unmodified model.
    adapted = adapted_tensors(adapter, dict(_layer_tensors(writer)))
    if adapted is not None:
        return _with_tensors(writer, adapted)
    if find_spec("peft") is None:
        raise MissingPackage(
            "A LoRA adapter needs the package peft.", remedy="Install it: pip install 'echo-index[lora]'"
        )
    from peft import PeftModel, get_peft_model_state_dict, load_peft_weights

    # The embedding table, the largest part of a small model, is shared by both.
    table = cast("nn.Parameter", writer.get_input_embeddings().weight)
    copied = copy.deepcopy(writer, memo={id(table): table})
    try:
        adapted = PeftModel.from_pretrained(copied, str(adapter))
        stored = load_peft_weights(str(adapter), device="cpu")
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"The adapter {adapter} does not fit this model: {str(error).splitlines()[0]}") from None
    # peft passes over weights that have no place, and leaves at nothing those that are missing
    if _lora_names(stored) != _lora_names(get_peft_model_state_dict(adapted, save_embedding_layers=False)):
        raise ModelError(f"The adapter {adapter} does not fit this model: it was made for other layers.")
    _unshare(adapted, table)
    return cast("PreTrainedModel", adapted.merge_and_unload())


def _layer_tensors(model: PreTrainedModel) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the tensors of a model by the names that an adapter of its matrices has for them."""
    for name, tensor in model.named_parameters():
        yield name.removeprefix(_BEFORE_LAYERS), tensor.detach()


def _with_tensors(model: PreTrainedModel, tensors: Tensors) -> PreTrainedModel:
    """Return a copy of a model that has these tensors, and shares with it those that are the same."""
    copied = copy.deepcopy(model, memo={id(each): each for each in model.parameters()})
    for name, before in model.named_parameters():
        after = tensors[name.removeprefix(_BEFORE_LAYERS)]
        if after.data_ptr() != before.data_ptr():
            module, _, attribute = name.rpartition(".")
            setattr(copied.get_submodule(module), attribute, nn.Parameter(after.to(before.dtype), requires_grad=False))
    return copied


def _lora_names(weights: Iterable[str]) -> set[str]:
    return {name for name in weights if "lora_" in name}


def _unshare(adapted: nn.Module, table: nn.Parameter) -> None:
    """Give a layer that the adapter changes a table of its own: merging writes into the weights."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for module in adapted.modules():
        if isinstance(module, BaseTunerLayer) and module.get_base_layer().weight is table:
            module.get_base_layer().weight = nn.Parameter(table.detach().clone(), requires_grad=False)
