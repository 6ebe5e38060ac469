"""The low-rank change that a LoRA adapter (arXiv 2106.09685) makes to one matrix."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, eq=False)
class LoraDelta:
    """What a LoRA adapter adds to a matrix (out, in): `scale * up @ down`, `down` (rank, in) and `up` (out, rank)."""

    down: torch.Tensor
    up: torch.Tensor
    scale: float

    @property
    def shape(self) -> tuple[int, int]:
        """The shape (out, in) of the matrix."""
        return self.up.shape[0], self.down.shape[1]
