"""Progress of long work in the terminal, as a bar or as lines, and how Ctrl-C ends it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from echo_index.app.cli.output import one_line
from echo_index.app.services.formatting import STAGE_LABELS, minutes_text, rate_text
from echo_index.app.services.progress import RateMeter, seconds_left

if TYPE_CHECKING:
    from echo_index.indexer.building.build_progress import Stage

_SECONDS_BETWEEN_LINES = 10.0


class WorkProgress:
    """Context manager that shows a progress bar in a terminal, and a line every ten seconds elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None
        self._meter = RateMeter()
        self._last_line = 0.0
        self._detail = ""

    def __enter__(self) -> WorkProgress:
        """Show the bar."""
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Remove the bar."""
        self._bar.stop()

    def show_stage(self, stage: Stage, done: int, total: int | None) -> None:
        """Show the progress that `build_index` reports."""
        self.show(STAGE_LABELS[stage], done, total)

    def show_detail(self, detail: str) -> None:
        """Show what takes long at the moment, behind the label; nothing if it is empty."""
        self._detail = one_line(detail)

    def show(self, label: str, done: int, total: int | None) -> None:
        """Show that `done` of `total` items are complete; another label, or a smaller `done`, starts a new bar."""
        rate = self._meter.update(label, done)
        now = time.monotonic()
        if self._task is None or self._meter.is_first:
            self._last_line = now
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task(escape(label), total=total, completed=done, rate="")
        if self._detail:
            label = f"{label} ({self._detail})"
        self._bar.update(
            self._task, description=escape(label), completed=done, total=total, rate=rate_text(rate) if rate else ""
        )
        if not self._console.is_terminal and now - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = now
            self._console.print(_progress_line(label, done, total, rate), soft_wrap=True)


def _progress_line(label: str, done: int, total: int | None, rate: float) -> str:
    left = seconds_left(done, total, rate)
    if left is None:
        return f"{label}: {done}{'' if total is None else f' of {total}'} ({rate_text(rate)})"
    return f"{label}: {done} of {total} ({rate_text(rate)}, {minutes_text(left)} left)"


@contextmanager
def interruptible(notice: Callable[[str], None], *, kept: str = "") -> Iterator[None]:
    """Exit with code 130 on Ctrl-C, after a notice that names what is kept for the next run, or that nothing is."""
    try:
        yield
    except KeyboardInterrupt:
        is_kept = f"{kept} is kept; run the same command again to continue." if kept else "Nothing was changed."
        notice(f"Stopped. {is_kept}")
        raise typer.Exit(130) from None
