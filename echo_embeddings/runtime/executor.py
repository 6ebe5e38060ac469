"""Run the forward passes of all models in this process: one at a time on all cores, or several on one core each."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import chain, islice
from typing import TypeVar

from echo_index.embeddings.runtime.free_cores import FreeCores, read_processor_times

T = TypeVar("T")

_thread_state = threading.local()
_setting_cores = threading.Lock()


class _Passes:
    """The threads for passes: one for passes on all cores, and a stream for each core."""

    def __init__(self) -> None:
        self.executor = ThreadPoolExecutor(1, thread_name_prefix="passes", initializer=_mark_thread)
        self._streams: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        self._cores = 0
        self._running_streams = 0
        self._free_cores = FreeCores(read_processor_times)

    def on_all_cores(self, task: Callable[[], T]) -> Future[T]:
        """Start a task on all cores that other programs and streams leave free, so as not to wait for the others."""
        return self.executor.submit(self._with_free_cores, task)

    def in_stream(self, task: Callable[[], T]) -> Future[T]:
        """Start a task on one core."""
        with self._lock:
            if self._streams is None:
                threads = self.cores()
                self._streams = ThreadPoolExecutor(threads, thread_name_prefix="stream", initializer=_mark_stream)
        return self._streams.submit(self._counted, task)

    def cores(self) -> int:
        """Return the number of cores that torch uses for a pass if all are free."""
        return self._cores or self.executor.submit(self._torch_cores).result()

    def _torch_cores(self) -> int:
        if not self._cores:
            import torch

            self._cores = torch.get_num_threads()
        return self._cores

    def _with_free_cores(self, task: Callable[[], T]) -> T:
        if "torch" in sys.modules:  # else this is a task that loads it, and multiplies nothing
            free = self._free_cores.count(os.cpu_count() or 1, at_most=self._torch_cores())
            _use_cores(1 if self._running_streams else free)
        return task()

    def _counted(self, task: Callable[[], T]) -> T:
        with self._lock:
            self._running_streams += 1
        try:
            return task()
        finally:
            with self._lock:
                self._running_streams -= 1


def run_on_executor(task: Callable[[], T]) -> T:
    """Run `task` on all cores, after the tasks that are waiting for them, and return its result.

    One pass at a time uses all cores better than two in parallel. Besides, each thread that ever multiplied matrices
    gets its own pool of OpenMP threads, one per core. They spin while they wait, or are woken for each operation when
    there are more threads than cores; either makes a pass take twice as long or longer. So any work on large tensors
    belongs here, even if it is not a pass. A call from inside a task runs immediately.
    """
    if getattr(_thread_state, "is_executor", False):
        return task()
    return _passes.on_all_cores(task).result()


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


def in_streams(tasks: Iterable[Callable[[], T]]) -> Generator[T, None, None]:
    """Run tasks side by side, each on one core, and yield their results in their order.

    On all cores, the threads of a pass meet after each operation and wait for the slowest. Where other programs run,
    one of them is always waiting for a core, and a pass takes many times as long; streams never wait for each other.
    A task without another to run beside it gets all cores. While the caller uses a result, the next tasks run.
    """
    waiting = iter(tasks)
    first = [*islice(waiting, 2)]
    if len(first) < 2 or _passes.cores() == 1:
        yield from prefetched(chain(first, waiting))
        return
    started: deque[Future[T]] = deque()
    try:
        for task in chain(first, waiting):
            if len(started) > _passes.cores():  # one waits, so that no core does
                yield started.popleft().result()
            started.append(_passes.in_stream(task))
        while started:
            yield started.popleft().result()
    finally:
        for future in started:
            future.cancel()


def prefetched(tasks: Iterable[Callable[[], T]]) -> Generator[T, None, None]:
    """Run tasks on all cores in order and yield their results; the next task runs while the caller uses a result.

    At most one task waits in the executor at any time, so that tasks of other callers run in between.
    """
    running: Future[T] | None = None
    try:
        for task in tasks:
            if running is None:
                running = _passes.on_all_cores(task)
            else:
                result = running.result()
                running = _passes.on_all_cores(task)
                yield result
        if running is not None:
            yield running.result()
    finally:
        if running is not None:
            running.cancel()


def _mark_thread() -> None:
    _thread_state.is_executor = True


def _mark_stream() -> None:
    _mark_thread()
    _use_cores(1)


def _use_cores(count: int) -> None:
    """Let operations of this thread use as many cores.

    torch sets the number for this thread and all threads to come. A new thread tells and sets back the latter, which
    the program may have chosen.
    """
    import torch

    if count == torch.get_num_threads():
        return
    with _setting_cores:
        of_new_threads = run_in_new_thread(torch.get_num_threads)
        torch.set_num_threads(count)
        run_in_new_thread(partial(torch.set_num_threads, of_new_threads))


_passes = _Passes()


def _restart() -> None:
    """Replace the threads in a forked process, which does not have them."""
    global _passes
    _passes = _Passes()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_restart)
