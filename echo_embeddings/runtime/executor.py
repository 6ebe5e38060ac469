"""Run the forward passes of all models of this process in one thread, one at a time."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_thread_state = threading.local()


def _start_executor() -> ThreadPoolExecutor:
    def mark_thread() -> None:
        _thread_state.is_executor = True

    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="passes", initializer=mark_thread)


_executor = _start_executor()


def run_on_executor(task: Callable[[], T]) -> T:
    """Run `task` in the executor's thread, after the tasks that are waiting there, and return its result.

    One pass at a time uses all cores better than two in parallel. Besides, each thread that ever multiplied matrices
    gets its own pool of OpenMP threads, one per core. They spin while they wait, or are woken for each operation when
    there are more threads than cores; either makes a pass take twice as long or longer. So any work on large tensors
    belongs here, even if it is not a pass. A call from inside a task runs immediately.
    """
    if getattr(_thread_state, "is_executor", False):
        return task()
    return _executor.submit(task).result()


def run_in_new_thread(task: Callable[[], T]) -> T:
    """Run a long `task` that is not a pass in a new thread, which ends with it together with its OpenMP threads."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(task())
        except BaseException as error:  # noqa: BLE001 - raised again in the caller
            future.set_exception(error)

    threading.Thread(target=run, name="once", daemon=True).start()
    return future.result()


def prefetched(tasks: Iterable[Callable[[], T]]) -> Generator[T, None, None]:
    """Run tasks on the executor in order and yield their results; the next task runs while the caller uses a result.

    At most one task waits in the executor at any time, so that tasks of other callers run in between.
    """
    running: Future[T] | None = None
    try:
        for task in tasks:
            if running is None:
                running = _executor.submit(task)
            else:
                result = running.result()
                running = _executor.submit(task)
                yield result
        if running is not None:
            yield running.result()
    finally:
        if running is not None:
            running.cancel()


def _restart_executor() -> None:
    """Replace the executor in a forked process, which does not have its thread."""
    global _executor
    _executor = _start_executor()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_restart_executor)
