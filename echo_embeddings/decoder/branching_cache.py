"""The keys and values of texts that begin alike, and of the branches in which they go on."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F

from echo_index.embeddings.decoder.kv_cache import KVCache
from echo_index.embeddings.decoder.packing import Packing

_ROOM = 16
"""Tokens by which the room for branches grows."""


@dataclass(eq=False)
class BranchingCache:
    """The keys and values of a prefix, of texts that go on from it, and of as many branches of each text, by layer.

    All texts share the prefix, and all branches of a text share the text: each is read, and kept, once. Branches are
    numbered text by text; `lengths` (texts x branches,) counts the tokens of each.

    Keys and values are kept as they are multiplied, keys transposed. In each layer, those of the prefix are (key-value
    heads, head_dim, tokens) and (key-value heads, tokens, head_dim). Those of the texts have another dimension before
    these, the texts, and as many tokens as the longest; those of the branches have the branches, and room for tokens.
    """

    prefix: KVCache
    text_lengths: torch.Tensor
    branches: int
    lengths: torch.Tensor = field(init=False)
    _layers: list[_LayerTensors] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin each branch without tokens."""
        self.lengths = torch.zeros(len(self.text_lengths) * self.branches, dtype=torch.int64)

    @property
    def starts(self) -> torch.Tensor:
        """The position of the first token of each branch (texts x branches,), counted from the prefix's first."""
        return (self.prefix.tokens + self.text_lengths).repeat_interleave(self.branches)

    def append_texts(self, number: int, first: int, keys: torch.Tensor, values: torch.Tensor, packing: Packing) -> None:
        """Keep the keys and values (tokens, key-value heads, head_dim) of some packed texts, from text `first` on."""
        if number == len(self._layers):
            self._layers.append(self._empty_layer(number, keys))
        layer = self._layers[number]
        text_keys, text_values = (
            rows.index_select(0, packing.padded_queries).unflatten(0, (packing.texts, -1)) for rows in (keys, values)
        )
        texts, steps = slice(first, first + packing.texts), slice(packing.longest)
        layer.text_keys[texts, :, :, steps] = text_keys.permute(0, 2, 3, 1)
        layer.text_values[texts, :, steps] = text_values.transpose(1, 2)

    def _empty_layer(self, number: int, keys: torch.Tensor) -> _LayerTensors:
        prefix_keys, prefix_values = self.prefix.of_layer(number) if self.prefix.tokens else (keys[:0], keys[:0])
        heads, head_dim = keys.shape[1:]
        texts, longest, branches = len(self.text_lengths), int(self.text_lengths.max()), len(self.lengths)
        return _LayerTensors(
            prefix_keys=prefix_keys.permute(1, 2, 0).contiguous(),
            prefix_values=prefix_values.transpose(0, 1).contiguous(),
            text_keys=keys.new_zeros(texts, heads, head_dim, longest),
            text_values=keys.new_zeros(texts, heads, longest, head_dim),
            keys=keys.new_zeros(branches, heads, head_dim, 0),
            values=keys.new_zeros(branches, heads, 0, head_dim),
        )

    def append(self, number: int, branches: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Write keys and values (branches, tokens, key-value heads, head_dim) behind those of some branches.

        The caller raises `lengths` once it has written to every layer. What is beyond them is written over later.
        """
        layer, tokens = self._layers[number], keys.shape[1]
        missing = int(self.lengths.max()) + tokens - layer.keys.shape[3]
        if missing > 0:
            layer.keys = F.pad(layer.keys, (0, missing + _ROOM))
            layer.values = F.pad(layer.values, (0, 0, 0, missing + _ROOM))
        rows, slots = branches[:, None], self.lengths[branches][:, None] + torch.arange(tokens)
        layer.keys[rows, :, :, slots] = keys
        layer.values[rows, :, slots] = values

    def attend(
        self, number: int, branches: torch.Tensor, queries: torch.Tensor, mask: torch.Tensor, *, softcap: float | None
    ) -> torch.Tensor:
        """Return the causal attention of the last tokens of some branches: (branches, tokens, heads x head_dim).

        `queries` (branches, tokens, heads, head_dim) are already scaled; their keys and values are written already.
        `mask` is that of the layer's window.
        """
        layer = self._layers[number]
        tokens, group = queries.shape[1], queries.shape[2] // layer.keys.shape[1]
        # (branches, key-value heads, tokens x group, head_dim): queries that share a head are rows of one matrix
        by_head = queries.unflatten(2, (-1, group)).permute(0, 2, 1, 3, 4).flatten(2, 3)
        parts = [
            _by_prefix(by_head, layer.prefix_keys),
            self._by_text(by_head, branches, layer.text_keys),
            by_head @ layer.keys[branches],
        ]
        scores = torch.cat(parts, dim=-1)
        if softcap is not None:
            scores = scores.div_(softcap).tanh_().mul_(softcap)
        scores.unflatten(2, (tokens, group)).add_(mask[:, None, :, None])
        on_prefix, on_text, on_branch = scores.softmax(dim=-1).split([part.shape[-1] for part in parts], dim=-1)
        attended = _by_prefix(on_prefix, layer.prefix_values)
        attended += self._by_text(on_text, branches, layer.text_values)
        attended += on_branch @ layer.values[branches]
        rows: torch.Tensor = attended.unflatten(2, (tokens, group)).permute(0, 2, 1, 3, 4).flatten(2)
        return rows

    def mask(self, branches: torch.Tensor, tokens: int, *, window: int | None) -> torch.Tensor:
        """Return what the next tokens of some branches do not see: (branches, tokens, keys), 0 or -inf.

        The keys are those of the prefix, of the longest text, and of the branches with the room that they will have.
        """
        longest, end = int(self.text_lengths.max()), int(self.lengths.max()) + tokens
        room = self._layers[0].keys.shape[3]
        capacity = room if end <= room else end + _ROOM
        starts, sizes = self.starts[branches], self.text_lengths[branches // self.branches]
        steps = torch.arange(longest)
        never = torch.iinfo(torch.int64).max // 2  # the padding of a short text
        positions = torch.cat(
            [
                torch.arange(self.prefix.tokens).expand(len(branches), -1),
                torch.where(steps < sizes[:, None], self.prefix.tokens + steps, never),
                starts[:, None] + torch.arange(capacity),
            ],
            dim=1,
        )
        queries = (starts + self.lengths[branches])[:, None] + torch.arange(tokens)
        distance = queries[:, :, None] - positions[:, None, :]
        hidden = distance < 0 if window is None else (distance < 0) | (distance >= window)
        return torch.zeros(hidden.shape).masked_fill_(hidden, -torch.inf)

    def _by_text(self, left: torch.Tensor, branches: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """Multiply (branches, heads, m, n) with the matrices of their texts (texts, heads, n, o).

        All branches of a text are multiplied at once, also those that are not wanted: no matrix is copied.
        """
        everything = left.new_zeros(len(self.lengths), *left.shape[1:])
        everything[branches] = left
        texts = everything.unflatten(0, (-1, self.branches)).transpose(1, 2)  # (texts, heads, branches, m, n)
        products: torch.Tensor = (texts.flatten(2, 3) @ right).unflatten(2, (self.branches, -1)).transpose(1, 2)
        return products.flatten(0, 1)[branches]


@dataclass(eq=False)
class _LayerTensors:
    """The keys and values of one layer, in the shapes of `BranchingCache`."""

    prefix_keys: torch.Tensor
    prefix_values: torch.Tensor
    text_keys: torch.Tensor
    text_values: torch.Tensor
    keys: torch.Tensor
    values: torch.Tensor


def _by_prefix(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Multiply (branches, heads, m, n) with a matrix that all branches share (heads, n, o)."""
    products: torch.Tensor = (left.transpose(0, 1).flatten(1, 2) @ right).unflatten(1, (len(left), -1))
    return products.transpose(0, 1)
