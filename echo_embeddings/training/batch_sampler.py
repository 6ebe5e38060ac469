"""Which pairs make a batch: of one source, about as long, with some that are hard to tell apart. Knows no model."""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from echo_index.embeddings.training.hard_groups import hard_groups
from echo_index.embeddings.training.pairs import TrainingPair

_POOL = 16  # batches that are drawn together and sorted by length, so that texts of a batch are about as long
_BALANCE = 0.5  # a source is drawn in proportion to its size to this power: small ones count for more than their share


def training_batches(
    pairs: Sequence[TrainingPair], *, size: int, seed: int, group_size: int = 1
) -> Iterator[list[int]]:
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
        _rounds(pairs, positions, size=size, alike=group_size, chance=random.Random(f"{seed} {source}"))
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
            left += hard_groups(same, most=alike, chance=chance)
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
