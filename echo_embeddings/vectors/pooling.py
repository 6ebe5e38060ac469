"""Pool the hidden states of token spans into unit vectors."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


class Pooling(str, Enum):
    """A pooling strategy (arXiv 2402.15449, section 3)."""

    MEAN = "mean"
    """The mean over the span: for models without fine-tuning."""
    LAST = "last"
    """The last token of the span: as good as the mean after fine-tuning, useless before it."""


def pool(states: torch.Tensor, lengths: Sequence[int], pooling: Pooling) -> torch.Tensor:
    """Pool consecutive spans of these lengths of `states` (tokens, dimension): float32 (spans, dimension), unit rows.

    Implements the poolings of "Repetition Improves Language Model Embeddings" (arXiv 2402.15449).
    """
    import torch  # not at the top: profiles, which name poolings, are read without it

    sizes = torch.tensor(lengths, device=states.device)
    if pooling is Pooling.LAST:
        pooled = states[sizes.cumsum(0) - 1].float()
    else:
        pooled = torch.segment_reduce(states.float(), "mean", lengths=sizes)
    return torch.nn.functional.normalize(pooled, dim=-1)
