"""Progress of long work: rates count only what this run has done."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from echo_index.app.cli import progress as cli_progress
from echo_index.app.cli.progress import WorkProgress
from echo_index.app.services import progress as services_progress


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    fake = Clock()
    for module in (cli_progress, services_progress):
        monkeypatch.setattr(module, "time", fake)
    return fake


def printed(clock: Clock, updates: list[tuple[float, str, int, int | None]]) -> list[str]:
    """Return the lines printed for updates of (seconds since the last one, label, done, total)."""
    written = io.StringIO()
    with WorkProgress(Console(file=written, width=200)) as progress:
        for seconds, label, done, total in updates:
            clock.now += seconds
            progress.show(label, done, total)
    return written.getvalue().splitlines()


def test_a_line_with_rate_and_time_left_is_printed_every_ten_seconds(clock: Clock) -> None:
    lines = printed(clock, [(0, "Embedding", 0, 100), (5, "Embedding", 10, 100), (5, "Embedding", 20, 100)])
    assert lines == ["Embedding: 20 of 100 (2.0/s, 0:40 left)"]


def test_work_of_an_earlier_run_does_not_count_for_the_rate(clock: Clock) -> None:
    lines = printed(clock, [(0, "Tuning", 80, 100), (20, "Tuning", 90, 100)])
    assert lines == ["Tuning: 90 of 100 (30.0/min, 0:20 left)"]


def test_each_stage_has_its_own_rate(clock: Clock) -> None:
    updates = [
        (0.0, "Reading", 0, None),
        (10.0, "Reading", 50, None),
        (60.0, "Tuning", 0, 50),
        (30.0, "Tuning", 10, 50),
    ]
    assert printed(clock, updates) == ["Reading: 50 (5.0/s)", "Tuning: 10 of 50 (20.0/min, 2:00 left)"]


def test_a_line_is_printed_even_if_nothing_was_completed(clock: Clock) -> None:
    assert printed(clock, [(0, "Tuning", 3, 9), (15, "Tuning", 3, 9)]) == ["Tuning: 3 of 9 (0.0/s)"]


def test_what_takes_long_stands_behind_the_label(clock: Clock) -> None:
    written = io.StringIO()
    with WorkProgress(Console(file=written, width=200)) as progress:
        progress.show_detail("scan.pdf, page 3 of 40")
        progress.show_stage("reading", 1, None)
        clock.now += 11
        progress.show_stage("reading", 1, None)
        progress.show_detail("")
        clock.now += 11
        progress.show_stage("reading", 2, None)
    first, second = written.getvalue().splitlines()
    assert first.startswith("Reading files (scan.pdf, page 3 of 40): 1")
    assert second.startswith("Reading files: 2")
