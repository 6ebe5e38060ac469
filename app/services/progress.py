"""How fast long work proceeds."""

from __future__ import annotations

import time


class RateMeter:
    """Measure how many items per second each stage of some work completes.

    What was complete at the first update of a stage, such as the work of an earlier run, does not count.
    """

    def __init__(self) -> None:
        self._stage: str | None = None
        self._start_time = 0.0
        self._start_done = self._done = 0
        self.is_first = False
        """Whether the last update was the first of its stage."""

    def update(self, stage: str, done: int) -> float:
        """Record that `done` items of a stage are complete, and return the rate per second."""
        now = time.monotonic()
        self.is_first = stage != self._stage or done < self._done
        if self.is_first:
            self._stage, self._start_time, self._start_done = stage, now, done
        self._done = done
        seconds = now - self._start_time
        return (done - self._start_done) / seconds if seconds > 0 else 0.0


def seconds_left(done: int, total: int | None, rate: float) -> int | None:
    """Return how long the rest takes at a rate per second, or None where that is unknown."""
    return None if total is None or not rate else round((total - done) / rate)
