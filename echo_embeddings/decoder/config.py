"""The configuration of a decoder, read from config.json, for the model families that the native decoder runs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from echo_index.errors import ModelError

Activation = Literal["silu", "gelu_tanh", "gelu"]
Config = Mapping[str, Any]

_ACTIVATIONS: dict[str, Activation] = {
    "silu": "silu",
    "swish": "silu",
    "gelu": "gelu",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_new": "gelu_tanh",
}
_ALWAYS_NEEDED = (
    "hidden_size",
    "intermediate_size",
    "max_position_embeddings",
    "num_attention_heads",
    "num_hidden_layers",
    "num_key_value_heads",
    "rms_norm_eps",
    "rope_parameters",
    "tie_word_embeddings",
    "vocab_size",
)
_FIXED_ROPE_SCALINGS = ("linear", "llama3", "yarn")  # unlike "dynamic", they do not depend on the length of the text


@dataclass(frozen=True)
class _Family:
    """The ways in which one model type differs from others, apart from its sizes."""

    needs: tuple[str, ...]
    """Names that its config.json must have, besides `_ALWAYS_NEEDED`."""
    is_gemma: bool = False
    """Gains are stored minus one, and embeddings are scaled by sqrt(hidden_size)."""
    windows: Literal["none", "every layer", "by layer"] = "none"
    query_key_norms: bool = False
    norms_after: bool = False
    """The outputs of attention and feed-forward are normalized before they are added to the residual stream."""
    attention_scale: Literal["head_dim", "query_pre_attn_scalar"] = "head_dim"


_FAMILIES = {
    "llama": _Family(needs=("head_dim", "hidden_act")),
    "mistral": _Family(needs=("head_dim", "hidden_act", "sliding_window"), windows="every layer"),
    "qwen2": _Family(needs=("hidden_act", "layer_types", "sliding_window"), windows="by layer"),
    "qwen3": _Family(
        needs=("head_dim", "hidden_act", "layer_types", "sliding_window"), windows="by layer", query_key_norms=True
    ),
    "gemma": _Family(needs=("head_dim",), is_gemma=True),
    "gemma2": _Family(
        needs=("head_dim", "hidden_activation", "layer_types", "sliding_window", "query_pre_attn_scalar"),
        is_gemma=True,
        windows="by layer",
        norms_after=True,
        attention_scale="query_pre_attn_scalar",
    ),
    "gemma3_text": _Family(
        needs=("head_dim", "hidden_activation", "layer_types", "sliding_window", "query_pre_attn_scalar"),
        is_gemma=True,
        windows="by layer",
        query_key_norms=True,
        norms_after=True,
        attention_scale="query_pre_attn_scalar",
    ),
}


@dataclass(frozen=True)
class RotaryParameters:
    """Rotary position embedding (arXiv 2104.09864): one frequency for each pair of channels in a head."""

    frequencies: tuple[float, ...]
    scale: float


@dataclass(frozen=True)
class LayerKind:
    """The attention window of a layer in tokens (None: unlimited) and its position embedding."""

    window: int | None
    rotary: RotaryParameters


@dataclass(frozen=True)
class DecoderConfig:
    """The sizes of a decoder and the choices in which model families differ."""

    hidden_size: int
    intermediate_size: int
    heads: int
    key_value_heads: int
    head_dim: int
    vocabulary_size: int
    positions: int
    epsilon: float
    activation: Activation
    attention_scale: float
    attn_softcap: float | None
    """Attention scores are bounded to (-softcap, softcap) by tanh, as in Gemma 2; None for no bound."""
    logits_softcap: float | None
    embedding_scale: float
    gain_offset: float
    """Added to each stored gain of a normalization."""
    query_key_norms: bool
    norms_after: bool
    tied_embeddings: bool
    """The language-model head is the embedding table."""
    has_head: bool
    """Whether there is a language-model head; a model that was saved for embeddings only may have none."""
    layers: tuple[LayerKind, ...]

    @property
    def depth(self) -> int:
        """The number of layers."""
        return len(self.layers)


def read_decoder_config(folder: Path) -> DecoderConfig | None:
    """Return the configuration of the model in a folder; None if the native decoder cannot run it.

    It runs no models with quantized weights: their files do not store the numbers to multiply by. transformers, which
    has the defaults of each family, completes a config.json with missing names.

    Raises:
        ModelError: the model is not causal, so padding in a batch would change its vectors.
    """
    config: Config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if config.get("use_bidirectional_attention"):
        raise ModelError(
            f"The model in {folder} is not causal: its tokens see the tokens after them.",
            remedy="Use a causal language model, or leave out --model to use the default one.",
        )
    family = _FAMILIES.get(str(config.get("model_type")))
    if family is None or config.get("quantization_config"):
        return None
    if any(name not in config for name in (*_ALWAYS_NEEDED, *family.needs)) or _has_rope_scaling(config):
        from transformers import AutoConfig

        completed = AutoConfig.from_pretrained(folder, local_files_only=True)
        return _decoder_config(completed.to_dict(), family, completed)
    return _decoder_config(config, family, None)


def _decoder_config(config: Config, family: _Family, transformers_config: object) -> DecoderConfig | None:
    activation = _ACTIVATIONS.get(str(config.get("hidden_activation") or config.get("hidden_act")))
    if activation is None:
        return None
    head_dim = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    layers = _layer_kinds(config, family, int(head_dim), transformers_config)
    if layers is None:
        return None
    is_tied = bool(config["tie_word_embeddings"])
    scale_base = head_dim if family.attention_scale == "head_dim" else config["query_pre_attn_scalar"]
    return DecoderConfig(
        hidden_size=config["hidden_size"],
        intermediate_size=config["intermediate_size"],
        heads=config["num_attention_heads"],
        key_value_heads=config["num_key_value_heads"] or config["num_attention_heads"],
        head_dim=head_dim,
        vocabulary_size=config["vocab_size"],
        positions=config["max_position_embeddings"],
        epsilon=config["rms_norm_eps"],
        activation=activation,
        attention_scale=scale_base**-0.5,
        attn_softcap=config.get("attn_logit_softcapping"),
        logits_softcap=config.get("final_logit_softcapping"),
        embedding_scale=math.sqrt(config["hidden_size"]) if family.is_gemma else 1.0,
        gain_offset=1.0 if family.is_gemma else 0.0,
        query_key_norms=family.query_key_norms,
        norms_after=family.norms_after,
        tied_embeddings=is_tied,
        has_head=is_tied or not any(name.endswith("Model") for name in config.get("architectures") or ()),
        layers=layers,
    )


def _layer_kinds(
    config: Config, family: _Family, head_dim: int, transformers_config: object
) -> tuple[LayerKind, ...] | None:
    names = config["layer_types"] if family.windows == "by layer" else [None] * config["num_hidden_layers"]
    rotary_by_type = {name: _rotary_parameters(config, name, head_dim, transformers_config) for name in set(names)}
    kinds = []
    for name in names:
        has_window = name == "sliding_attention" or family.windows == "every layer"
        rotary = rotary_by_type[name]
        if rotary is None:
            return None
        kinds.append(LayerKind(window=config["sliding_window"] if has_window else None, rotary=rotary))
    return tuple(kinds)


def _rotary_parameters(
    config: Config, layer_type: str | None, head_dim: int, transformers_config: object
) -> RotaryParameters | None:
    by_type = layer_type is not None and layer_type in config["rope_parameters"]
    settings = config["rope_parameters"][layer_type] if by_type else config["rope_parameters"]
    if settings.get("partial_rotary_factor", 1.0) != 1.0:
        return None
    if settings["rope_type"] == "default":
        theta = settings["rope_theta"]
        return RotaryParameters(tuple(theta ** (-pair / head_dim) for pair in range(0, head_dim, 2)), scale=1.0)
    if settings["rope_type"] not in _FIXED_ROPE_SCALINGS:
        return None
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    initialize: Any = ROPE_INIT_FUNCTIONS[settings["rope_type"]]
    frequencies, scale = initialize(transformers_config, layer_type=layer_type if by_type else None)
    return RotaryParameters(tuple(frequencies.tolist()), scale=float(scale))


def _has_rope_scaling(config: Config) -> bool:
    settings = config["rope_parameters"]
    by_layer_type = [settings] if "rope_type" in settings else list(settings.values())
    return any(rope.get("rope_type") != "default" for rope in by_layer_type)
