"""A disk may be full, or fail, at any write: one error of ours says so, what was there is still answered, and the next
build ends as if nothing had been."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .harness import FIGURES, SOAK, listed, run_program
from .scenarios import SCENARIOS

_POINTS = "100000" if SOAK else "24"


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_when_a_write_fails_one_error_of_ours_says_so_and_nothing_is_lost(
    library: Path, tmp_path: Path, scenario: str
) -> None:
    faults = ("the disk is full from then on", "the disk is full once", "the disk fails once")
    outcomes = run_program("attempts", scenario, str(tmp_path / "lab"), _POINTS, *faults, preload=library)
    FIGURES["failed writes"] += len(outcomes)
    assert len(outcomes) >= 20
    assert {outcome["ended"]["how"] for outcome in outcomes} & {"refused", "broke"}
    wrong = [outcome for outcome in outcomes if not _told_and_nothing_lost(outcome)]
    assert not wrong, listed(wrong)


def _told_and_nothing_lost(outcome: dict[str, Any]) -> bool:
    how, error = outcome["ended"]["how"], outcome["ended"]["error"]
    # What is full is not damaged, and to build anew is no remedy for it.
    told = how == "refused" and not ("full" in outcome["fault"] and error.startswith("IndexDamaged"))
    return (
        (told or (how == "done" and outcome["seen"] == "after"))
        and outcome["seen"] in ("before", "after")
        and outcome["resumed"] == "done"
        and not outcome["finally_wrong"]
        and not outcome["in_vain"]
    )
