"""What a decoder is built like, read from config.json: the families that our own layers run. Knows no weights."""

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
_SCALED_BY_TRANSFORMERS = ("linear", "llama3", "yarn")  # rotary scalings that do not depend on the length of the text


@dataclass(frozen=True)
class _Family:
    """What tells one model type from another, apart from its sizes."""

    needs: tuple[str, ...]
    """Further names that its config must hold."""
    is_gemma: bool = False
    """Gains are stored less one, the embedding is scaled by the root of its width."""
    windows: Literal["none", "every layer", "by layer"] = "none"
    query_key_norms: bool = False
    norms_after: bool = False
    """Attention and feed-forward are normalized once more before they are added."""
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
    """Rotary position embedding (arXiv 2104.09864): one frequency for each pair of numbers in a head."""

    frequencies: tuple[float, ...]
    scale: float


@dataclass(frozen=True)
class LayerKind:
    """How far back a layer sees (None: to the beginning) and how it marks positions."""

    window: int | None
    rotary: RotaryParameters


@dataclass(frozen=True)
class DecoderConfig:
    """One decoder: its sizes and the ways in which families differ."""

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
    """Attention scores are bent into (-cap, cap) by tanh, as in Gemma 2; None: not at all."""
    logits_softcap: float | None
    embedding_scale: float
    gain_offset: float
    """Added to every stored gain of a normalization."""
    query_key_norms: bool
    norms_after: bool
    tied_embeddings: bool
    """The embedding table is also the language-model head."""
    layers: tuple[LayerKind, ...]

    @property
    def depth(self) -> int:
        """The number of layers."""
        return len(self.layers)


def read_decoder_config(folder: Path) -> DecoderConfig | None:
    """Return the architecture of the model in a folder, None where it is not one of ours.

    Nor are models whose weights are stored quantized: what stands in their files is not what they multiply by.
    A config.json that leaves names out is completed by transformers, which knows each family's defaults.

    Raises:
        ModelError: the model is not causal. What stands beside a text in a batch would change its vector.
    """
    config: Config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if config.get("use_bidirectional_attention"):
        raise ModelError(
            f"The model in {folder} is not a causal one: its tokens see what follows them.",
            remedy="Use a causal language model; without --model it is the default one.",
        )
    family = _FAMILIES.get(str(config.get("model_type")))
    if family is None or config.get("quantization_config"):
        return None
    if any(name not in config for name in (*_ALWAYS_NEEDED, *family.needs)) or _scaled(config):
        from transformers import AutoConfig

        completed = AutoConfig.from_pretrained(folder, local_files_only=True)
        return _decoder_config(completed.to_dict(), family, completed)
    return _decoder_config(config, family, None)


def _decoder_config(config: Config, family: _Family, transformers_config: object) -> DecoderConfig | None:
    activation = _ACTIVATIONS.get(str(config.get("hidden_activation") or config.get("hidden_act")))
    if activation is None:
        return None
    head_dim = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    layers = _layers(config, family, int(head_dim), transformers_config)
    if layers is None:
        return None
    scaled_by = head_dim if family.attention_scale == "head_dim" else config["query_pre_attn_scalar"]
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
        attention_scale=scaled_by**-0.5,
        attn_softcap=config.get("attn_logit_softcapping"),
        logits_softcap=config.get("final_logit_softcapping"),
        embedding_scale=math.sqrt(config["hidden_size"]) if family.is_gemma else 1.0,
        gain_offset=1.0 if family.is_gemma else 0.0,
        query_key_norms=family.query_key_norms,
        norms_after=family.norms_after,
        tied_embeddings=bool(config["tie_word_embeddings"]),
        layers=layers,
    )


def _layers(
    config: Config, family: _Family, head_dim: int, transformers_config: object
) -> tuple[LayerKind, ...] | None:
    names = config["layer_types"] if family.windows == "by layer" else [None] * config["num_hidden_layers"]
    rotations = {name: _rotation(config, name, head_dim, transformers_config) for name in set(names)}
    kinds = []
    for name in names:
        sees_a_window = name == "sliding_attention" or family.windows == "every layer"
        rotary = rotations[name]
        if rotary is None:
            return None
        kinds.append(LayerKind(window=config["sliding_window"] if sees_a_window else None, rotary=rotary))
    return tuple(kinds)


def _rotation(
    config: Config, layer_type: str | None, head_dim: int, transformers_config: object
) -> RotaryParameters | None:
    by_type = layer_type is not None and layer_type in config["rope_parameters"]
    settings = config["rope_parameters"][layer_type] if by_type else config["rope_parameters"]
    if settings.get("partial_rotary_factor", 1.0) != 1.0:
        return None
    if settings["rope_type"] == "default":
        theta = settings["rope_theta"]
        return RotaryParameters(tuple(theta ** (-pair / head_dim) for pair in range(0, head_dim, 2)), scale=1.0)
    if settings["rope_type"] not in _SCALED_BY_TRANSFORMERS:
        return None
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    initialize: Any = ROPE_INIT_FUNCTIONS[settings["rope_type"]]
    frequencies, scale = initialize(transformers_config, layer_type=layer_type if by_type else None)
    return RotaryParameters(tuple(frequencies.tolist()), scale=float(scale))


def _scaled(config: Config) -> bool:
    settings = config["rope_parameters"]
    each = [settings] if "rope_type" in settings else list(settings.values())
    return any(one.get("rope_type") != "default" for one in each)
