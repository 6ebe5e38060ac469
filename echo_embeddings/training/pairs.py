"""What is trained on: pairs of a query and what is right for it; some are kept to measure on. Knows no model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from echo_index.errors import TextError


@dataclass(frozen=True, slots=True)
class TrainingPair:
    """A query, what is right for it, what is wrong though it looks right, and where the pair comes from.

    `instruction` is the task in words, for the prompt of the query; None is that of the encoder.
    """

    query: str
    positive: str
    negatives: tuple[str, ...] = ()
    source: str = ""
    instruction: str | None = None


def group_by_instruction(pairs: Sequence[TrainingPair]) -> dict[str | None, list[int]]:
    """Return the positions of the pairs of each instruction."""
    positions: dict[str | None, list[int]] = {}
    for position, pair in enumerate(pairs):
        positions.setdefault(pair.instruction, []).append(position)
    return positions


def held_out_pairs(
    pairs: Sequence[TrainingPair], count: int, *, given: Sequence[TrainingPair] = ()
) -> tuple[list[TrainingPair], list[TrainingPair]]:
    """Return the pairs to measure on, and those to train on.

    Measured on is what was `given` for it, else about `count` pairs, of all sources alike but at most a fifth of each.
    A pair that says the same as one of these is not trained on.

    Raises:
        TextError: there are fewer than two to train on.
    """
    held_out = list(given) or _some_of_each_source(pairs, count)
    kept_apart = {(pair.query, pair.positive) for pair in held_out}
    others = [pair for pair in pairs if (pair.query, pair.positive) not in kept_apart]
    if len(others) < 2:
        raise TextError(f"{len(others)} of {len(pairs)} pairs are left to train on; tuning needs at least 2.")
    return held_out, others


def _some_of_each_source(pairs: Sequence[TrainingPair], count: int) -> list[TrainingPair]:
    by_source: dict[str, list[TrainingPair]] = {}
    for pair in pairs:
        by_source.setdefault(pair.source, []).append(pair)
    each = -(-count // len(by_source)) if by_source else 0
    return [pair for same in by_source.values() for pair in same[: min(each, len(same) // 5)]]


def false_negative_mask(pairs: Sequence[TrainingPair], documents: Sequence[str]) -> torch.Tensor:
    """Return (pairs, documents), bool: which documents are right for a query though they are not its own.

    They say the same as its own, or are the own of a query that says the same.
    """
    false_negatives = torch.zeros(len(pairs), len(documents), dtype=torch.bool)
    for row, pair in enumerate(pairs):
        same = {other.positive for other in pairs if other.query == pair.query} | {pair.positive}
        for column, document in enumerate(documents):
            false_negatives[row, column] = column != row and document in same
    return false_negatives
