"""The measurement of writers: a small run with a tiny writer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks import writers


@pytest.mark.model
def test_a_whole_run(tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "whale.md").write_text("The whale sings.\n", encoding="utf-8")
    writers.main(["--writer", str(tiny_folder), "--questions", "3", "--folder", str(tmp_path / "notes")])
    machine, figures = capsys.readouterr().out.strip().splitlines()
    assert "cores: " in machine
    assert figures.startswith(f"{tiny_folder}: loaded in ")
    rate = re.search(r"([\d.]+) tokens/s; ([\d,]+) MB", figures)
    assert rate
    assert float(rate[1]) > 0
    assert int(rate[2].replace(",", "")) > 100
