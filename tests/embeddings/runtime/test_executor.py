"""Passes run one at a time in one thread; queries that wait for a pass are embedded together."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import torch

from echo_index.embeddings.runtime import executor
from echo_index.embeddings.runtime.executor import in_streams, prefetched, run_in_new_thread, run_on_executor
from echo_index.embeddings.runtime.free_cores import FreeCores, ProcessorTimes
from echo_index.errors import TextError


@pytest.fixture(autouse=True)
def idle_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no other program count, such as other tests."""
    monkeypatch.setattr(executor._passes, "_free_cores", FreeCores(lambda: None))


def test_passes_from_many_threads_run_in_one() -> None:
    with ThreadPoolExecutor(8) as pool:
        threads = set(pool.map(lambda _: run_on_executor(threading.get_ident), range(40)))
    assert len(threads) == 1
    assert threads != {threading.get_ident()}


def test_a_task_may_call_the_executor_again() -> None:
    assert run_on_executor(lambda: run_on_executor(threading.get_ident)) == run_on_executor(threading.get_ident)


def test_an_error_of_a_task_is_raised_in_the_caller() -> None:
    def fail() -> None:
        raise TextError("no")

    with pytest.raises(TextError, match="no"):
        run_on_executor(fail)
    assert run_on_executor(lambda: 7) == 7


def test_the_next_task_is_prefetched_and_only_one_waits() -> None:
    begun = [threading.Event() for _ in range(3)]

    def act(number: int) -> int:
        begun[number].set()
        return number

    results = prefetched(partial(act, number) for number in range(3))
    assert next(results) == 0
    assert begun[1].wait(20)
    assert run_on_executor(lambda: "asked meanwhile") == "asked meanwhile"
    assert not begun[2].is_set()
    assert [*results] == [1, 2]
    assert [*prefetched([])] == []


def test_a_prefetched_task_that_is_not_needed_is_cancelled() -> None:
    begun, blocked, ran = threading.Event(), threading.Event(), threading.Event()
    others: list[threading.Thread] = []

    def acts() -> Iterator[Callable[[], None]]:
        yield lambda: None
        others.append(threading.Thread(target=run_on_executor, args=(lambda: (begun.set(), blocked.wait(20)),)))
        others[0].start()
        assert begun.wait(20)  # the task of another thread runs, so that the next one has to wait
        yield ran.set

    results = prefetched(acts())
    next(results)
    results.close()
    blocked.set()
    run_on_executor(lambda: None)
    assert not ran.is_set()

    def fail() -> None:
        raise TextError("no")

    with pytest.raises(TextError, match="no"):
        list(prefetched([fail, ran.set]))
    assert not ran.is_set()


def test_tasks_in_streams_run_side_by_side_on_one_core_each_and_results_keep_their_order() -> None:
    cores = run_on_executor(torch.get_num_threads)
    if cores == 1:
        pytest.skip("there is one core")
    meeting = threading.Barrier(2)

    def act(number: int) -> tuple[int, int]:
        if number < 2:
            meeting.wait(20)  # for the other one, which runs at the same time
        return number, torch.get_num_threads()

    assert [*in_streams(partial(act, number) for number in range(7))] == [(number, 1) for number in range(7)]
    assert torch.get_num_threads() == run_in_new_thread(torch.get_num_threads) == cores, "of other threads"


def test_the_number_of_cores_that_a_program_chose_for_its_own_threads_stays() -> None:
    cores = run_on_executor(torch.get_num_threads)
    if cores == 1:
        pytest.skip("there is one core")
    torch.set_num_threads(cores + 3)
    try:
        with ThreadPoolExecutor(4) as pool:  # several threads that change their own number at once
            list(pool.map(lambda number: executor._use_cores(1 + number % 2), range(40)))
        assert torch.get_num_threads() == run_in_new_thread(torch.get_num_threads) == cores + 3
    finally:
        torch.set_num_threads(cores)


def test_a_task_without_another_one_runs_on_all_cores() -> None:
    cores = run_on_executor(torch.get_num_threads)
    assert [*in_streams([torch.get_num_threads])] == [cores]
    assert [*in_streams([])] == []


def test_a_pass_on_all_cores_does_not_wait_for_those_of_streams() -> None:
    cores = run_on_executor(torch.get_num_threads)
    if cores == 1:
        pytest.skip("there is one core")
    blocked = threading.Event()
    results = in_streams([lambda: None, blocked.wait, lambda: None])
    next(results)
    assert run_on_executor(torch.get_num_threads) == 1
    blocked.set()
    assert [*results] == [True, None]
    assert run_on_executor(torch.get_num_threads) == cores


def test_a_pass_leaves_the_cores_to_other_programs_that_use_them(monkeypatch: pytest.MonkeyPatch) -> None:
    cores = run_on_executor(torch.get_num_threads)
    if cores == 1:
        pytest.skip("there is one core")
    seconds = iter(range(100))
    busy = [0.0]

    def read() -> ProcessorTimes:
        busy[0] += others
        return ProcessorTimes(busy=busy[0], own=0.0)

    others = 0.0
    monkeypatch.setattr(executor._passes, "_free_cores", FreeCores(read, clock=lambda: float(next(seconds))))
    assert run_on_executor(torch.get_num_threads) == cores
    others = os.cpu_count() or 1
    assert run_on_executor(torch.get_num_threads) == 1
    others = 0.0
    assert run_on_executor(torch.get_num_threads) == cores
    assert run_in_new_thread(torch.get_num_threads) == cores, "of the program's own threads"


def test_streams_run_few_tasks_ahead_and_end_with_an_error() -> None:
    cores = run_on_executor(torch.get_num_threads)
    if cores == 1:
        pytest.skip("there is one core")
    begun: list[int] = []

    def act(number: int) -> None:
        begun.append(number)
        if number == 1:
            raise TextError("no")

    results = in_streams(partial(act, number) for number in range(50))
    next(results)
    assert len(begun) <= cores + 1
    with pytest.raises(TextError, match="no"):
        list(results)
    run_on_executor(lambda: None)
    assert len(begun) <= cores + 2


def test_a_new_thread_ends_with_its_task() -> None:
    thread = run_in_new_thread(threading.current_thread)
    thread.join(20)
    assert not thread.is_alive()
    with pytest.raises(ZeroDivisionError):
        run_in_new_thread(lambda: 1 // 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # that forking with threads is dangerous
def test_a_forked_process_has_its_own_executor() -> None:
    assert run_on_executor(lambda: 1) == 1
    child = os.fork()
    if child == 0:
        os._exit(run_on_executor(lambda: 42))
    waiting = threading.Thread(target=lambda: ended.append(os.waitpid(child, 0)[1]))
    ended: list[int] = []
    waiting.start()
    waiting.join(20)
    if not ended:
        os.kill(child, 9)
        waiting.join()
    assert os.waitstatus_to_exitcode(ended[0]) == 42
