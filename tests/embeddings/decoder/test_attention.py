"""Attention in blocks equals dense attention, at every boundary of a block and of a window."""

from __future__ import annotations

import pytest
import torch

from echo_index.embeddings.decoder import attention
from echo_index.embeddings.decoder.attention import attend, attend_fused, attend_packed
from echo_index.embeddings.decoder.packing import Packing

TOKENS = [1, 2, 63, 64, 65, 128, 129, 200]
Tensors = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def dense(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, *, window: int | None, softcap: float | None
) -> torch.Tensor:
    """Return dense attention in float64: every query times every key."""
    shared = queries.shape[2] // keys.shape[2]
    keys, values = (each.double().repeat_interleave(shared, dim=2) for each in (keys, values))
    scores = torch.einsum("tqhd,tkhd->thqk", queries.double(), keys)
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    distance = torch.arange(keys.shape[1] - queries.shape[1], keys.shape[1])[:, None] - torch.arange(keys.shape[1])
    seen = distance >= 0 if window is None else (distance >= 0) & (distance < window)
    return torch.einsum("thqk,tkhd->tqhd", scores.masked_fill(~seen, -torch.inf).softmax(dim=-1), values).float()


def drawn(tokens: int, *, earlier: int = 0, heads: int = 4, key_value_heads: int = 2, texts: int = 2) -> Tensors:
    generator = torch.Generator().manual_seed(tokens)
    return (
        torch.randn(texts, tokens, heads, 8, generator=generator),
        torch.randn(texts, earlier + tokens, key_value_heads, 8, generator=generator),
        torch.randn(texts, earlier + tokens, key_value_heads, 8, generator=generator),
    )


@pytest.mark.parametrize("softcap", [None, 1.5])
@pytest.mark.parametrize("window", [None, 1, 8, 63, 64, 65, 100, 1000])
@pytest.mark.parametrize("earlier", [0, 1, 70])
def test_attend_equals_dense_attention(earlier: int, window: int | None, softcap: float | None) -> None:
    for tokens in TOKENS:
        queries, keys, values = drawn(tokens, earlier=earlier)
        found = attend(queries, keys, values, window=window, softcap=softcap)
        assert found.shape == queries.shape
        assert torch.allclose(found, dense(queries, keys, values, window=window, softcap=softcap), atol=1e-5), tokens


@pytest.mark.parametrize(("heads", "key_value_heads"), [(1, 1), (4, 4), (4, 1), (6, 2), (6, 3)])
@pytest.mark.parametrize("window", [None, 20])
def test_query_heads_can_share_keys_and_values(heads: int, key_value_heads: int, window: int | None) -> None:
    queries, keys, values = drawn(100, earlier=5, heads=heads, key_value_heads=key_value_heads, texts=3)
    found = attend(queries, keys, values, window=window, softcap=None)
    assert torch.allclose(found, dense(queries, keys, values, window=window, softcap=None), atol=1e-5)


@pytest.mark.parametrize("window", [None, 20])
def test_bfloat16_gives_nearly_the_same(window: int | None) -> None:
    exact = drawn(100, earlier=5)
    queries, keys, values = (tensor.bfloat16() for tensor in exact)
    found = attend(queries, keys, values, window=window, softcap=None)
    assert found.dtype is torch.bfloat16
    expected = dense(*exact, window=window, softcap=None).flatten(2)
    assert torch.nn.functional.cosine_similarity(found.float().flatten(2), expected, dim=2).min() > 0.999


def test_token_by_token_equals_all_at_once() -> None:
    queries, keys, values = drawn(130, texts=1)
    for window in (None, 50):
        at_once = attend(queries, keys, values, window=window, softcap=None)
        for number in range(130):
            seen = slice(None, number + 1)
            alone = attend(queries[:, number : number + 1], keys[:, seen], values[:, seen], window=window, softcap=None)
            assert torch.allclose(alone, at_once[:, number : number + 1], atol=1e-5)


def test_masked_keys_and_values_have_no_effect() -> None:
    queries, keys, values = drawn(130)
    expected = attend(queries, keys, values, window=40, softcap=None)
    keys[:, 100:] = 1e4
    values[:, 100:] = 1e4
    assert torch.equal(attend(queries, keys, values, window=40, softcap=None)[:, :100], expected[:, :100])
    keys[:, :20] = 1e4
    values[:, :20] = 1e4
    assert torch.equal(attend(queries, keys, values, window=40, softcap=None)[:, 60:100], expected[:, 60:100])


def test_large_scores_do_not_overflow_and_inputs_are_not_modified() -> None:
    given = drawn(70)
    queries, keys, values = (tensor.clone() for tensor in given)
    assert attend(queries * 1e4, keys, values, window=None, softcap=None).isfinite().all()
    attend(queries, keys, values, window=9, softcap=2.0)
    assert all(torch.equal(now, before) for now, before in zip((queries, keys, values), given, strict=True))


@pytest.mark.parametrize(("heads", "key_value_heads"), [(1, 1), (4, 4), (4, 1), (6, 2)])
def test_the_kernel_of_gpus_gives_the_same(heads: int, key_value_heads: int) -> None:
    for tokens in TOKENS:
        queries, keys, values = drawn(tokens, heads=heads, key_value_heads=key_value_heads)
        expected = dense(queries, keys, values, window=None, softcap=None)
        assert torch.allclose(attend_fused(queries, keys, values), expected, atol=1e-5), tokens


@pytest.mark.parametrize("prefix", [0, 3])
@pytest.mark.parametrize("window", [None, 20, 40])
@pytest.mark.parametrize("softcap", [None, 1.5])
def test_one_kernel_takes_what_it_can_and_blocks_the_rest(
    prefix: int, window: int | None, softcap: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    fused: list[int] = []

    def counted(*rows: torch.Tensor) -> torch.Tensor:
        fused.append(len(rows))
        return attend_fused(*rows)

    monkeypatch.setattr(attention, "attend_fused", counted)
    packing = Packing.of([30, 7, 1], prefix=prefix)
    generator = torch.Generator().manual_seed(0)
    queries = torch.randn(38, 4, 8, generator=generator)
    keys, values = (torch.randn(prefix + 38, 2, 8, generator=generator) for _ in range(2))
    found, expected = (
        attend_packed(queries, keys, values, packing, window=window, softcap=softcap, fused=is_fused)
        for is_fused in (True, False)
    )
    assert torch.allclose(found, expected, atol=1e-5)
    assert bool(fused) == (prefix == 0 and window != 20 and softcap is None)
