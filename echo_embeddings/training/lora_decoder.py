"""A decoder with trainable LoRA deltas (arXiv 2106.09685).

It computes what `Decoder` computes, in float32 and without overwriting what the backward pass needs. The deltas are
merged into the weights once a step, so a forward pass costs no more than without them; only the deltas get gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F

from echo_index.embeddings.decoder.attention import attend, attend_packed
from echo_index.embeddings.decoder.config import Activation, DecoderConfig
from echo_index.embeddings.decoder.lora_delta import MATRICES, Factors, LoraDelta, layer_factors
from echo_index.embeddings.decoder.packing import Packing
from echo_index.embeddings.decoder.rotary import RotaryPhases, rotate
from echo_index.embeddings.decoder.weights import Projection, Tensors, layer_weights
from echo_index.embeddings.runtime.malloc import retain_freed_memory

_Multiply = Callable[[str, torch.Tensor], torch.Tensor]
"""From the name of a matrix of `LayerWeights`, and rows, to their product."""


class LoraDecoder:
    """The layers of a decoder up to `deepest`, with deltas by layer and by transformers' names of the matrices."""

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
        self._final_gain = tensors["norm.weight"].float() + config.gain_offset
        self._layers = [_Layer(tensors, config, number, deltas.get(number, {}), dtype) for number in range(deepest)]
        self._first_trained = min(deltas)
        self._phases = RotaryPhases()

    def merge_lora(self) -> None:
        """Merge the deltas into the weights; call this whenever the deltas have changed."""
        for layer in self._layers:
            layer.merge_lora()

    def forward(
        self, ids: torch.Tensor, packing: Packing, *, rows: Mapping[int, torch.Tensor]
    ) -> dict[int, torch.Tensor]:
        """Run packed texts, and return the states of some rows at some layers: by layer, (len(rows), hidden).

        `ids` (prefix + tokens,) are the shared prefix once, then the packed texts without it. `rows` count from the
        first token after the prefix.
        """
        config, prefix = self.config, packing.prefix
        positions = torch.cat([torch.arange(prefix), packing.positions])
        kinds = config.layers[: len(self._layers)]
        phases = {kind.rotary: self._phases.at(positions, kind.rotary, end=packing.end) for kind in kinds}
        wanted = {}
        states = self._table.index_select(0, ids).float() * config.embedding_scale
        for number, (kind, layer) in enumerate(zip(kinds, self._layers, strict=True)):
            with torch.set_grad_enabled(torch.is_grad_enabled() and number >= self._first_trained):
                states = layer.forward(states, phases[kind.rotary], packing, window=kind.window)
            if number + 1 in rows:
                selected = states.index_select(0, rows[number + 1] + prefix)
                is_last = number + 1 == config.depth
                wanted[number + 1] = _rms_norm(selected, self._final_gain, config.epsilon) if is_last else selected
        return wanted


class _Layer:
    """One layer: its weights, and its weights with the deltas as they were when they were last merged."""

    def __init__(
        self,
        tensors: Tensors,
        config: DecoderConfig,
        number: int,
        deltas: Mapping[str, LoraDelta],
        dtype: torch.dtype,
    ) -> None:
        self._base = layer_weights(tensors, config, number)
        self._dtype = dtype
        self._deltas = deltas
        self._tensors = tensors
        self._number = number
        self._config = config
        self.merge_lora()

    def merge_lora(self) -> None:
        """Compute the merged weights from the current deltas."""
        with torch.no_grad():
            factors = self._factors()
            self._merged: dict[str, Projection] = {}
            for name in MATRICES:
                base: Projection = getattr(self._base, name)
                weight = torch.addmm(base.weight, *reversed(factors[name])) if name in factors else base.weight
                bias = None if base.bias is None else base.bias.to(self._dtype)
                self._merged[name] = Projection(weight.to(self._dtype), bias)

    def forward(
        self, states: torch.Tensor, phases: torch.Tensor, packing: Packing, *, window: int | None
    ) -> torch.Tensor:
        """Run the layer over the prefix and the packed texts: (prefix + tokens, hidden)."""
        config, weights = self._config, self._base
        heads, epsilon = config.heads, config.epsilon
        multiply = self._multiply()
        rows = _rms_norm(states, weights.before_attention, epsilon)
        projected = multiply("queries_keys_values", rows).unflatten(1, (-1, config.head_dim))
        queries_keys, values = projected.split([heads + config.key_value_heads, config.key_value_heads], dim=1)
        if weights.queries_keys_gain is not None:
            queries_keys = _rms_norm(queries_keys, weights.queries_keys_gain, epsilon)
        queries_keys = rotate(queries_keys, phases)
        attended = _attend_with_prefix(
            queries_keys[:, :heads],
            queries_keys[:, heads:],
            values,
            packing,
            window=window,
            softcap=config.attn_softcap,
        )
        residual = multiply("attention_out", attended)
        if weights.after_attention is not None:
            residual = _rms_norm(residual, weights.after_attention, epsilon)
        states = states + residual
        rows = _rms_norm(states, weights.before_feed_forward, epsilon)
        inner = _activate(multiply("gate", rows), config.activation) * multiply("up", rows)
        residual = multiply("down", inner)
        if weights.after_feed_forward is not None:
            residual = _rms_norm(residual, weights.after_feed_forward, epsilon)
        return states + residual

    def _multiply(self) -> _Multiply:
        factors = self._factors() if torch.is_grad_enabled() else {}

        def multiply(name: str, rows: torch.Tensor) -> torch.Tensor:
            merged = self._merged[name]
            rows = rows.to(self._dtype)
            if name not in factors:
                return F.linear(rows, merged.weight, merged.bias).float()
            down, up = factors[name]
            product: torch.Tensor = _MergedLinear.apply(rows, merged.weight, merged.bias, down, up)  # type: ignore[no-untyped-call]
            return product.float()

        return multiply

    def _factors(self) -> Factors:
        return layer_factors(self._deltas, self._tensors, self._config, self._number) if self._deltas else {}


def _attend_with_prefix(
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    packing: Packing,
    *,
    window: int | None,
    softcap: float | None,
) -> torch.Tensor:
    """Return (prefix + tokens, heads x head_dim): the prefix attends to itself, each text to the prefix and itself."""
    prefix = packing.prefix
    texts = attend_packed(queries[prefix:], keys, values, packing, window=window, softcap=softcap)
    if not prefix:
        return texts
    first = attend(queries[None, :prefix], keys[None, :prefix], values[None, :prefix], window=window, softcap=softcap)
    return torch.cat([first[0].flatten(1), texts])


def _rms_norm(rows: torch.Tensor, gain: torch.Tensor, epsilon: float) -> torch.Tensor:
    """RMSNorm (arXiv 1910.07467) over the last dimension."""
    return F.rms_norm(rows, rows.shape[-1:], None, epsilon) * gain


def _activate(rows: torch.Tensor, activation: Activation) -> torch.Tensor:
    match activation:
        case "silu":
            return F.silu(rows)
        case "gelu_tanh":
            return F.gelu(rows, approximate="tanh")
        case "gelu":
            return F.gelu(rows)


class _MergedLinear(torch.autograd.Function):
    """`rows @ merged.T + bias`, where the gradient goes to the rows and the factors, not to the merged weight."""

    @staticmethod
    def forward(
        ctx: Any,
        rows: torch.Tensor,
        merged: torch.Tensor,
        bias: torch.Tensor | None,
        down: torch.Tensor,
        up: torch.Tensor,
    ) -> torch.Tensor:
        ctx.save_for_backward(rows, merged, down, up)
        return F.linear(rows, merged, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        [gradient] = gradients
        rows, merged, down, up = ctx.saved_tensors
        of_rows = gradient @ merged if ctx.needs_input_grad[0] else None
        of_down = (gradient @ up.to(gradient.dtype)).T @ rows
        of_up = gradient.T @ (rows @ down.to(rows.dtype).T)
        return of_rows, None, None, of_down.float(), of_up.float()
