"""The native decoder: its layers run over packed texts, or over one text that grows token by token."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from echo_index.embeddings.decoder.attention import attend, attend_packed
from echo_index.embeddings.decoder.branching_cache import BranchingCache
from echo_index.embeddings.decoder.kv_cache import KVCache
from echo_index.embeddings.decoder.packing import Packing
from echo_index.embeddings.decoder.parameters import Parameters
from echo_index.embeddings.decoder.rotary import RotaryPhases, rotate_in_place
from echo_index.embeddings.runtime.malloc import retain_freed_memory

_Attention = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, int], torch.Tensor]
"""From queries, keys and values of the tokens of a pass, and the number of the layer, to (tokens, heads x head_dim)."""


class Decoder:
    """A decoder with these parameters. Thread-safe, but for the caches that it is given.

    It runs on the device of its parameters, where the states are that it returns; what it is given may be on the CPU.
    Hidden states are float32 in every precision. Layers count as in `hidden_states` of transformers: 0 is the
    embedding, the last is the state after the final normalization. The attention of packed texts is computed in
    `attention_dtype`, float32 or bfloat16; that of a text that grows token by token always in float32.
    """

    def __init__(self, parameters: Parameters, *, attention_dtype: torch.dtype = torch.float32) -> None:
        retain_freed_memory()
        self.attention_dtype = attention_dtype
        self.config = parameters.config
        self.parameters = parameters
        self.device = parameters.final_gain.device
        self._phases = RotaryPhases()

    def forward(
        self, ids: torch.Tensor, packing: Packing, *, prefix_cache: KVCache | None, rows: Mapping[int, torch.Tensor]
    ) -> dict[int, torch.Tensor]:
        """Run packed texts, and return the states of some rows at some layers: by layer, (len(rows), hidden).

        Args:
            ids: Token ids (tokens,) of the packed texts, without the prefix that they share.
            packing: How the texts are packed.
            prefix_cache: Keys and values of the shared prefix; None if there is no prefix.
            rows: By layer, the packed rows whose states are wanted. No layer above the last of these is run.
        """
        placed = packing.to(self.device)

        def attention(queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, number: int) -> torch.Tensor:
            return self._attend_packed(queries, keys, values, number, placed, prefix_cache)

        wanted = {layer: chosen.to(self.device) for layer, chosen in rows.items()}
        return self._run(ids.to(self.device), placed.positions, attention, wanted, end=packing.end)

    def extend(self, cache: KVCache, ids: Sequence[int], *, layer: int) -> torch.Tensor:
        """Append tokens to the text in `cache`, and return the state of the last of them at `layer`: (1, hidden)."""
        config = self.config

        def attention(queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, number: int) -> torch.Tensor:
            keys, values = cache.append(number, keys, values)
            window = config.layers[number].window
            attended = attend(queries[None], keys[None], values[None], window=window, softcap=config.attn_softcap)
            return attended[0].flatten(1)

        end = cache.tokens + len(ids)
        positions = torch.arange(cache.tokens, end, device=self.device)
        last = torch.tensor([len(ids) - 1], device=self.device)
        states = self._run(torch.tensor(ids, device=self.device), positions, attention, {layer: last}, end=end)
        cache.tokens += len(ids)
        return states[layer]

    def read_texts(self, cache: BranchingCache, texts: Sequence[Sequence[int]], *, first: int) -> None:
        """Read texts, as token ids, that go on from the prefix of `cache`, and keep their keys and values in it.

        `first` is the number of the first of them among the texts of the cache.
        """
        packing = Packing.of([len(text) for text in texts], prefix=cache.prefix.tokens)

        def attention(queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, number: int) -> torch.Tensor:
            cache.append_texts(number, first, keys, values, packing)
            return self._attend_packed(queries, keys, values, number, packing, cache.prefix)

        ids = torch.tensor([token for text in texts for token in text])
        any_row = torch.zeros(1, dtype=torch.int64)  # only keys and values are wanted
        self._run(ids, packing.positions, attention, {self.config.depth: any_row}, end=packing.end)

    def extend_branches(
        self, cache: BranchingCache, branches: torch.Tensor, ids: torch.Tensor, lengths: torch.Tensor
    ) -> torch.Tensor:
        """Append tokens to some branches of `cache`, and return the last states of each: (branches, hidden).

        Args:
            cache: Prefix, texts and branches so far.
            branches: The numbers of the branches.
            ids: Token ids (branches, longest); what is right of the length of a row is any token.
            lengths: The number of tokens that are appended to each branch (branches,), at least 1.
        """
        config = self.config
        count, longest = ids.shape
        masks = {
            window: cache.mask(branches, longest, window=window) for window in {kind.window for kind in config.layers}
        }

        def attention(queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, number: int) -> torch.Tensor:
            by_branch = (count, longest)
            cache.append(number, branches, keys.unflatten(0, by_branch), values.unflatten(0, by_branch))
            mask = masks[config.layers[number].window]
            attended = cache.attend(
                number, branches, queries.unflatten(0, by_branch), mask, softcap=config.attn_softcap
            )
            return attended.flatten(0, 1)

        first = cache.starts[branches] + cache.lengths[branches]
        positions = (first[:, None] + torch.arange(longest)).flatten()
        last = torch.arange(count) * longest + lengths - 1
        end = int(first.max()) + longest
        states = self._run(ids.flatten(), positions, attention, {config.depth: last}, end=end)
        cache.lengths[branches] += lengths
        return states[config.depth]

    def logits(self, states: torch.Tensor) -> torch.Tensor:
        """Return the logits of the next token (rows, vocabulary) from states (rows, hidden) of the last layer."""
        logits = self.parameters.logits(states)
        softcap = self.config.logits_softcap
        return logits if softcap is None else logits.div_(softcap).tanh_().mul_(softcap)

    def argmax_token(self, state: torch.Tensor, *, exclude: Sequence[int]) -> int:
        """Return the most likely next token that is not in `exclude`, from a state (1, hidden) of the last layer."""
        return self.parameters.argmax_token(state, exclude=exclude)

    def _attend_packed(
        self,
        queries: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        number: int,
        packing: Packing,
        prefix_cache: KVCache | None,
    ) -> torch.Tensor:
        if prefix_cache is not None and prefix_cache.tokens:
            prefix_keys, prefix_values = prefix_cache.of_layer(number)
            keys, values = torch.cat([prefix_keys, keys]), torch.cat([prefix_values, values])
        attended = attend_packed(
            queries.to(self.attention_dtype),
            keys.to(self.attention_dtype),
            values.to(self.attention_dtype),
            packing,
            window=self.config.layers[number].window,
            softcap=self.config.attn_softcap,
            fused=self.device.type != "cpu",
        )
        return attended.float()

    def _run(
        self,
        ids: torch.Tensor,
        positions: torch.Tensor,
        attention: _Attention,
        rows: Mapping[int, torch.Tensor],
        *,
        end: int,
    ) -> dict[int, torch.Tensor]:
        config, deepest = self.config, max(rows)
        kinds = {kind.rotary for kind in config.layers[:deepest]}
        phases = {rotary: self._phases.at(positions, rotary, end=end) for rotary in kinds}
        states = self.parameters.embed(ids) * config.embedding_scale
        wanted = {}
        for layer in range(1, deepest):
            states = self._run_layer(layer - 1, states, phases[config.layers[layer - 1].rotary], attention, None)
            if layer in rows:
                wanted[layer] = states.index_select(0, rows[layer])
        last_phases = phases[config.layers[deepest - 1].rotary]
        states = self._run_layer(deepest - 1, states, last_phases, attention, rows[deepest])
        wanted[deepest] = (
            _rms_norm(states, self.parameters.final_gain, config.epsilon) if deepest == config.depth else states
        )
        return wanted

    def _run_layer(
        self,
        number: int,
        states: torch.Tensor,
        phases: torch.Tensor,
        attention: _Attention,
        rows: torch.Tensor | None,
    ) -> torch.Tensor:
        """Run one layer; after its attention only for `rows`, if they are given."""
        config, layer = self.config, self.parameters.layer(number)
        epsilon, heads = config.epsilon, config.heads
        prepared = layer.queries_keys_values.prepare(_rms_norm(states, layer.before_attention, epsilon))
        projected = layer.queries_keys_values(prepared).unflatten(1, (-1, config.head_dim))
        queries_keys, values = projected.split([heads + config.key_value_heads, config.key_value_heads], dim=1)
        if layer.queries_keys_gain is not None:
            _rms_norm_in_place(queries_keys, layer.queries_keys_gain, epsilon)
        rotate_in_place(queries_keys, phases)
        attended = attention(queries_keys[:, :heads], queries_keys[:, heads:], values, number)
        if rows is not None:
            attended, states = attended.index_select(0, rows), states.index_select(0, rows)
        residual = layer.attention_out(layer.attention_out.prepare(attended))
        if layer.after_attention is not None:
            _rms_norm_in_place(residual, layer.after_attention, epsilon)
        states = states + residual
        prepared = layer.gate.prepare(_rms_norm(states, layer.before_feed_forward, epsilon))
        inner = layer.up.times(prepared, layer.gate.activated(prepared, config.activation))
        residual = layer.down(layer.down.prepare(inner))
        if layer.after_feed_forward is not None:
            _rms_norm_in_place(residual, layer.after_feed_forward, epsilon)
        return states.add_(residual)


def _rms_norm(rows: torch.Tensor, gain: torch.Tensor, epsilon: float) -> torch.Tensor:
    """RMSNorm (arXiv 1910.07467) over the last dimension."""
    return (rows * _inverse_rms(rows, epsilon)).mul_(gain)


def _rms_norm_in_place(rows: torch.Tensor, gain: torch.Tensor, epsilon: float) -> None:
    rows.mul_(_inverse_rms(rows, epsilon)).mul_(gain)


def _inverse_rms(rows: torch.Tensor, epsilon: float) -> torch.Tensor:
    norm: torch.Tensor = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
    return norm.square_().div_(rows.shape[-1]).add_(epsilon).rsqrt_()
