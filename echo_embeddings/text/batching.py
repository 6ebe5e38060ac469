"""Group texts of similar length into batches under a token budget."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def batches_by_length(lengths: Sequence[int], *, token_budget: int) -> Iterator[list[int]]:
    """Yield batches as lists of positions in `lengths`, longest texts first, with rows x longest row <= `token_budget`.

    A text longer than the budget gets a batch of its own. Every position appears exactly once.
    """
    batch: list[int] = []
    for position in sorted(range(len(lengths)), key=lambda position: -lengths[position]):
        if batch and (len(batch) + 1) * lengths[batch[0]] > token_budget:
            yield batch
            batch = []
        batch.append(position)
    if batch:
        yield batch
