"""A model's tensors, mapped from its safetensors files and arranged for the native decoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from echo_index.embeddings.decoder.config import DecoderConfig
from echo_index.errors import ModelError

Tensors = Mapping[str, torch.Tensor]


@dataclass(frozen=True, eq=False)
class Projection:
    """A matrix (out, in) and its bias (out,), float32."""

    weight: torch.Tensor
    bias: torch.Tensor | None

    def to(self, device: torch.device) -> Projection:
        """Return the projection on a device."""
        return Projection(self.weight.to(device), None if self.bias is None else self.bias.to(device))


@dataclass(frozen=True, eq=False)
class LayerWeights:
    """The weights of one layer.

    Queries, keys and values are one matrix, in which the two channels of a rotary pair are adjacent. The attributes
    `before_…` and `after_…` are gains of normalizations (width,), ready to multiply by; None where the architecture has
    no such normalization.
    """

    before_attention: torch.Tensor
    queries_keys_values: Projection
    queries_keys_gain: torch.Tensor | None
    """Gains of the normalization of queries and keys: (heads + key-value heads, head_dim)."""
    attention_out: Projection
    after_attention: torch.Tensor | None
    before_feed_forward: torch.Tensor
    gate: Projection
    up: Projection
    down: Projection
    after_feed_forward: torch.Tensor | None

    def to(self, device: torch.device) -> LayerWeights:
        """Return the weights on a device."""
        placed = {}
        for field in fields(self):
            value: torch.Tensor | Projection | None = getattr(self, field.name)
            placed[field.name] = None if value is None else value.to(device)
        return replace(self, **placed)  # type: ignore[arg-type]


def map_tensors(folder: Path) -> dict[str, torch.Tensor]:
    """Memory-map the safetensors files of a folder, and return their tensors by name; {} if there are no such files.

    Nothing is read before it is used. As in transformers, model.safetensors is the whole model if it exists, otherwise
    the model is sharded: model-*.safetensors.

    Raises:
        ModelError: a file is not a safetensors file, or is truncated.
    """
    tensors: dict[str, torch.Tensor] = {}
    unsharded = folder / "model.safetensors"
    for path in [unsharded] if unsharded.exists() else sorted(folder.glob("model-*.safetensors")):
        try:
            with safe_open(path, framework="pt") as file:
                tensors.update({_strip_model_prefix(name): file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise ModelError(f"The model in {folder} cannot be loaded: {path.name}: {error}.") from None
    return tensors


def validate_tensors(tensors: Tensors, config: DecoderConfig, *, folder: Path) -> None:
    """Check that each tensor that the configuration needs is present and has its shape.

    Raises:
        ModelError: a tensor is missing or has another shape.
    """
    for name, shape in tensor_shapes(config).items():
        found = tensors.get(name)
        if found is None:
            raise ModelError(f"The model in {folder} cannot be loaded: the weights {name} are missing.")
        if tuple(found.shape) != shape:
            raise ModelError(
                f"The model in {folder} cannot be loaded: the weights {name} are {tuple(found.shape)}, not {shape}."
            )


def layer_weights(tensors: Tensors, config: DecoderConfig, number: int) -> LayerWeights:
    """Return the weights of layer `number`, counted from 0, as float32."""
    tensors = {
        name.removeprefix(f"layers.{number}."): tensors[name].float()
        for name in tensors
        if name.startswith(f"layers.{number}.")
    }

    def gain(name: str) -> torch.Tensor:
        return tensors[f"{name}.weight"] + config.gain_offset

    def projection(name: str) -> Projection:
        return Projection(tensors[f"{name}.weight"], tensors.get(f"{name}.bias"))

    after = config.norms_after
    return LayerWeights(
        before_attention=gain("input_layernorm"),
        queries_keys_values=_queries_keys_values(tensors, config),
        queries_keys_gain=_queries_keys_gain(gain("self_attn.q_norm"), gain("self_attn.k_norm"), config)
        if config.query_key_norms
        else None,
        attention_out=projection("self_attn.o_proj"),
        after_attention=gain("post_attention_layernorm") if after else None,
        before_feed_forward=gain("pre_feedforward_layernorm" if after else "post_attention_layernorm"),
        gate=projection("mlp.gate_proj"),
        up=projection("mlp.up_proj"),
        down=projection("mlp.down_proj"),
        after_feed_forward=gain("post_feedforward_layernorm") if after else None,
    )


def head_weight(tensors: Tensors, config: DecoderConfig) -> torch.Tensor:
    """Return the matrix of the language-model head (vocabulary, hidden), in the format in which it is stored.

    Raises:
        ModelError: the model has none.
    """
    if not config.has_head:
        raise ModelError("The model has no language-modeling head: it embeds texts and writes none.")
    return tensors["embed_tokens.weight" if config.tied_embeddings else "lm_head.weight"]


def _queries_keys_values(tensors: Tensors, config: DecoderConfig) -> Projection:
    # The scale of the attention scores goes into the matrix of the queries, or into their gain if they are normalized.
    scale = 1.0 if config.query_key_norms else config.attention_scale
    weights: list[torch.Tensor] = []
    biases: list[torch.Tensor] = []
    for name, factor in (("q", scale), ("k", 1.0), ("v", None)):
        weight, bias = tensors[f"self_attn.{name}_proj.weight"], tensors.get(f"self_attn.{name}_proj.bias")
        for tensor, arranged in ((weight, weights), (bias, biases)):
            if tensor is not None:
                arranged.append(tensor if factor is None else _interleave_halves(tensor, config.head_dim) * factor)
    return Projection(torch.cat(weights), torch.cat(biases) if biases else None)


def _queries_keys_gain(queries: torch.Tensor, keys: torch.Tensor, config: DecoderConfig) -> torch.Tensor:
    scaled = _interleave_halves(queries, config.head_dim) * config.attention_scale
    return torch.cat(
        [
            scaled.expand(config.heads, -1),
            _interleave_halves(keys, config.head_dim).expand(config.key_value_heads, -1),
        ]
    )


def _interleave_halves(rows: torch.Tensor, head_dim: int) -> torch.Tensor:
    """Reorder the rows of each head so that the channels of a rotary pair are adjacent, not half a head apart.

    Then a rotation is a complex product.
    """
    heads = rows.reshape(-1, 2, head_dim // 2, *rows.shape[1:])
    return heads.transpose(1, 2).reshape(rows.shape)


def tensor_shapes(config: DecoderConfig) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of all weights that the configuration needs; biases are not among them."""
    hidden, inner = config.hidden_size, config.intermediate_size
    query_width = config.heads * config.head_dim
    key_width = config.key_value_heads * config.head_dim
    shapes: dict[str, tuple[int, ...]] = {
        "embed_tokens.weight": (config.vocabulary_size, hidden),
        "norm.weight": (hidden,),
    }
    if config.has_head and not config.tied_embeddings:
        shapes["lm_head.weight"] = (config.vocabulary_size, hidden)
    layer: dict[str, tuple[int, ...]] = {
        "input_layernorm.weight": (hidden,),
        "self_attn.q_proj.weight": (query_width, hidden),
        "self_attn.k_proj.weight": (key_width, hidden),
        "self_attn.v_proj.weight": (key_width, hidden),
        "self_attn.o_proj.weight": (hidden, query_width),
        "post_attention_layernorm.weight": (hidden,),
        "mlp.gate_proj.weight": (inner, hidden),
        "mlp.up_proj.weight": (inner, hidden),
        "mlp.down_proj.weight": (hidden, inner),
    }
    if config.query_key_norms:
        layer |= dict.fromkeys(("self_attn.q_norm.weight", "self_attn.k_norm.weight"), (config.head_dim,))
    if config.norms_after:
        layer |= dict.fromkeys(("pre_feedforward_layernorm.weight", "post_feedforward_layernorm.weight"), (hidden,))
    for number in range(config.depth):
        shapes |= {f"layers.{number}.{name}": shape for name, shape in layer.items()}
    return shapes


def _strip_model_prefix(name: str) -> str:
    return name.removeprefix("model.")
