"""The benchmark of builds on a generated and on a given folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import build


def test_a_whole_run(tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "note.md").write_text("The whale sings.\n", encoding="utf-8")
    options = ["--model", str(tiny_folder), "--precision", "fp32", "--threads", "1"]
    build.main(["--cases", "3x2", *options])
    build.main([str(tmp_path / "own"), *options])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    generated, own = lines[3], lines[7]
    assert generated[:2] == ["3x2", "3"]
    assert int(generated[3]) >= 6, "no section comes twice"
    assert own[:4] == ["own", "1", "0", "1"]
    for row in (generated, own):
        reading, embedding, normalizing, indexing, model = (float(share.rstrip("%")) for share in row[6:11])
        assert reading + embedding + normalizing + indexing == pytest.approx(100, abs=1)
        assert 0 < model <= embedding + 1
        assert float(row[11]) > float(row[12]) >= 0
