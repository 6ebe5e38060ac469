"""Training pairs of a query and the document that is right for it, and their split into held-out and training pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from echo_index.errors import TextError


@dataclass(frozen=True, slots=True)
class TrainingPair:
    """A query, a document that is right for it, hard negatives, and the name of the source that the pair is from.

    `instruction` is the task for the prompt of the query; None for that of the encoder. A teacher reads `teacher_query`
    and `teacher_positive` instead of the texts, where there are any: originals in its language, if the texts are
    translations (Reimers & Gurevych, arXiv 2004.09813).
    """

    query: str
    positive: str
    negatives: tuple[str, ...] = ()
    source: str = ""
    instruction: str | None = None
    teacher_query: str | None = None
    teacher_positive: str | None = None

    @property
    def original_query(self) -> str:
        """What the query is a translation of, or the query itself."""
        return self.query if self.teacher_query is None else self.teacher_query

    @property
    def original_positive(self) -> str:
        """What the positive is a translation of, or the positive itself."""
        return self.positive if self.teacher_positive is None else self.teacher_positive


def group_by_instruction(pairs: Sequence[TrainingPair]) -> dict[str | None, list[int]]:
    """Return the positions of the pairs of each instruction."""
    positions: dict[str | None, list[int]] = {}
    for position, pair in enumerate(pairs):
        positions.setdefault(pair.instruction, []).append(position)
    return positions


def split_held_out(
    pairs: Sequence[TrainingPair], count: int, *, given: Sequence[TrainingPair] = ()
) -> tuple[list[TrainingPair], list[TrainingPair]]:
    """Return the held-out pairs and the pairs to train on.

    Held out are the `given` pairs, or else about `count` of `pairs`: as many of each source, but at most a fifth of it.
    A pair with the query and positive of a held-out pair is not trained on.

    Raises:
        TextError: fewer than two pairs are left to train on.
    """
    held_out = list(given) or _some_of_each_source(pairs, count)
    excluded = {(pair.query, pair.positive) for pair in held_out}
    trained = [pair for pair in pairs if (pair.query, pair.positive) not in excluded]
    if len(trained) < 2:
        raise TextError(f"{len(trained)} of {len(pairs)} pairs are left to train on; tuning needs at least 2.")
    return held_out, trained


def _some_of_each_source(pairs: Sequence[TrainingPair], count: int) -> list[TrainingPair]:
    by_source: dict[str, list[TrainingPair]] = {}
    for pair in pairs:
        by_source.setdefault(pair.source, []).append(pair)
    per_source = -(-count // len(by_source)) if by_source else 0
    return [pair for group in by_source.values() for pair in group[: min(per_source, len(group) // 5)]]


def false_negative_mask(pairs: Sequence[TrainingPair], documents: Sequence[str]) -> torch.Tensor:
    """Return which documents are right for a query without being its own positive: bool (pairs, documents).

    The first documents are the positives of the pairs. A document is right for a query if it equals the positive of any
    pair with that query; translations of one text are equal.
    """
    mask = torch.zeros(len(pairs), len(documents), dtype=torch.bool)
    originals = [*(pair.original_positive for pair in pairs), *documents[len(pairs) :]]
    for row, pair in enumerate(pairs):
        positives = {other.original_positive for other in pairs if other.original_query == pair.original_query}
        for column, document in enumerate(originals):
            mask[row, column] = column != row and document in positives
    return mask
