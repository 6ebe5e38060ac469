"""Texts of different lengths end to end in one tensor, without padding, and where each stands. Knows no model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True, eq=False)
class Packing:
    """Where the tokens of several texts stand when they are laid end to end, after a prefix that all of them share.

    Attention alone needs texts side by side: `padded_queries` (texts, longest) and `padded_keys` (texts, prefix +
    longest) say which row stands where in that form; rows of the prefix come first in the second. `unpadded` (tokens)
    leads back. Positions count from the beginning of the prefix.
    """

    texts: int
    longest: int
    prefix: int
    positions: torch.Tensor
    padded_queries: torch.Tensor
    padded_keys: torch.Tensor
    unpadded: torch.Tensor

    @classmethod
    def of(cls, lengths: Sequence[int], *, prefix: int) -> Packing:
        """Lay texts of these lengths, the prefix not counted, end to end."""
        sizes = torch.tensor(lengths)
        starts = sizes.cumsum(0) - sizes
        longest = int(sizes.max())
        steps = torch.arange(longest)
        # What stands right of a text is never seen from it: any row will do there, here the text's last.
        queries = starts[:, None] + torch.minimum(steps[None, :], sizes[:, None] - 1)
        keys = torch.cat([torch.arange(prefix).expand(len(lengths), -1), queries + prefix], dim=1)
        inside = steps[None, :] < sizes[:, None]
        return cls(
            texts=len(lengths),
            longest=longest,
            prefix=prefix,
            positions=prefix + steps.expand(len(lengths), -1)[inside],
            padded_queries=queries.flatten(),
            padded_keys=keys.flatten(),
            unpadded=inside.flatten().nonzero().squeeze(1),
        )


def rows_of_spans(lengths: Sequence[int], spans: Sequence[tuple[int, int]], *, prefix: int) -> torch.Tensor:
    """Return which packed rows lie in the half-open span of each text, text by text; spans count with the prefix."""
    starts = [0]
    for length in lengths:
        starts.append(starts[-1] + length)
    pieces = [
        torch.arange(start + begin - prefix, start + end - prefix)
        for start, (begin, end) in zip(starts, spans, strict=False)
    ]
    return torch.cat(pieces)
