"""Pairs that are written to a file are read from it again, with all that belongs to them."""

from __future__ import annotations

from pathlib import Path

import pytest

from echo_index.embeddings.training.pairs import TrainingPair
from echo_index.errors import EchoIndexError
from echo_index.retriever.tuning.pair_files import read_pairs, write_pairs


def test_pairs_are_the_same_after_writing_and_reading(tmp_path: Path) -> None:
    pairs = [
        TrainingPair("wann fährt die Fähre", "Um acht.\nUm zwei.", source="index, need"),
        TrainingPair("ferry", "At eight.", ('At "nine".', "Never."), source="a", instruction="Find the time."),
        TrainingPair("bac", "À huit heures.", source="a", teacher_query="ferry", teacher_positive="At eight."),
    ]
    write_pairs(pairs, tmp_path / "pairs.jsonl")
    assert read_pairs(tmp_path / "pairs.jsonl") == pairs


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(EchoIndexError, match=r"missing/pairs\.jsonl cannot be written"):
        write_pairs([TrainingPair("a", "b")], tmp_path / "missing" / "pairs.jsonl")
