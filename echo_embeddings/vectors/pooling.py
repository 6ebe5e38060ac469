"""Hidden states of spans of tokens to unit vectors. Knows nothing of models or prompts."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import torch


class Pooling(str, Enum):
    """How the hidden states of the second copy become one vector (arXiv 2402.15449, section 3)."""

    MEAN = "mean"
    """The mean over the span: what works zero-shot."""
    LAST = "last"
    """The last token of the span: as good as the mean after fine-tuning, useless before."""


def pool(states: torch.Tensor, lengths: Sequence[int], pooling: Pooling) -> torch.Tensor:
    """Pool `states` (tokens, dimension), spans of these lengths end to end; return float32 (spans, dimension), unit."""
    sizes = torch.tensor(lengths, device=states.device)
    if pooling is Pooling.LAST:
        pooled = states[sizes.cumsum(0) - 1].float()
    else:
        pooled = torch.segment_reduce(states.float(), "mean", lengths=sizes)
    return torch.nn.functional.normalize(pooled, dim=-1)
