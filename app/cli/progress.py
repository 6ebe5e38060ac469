"""How far long work is, with rate and time left, as a moving bar or a line now and then; and how Ctrl-C ends it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from echo_index.app.services.formatting import STAGE_LABELS

if TYPE_CHECKING:
    from echo_index.indexer.building.build_session import Stage

_SECONDS_BETWEEN_LINES = 10.0


class WorkProgress:
    """Shows the progress that some work tells of; use it as a context manager."""

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
        self._doing = ""
        self._done = self._done_before = 0  # before: what an earlier run had done
        self._began = self._said = time.monotonic()

    def __enter__(self) -> WorkProgress:
        """Start showing."""
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Leave the terminal clean."""
        self._bar.stop()

    def show_stage(self, stage: Stage, done: int, total: int | None) -> None:
        """Take note of the progress that `build_index` tells of."""
        self.show(STAGE_LABELS[stage], done, total)

    def show(self, doing: str, done: int, total: int | None) -> None:
        """Take note of progress: what is being done, how much of it is done, and of how much."""
        now = time.monotonic()
        if doing != self._doing or done < self._done:
            self._doing, self._done_before, self._began, self._said = doing, done, now, now
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task(escape(doing), total=total, completed=done, rate="")
        self._done = done
        rate = (done - self._done_before) / (now - self._began) if now > self._began else 0.0
        assert self._task is not None
        self._bar.update(self._task, completed=done, total=total, rate=_rate_text(rate) if rate else "")
        if not self._console.is_terminal and now - self._said >= _SECONDS_BETWEEN_LINES:
            self._said = now
            self._console.print(_line(doing, done, total, rate), soft_wrap=True)


def _line(doing: str, done: int, total: int | None, rate: float) -> str:
    if total is None or rate == 0:
        return f"{doing}: {done} ({_rate_text(rate)})"
    left = int((total - done) / rate)
    return f"{doing}: {done} of {total} ({_rate_text(rate)}, {left // 60}:{left % 60:02} left)"


def _rate_text(rate: float) -> str:
    return f"{rate:.1f}/s" if rate >= 1 or rate == 0 else f"{60 * rate:.1f}/min"


@contextmanager
def interruptible(notice: Callable[[str], None], *, kept: str) -> Iterator[None]:
    """End long work with exit code 130 after Ctrl-C, and say what of it is kept for the next time."""
    try:
        yield
    except KeyboardInterrupt:
        notice(f"Stopped. {kept} is kept; run the same command again to go on from here.")
        raise typer.Exit(130) from None
