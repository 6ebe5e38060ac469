"""The layers of a decoder, run over packed texts or one text that grows. Knows token ids, not whence they come."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch

from echo_index.embeddings.decoder.attention import attend
from echo_index.embeddings.decoder.config import DecoderConfig, RotaryParameters
from echo_index.embeddings.decoder.int8_search import Int8ExactSearch
from echo_index.embeddings.decoder.linear import Linear, Precision, linear
from echo_index.embeddings.decoder.packing import Packing
from echo_index.embeddings.decoder.smoothquant import Smoothing
from echo_index.embeddings.decoder.weights import LayerWeights, Projection, Tensors, layer_weights
from echo_index.embeddings.runtime.malloc import retain_freed_memory

_Attend = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, int], torch.Tensor]
"""Queries, keys and values of the tokens at hand, and the number of the layer; returns (tokens, heads x head_dim)."""


@dataclass(frozen=True, eq=False)
class _Layer:
    """One layer's matrices in the precision at hand, and its gains."""

    before_attention: torch.Tensor
    queries_keys_values: Linear
    queries_keys_gain: torch.Tensor | None
    attention_out: Linear
    after_attention: torch.Tensor | None
    before_feed_forward: torch.Tensor
    gate: Linear
    up: Linear
    down: Linear
    after_feed_forward: torch.Tensor | None

    @classmethod
    def of(cls, weights: LayerWeights, make: Callable[[Projection], Linear]) -> _Layer:
        return cls(
            before_attention=weights.before_attention,
            queries_keys_values=make(weights.queries_keys_values),
            queries_keys_gain=weights.queries_keys_gain,
            attention_out=make(weights.attention_out),
            after_attention=weights.after_attention,
            before_feed_forward=weights.before_feed_forward,
            gate=make(weights.gate),
            up=make(weights.up),
            down=make(weights.down),
            after_feed_forward=weights.after_feed_forward,
        )


@dataclass(eq=False)
class KVCache:
    """Keys and values of what was read so far, layer by layer: what later tokens attend to.

    `keys` and `values` hold one tensor (tokens, key-value heads, head_dim) a layer, with room for more tokens behind
    the first `tokens`.
    """

    keys: list[torch.Tensor] = field(default_factory=list)
    values: list[torch.Tensor] = field(default_factory=list)
    tokens: int = 0

    def of_layer(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what layer `number` remembers: keys and values."""
        return self.keys[number][: self.tokens], self.values[number][: self.tokens]

    def append(self, number: int, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Write behind what layer `number` remembers; return all of it. `tokens` is raised when all layers have."""
        end = self.tokens + len(keys)
        if number == len(self.keys):
            self.keys.append(keys.new_empty(0, *keys.shape[1:]))
            self.values.append(values.new_empty(0, *values.shape[1:]))
        if end > len(self.keys[number]):
            self.keys[number] = _with_room(self.keys[number], 2 * end)
            self.values[number] = _with_room(self.values[number], 2 * end)
        self.keys[number][self.tokens : end] = keys
        self.values[number][self.tokens : end] = values
        return self.keys[number][:end], self.values[number][:end]


class Decoder:
    """A decoder's layers, on matrices that `make` gives, smoothed where there are scales. Passes take turns.

    Hidden states are float32 whatever the precision. Layers count as `hidden_states` does in transformers: 0 is the
    embedding, the last comes after the final normalization.
    """

    def __init__(
        self,
        tensors: Tensors,
        config: DecoderConfig,
        make: Callable[[Projection], Linear],
        *,
        smoothing: Sequence[Smoothing] = (),
    ) -> None:
        retain_freed_memory()
        self.config = config
        self._tensors = tensors
        self._make = make
        self._smoothing = smoothing
        self._layers: list[_Layer] = []
        self._table = tensors["embed_tokens.weight"]
        self._nearest_tokens: Int8ExactSearch | None = None
        self._norm = tensors["norm.weight"].float() + config.gain_offset
        self._turns: dict[RotaryParameters, torch.Tensor] = {}

    def forward(
        self, ids: torch.Tensor, packing: Packing, *, before: KVCache | None, rows: Mapping[int, torch.Tensor]
    ) -> dict[int, torch.Tensor]:
        """Return the states of some rows at some layers, both by the layer: (len(rows), hidden).

        `ids` (tokens) are the packed texts without the prefix that they share; `before` remembers the prefix.
        """
        shape = self.config

        def attend_side_by_side(
            queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, number: int
        ) -> torch.Tensor:
            if before is not None:
                remembered = before.of_layer(number)
                keys, values = torch.cat([remembered[0], keys]), torch.cat([remembered[1], values])
            attended = attend(
                queries.index_select(0, packing.padded_queries).unflatten(0, (packing.texts, -1)),
                keys.index_select(0, packing.padded_keys).unflatten(0, (packing.texts, -1)),
                values.index_select(0, packing.padded_keys).unflatten(0, (packing.texts, -1)),
                window=shape.layers[number].window,
                cap=shape.attn_softcap,
            )
            return attended.flatten(0, 1).flatten(1).index_select(0, packing.unpadded)

        return self._run(ids, packing.positions, attend_side_by_side, rows)

    def extend(self, cache: KVCache, ids: Sequence[int], *, layer: int) -> torch.Tensor:
        """Read on: add tokens to what is remembered and return the state of the last of them: (1, hidden)."""
        shape = self.config

        def attend_to_all_before(
            queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, number: int
        ) -> torch.Tensor:
            all_keys, all_values = cache.append(number, keys, values)
            attended = attend(
                queries[None],
                all_keys[None],
                all_values[None],
                window=shape.layers[number].window,
                cap=shape.attn_softcap,
            )
            return attended[0].flatten(1)

        positions = torch.arange(cache.tokens, cache.tokens + len(ids))
        last = torch.tensor([len(ids) - 1])
        states = self._run(torch.tensor(ids), positions, attend_to_all_before, {layer: last})
        cache.tokens += len(ids)
        return states[layer]

    def logits(self, states: torch.Tensor) -> torch.Tensor:
        """Return (rows, vocabulary): how likely each token comes next, from states of the last layer."""
        logits = linear(Projection(self._head, None), Precision.FP32)(states)
        cap = self.config.logits_softcap
        return logits if cap is None else logits.div_(cap).tanh_().mul_(cap)

    def argmax_token(self, state: torch.Tensor, *, exclude: Sequence[int]) -> int:
        """Return the token that most likely comes next, some left out, from a state (1, hidden) of the last layer."""
        if self._nearest_tokens is None:
            self._nearest_tokens = Int8ExactSearch(self._head.numpy())
        tokens, _ = self._nearest_tokens.search(state[0].numpy(), k=len({*exclude}) + 1)
        return next(int(token) for token in tokens if token not in exclude)

    @cached_property
    def _head(self) -> torch.Tensor:  # where texts are only embedded, it is never made
        return (self._table if self.config.tied_embeddings else self._tensors["lm_head.weight"]).float()

    def _run(
        self, ids: torch.Tensor, positions: torch.Tensor, attend_to: _Attend, rows: Mapping[int, torch.Tensor]
    ) -> dict[int, torch.Tensor]:
        shape, deepest = self.config, max(rows)
        turns = {kind.rotary: self._rotary_phases(kind.rotary, positions) for kind in shape.layers[:deepest]}
        states = self._table.index_select(0, ids).float() * shape.embedding_scale
        wanted = {}
        for layer in range(1, deepest):
            states = self._through(layer - 1, states, turns[shape.layers[layer - 1].rotary], attend_to, None)
            if layer in rows:
                wanted[layer] = states.index_select(0, rows[layer])
        phases = turns[shape.layers[deepest - 1].rotary]
        states = self._through(deepest - 1, states, phases, attend_to, rows[deepest])
        wanted[deepest] = _normalized(states, self._norm, shape.epsilon) if deepest == shape.depth else states
        return wanted

    def _through(
        self,
        number: int,
        states: torch.Tensor,
        phases: torch.Tensor,
        attend_to: _Attend,
        rows: torch.Tensor | None,
    ) -> torch.Tensor:
        """Run one layer; from its attention on only over `rows`, where they are given."""
        shape, layer = self.config, self._layer(number)
        epsilon, heads = shape.epsilon, shape.heads
        prepared = layer.queries_keys_values.prepare(_normalized(states, layer.before_attention, epsilon))
        projected = layer.queries_keys_values(prepared).unflatten(1, (-1, shape.head_dim))
        turning, values = projected.split([heads + shape.key_value_heads, shape.key_value_heads], dim=1)
        if layer.queries_keys_gain is not None:
            _normalize(turning, layer.queries_keys_gain, epsilon)
        torch.view_as_complex(turning.unflatten(2, (-1, 2))).mul_(phases)
        attended = attend_to(turning[:, :heads], turning[:, heads:], values, number)
        if rows is not None:
            attended, states = attended.index_select(0, rows), states.index_select(0, rows)
        added = layer.attention_out(layer.attention_out.prepare(attended))
        if layer.after_attention is not None:
            _normalize(added, layer.after_attention, epsilon)
        states = states + added
        prepared = layer.gate.prepare(_normalized(states, layer.before_feed_forward, epsilon))
        inner = layer.up.times(prepared, layer.gate.activated(prepared, shape.activation))
        added = layer.down(layer.down.prepare(inner))
        if layer.after_feed_forward is not None:
            _normalize(added, layer.after_feed_forward, epsilon)
        return states.add_(added)

    def _layer(self, number: int) -> _Layer:
        """Make layers ready as far as they are needed, when they are."""
        while len(self._layers) <= number:
            weights = layer_weights(self._tensors, self.config, len(self._layers))
            if self._smoothing:
                weights = self._smoothing[len(self._layers)].applied(weights)
            self._layers.append(_Layer.of(weights, self._make))
        return self._layers[number]

    def _rotary_phases(self, rotary: RotaryParameters, positions: torch.Tensor) -> torch.Tensor:
        """Return complex (tokens, 1, head_dim / 2): the turn of each pair at each position."""
        known = self._turns.get(rotary)
        if known is None or len(known) <= int(positions.max()):
            length = 2 * (int(positions.max()) + 1)
            angles = torch.arange(length)[:, None].float() * torch.tensor(rotary.frequencies)
            known = self._turns[rotary] = torch.polar(torch.full_like(angles, rotary.scale), angles)
        return known.index_select(0, positions).unsqueeze(1)


def _normalized(rows: torch.Tensor, gain: torch.Tensor, epsilon: float) -> torch.Tensor:
    """RMSNorm (arXiv 1910.07467) over the last dimension."""
    return (rows * _inverse_size(rows, epsilon)).mul_(gain)


def _normalize(rows: torch.Tensor, gain: torch.Tensor, epsilon: float) -> None:
    """RMSNorm in place."""
    rows.mul_(_inverse_size(rows, epsilon)).mul_(gain)


def _inverse_size(rows: torch.Tensor, epsilon: float) -> torch.Tensor:
    size: torch.Tensor = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
    return size.square_().div_(rows.shape[-1]).add_(epsilon).rsqrt_()


def _with_room(tensor: torch.Tensor, size: int) -> torch.Tensor:
    larger = tensor.new_empty(size, *tensor.shape[1:])
    larger[: len(tensor)] = tensor
    return larger
