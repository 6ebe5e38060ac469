"""Prefetch: new chunks are counted, errors reach the caller, and the thread never outlives the block."""

from __future__ import annotations

import threading
import time

import pytest

from echo_index.indexer.building.prefetch import OnFileRead, Prefetch

PATIENCE = 60  # seconds


def no_stop() -> None:
    pass


def wait_until_finished(prefetch: Prefetch) -> None:
    deadline = time.monotonic() + PATIENCE
    while not prefetch.is_finished():
        assert time.monotonic() < deadline
        prefetch.wait_for_chunks(1000)


def test_chunks_are_counted_since_the_last_successful_wait() -> None:
    resume = threading.Event()

    def read(on_file_read: OnFileRead) -> None:
        on_file_read(1, 3)
        on_file_read(2, 5)
        assert resume.wait(PATIENCE)
        on_file_read(3, 7)

    with Prefetch(read, stop=no_stop) as prefetch:
        while not prefetch.wait_for_chunks(8):
            pass
        assert prefetch.files_seen == 2
        assert not prefetch.wait_for_chunks(1), "the eight have been counted"
        assert not prefetch.is_finished()
        resume.set()
        wait_until_finished(prefetch)
        assert prefetch.wait_for_chunks(7)
        assert not prefetch.wait_for_chunks(1)
    assert prefetch.files_seen == 3


def test_a_wait_ends_after_a_moment_or_with_the_reading() -> None:
    resume = threading.Event()
    with Prefetch(lambda on_file_read: resume.wait(PATIENCE) and None, stop=resume.set) as prefetch:
        started = time.monotonic()
        assert not prefetch.wait_for_chunks(1)
        assert time.monotonic() - started < 5
        resume.set()
        wait_until_finished(prefetch)
        assert not prefetch.wait_for_chunks(1)


def test_an_error_of_the_reading_is_raised_in_the_caller() -> None:
    error = OSError("no such disk")

    def read(on_file_read: OnFileRead) -> None:
        raise error

    with pytest.raises(OSError) as caught, Prefetch(read, stop=no_stop) as prefetch:
        wait_until_finished(prefetch)
    assert caught.value is error


def test_leaving_early_ends_the_reading_at_the_next_file() -> None:
    read_files = []

    def read(on_file_read: OnFileRead) -> None:
        for number in range(1, 5000):
            on_file_read(number, 1)
            read_files.append(number)
            time.sleep(0.001)

    with Prefetch(read, stop=no_stop) as prefetch:
        while not prefetch.wait_for_chunks(3):
            pass
    assert 3 <= len(read_files) < 4000
    assert "reading" not in {thread.name for thread in threading.enumerate()}


def test_leaving_early_stops_what_the_reading_waits_for() -> None:
    stopped = threading.Event()
    ends = []

    def read(on_file_read: OnFileRead) -> None:
        assert stopped.wait(PATIENCE)
        ends.append(True)
        raise RuntimeError("stopped")  # the caller has left and must not see it

    with Prefetch(read, stop=stopped.set):
        pass
    assert ends == [True]


def test_a_finished_reading_is_not_stopped() -> None:
    calls = []
    with Prefetch(lambda on_file_read: on_file_read(1, 0), stop=lambda: calls.append(True)) as prefetch:
        wait_until_finished(prefetch)
    assert calls == []
