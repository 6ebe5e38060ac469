"""Hidden states of a span of tokens to one unit vector. Knows nothing of models or prompts."""

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


def pool(hidden: torch.Tensor, spans: Sequence[tuple[int, int]], pooling: Pooling) -> torch.Tensor:
    """Pool `hidden` (n, tokens, dimension) over one half-open span a row; return float32 (n, dimension), unit rows."""
    starts, ends = torch.tensor(spans, device=hidden.device).unbind(dim=1)
    if pooling is Pooling.LAST:
        pooled = hidden[torch.arange(len(spans), device=hidden.device), ends - 1].float()
    else:
        positions = torch.arange(hidden.shape[1], device=hidden.device)
        inside = (positions >= starts[:, None]) & (positions < ends[:, None])
        total = torch.einsum("nt,ntd->nd", inside.float(), hidden.float())
        pooled = total / (ends - starts)[:, None]
    return torch.nn.functional.normalize(pooled, dim=-1)
