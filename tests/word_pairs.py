"""Training pairs that a tiny model can learn."""

from __future__ import annotations

from echo_index.embeddings.training.pairs import TrainingPair

WORDS = "fox dog wizard vow box jug report meeting Monday paragraph passage question answer lazy quick brown".split()


def word_pairs(*, source: str = "words", count: int = 60) -> list[TrainingPair]:
    """Return pairs whose query is two words of the document, in another order."""
    pairs = []
    for number in range(count):
        first, second, third = (WORDS[(number * step + number // 16) % len(WORDS)] for step in (1, 3, 7))
        pairs.append(TrainingPair(f"{second} {first}", f"the {first} and the {second} of the {third}", source=source))
    return pairs
