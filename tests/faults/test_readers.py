"""Readers search on while build follows build: every answer is of one generation, whole, and the newest comes soon."""

from __future__ import annotations

from pathlib import Path

from repository import SOAK

from .harness import FIGURES, run_program


def test_readers_never_meet_half_a_generation(tmp_path: Path) -> None:
    builds, processes = (60, 8) if SOAK else (10, 4)  # every ninth edition is a rebuild
    [told] = run_program("readers", str(tmp_path / "lab"), str(builds), str(processes))
    FIGURES["searches during builds"] += told["searches"]
    FIGURES["builds during searches"] += told["builds"]
    assert told["wrong"] == []
    assert told["ended"] == [0] * processes
    assert told["searches"] > 10 * told["builds"]
