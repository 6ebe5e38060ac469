"""Estimate how many cores other programs leave free."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

_WINDOW = 0.25  # seconds; processor times are counted in steps of 0.01 or more


@dataclass(frozen=True, slots=True)
class ProcessorTimes:
    """Seconds that all cores have worked, and that this process has, since some fixed moments."""

    busy: float
    own: float


class FreeCores:
    """Estimates free cores from the processor time that other programs have taken since an earlier question.

    Not thread-safe. `read` returns the current times, or None where the system does not tell them: then all cores
    count as free. It is called at most four times a second, as measured by `clock`.
    """

    def __init__(
        self, read: Callable[[], ProcessorTimes | None], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._read, self._clock = read, clock
        self._before, self._read_at = read(), clock()
        self._others = 0.0

    def count(self, cores: int, *, at_most: int) -> int:
        """Return how many of the machine's `cores` are free for this process: from 1 to `at_most`."""
        elapsed = self._clock() - self._read_at
        if elapsed >= _WINDOW:
            now, before = self._read(), self._before
            if now is not None and before is not None:
                self._others = max(0.0, (now.busy - before.busy) - (now.own - before.own)) / elapsed
            self._before, self._read_at = now, self._read_at + elapsed
        return max(1, min(at_most, round(cores - self._others)))


def read_processor_times() -> ProcessorTimes | None:
    """Return the current processor times, or None where they cannot be read."""
    import psutil

    try:
        times = psutil.cpu_times()._asdict()
    except (OSError, RuntimeError):
        return None
    names = ("user", "system", "nice", "irq", "softirq", "steal")  # not every system has all of them
    return ProcessorTimes(sum(times.get(name, 0.0) for name in names), time.process_time())
