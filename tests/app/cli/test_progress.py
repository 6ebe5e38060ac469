"""How far long work is: the rate is that of this run, whatever an earlier one had done."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from echo_index.app.cli import progress as progress_module
from echo_index.app.cli.progress import WorkProgress


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(progress_module, "time", made)
    return made


def told(clock: Clock, shown: list[tuple[float, str, int, int | None]]) -> list[str]:
    """Return the lines for (seconds since the last, what is done, how much of it, of how much)."""
    written = io.StringIO()
    with WorkProgress(Console(file=written, width=200)) as progress:
        for seconds, doing, done, total in shown:
            clock.now += seconds
            progress.show(doing, done, total)
    return written.getvalue().splitlines()


def test_a_line_comes_every_ten_seconds_with_rate_and_time_left(clock: Clock) -> None:
    lines = told(clock, [(0, "Embedding", 0, 100), (5, "Embedding", 10, 100), (5, "Embedding", 20, 100)])
    assert lines == ["Embedding: 20 of 100 (2.0/s, 0:40 left)"]


def test_what_an_earlier_run_did_is_not_counted_as_done_now(clock: Clock) -> None:
    lines = told(clock, [(0, "Tuning", 80, 100), (20, "Tuning", 90, 100)])
    assert lines == ["Tuning: 90 of 100 (30.0/min, 0:20 left)"]


def test_another_stage_has_a_rate_of_its_own(clock: Clock) -> None:
    stages = [(0.0, "Reading", 0, None), (10.0, "Reading", 50, None), (60.0, "Tuning", 0, 50), (30.0, "Tuning", 10, 50)]
    assert told(clock, stages) == ["Reading: 50 (5.0/s)", "Tuning: 10 of 50 (20.0/min, 2:00 left)"]


def test_nothing_done_in_a_long_time_is_told_too(clock: Clock) -> None:
    assert told(clock, [(0, "Tuning", 3, 9), (15, "Tuning", 3, 9)]) == ["Tuning: 3 (0.0/s)"]
