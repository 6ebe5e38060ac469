"""The measurement of relevance: small datasets with a tiny model."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from evaluation_files import write_beir

from benchmarks import relevance


@pytest.mark.model
@pytest.mark.parametrize("halves", [False, True])
def test_a_whole_run(tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], halves: bool) -> None:
    folders = [str(write_beir(tmp_path / name)) for name in ("whales", "boats")]
    words = [*folders, "--work", str(tmp_path / "work"), "--model", str(tiny_folder)]
    try:
        relevance.main([*words, *(["--halves"] if halves else [])])
    except ValueError as error:  # half of so small a dataset may have no question on it
        assert halves, error
        return
    lines = capsys.readouterr().out.strip().splitlines()
    assert "0.5, 0.8, 0.9" in lines[-11]
    assert re.match(r"boats +\d+", lines[-5])
    assert all(0 <= float(share) <= 1 for line in lines[-4:] for share in line.split()[-5:])


def test_relevant_passages_are_taken_out_of_one_share_only(monkeypatch: pytest.MonkeyPatch) -> None:
    found = np.array([[0.99, 0.6, 0.0], [0.1, 0.99, 0.99]])
    monkeypatch.setattr(relevance, "LEAST_SCORES", (0.5, 0.9))
    monkeypatch.setattr(relevance, "_relevances", lambda collection, queries: found)
    passages, questions, nothing = np.zeros((3, 1)), np.zeros((2, 1)), np.zeros((0, 1))
    relevant = np.array([[True, False, False], [False, True, True]])
    collection = relevance.Collection("whales", None, passages, questions, relevant, nothing)  # type: ignore[arg-type]
    shares = [row.split()[-2:] for row in relevance._rows(collection, questions)][1:]
    assert shares == [["1.00", "1.00"], ["1.00", "1.00"], ["0.50", "0.00"], ["1.00", "1.00"]]
