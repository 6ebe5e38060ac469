"""The benchmark of work beside busy programs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks import busy


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no process to cores")
def test_a_whole_run(tiny_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    busy.main(["--model", str(tiny_folder), "--precision", "fp32", "--cores", "1", "--busy", "1", "--rounds", "1"])
    machine, setting, heading, *rows = capfd.readouterr().out.splitlines()
    assert "threads: 1" in machine
    assert "1 cores, 1 rounds" in setting
    assert heading.split() == ["work", "alone", "beside", "1"]
    assert [row[:28].strip() for row in rows] == [
        "documents embedded",
        "sentences embedded",
        "queries embedded one by one",
        "tokens of an answer",
        "passages of a build",
    ]
    for row in rows:
        alone, beside, slowdown = row[28:].replace("(", " ").replace("x)", " ").split()
        assert float(alone) > 0
        assert float(beside) > 0
        assert float(slowdown) == pytest.approx(float(alone) / float(beside), rel=0.2)
