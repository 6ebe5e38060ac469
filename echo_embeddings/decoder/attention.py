"""Causal attention over texts side by side, computed in blocks of queries."""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F

from echo_index.embeddings.decoder.packing import Packing

_BLOCK = 64
"""Queries per block: scores with keys right of a block are never computed, which halves the work of a long text."""


def attend(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, *, window: int | None, softcap: float | None
) -> torch.Tensor:
    """Return the causal attention of each query: (texts, tokens, heads, head_dim), in the format of the queries.

    Args:
        queries: (texts, tokens, heads, head_dim), already scaled.
        keys: (texts, earlier + tokens, key-value heads, head_dim), those of earlier tokens first.
        values: The same shape as `keys`.
        window: The most tokens that a query sees, itself included; None for all tokens up to itself.
        softcap: Scores are bounded to (-softcap, softcap) by tanh, as in Gemma 2; None for no bound.
    """
    texts, tokens, heads, head_dim = queries.shape
    group = heads // keys.shape[2]
    earlier = keys.shape[1] - tokens
    # (texts x key-value heads, …): queries that share a key-value head are rows of one matrix, token by token
    queries = queries.unflatten(2, (-1, group)).transpose(1, 2).flatten(2, 3).flatten(0, 1)
    keys = keys.permute(0, 2, 3, 1).flatten(0, 1)
    values = values.transpose(1, 2).flatten(0, 1)
    attended = torch.empty_like(queries)
    for start in range(0, tokens, _BLOCK):
        size = min(tokens - start, _BLOCK)
        first = 0 if window is None else max(0, earlier + start - window + 1)
        last = earlier + start + size
        rows = slice(start * group, (start + size) * group)
        scores = torch.bmm(queries[:, rows], keys[:, :, first:last])
        if softcap is not None:
            scores = scores.div_(softcap).tanh_() * softcap  # not in place: the gradient needs the output of tanh
        by_token = scores.unflatten(1, (size, group))
        if window is not None and last > window:
            by_token.add_(_causal_mask(size, last - first, window, scores.dtype, scores.device))
        elif size > 1:
            by_token[..., -size:].add_(_causal_mask(size, size, None, scores.dtype, scores.device))
        attended[:, rows] = torch.bmm(scores.softmax(dim=-1), values[:, first:last])
    return attended.view(texts, -1, tokens, group, head_dim).transpose(1, 2).flatten(2, 3)


def attend_fused(queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Return what `attend` does, without earlier tokens, window and softcap, in one kernel: for GPUs.

    On a CPU it takes longer than the blocks of `attend`.
    """
    group = queries.shape[2] // keys.shape[2]  # one key-value head for each head: not all kernels share them
    by_head = queries.transpose(1, 2)
    keys_by_head = keys.repeat_interleave(group, dim=2).transpose(1, 2)
    values_by_head = values.repeat_interleave(group, dim=2).transpose(1, 2)
    attended = F.scaled_dot_product_attention(by_head, keys_by_head, values_by_head, is_causal=True, scale=1.0)
    return attended.transpose(1, 2)


def attend_packed(
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    packing: Packing,
    *,
    window: int | None,
    softcap: float | None,
    fused: bool = False,
) -> torch.Tensor:
    """Return the attention of packed texts to their shared prefix and themselves: (tokens, heads x head_dim).

    `queries` (tokens, heads, head_dim) are without the prefix; `keys` and `values` (prefix + tokens, key-value heads,
    head_dim) begin with it. With `fused`, one kernel computes what it can.
    """
    padded_queries = queries.index_select(0, packing.padded_queries).unflatten(0, (packing.texts, -1))
    padded_keys = keys.index_select(0, packing.padded_keys).unflatten(0, (packing.texts, -1))
    padded_values = values.index_select(0, packing.padded_keys).unflatten(0, (packing.texts, -1))
    has_window = window is not None and packing.longest > window
    if fused and not (packing.prefix or has_window or softcap is not None):
        attended = attend_fused(padded_queries, padded_keys, padded_values)
    else:
        attended = attend(padded_queries, padded_keys, padded_values, window=window, softcap=softcap)
    return attended.flatten(0, 1).flatten(1).index_select(0, packing.unpadded)


@lru_cache(maxsize=256)
def _causal_mask(queries: int, keys: int, window: int | None, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Return (queries, 1, keys): 0 where a query sees a key, else -inf; the last query is at the last key."""
    positions = torch.arange(keys, device=device)
    distance = positions[keys - queries :, None] - positions[None, :]
    masked = (distance < 0) if window is None else (distance < 0) | (distance >= window)
    return torch.zeros(queries, keys, dtype=dtype, device=device).masked_fill_(masked, -torch.inf)[:, None, :]
