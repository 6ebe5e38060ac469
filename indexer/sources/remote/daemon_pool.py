"""Run calls that may hang in threads that nobody has to wait for."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import inf
from queue import SimpleQueue
from threading import Event, Lock, Thread
from typing import Generic, TypeVar

Result = TypeVar("Result")
_POLL_SECONDS = 0.1


class Stopped(Exception):
    """The pool was stopped, so there is no result."""


class Task(Generic[Result]):
    """A call in another thread."""

    def __init__(self, work: Callable[[], Result]) -> None:
        self._work = work
        self._done = Event()
        self._result: Result | None = None
        self._error: BaseException | None = None
        self._is_cancelled = False

    def cancel(self) -> None:
        """Leave the call out, if it has not begun."""
        self._is_cancelled = True

    def run(self) -> None:
        """Call it."""
        if self._is_cancelled:
            return
        try:
            self._result = self._work()
        except BaseException as error:  # noqa: BLE001 - it is raised for who waits
            self._error = error
        self._done.set()

    def wait(self, seconds: float) -> bool:
        """Wait for the end of the call; return whether it has come."""
        return self._done.wait(seconds)

    def result(self) -> Result:
        """Return the result of a call that has ended, or raise its error."""
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]


class DaemonPool:
    """A few threads for calls over the network.

    A call that hangs does not keep the program from ending, as one in an executor of the standard library would.
    """

    def __init__(self, threads: int) -> None:
        self._most = threads
        self._threads = 0
        self._unfinished = 0
        self._lock = Lock()
        self._waiting: SimpleQueue[Task[object] | None] = SimpleQueue()
        self._stopped = Event()

    def submit(self, work: Callable[[], Result]) -> Task[Result]:
        """Call `work` in one of the threads as soon as one is free."""
        task = Task(work)
        with self._lock:
            self._unfinished += 1
            if self._threads < min(self._most, self._unfinished):
                self._threads += 1
                Thread(target=self._run, name=f"remote-{self._threads}", daemon=True).start()
        self._waiting.put(task)  # type: ignore[arg-type]
        return task

    def wait(
        self, task: Task[Result], *, on_wait: Callable[[], None] = lambda: None, seconds: float | None = None
    ) -> Result:
        """Wait for the result of a call, for so many seconds at most; `on_wait` is called now and then.

        Raises:
            Stopped: `stop` was called.
            TimeoutError: the time is over.
        """
        until = inf if seconds is None else time.monotonic() + seconds
        while not task.wait(_POLL_SECONDS):
            on_wait()
            if self._stopped.is_set():
                raise Stopped
            if time.monotonic() > until:
                raise TimeoutError
        if self._stopped.is_set():
            raise Stopped
        return task.result()

    def stop(self) -> None:
        """Let all that wait, and will wait, give up, and the threads end after their calls."""
        self._stopped.set()
        with self._lock:
            for _ in range(self._threads):
                self._waiting.put(None)

    def _run(self) -> None:
        while (task := self._waiting.get()) is not None:
            if not self._stopped.is_set():
                task.run()
            with self._lock:
                self._unfinished -= 1
