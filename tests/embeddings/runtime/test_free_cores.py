"""How many cores other programs leave free."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from echo_index.embeddings.runtime.free_cores import FreeCores, ProcessorTimes, read_processor_times


class Machine:
    """Processor times that go on as they are told to."""

    def __init__(self) -> None:
        self.seconds = 100.0
        self.times = ProcessorTimes(busy=1000.0, own=50.0)
        self.readings = 0

    def read(self) -> ProcessorTimes:
        self.readings += 1
        return self.times

    def clock(self) -> float:
        return self.seconds

    def run(self, seconds: float, *, own: float, others: float) -> None:
        """Let time pass while this process and others use so many cores."""
        self.seconds += seconds
        self.times = ProcessorTimes(self.times.busy + (own + others) * seconds, self.times.own + own * seconds)


@pytest.mark.parametrize(
    ("cores", "others", "free"),
    [(2, 0.0, 2), (2, 0.3, 2), (2, 0.8, 1), (2, 1.9, 1), (8, 1.0, 7), (8, 5.2, 3), (8, 8.0, 1)],
)
@pytest.mark.parametrize("own", [0.0, 1.0])
def test_cores_that_others_use_are_not_free(cores: int, others: float, free: int, own: float) -> None:
    machine = Machine()
    meter = FreeCores(machine.read, clock=machine.clock)
    machine.run(3, own=own, others=others)
    assert meter.count(cores, at_most=cores) == free
    machine.run(3, own=own, others=0)
    assert meter.count(cores, at_most=cores) == cores, "once they have ended"


def test_no_more_cores_are_used_than_the_program_allows() -> None:
    machine = Machine()
    meter = FreeCores(machine.read, clock=machine.clock)
    machine.run(1, own=0, others=1)
    assert meter.count(16, at_most=4) == 4


def test_what_happens_within_a_moment_counts_later() -> None:
    machine = Machine()
    meter = FreeCores(machine.read, clock=machine.clock)
    machine.run(0.1, own=0, others=2)
    assert meter.count(2, at_most=2) == 2, "the clocks are too coarse to tell"
    assert machine.readings == 1, "that at the beginning"
    machine.run(0.2, own=0, others=2)
    assert meter.count(2, at_most=2) == 1


def test_all_cores_count_as_free_where_the_system_tells_no_times() -> None:
    assert FreeCores(lambda: None).count(8, at_most=3) == 3


def test_a_busy_process_is_seen_and_this_one_is_not_counted_as_another() -> None:
    before = read_processor_times()
    assert before is not None
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        end = time.process_time() + 0.5
        while time.process_time() < end:
            pass
    finally:
        busy.kill()
        busy.wait()
    now = read_processor_times()
    assert now is not None
    assert now.own - before.own == pytest.approx(0.5, abs=0.1)
    assert now.busy - before.busy > 0.6
