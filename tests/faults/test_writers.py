"""One writer at a time: others are told who it is, wherever it stands, and take over when it was killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from repository import SOAK

from .harness import FIGURES, run_program


def test_other_writers_are_told_who_writes_and_take_over_when_it_was_killed(library: Path, tmp_path: Path) -> None:
    outcomes = run_program("writers", str(tmp_path / "lab"), "0" if SOAK else "12", preload=library)
    FIGURES["writers that met another"] += sum(len(outcome["others"]) for outcome in outcomes)
    assert len(outcomes) >= 10
    wrong = [outcome for outcome in outcomes if not _was_busy(outcome)]
    assert not wrong, "\n".join(map(str, wrong))


def _was_busy(outcome: dict[str, Any]) -> bool:
    named = ["busy"]
    if outcome["first"].endswith(("writer.lock", "writer.pid")):  # has not said yet who it is, or is about to end
        named = ["busy", "busy, unnamed"]
    ended = "killed" if outcome["first"].endswith("embeds") else "done"
    return (
        all(other in named for other in outcome["others"])
        and outcome["seen"] in ("before", "after")
        and outcome["ended"] == ended
        and outcome["next"] == "done"
        and not outcome["finally_wrong"]
        and not outcome["left"]
    )
