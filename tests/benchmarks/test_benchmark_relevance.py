"""The measurement of relevance: small datasets with a tiny model."""

from __future__ import annotations

import re
from pathlib import Path

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
