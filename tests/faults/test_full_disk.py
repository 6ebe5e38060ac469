"""A disk may be full, or fail, at any write: one error says so, and the next build ends as if nothing had been."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from repository import SOAK

from .harness import FIGURES, listed, run_program, sweep
from .scenarios import SCENARIOS


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_when_a_write_fails_one_error_of_ours_says_so_and_nothing_is_lost(
    library: Path, tmp_path: Path, scenario: str
) -> None:
    faults = ("the disk is full from then on", "the disk is full once", "the disk fails once")
    outcomes = sweep(scenario, tmp_path, faults, library=library)
    FIGURES["failed writes"] += len(outcomes)
    assert len(outcomes) > (100 if SOAK else 10)
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


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a disk of its own with little room."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)]
    mounting = subprocess.run(command, capture_output=True, check=False)
    if mounting.returncode:
        pytest.skip("nothing may be mounted here")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_on_a_disk_that_is_really_full_nothing_is_lost(small_disk: Path, tmp_path: Path, scenario: str) -> None:
    _on_a_small_disk(scenario, tmp_path, str(small_disk))


@pytest.mark.parametrize("scenario", SCENARIOS if SOAK else ["update"])
def test_where_files_may_not_grow_nothing_is_lost(tmp_path: Path, scenario: str) -> None:
    _on_a_small_disk(scenario, tmp_path, "limit")


def _on_a_small_disk(scenario: str, place: Path, disk: str) -> None:
    outcomes = run_program("small_disk", scenario, str(place / "lab"), disk, "4" if SOAK else "96")
    FIGURES["acts with too little room"] += len(outcomes) - 1
    assert len(outcomes) >= 2
    assert outcomes[-1]["ended"]["how"] == "done"
    wrong = [outcome for outcome in outcomes if not _told_and_nothing_lost(outcome)]
    assert not wrong, listed(wrong)
