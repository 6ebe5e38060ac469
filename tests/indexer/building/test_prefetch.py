"""Reading ahead: what comes is told in time, errors are raised where it is waited for, nothing goes on unwatched."""

from __future__ import annotations

import threading
import time

import pytest

from echo_index.indexer.building.prefetch import Prefetch, Tell

PATIENCE = 60  # seconds


def no_stop() -> None:
    pass


def until_over(ahead: Prefetch) -> None:
    deadline = time.monotonic() + PATIENCE
    while not ahead.is_over():
        assert time.monotonic() < deadline
        ahead.brings(1000)


def test_enough_is_what_came_since_enough_had_come() -> None:
    goes_on = threading.Event()

    def read(tell: Tell) -> None:
        tell(1, 3)
        tell(2, 5)
        assert goes_on.wait(PATIENCE)
        tell(3, 7)

    with Prefetch(read, stop=no_stop) as ahead:
        while not ahead.brings(8):
            pass
        assert ahead.looked_at == 2
        assert not ahead.brings(1), "the eight are told"
        assert not ahead.is_over()
        goes_on.set()
        until_over(ahead)
        assert ahead.brings(7)
        assert not ahead.brings(1)
    assert ahead.looked_at == 3


def test_who_waits_for_enough_waits_no_longer_than_a_moment_or_than_the_reading() -> None:
    goes_on = threading.Event()
    with Prefetch(lambda tell: goes_on.wait(PATIENCE) and None, stop=goes_on.set) as ahead:
        started = time.monotonic()
        assert not ahead.brings(1)
        assert time.monotonic() - started < 5
        goes_on.set()
        until_over(ahead)
        assert not ahead.brings(1)


def test_an_error_is_raised_where_the_reading_is_waited_for() -> None:
    error = OSError("no such disk")

    def read(tell: Tell) -> None:
        raise error

    with pytest.raises(OSError) as caught, Prefetch(read, stop=no_stop) as ahead:
        until_over(ahead)
    assert caught.value is error


def test_who_leaves_early_ends_the_reading_at_the_next_file() -> None:
    told = []

    def read(tell: Tell) -> None:
        for number in range(1, 5000):
            tell(number, 1)
            told.append(number)
            time.sleep(0.001)

    with Prefetch(read, stop=no_stop) as ahead:
        while not ahead.brings(3):
            pass
    assert 3 <= len(told) < 4000
    count = len(told)
    time.sleep(0.05)
    assert len(told) == count, "the thread has ended"


def test_who_leaves_early_stops_what_the_reading_waits_for() -> None:
    stopped = threading.Event()
    ends = []

    def read(tell: Tell) -> None:
        assert stopped.wait(PATIENCE)
        ends.append(True)
        raise RuntimeError("stopped")  # which is nobody's business any more

    with Prefetch(read, stop=stopped.set):
        pass
    assert ends == [True]


def test_a_reading_that_is_over_is_not_stopped() -> None:
    calls = []
    with Prefetch(lambda tell: tell(1, 0), stop=lambda: calls.append(True)) as ahead:
        until_over(ahead)
    assert calls == []
