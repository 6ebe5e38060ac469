"""LoRA adapters of peft that can be trained, on a model whose weights are shared with its other users."""

from __future__ import annotations

import copy
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from echo_index.embeddings.decoder.lora_delta import LoraDelta
from echo_index.embeddings.decoder.transformers_backend import find_blocks
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.errors import MissingPackage

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel


def trainable_adapter(
    model: LanguageModel, adapter: Path | None, *, rank: int, alpha: float, layers: range, seed: int
) -> PeftModel:
    """Return a model with a copy of an adapter, or with a new one on all matrices of these layers, counted from 0.

    Only the adapter requires gradients, and only up to the last of the layers. A new one begins as zero.

    Raises:
        MissingPackage: peft is not installed.
    """
    if find_spec("peft") is None:
        raise MissingPackage("Tuning needs the package peft.", remedy="Install it: pip install 'echo-index[tune]'")
    causal_lm = model.causal_lm
    # The weights are shared with all other users of the model; only the adapter is new.
    shared = copy.deepcopy(causal_lm, memo={id(parameter): parameter for parameter in causal_lm.parameters()})
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        adapted = _with_new_adapter(shared, rank, alpha, layers) if adapter is None else _with_adapter(shared, adapter)
    adapted.peft_config["default"].base_model_name_or_path = model.name
    for unused in find_blocks(shared.base_model)[layers.stop :]:
        unused.requires_grad_(False)
    return adapted


def trainable_deltas(adapted: nn.Module) -> dict[int, dict[str, LoraDelta]]:
    """Return the deltas of a peft model by layer, counted from 0, and by the name of the matrix."""
    from peft.tuners.lora import LoraLayer

    by_layer: dict[int, dict[str, LoraDelta]] = {}
    for name, module in adapted.named_modules():
        if isinstance(module, LoraLayer):
            *_, number, part, matrix = name.split(".")
            [key] = module.lora_A
            by_layer.setdefault(int(number), {})[f"{part}.{matrix}"] = LoraDelta(
                down=cast("Any", module.lora_A[key]).weight,
                up=cast("Any", module.lora_B[key]).weight,
                scale=float(module.scaling[key]),
            )
    return by_layer


def _with_new_adapter(model: PreTrainedModel, rank: int, alpha: float, layers: range) -> PeftModel:
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=_matrix_names(model, layers))
    return cast("PeftModel", get_peft_model(model, config))


def _with_adapter(model: PreTrainedModel, adapter: Path) -> PeftModel:
    from peft import PeftModel

    return PeftModel.from_pretrained(model, str(adapter), is_trainable=True)


def _matrix_names(model: PreTrainedModel, layers: range) -> list[str]:
    """Return the names of all matrices of these layers, counted from 0."""
    from transformers.pytorch_utils import Conv1D

    blocks = find_blocks(model.base_model)
    wanted = {
        id(module)
        for number in layers
        for module in blocks[number].modules()
        if isinstance(module, (nn.Linear, Conv1D))
    }
    return [name for name, module in model.named_modules() if id(module) in wanted]
