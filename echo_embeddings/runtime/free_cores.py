"""Estimate how many cores other programs leave free."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

_WINDOW = 0.25  # seconds; processor times are counted in steps of 0.01 or more


@dataclass(frozen=True, slots=True)
class ProcessorTimes:
    """Seconds since some fixed moments: the clock's, those of all cores but idle, and those of this process."""

    clock: float
    busy: float
    own: float


class FreeCores:
    """Estimates free cores from the processor time that other programs have taken since an earlier question.

    Not thread-safe. `read` returns the current times, or None where the system does not tell them: then all cores
    count as free.
    """

    def __init__(self, read: Callable[[], ProcessorTimes | None]) -> None:
        self._read = read
        self._before = read()
        self._others = 0.0

    def count(self, cores: int, *, at_most: int) -> int:
        """Return how many of the machine's `cores` are free for this process: from 1 to `at_most`."""
        now, before = self._read(), self._before
        if now is None or before is None:
            return at_most
        elapsed = now.clock - before.clock
        if elapsed >= _WINDOW:
            self._others = max(0.0, (now.busy - before.busy) - (now.own - before.own)) / elapsed
            self._before = now
        return max(1, min(at_most, round(cores - self._others)))


def read_processor_times() -> ProcessorTimes | None:
    """Return the current processor times, or None where they cannot be read."""
    import psutil

    try:
        times = psutil.cpu_times()._asdict()
    except (OSError, RuntimeError):
        return None
    names = ("user", "system", "nice", "irq", "softirq", "steal")  # not every system has all of them
    return ProcessorTimes(time.monotonic(), sum(times.get(name, 0.0) for name in names), time.process_time())
