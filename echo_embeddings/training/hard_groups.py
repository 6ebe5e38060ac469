"""Groups of training pairs that share rare words, and so are easily confused."""

from __future__ import annotations

import math
import random
import re
from collections import defaultdict
from collections.abc import Sequence

from echo_index.embeddings.training.pairs import TrainingPair

_WORD = re.compile(r"\w+")
_MAX_CHARACTERS = 300  # of each text: training reads little of what comes after
_MAX_PAIRS_OF_WORD = 20  # a more common word says little about a pair, and would take most of the time


def hard_groups(pairs: Sequence[TrainingPair], *, max_size: int, rng: random.Random) -> list[list[int]]:
    """Return positions into `pairs`, each once, in groups of up to `max_size` that share rare words.

    Each group begins with a random pair. The others are those remaining that share most words with it, weighted by
    log(pairs / pairs with the word). No two pairs of a group have the same query or positive: neither would be a
    negative for the other.
    """
    order = rng.sample(range(len(pairs)), len(pairs))
    if max_size == 1:
        return [[position] for position in order]
    words = [_words(pair) for pair in pairs]
    pairs_of_word: dict[str, list[int]] = {}
    for position, pair_words in enumerate(words):
        for word in pair_words:
            pairs_of_word.setdefault(word, []).append(position)
    rare = {word: positions for word, positions in pairs_of_word.items() if 1 < len(positions) <= _MAX_PAIRS_OF_WORD}
    remaining = dict.fromkeys(order)
    groups = []
    while remaining:
        first = next(iter(remaining))
        overlap: defaultdict[int, float] = defaultdict(float)
        for word in sorted(words[first] & rare.keys()):
            weight = math.log(len(pairs) / len(rare[word]))
            for position in rare[word]:
                if position in remaining:
                    overlap[position] += weight
        group = [first]
        for position, _ in sorted(overlap.items(), key=lambda item: (-item[1], item[0])):
            if len(group) == max_size:
                break
            if not any(_same_query_or_positive(pairs[position], pairs[other]) for other in group):
                group.append(position)
        for position in group:
            del remaining[position]
        groups.append(group)
    return groups


def _words(pair: TrainingPair) -> set[str]:
    return {*_WORD.findall(f"{pair.query[:_MAX_CHARACTERS]} {pair.positive[:_MAX_CHARACTERS]}".lower())}


def _same_query_or_positive(one: TrainingPair, other: TrainingPair) -> bool:
    return one.query == other.query or one.positive == other.positive
