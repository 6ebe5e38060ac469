"""What is trained on: pairs of a query and what is right for it, and which of them make a batch. Knows no model."""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch

from echo_embeddings.errors import TextError
from echo_embeddings.tuning.groups import groups_of_alike

_POOL = 16  # batches that are drawn together and sorted by length, so that texts of a batch are about as long
_BALANCE = 0.5  # a source is drawn in proportion to its size to this power: small ones count for more than their share


@dataclass(frozen=True, slots=True)
class TrainingPair:
    """A query, what is right for it, what is wrong though it looks right, and where the pair comes from."""

    query: str
    positive: str
    negatives: tuple[str, ...] = ()
    source: str = ""


def training_batches(pairs: Sequence[TrainingPair], *, size: int, seed: int, alike: int = 1) -> Iterator[list[int]]:
    """Yield positions into `pairs`, batch after batch without end: always the same ones for the same arguments.

    A batch is of one source, where telling right from wrong is hardest, and its pairs are about as long; they come in
    groups of up to `alike` that share rare words, so that each has some near it that is wrong. Each source is gone
    through in a new order each time; a source smaller than a batch makes batches of all it has.
    """
    by_source: dict[str, list[int]] = {}
    for position, pair in enumerate(pairs):
        by_source.setdefault(pair.source, []).append(position)
    chance = random.Random(seed)
    weights = [math.pow(len(positions), _BALANCE) for positions in by_source.values()]
    sources = [
        _rounds(pairs, positions, size=size, alike=alike, chance=random.Random(f"{seed} {source}"))
        for source, positions in by_source.items()
    ]
    while True:
        [source] = chance.choices(sources, weights)
        yield next(source)


def _rounds(
    pairs: Sequence[TrainingPair], positions: Sequence[int], *, size: int, alike: int, chance: random.Random
) -> Iterator[list[int]]:
    same = [pairs[position] for position in positions]
    left: list[list[int]] = []
    while True:
        while sum(map(len, left)) < size * _POOL:
            left += groups_of_alike(same, most=alike, chance=chance)
            if len(same) < size:
                break
        count = bisect_left([*accumulate(map(len, left))], size * _POOL) + 1
        pool, left = left[:count], left[count:]
        pool.sort(key=lambda group: sum(_length(same[place]) for place in group) / len(group))
        drawn = [place for group in pool for place in group]
        if len(drawn) > size and len(drawn) % size:  # too few for a batch: with the next ones
            whole = len(drawn) // size * size
            left.insert(0, drawn[whole:])
            del drawn[whole:]
        batches = [[positions[place] for place in drawn[start : start + size]] for start in range(0, len(drawn), size)]
        chance.shuffle(batches)
        yield from batches


def _length(pair: TrainingPair) -> int:
    return len(pair.query) + len(pair.positive) + sum(map(len, pair.negatives))


def held_out_pairs(pairs: Sequence[TrainingPair], count: int) -> tuple[list[TrainingPair], list[TrainingPair]]:
    """Return about `count` pairs to measure on, of all sources alike but at most a fifth of each, and the others.

    Raises:
        TextError: there are fewer than two others.
    """
    by_source: dict[str, list[TrainingPair]] = {}
    for pair in pairs:
        by_source.setdefault(pair.source, []).append(pair)
    each = -(-count // len(by_source)) if by_source else 0
    held_out = [pair for same in by_source.values() for pair in same[: min(each, len(same) // 5)]]
    kept_apart = {*held_out}
    others = [pair for pair in pairs if pair not in kept_apart]
    if len(others) < 2:
        raise TextError(f"There are {len(pairs)} pairs; tuning needs more.")
    return held_out, others


def equally_right(pairs: Sequence[TrainingPair], documents: Sequence[str]) -> torch.Tensor:
    """Return (pairs, documents), bool: which documents are right for a query though they are not its own.

    They say the same as its own, or are the own of a query that says the same.
    """
    hidden = torch.zeros(len(pairs), len(documents), dtype=torch.bool)
    for row, pair in enumerate(pairs):
        same = {other.positive for other in pairs if other.query == pair.query} | {pair.positive}
        for column, document in enumerate(documents):
            hidden[row, column] = column != row and document in same
    return hidden
