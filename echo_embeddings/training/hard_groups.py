"""Which pairs are alike, by the rare words that they share: those that are hard to tell apart. Knows no model."""

from __future__ import annotations

import math
import random
import re
from collections import defaultdict
from collections.abc import Sequence

from echo_index.embeddings.training.pairs import TrainingPair

_WORD = re.compile(r"\w+")
_LOOKED_AT = 300  # characters of a text: of more, little is read in training
_COMMON = 20  # pairs: a word that more of them have says little, and would cost most of the time


def hard_groups(pairs: Sequence[TrainingPair], *, most: int, chance: random.Random) -> list[list[int]]:
    """Return positions into `pairs`, each once, in groups of up to `most` that share rare words.

    Each group begins with a pair drawn by chance; the others are those left over that share most with it, by the sum of
    log(pairs / pairs with the word). No two of a group have the same query or positive: these are both right.
    """
    order = chance.sample(range(len(pairs)), len(pairs))
    if most == 1:
        return [[position] for position in order]
    words = [_words(pair) for pair in pairs]
    having: dict[str, list[int]] = {}
    for position, found in enumerate(words):
        for word in found:
            having.setdefault(word, []).append(position)
    rare = {word: positions for word, positions in having.items() if 1 < len(positions) <= _COMMON}
    left = dict.fromkeys(order)
    groups = []
    while left:
        first = next(iter(left))
        shared: defaultdict[int, float] = defaultdict(float)
        for word in sorted(words[first] & rare.keys()):
            weight = math.log(len(pairs) / len(rare[word]))
            for position in rare[word]:
                if position in left:
                    shared[position] += weight
        group = [first]
        for position, _ in sorted(shared.items(), key=lambda item: (-item[1], item[0])):
            if len(group) == most:
                break
            if not any(_say_the_same(pairs[position], pairs[other]) for other in group):
                group.append(position)
        for position in group:
            del left[position]
        groups.append(group)
    return groups


def _words(pair: TrainingPair) -> set[str]:
    return {*_WORD.findall(f"{pair.query[:_LOOKED_AT]} {pair.positive[:_LOOKED_AT]}".lower())}


def _say_the_same(one: TrainingPair, other: TrainingPair) -> bool:
    return one.query == other.query or one.positive == other.positive
