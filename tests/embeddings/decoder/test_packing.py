"""Packing texts end to end, and unpacking them again."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from echo_index.embeddings.decoder.packing import Packing, rows_of_spans

LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=12)
PREFIXES = st.integers(0, 20)


@given(lengths=LENGTHS, prefix=PREFIXES)
def test_positions_count_from_the_beginning_of_the_prefix(lengths: list[int], prefix: int) -> None:
    packing = Packing.of(lengths, prefix=prefix)
    assert packing.positions.tolist() == [prefix + step for length in lengths for step in range(length)]
    assert (packing.texts, packing.longest, packing.prefix) == (len(lengths), max(lengths), prefix)


@given(lengths=LENGTHS, prefix=PREFIXES)
def test_padded_rows_are_those_of_each_text_in_order(lengths: list[int], prefix: int) -> None:
    packing = Packing.of(lengths, prefix=prefix)
    queries = packing.padded_queries.view(len(lengths), max(lengths))
    keys = packing.padded_keys.view(len(lengths), prefix + max(lengths))
    start = 0
    for number, length in enumerate(lengths):
        own = list(range(start, start + length))
        assert queries[number, :length].tolist() == own
        assert keys[number, : prefix + length].tolist() == [*range(prefix), *(prefix + row for row in own)]
        start += length
    assert (int(packing.padded_queries.max()), int(packing.padded_keys.max())) == (start - 1, prefix + start - 1)


@given(lengths=LENGTHS, prefix=PREFIXES)
def test_unpadding_reverses_padding(lengths: list[int], prefix: int) -> None:
    packing = Packing.of(lengths, prefix=prefix)
    rows = torch.randn(sum(lengths), 3)
    assert torch.equal(rows[packing.padded_queries][packing.unpadded], rows)


@given(lengths=LENGTHS, prefix=PREFIXES, data=st.data())
def test_the_rows_of_spans_are_the_tokens_of_each_text(lengths: list[int], prefix: int, data: st.DataObject) -> None:
    spans = []
    for length in lengths:
        begin = data.draw(st.integers(0, length - 1))
        spans.append((prefix + begin, prefix + data.draw(st.integers(begin + 1, length))))
    packed = [(number, prefix + step) for number, length in enumerate(lengths) for step in range(length)]
    found = [packed[row] for row in rows_of_spans(lengths, spans, prefix=prefix).tolist()]
    assert found == [(number, token) for number, span in enumerate(spans) for token in range(*span)]
