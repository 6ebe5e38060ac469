"""Readers search on while build follows build: every answer is of one generation, whole, and the newest comes soon."""

from __future__ import annotations

from pathlib import Path

from .harness import FIGURES, SOAK, run_program


def test_readers_never_meet_half_a_generation(tmp_path: Path) -> None:
    [told] = run_program("readers", str(tmp_path / "lab"), "60" if SOAK else "20")
    FIGURES["searches during builds"] += told["searches"]
    FIGURES["builds during searches"] += told["builds"]
    assert told["wrong"] == []
    assert told["ended"] == [0] * 8
    assert told["searches"] > 10 * told["builds"]
