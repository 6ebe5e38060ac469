"""Pairs that share ten words in a row with an evaluation are left out."""

from __future__ import annotations

import pytest

from echo_index.embeddings.training.pairs import TrainingPair
from echo_index.retriever.tuning.overlap import Overlap

EVALUATED = "The ferry to Lunde leaves at eight and at two, except on Sundays and holidays."
OVERLAP = Overlap([EVALUATED, "Who runs it?", "渡轮于八点出发星期日停运票价五元。"])


def is_kept(query: str = "q", positive: str = "p", *negatives: str) -> bool:
    return bool(OVERLAP.without_shared([TrainingPair(query, positive, negatives)]))


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("ferry TO Lunde leaves at eight, and at two - except", False),  # ten words, whatever stands between
        ("ferry to Lunde leaves at eight and at two, but not", True),  # nine
        ("who runs it", False),  # all of a shorter text
        ("Who runs it today?", True),
        ("Who", True),
        ("票价：渡轮于八点出发星期日停运。", False),  # ten characters
        ("渡轮于八点出发。", True),
    ],
)
def test_ten_words_in_a_row_are_too_many(text: str, kept: bool) -> None:
    assert is_kept(query=text) is kept
    assert is_kept(positive=text) is kept
    assert is_kept("q", "p", "n", text) is kept


def test_the_others_stay_in_their_order() -> None:
    pairs = [TrainingPair("a", "b"), TrainingPair(EVALUATED, "c"), TrainingPair("d", "e")]
    assert OVERLAP.without_shared(pairs) == [pairs[0], pairs[2]]
