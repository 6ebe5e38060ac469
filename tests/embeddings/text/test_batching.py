"""Batches contain every text once, longest first, and never more tokens than the budget."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from echo_index.embeddings.text.batching import batches_by_length

LENGTHS = st.lists(st.integers(1, 300), max_size=60)
BUDGETS = st.integers(1, 1000)


@given(lengths=LENGTHS, budget=BUDGETS)
def test_every_position_appears_exactly_once(lengths: list[int], budget: int) -> None:
    batches = list(batches_by_length(lengths, token_budget=budget))
    assert sorted(position for batch in batches for position in batch) == list(range(len(lengths)))
    assert all(batches)


@given(lengths=LENGTHS, budget=BUDGETS)
def test_a_padded_batch_stays_within_the_budget_or_is_one_text(lengths: list[int], budget: int) -> None:
    for batch in batches_by_length(lengths, token_budget=budget):
        assert len(batch) == 1 or len(batch) * max(lengths[position] for position in batch) <= budget


@given(lengths=LENGTHS, budget=BUDGETS)
def test_the_longest_come_first(lengths: list[int], budget: int) -> None:
    order = [lengths[position] for batch in batches_by_length(lengths, token_budget=budget) for position in batch]
    assert order == sorted(lengths, reverse=True)


@given(lengths=LENGTHS, budget=BUDGETS)
def test_no_batch_could_have_taken_the_next_text(lengths: list[int], budget: int) -> None:
    batches = list(batches_by_length(lengths, token_budget=budget))
    for batch in batches[:-1]:
        assert (len(batch) + 1) * lengths[batch[0]] > budget


def test_a_text_longer_than_the_budget_goes_alone() -> None:
    assert list(batches_by_length([3, 500, 4], token_budget=10)) == [[1], [2, 0]]


def test_texts_of_one_length_keep_their_order() -> None:
    assert list(batches_by_length([5, 5, 5], token_budget=100)) == [[0, 1, 2]]
