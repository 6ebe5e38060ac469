"""Cosines of a sentence-transformers teacher, in float32 or bfloat16."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from echo_index.errors import ModelError
from echo_index.retriever.evaluation import sentence_transformer as teachers

QUERIES = ["quick fox", "lazy dog"]
DOCUMENTS = ["The quick brown fox jumps.", "Pack my box.", "Five wizards sleep."]


@pytest.fixture(scope="module")
def folder(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a tiny sentence-transformers model with mean pooling."""
    model = SentenceTransformer(str(tiny_folder), device="cpu")
    model.tokenizer.pad_token = model.tokenizer.eos_token
    made = tmp_path_factory.mktemp("teacher")
    model.save(str(made))
    return made


def cosines(folder: Path, *, use_bfloat16: bool, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    monkeypatch.setattr(teachers, "bfloat16_is_fast", lambda: use_bfloat16)
    return teachers.sentence_transformer_teacher(str(folder), max_tokens=16)(QUERIES, DOCUMENTS)


def test_a_teacher_tells_cosines_in_either_kind_of_numbers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, half = (cosines(folder, use_bfloat16=half, monkeypatch=monkeypatch) for half in (False, True))
    model = SentenceTransformer(str(folder), device="cpu")
    queries, documents = (model.encode(texts, normalize_embeddings=True) for texts in (QUERIES, DOCUMENTS))
    assert whole == pytest.approx(queries @ documents.T, abs=1e-5)
    assert half.dtype == np.float32
    assert 1e-6 < np.abs(half - whole).max() < 0.1


def test_a_teacher_reads_no_more_than_its_tokens(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teachers, "bfloat16_is_fast", lambda: False)
    teacher = teachers.sentence_transformer_teacher(str(folder), max_tokens=4)
    [[short, long]] = teacher(
        ["quick fox"], ["The quick brown fox jumps", "The quick brown fox jumps over the lazy dog"]
    )
    assert short == pytest.approx(long, abs=1e-5)


def test_a_teacher_that_cannot_be_loaded_is_an_error_before_training(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be loaded"):
        teachers.sentence_transformer_teacher(str(tmp_path / "none"), max_tokens=4)
