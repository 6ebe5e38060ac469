"""Causal attention of several texts side by side, block by block. Knows nothing of layers or weights."""

from __future__ import annotations

from functools import lru_cache

import torch

_BLOCK = 64
"""Queries that are taken together: keys behind them are not even multiplied, which halves the work of a long text."""


def attend(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, *, window: int | None, cap: float | None
) -> torch.Tensor:
    """Return (texts, tokens, heads, head_dim): each query's mean of the values that it may see, weighted by softmax.

    `queries` (texts, tokens, heads, head_dim) are scaled already; `keys` and `values` (texts, earlier + tokens,
    key-value heads, head_dim) begin with what stands before them. A query sees itself and what is left of it, no
    further back than `window` tokens, itself counted. Scores are bent into (-cap, cap) where there is a cap.
    """
    texts, tokens, heads, head_dim = queries.shape
    shared = heads // keys.shape[2]
    earlier = keys.shape[1] - tokens
    # (texts x key-value heads, …): the queries that share a key-value head stand in one matrix, token by token
    queries = queries.unflatten(2, (-1, shared)).transpose(1, 2).flatten(2, 3).flatten(0, 1)
    keys = keys.permute(0, 2, 3, 1).flatten(0, 1)
    values = values.transpose(1, 2).flatten(0, 1)
    attended = torch.empty_like(queries)
    for start in range(0, tokens, _BLOCK):
        size = min(tokens - start, _BLOCK)
        first = 0 if window is None else max(0, earlier + start - window + 1)
        last = earlier + start + size
        rows = slice(start * shared, (start + size) * shared)
        scores = torch.bmm(queries[:, rows], keys[:, :, first:last])
        if cap is not None:
            scores = scores.div_(cap).tanh_() * cap  # a gradient needs what tanh gave
        by_token = scores.unflatten(1, (size, shared))
        if window is not None and last > window:
            by_token.add_(_mask(size, last - first, window))
        elif size > 1:
            by_token[..., -size:].add_(_mask(size, size, None))
        attended[:, rows] = torch.bmm(scores.softmax(dim=-1), values[:, first:last])
    return attended.view(texts, -1, tokens, shared, head_dim).transpose(1, 2).flatten(2, 3)


@lru_cache(maxsize=256)
def _mask(queries: int, keys: int, window: int | None) -> torch.Tensor:
    """Return (queries, 1, keys): 0 where a query sees a key, -inf elsewhere; the last query is at the last key."""
    distance = torch.arange(keys - queries, keys)[:, None] - torch.arange(keys)[None, :]
    hidden = (distance < 0) if window is None else (distance < 0) | (distance >= window)
    return torch.zeros(queries, keys).masked_fill_(hidden, -torch.inf)[:, None, :]
