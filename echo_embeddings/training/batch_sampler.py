"""Batches of training pairs: from one source each, of similar length, with groups of pairs that are easily confused."""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from echo_index.embeddings.training.hard_groups import hard_groups
from echo_index.embeddings.training.pairs import TrainingPair

_POOL_BATCHES = 16  # drawn together and sorted by length, so that the texts of a batch have similar lengths
_SIZE_EXPONENT = 0.5  # sources are drawn in proportion to size ** this: small ones more often than their share


def training_batches(
    pairs: Sequence[TrainingPair], *, size: int, seed: int, group_size: int = 1
) -> Iterator[list[int]]:
    """Yield batches without end, as positions into `pairs`; the same arguments always give the same batches.

    All pairs of a batch are from one source, where right and wrong are hardest to distinguish. They have similar
    lengths, and come in groups of up to `group_size` that share rare words, so that each has hard negatives in its
    batch. Each epoch of a source has a new order. A source with fewer pairs than `size` is one batch.
    """
    by_source: dict[str, list[int]] = {}
    for position, pair in enumerate(pairs):
        by_source.setdefault(pair.source, []).append(position)
    rng = random.Random(seed)
    weights = [math.pow(len(positions), _SIZE_EXPONENT) for positions in by_source.values()]
    sources = [
        _batches_of_source(pairs, positions, size=size, group_size=group_size, rng=random.Random(f"{seed} {source}"))
        for source, positions in by_source.items()
    ]
    while True:
        [batches] = rng.choices(sources, weights)
        yield next(batches)


def _batches_of_source(
    pairs: Sequence[TrainingPair], positions: Sequence[int], *, size: int, group_size: int, rng: random.Random
) -> Iterator[list[int]]:
    source_pairs = [pairs[position] for position in positions]
    groups: list[list[int]] = []
    while True:
        while sum(map(len, groups)) < size * _POOL_BATCHES:
            groups += hard_groups(source_pairs, max_size=group_size, rng=rng)
            if len(source_pairs) < size:
                break
        count = bisect_left([*accumulate(map(len, groups))], size * _POOL_BATCHES) + 1
        pool, groups = groups[:count], groups[count:]
        pool.sort(key=lambda group: sum(_length(source_pairs[index]) for index in group) / len(group))
        drawn = [index for group in pool for index in group]
        if len(drawn) > size and len(drawn) % size:  # the rest is too small for a batch: leave it for the next pool
            complete = len(drawn) // size * size
            groups.insert(0, drawn[complete:])
            del drawn[complete:]
        batches = [[positions[index] for index in drawn[start : start + size]] for start in range(0, len(drawn), size)]
        rng.shuffle(batches)
        yield from batches


def _length(pair: TrainingPair) -> int:
    return len(pair.query) + len(pair.positive) + sum(map(len, pair.negatives))
