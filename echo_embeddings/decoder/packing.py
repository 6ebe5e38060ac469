"""Texts of different lengths packed end to end in one tensor, without padding, after a prefix that they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from echo_index.embeddings.text.prompt_tokens import EchoTokens

Span = tuple[int, int]
"""A half-open range of token positions in one text."""
SpansAt = tuple[int, Sequence[Span]]
"""A layer, and for each text of a batch the span whose hidden states are wanted there."""


@dataclass(frozen=True, eq=False)
class Packing:
    """The positions of several texts that are laid end to end, after a prefix that all of them share.

    Only attention needs the texts side by side. `padded_queries` (texts x longest,) and `padded_keys` (texts x (prefix
    + longest),) are the packed rows in that order, with the rows of the prefix before those of each text in the second.
    `unpadded` (tokens,) selects the packed order again. `positions` (tokens,) count from the beginning of the prefix.
    """

    texts: int
    longest: int
    prefix: int
    positions: torch.Tensor
    padded_queries: torch.Tensor
    padded_keys: torch.Tensor
    unpadded: torch.Tensor

    @property
    def end(self) -> int:
        """The number of positions, those of the prefix included."""
        return self.prefix + self.longest

    def to(self, device: torch.device) -> Packing:
        """Return the same packing with its tensors on a device."""
        return replace(
            self,
            positions=self.positions.to(device),
            padded_queries=self.padded_queries.to(device),
            padded_keys=self.padded_keys.to(device),
            unpadded=self.unpadded.to(device),
        )

    @classmethod
    def of(cls, lengths: Sequence[int], *, prefix: int) -> Packing:
        """Lay texts of these lengths, without the `prefix` tokens that they share, end to end."""
        sizes = torch.tensor(lengths)
        starts = sizes.cumsum(0) - sizes
        longest = int(sizes.max())
        steps = torch.arange(longest)
        # No token sees what is right of its text, so any row can pad it: here the text's last.
        queries = starts[:, None] + torch.minimum(steps[None, :], sizes[:, None] - 1)
        keys = torch.cat([torch.arange(prefix).expand(len(lengths), -1), queries + prefix], dim=1)
        is_token = steps[None, :] < sizes[:, None]
        return cls(
            texts=len(lengths),
            longest=longest,
            prefix=prefix,
            positions=prefix + steps.expand(len(lengths), -1)[is_token],
            padded_queries=queries.flatten(),
            padded_keys=keys.flatten(),
            unpadded=is_token.flatten().nonzero().squeeze(1),
        )


@dataclass(frozen=True, eq=False)
class PackedBatch:
    """The token ids of a batch, packed: the shared prefix once, and the texts without it end to end.

    `prefix` is empty where the texts do not begin with the same tokens of their prompt. `ids` (tokens,) are int64.
    """

    prefix: tuple[int, ...]
    ids: torch.Tensor
    lengths: Sequence[int]
    packing: Packing

    @classmethod
    def of(cls, batch: Sequence[EchoTokens], *, share_prefix: bool = True) -> PackedBatch:
        """Pack a batch of prompts; without `share_prefix`, each text has all of its prompt."""
        prefix = batch[0].ids[: batch[0].fixed if share_prefix else 0]
        if any(tokens.ids[: len(prefix)] != prefix for tokens in batch):
            prefix = ()
        lengths = [len(tokens) - len(prefix) for tokens in batch]
        ids = torch.tensor([token for tokens in batch for token in tokens.ids[len(prefix) :]])
        return cls(prefix, ids, lengths, Packing.of(lengths, prefix=len(prefix)))

    def rows(self, wanted: Sequence[SpansAt]) -> dict[int, torch.Tensor]:
        """Return for each layer the packed rows of its spans, in the order of `wanted`."""
        rows: dict[int, list[torch.Tensor]] = {}
        for layer, spans in wanted:
            rows.setdefault(layer, []).append(rows_of_spans(self.lengths, spans, prefix=len(self.prefix)))
        return {layer: torch.cat(parts) for layer, parts in rows.items()}


def split_by_request(states: Mapping[int, torch.Tensor], wanted: Sequence[SpansAt]) -> list[torch.Tensor]:
    """Return for each of `wanted` its part of the states (rows, hidden) of `PackedBatch.rows`, given by layer."""
    sizes: dict[int, list[int]] = {}
    for layer, spans in wanted:
        sizes.setdefault(layer, []).append(sum(end - start for start, end in spans))
    parts = {layer: iter(states[layer].split(counts)) for layer, counts in sizes.items()}
    return [next(parts[layer]) for layer, _ in wanted]


def rows_of_spans(lengths: Sequence[int], spans: Sequence[Span], *, prefix: int) -> torch.Tensor:
    """Return the packed rows of the span of each text, text by text; spans count from the beginning of the prefix."""
    starts = [0]
    for length in lengths:
        starts.append(starts[-1] + length)
    pieces = [
        torch.arange(start + begin - prefix, start + end - prefix)
        for start, (begin, end) in zip(starts, spans, strict=False)
    ]
    return torch.cat(pieces)
