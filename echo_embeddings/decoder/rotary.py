"""Rotary position embedding (RoPE, arXiv 2104.09864): the phases of each position, and heads rotated by them."""

from __future__ import annotations

import torch

from echo_index.embeddings.decoder.config import RotaryParameters


class RotaryPhases:
    """The rotary phases of positions, computed once for each set of parameters and grown as texts get longer."""

    def __init__(self) -> None:
        self._tables: dict[RotaryParameters, torch.Tensor] = {}

    def at(self, positions: torch.Tensor, rotary: RotaryParameters, *, end: int) -> torch.Tensor:
        """Return the phases at `positions` (tokens,), all below `end`: complex64 (tokens, 1, head_dim / 2).

        All calls have positions on one device. They are not looked at, which would wait for a GPU.
        """
        table = self._tables.get(rotary)
        if table is None or len(table) < end:
            angles = torch.arange(2 * end)[:, None].float() * torch.tensor(rotary.frequencies)
            phases = torch.polar(torch.full_like(angles, rotary.scale), angles)
            table = self._tables[rotary] = phases.to(positions.device)
        return table.index_select(0, positions).unsqueeze(1)


def rotate(heads: torch.Tensor, phases: torch.Tensor) -> torch.Tensor:
    """Return heads (tokens, heads, head_dim) rotated by their phases; adjacent channels form a pair."""
    pairs = torch.view_as_complex(heads.unflatten(2, (-1, 2)))
    return torch.view_as_real(pairs * phases).flatten(2)


def rotate_in_place(heads: torch.Tensor, phases: torch.Tensor) -> None:
    """Rotate heads as `rotate` does, overwriting them; not for tensors that need a gradient."""
    torch.view_as_complex(heads.unflatten(2, (-1, 2))).mul_(phases)
