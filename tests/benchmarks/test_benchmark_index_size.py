"""The measurement of sizes: a small dataset with a tiny model."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from evaluation_files import write_beir

from benchmarks import index_size


@pytest.mark.model
def test_a_whole_run(tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_beir(tmp_path / "whales")
    index_size.main([str(folder), "--work", str(tmp_path / "work"), "--model", str(tiny_folder)])
    _, sizes, ranking = capsys.readouterr().out.strip().splitlines()[-3:]
    assert re.match(r"whales: \d+ passages: vectors \d+, full text \d+, text \d+, rest \d+; and \d+ kB", sizes)
    found = re.search(r"recall@10 ([\d.]+); nDCG@10 ([\d.]+) in full precision, ([\d.]+) in the index", ranking)
    assert found
    assert float(found[1]) > 0.9
