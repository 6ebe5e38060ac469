"""The benchmark of quality: rows of several precisions, compared with the right baseline."""

from __future__ import annotations

from pathlib import Path

import pytest
from evaluation_files import write_beir, write_pairs

from benchmarks import quality


def test_rows_of_two_precisions_stand_side_by_side(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    folder, pairs = write_beir(tmp_path / "small"), write_pairs(tmp_path / "pairs.tsv")
    words = ["--sts", str(pairs), "--precisions", "fp32,int8", "--work", str(tmp_path / "work")]
    quality.main([str(folder), "--model", str(tiny_folder), "--rows", "echo", *words])
    rankings, similarities = capsys.readouterr().out.split("pairs: 4 pairs")
    assert [line.split(" to ")[0].split()[:2] for line in rankings.splitlines()[2:] if line.strip()] == [
        ["bm25", "100.0"], ["echo", "fp32"], ["echo", "int8"],
    ]  # fmt: skip
    assert "to bm25" in rankings
    assert "to classical fp32" in similarities
    assert "classical int8" in similarities
