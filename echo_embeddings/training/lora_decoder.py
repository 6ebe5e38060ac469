"""A decoder's layers with low-rank additions (LoRA, arXiv 2106.09685) that can be trained. Knows ids, no texts.

The same sums as those of `Trunk`, in float32 and without overwriting what a gradient needs. A matrix and its addition
are put together once a step, so that a pass costs no more than without; only the addition gets a gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from echo_index.embeddings.decoder.attention import attend
from echo_index.embeddings.decoder.config import Activation, DecoderConfig, RotaryParameters
from echo_index.embeddings.decoder.packing import Packing
from echo_index.embeddings.decoder.weights import Projection, Tensors, layer_weights
from echo_index.embeddings.runtime.malloc import retain_freed_memory

_MATRICES = {  # of a layer as ours has them: of transformers' matrices, one above the other
    "queries_keys_values": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "attention_out": ("self_attn.o_proj",),
    "gate": ("mlp.gate_proj",),
    "up": ("mlp.up_proj",),
    "down": ("mlp.down_proj",),
}
_Product = Callable[[str, torch.Tensor], torch.Tensor]
"""Rows times one of our matrices, by its name."""
_Factors = dict[str, tuple[torch.Tensor, torch.Tensor]]
"""By a matrix of ours: (rank, in) and (out, rank), whose product is added to it."""


@dataclass(frozen=True, eq=False)
class LoraDelta:
    """What is added to a matrix (out, in): `scale * up @ down`, with `down` (rank, in) and `up` (out, rank)."""

    down: nn.Parameter
    up: nn.Parameter
    scale: float


class LoraDecoder:
    """The layers of a model up to the deepest that is read. `additions` are by layer and by the names of matrices."""

    def __init__(
        self,
        tensors: Tensors,
        config: DecoderConfig,
        deltas: Mapping[int, Mapping[str, LoraDelta]],
        *,
        deepest: int,
        dtype: torch.dtype,
    ) -> None:
        retain_freed_memory()
        self.config = config
        self._table = tensors["embed_tokens.weight"]
        self._norm = tensors["norm.weight"].float() + config.gain_offset
        self._layers = [_Layer(tensors, config, number, deltas.get(number, {}), dtype) for number in range(deepest)]
        self._first = min(deltas)
        self._turns: dict[RotaryParameters, torch.Tensor] = {}

    def merge_lora(self) -> None:
        """Take over what the additions are now: due after each step."""
        for layer in self._layers:
            layer.merge_lora()

    def forward(
        self, ids: torch.Tensor, packing: Packing, *, rows: Mapping[int, torch.Tensor]
    ) -> dict[int, torch.Tensor]:
        """Return the states of some rows at some layers, both by the layer: (len(rows), hidden).

        `ids` (prefix + tokens) are what all texts begin with, once, and then the packed texts without it. Rows count
        from the first token behind the prefix.
        """
        shape, prefix = self.config, packing.prefix
        positions = torch.cat([torch.arange(prefix), packing.positions])
        turns = {kind.rotary: self._rotary_phases(kind.rotary, positions) for kind in shape.layers[: len(self._layers)]}
        wanted = {}
        states = self._table.index_select(0, ids).float() * shape.embedding_scale
        for number, layer in enumerate(self._layers):
            kind = shape.layers[number]
            with torch.set_grad_enabled(torch.is_grad_enabled() and number >= self._first):
                states = layer.through(states, turns[kind.rotary], packing, shape, kind.window)
            if number + 1 in rows:
                found = states.index_select(0, rows[number + 1] + prefix)
                is_last = number + 1 == shape.depth
                wanted[number + 1] = _normalized(found, self._norm, shape.epsilon) if is_last else found
        return wanted

    def _rotary_phases(self, rotary: RotaryParameters, positions: torch.Tensor) -> torch.Tensor:
        """Return complex (tokens, 1, head_dim / 2): the turn of each pair at each position."""
        known = self._turns.get(rotary)
        if known is None or len(known) <= int(positions.max()):
            angles = torch.arange(2 * (int(positions.max()) + 1))[:, None].float() * torch.tensor(rotary.frequencies)
            known = self._turns[rotary] = torch.polar(torch.full_like(angles, rotary.scale), angles)
        return known.index_select(0, positions).unsqueeze(1)


class _Layer:
    """One layer: its weights, and those with the additions as they were when they were last put together."""

    def __init__(
        self,
        tensors: Tensors,
        config: DecoderConfig,
        number: int,
        deltas: Mapping[str, LoraDelta],
        dtype: torch.dtype,
    ) -> None:
        self._plain = layer_weights(tensors, config, number)
        self._dtype = dtype
        self._deltas = deltas
        self._gains = {
            name: tensor
            for name, tensor in tensors.items()
            if name.startswith(f"layers.{number}.") and "norm" in name.split(".")[-2]
        }
        self._number = number
        self._config = config
        self.merge_lora()

    def merge_lora(self) -> None:
        """Add the additions as they are now to the weights."""
        with torch.no_grad():
            factors = self._factors()
            self._whole: dict[str, Projection] = {}
            for name in _MATRICES:
                plain: Projection = getattr(self._plain, name)
                weight = torch.addmm(plain.weight, *reversed(factors[name])) if name in factors else plain.weight
                bias = None if plain.bias is None else plain.bias.to(self._dtype)
                self._whole[name] = Projection(weight.to(self._dtype), bias)

    def through(
        self,
        states: torch.Tensor,
        phases: torch.Tensor,
        packing: Packing,
        shape: DecoderConfig,
        window: int | None,
    ) -> torch.Tensor:
        """Run the layer over the prefix and the packed texts: (prefix + tokens, hidden)."""
        weights, heads, epsilon = self._plain, shape.heads, shape.epsilon
        times = self._products()
        rows = _normalized(states, weights.before_attention, epsilon)
        projected = times("queries_keys_values", rows).unflatten(1, (-1, shape.head_dim))
        turning, values = projected.split([heads + shape.key_value_heads, shape.key_value_heads], dim=1)
        if weights.queries_keys_gain is not None:
            turning = _normalized(turning, weights.queries_keys_gain, epsilon)
        turning = _turn(turning, phases)
        attended = _attended(turning[:, :heads], turning[:, heads:], values, packing, window, shape.attn_softcap)
        added = times("attention_out", attended)
        if weights.after_attention is not None:
            added = _normalized(added, weights.after_attention, epsilon)
        states = states + added
        rows = _normalized(states, weights.before_feed_forward, epsilon)
        inner = _activated(times("gate", rows), shape.activation) * times("up", rows)
        added = times("down", inner)
        if weights.after_feed_forward is not None:
            added = _normalized(added, weights.after_feed_forward, epsilon)
        return states + added

    def _products(self) -> _Product:
        factors = self._factors() if torch.is_grad_enabled() else {}

        def times(name: str, rows: torch.Tensor) -> torch.Tensor:
            whole = self._whole[name]
            rows = rows.to(self._dtype)
            if name not in factors:
                return F.linear(rows, whole.weight, whole.bias).float()
            down, up = factors[name]
            product: torch.Tensor = _WithFactors.apply(rows, whole.weight, whole.bias, down, up)  # type: ignore[no-untyped-call]
            return product.float()

        return times

    def _factors(self) -> _Factors:
        """Return the additions in the form of our matrices: what is reordered in those is reordered in `up`."""
        if not self._deltas:
            return {}
        ups: dict[str, torch.Tensor] = dict(self._gains)
        for names in _MATRICES.values():
            ranks = [len(self._deltas[name].down) for name in names]
            for place, name in enumerate(names):
                one = self._deltas[name]
                before, after = sum(ranks[:place]), sum(ranks[place + 1 :])
                ups[f"layers.{self._number}.{name}.weight"] = F.pad(one.up * one.scale, (before, after))
        arranged = layer_weights(ups, self._config, self._number)
        return {
            matrix: (torch.cat([self._deltas[name].down for name in names]), getattr(arranged, matrix).weight)
            for matrix, names in _MATRICES.items()
        }


def _attended(
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    packing: Packing,
    window: int | None,
    cap: float | None,
) -> torch.Tensor:
    """Return (prefix + tokens, heads x head_dim): the prefix attends to itself, each text to the prefix and itself."""
    prefix = packing.prefix
    own = attend(
        queries[prefix:].index_select(0, packing.padded_queries).unflatten(0, (packing.texts, -1)),
        keys.index_select(0, packing.padded_keys).unflatten(0, (packing.texts, -1)),
        values.index_select(0, packing.padded_keys).unflatten(0, (packing.texts, -1)),
        window=window,
        cap=cap,
    )
    texts = own.flatten(0, 1).flatten(1).index_select(0, packing.unpadded)
    if not prefix:
        return texts
    first = attend(queries[None, :prefix], keys[None, :prefix], values[None, :prefix], window=window, cap=cap)
    return torch.cat([first[0].flatten(1), texts])


def _turn(heads: torch.Tensor, phases: torch.Tensor) -> torch.Tensor:
    pairs = torch.view_as_complex(heads.unflatten(2, (-1, 2)))
    return torch.view_as_real(pairs * phases).flatten(2)


def _normalized(rows: torch.Tensor, gain: torch.Tensor, epsilon: float) -> torch.Tensor:
    """RMSNorm (arXiv 1910.07467) over the last dimension."""
    return F.rms_norm(rows, rows.shape[-1:], None, epsilon) * gain


def _activated(rows: torch.Tensor, activation: Activation) -> torch.Tensor:
    match activation:
        case "silu":
            return F.silu(rows)
        case "gelu_tanh":
            return F.gelu(rows, approximate="tanh")
        case "gelu":
            return F.gelu(rows)


class _WithFactors(torch.autograd.Function):
    """`rows @ whole.T + bias`; the gradient goes to the rows and to the factors that `whole` holds, not to itself."""

    @staticmethod
    def forward(
        ctx: Any,
        rows: torch.Tensor,
        whole: torch.Tensor,
        bias: torch.Tensor | None,
        down: torch.Tensor,
        up: torch.Tensor,
    ) -> torch.Tensor:
        ctx.save_for_backward(rows, whole, down, up)
        return F.linear(rows, whole, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        [gradient] = gradients
        rows, whole, down, up = ctx.saved_tensors
        of_rows = gradient @ whole if ctx.needs_input_grad[0] else None
        of_down = (gradient @ up.to(gradient.dtype)).T @ rows
        of_up = gradient.T @ (rows @ down.to(rows.dtype).T)
        return of_rows, None, None, of_down.float(), of_up.float()
