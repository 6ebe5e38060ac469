"""Run risky work in a child process, which may hang, run out of memory or crash without harm to this one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from math import inf
from pathlib import Path
from threading import Event, Lock, Thread
from typing import BinaryIO, cast

from echo_index.errors import DocumentError, SourceError
from echo_index.indexer.sandbox.protocol import OUT_OF_MEMORY, Message, receive, send

_MODULE = "echo_index.indexer.sandbox.server"
_ROOT = str(Path(__file__).parents[3])  # the folder that contains the package
_GIGABYTE = 2**30
_EXIT_TIMEOUT_SECONDS = 5


class WorkerStopped(Exception):
    """The worker was stopped, so there is no reply."""


class Worker:
    """A child process that is started by the first call, and again by the next call after it ended.

    Not thread-safe, except for `stop`. `seconds` limits the time until each reply, `memory_bytes` the address space of
    the process.
    """

    def __init__(self, *, seconds: float, memory_bytes: int) -> None:
        self._seconds = seconds
        self._memory_bytes = memory_bytes
        self._child: _Child | None = None
        self._is_stopped = False

    @property
    def pid(self) -> int | None:
        """The ID of the child process; None if there is none."""
        return self._child.process.pid if self._child else None

    def call(self, request: Message, *, activity: str) -> Iterator[Message]:
        """Send a request and yield the replies to it. `activity` begins the error message, such as "Reading it".

        A reply that has `seconds` says that the next one may take so long.

        Raises:
            DocumentError: the call took too much time or memory, or crashed the child process.
            SourceError: the child process cannot be started.
            WorkerStopped: `stop` was called.
        """
        child = self._running_child()
        is_last = False
        try:
            child.send(request)
            child.start_time(self._seconds)
            while not is_last and (reply := child.receive()) is not None:
                is_last = reply.pop("last")
                seconds = reply.pop("seconds", self._seconds)
                yield reply
                child.start_time(seconds)
            if not is_last:
                child.wait()
        finally:
            if not is_last or child.is_late():
                self.close()
        self._raise_if_stopped()
        if not is_last:
            raise DocumentError(self._death_reason(child, activity))

    def stop(self) -> None:
        """Kill the child process and let all calls fail, now and later. May be called from any thread."""
        self._is_stopped = True
        if (child := self._child) is not None:
            child.process.kill()

    def close(self) -> None:
        """Kill the child process."""
        if self._child:
            self._child.kill()
            self._child = None

    def _running_child(self) -> _Child:
        if self._child and self._child.process.poll() is None:
            return self._child
        self.close()
        self._child = _Child(self._seconds, self._memory_bytes)
        self._raise_if_stopped()  # after the start of the process, which an earlier `stop` could not kill
        is_ready = False
        try:
            is_ready = self._child.receive() is not None
        finally:
            if not is_ready:
                self.close()
        self._raise_if_stopped()
        if self._child is None:
            remedy = f"To see why, run: {Path(sys.executable).name} -m {_MODULE}"
            raise SourceError("The process that reads documents does not start.", remedy=remedy)
        return self._child

    def _raise_if_stopped(self) -> None:
        if self._is_stopped:
            raise WorkerStopped

    def _death_reason(self, child: _Child, activity: str) -> str:
        if child.is_late():
            return f"{activity} took longer than {child.seconds:g} second{'' if child.seconds == 1 else 's'}."
        if child.process.returncode == OUT_OF_MEMORY:
            return f"{activity} takes more than {self._memory_bytes / _GIGABYTE:.1f} GB of memory."
        if child.process.returncode == -signal.SIGABRT:  # so libraries end that get no memory, or check themselves
            return f"{activity} was given up: its structure is broken, or takes too much memory."
        return f"{activity} crashed its reader ({_exit_description(child.process.returncode)})."


class _Child:
    """A child process, and a thread that kills it when a call exceeds its time.

    There is one thread for all calls: starting one takes as long as reading a short document.
    """

    def __init__(self, seconds: float, memory_bytes: int) -> None:
        self.process = subprocess.Popen(
            [*_interpreter(), "-m", _MODULE, str(seconds), str(memory_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(_import_paths())},
            cwd=_ROOT,
        )
        self.seconds = seconds
        """The time in which the next reply must come."""
        self._check_seconds = min(1.0, seconds / 10)
        self._deadline = inf
        self._is_late = False
        self._lock = Lock()
        self._is_closed = Event()
        self._watchdog = Thread(target=self._kill_when_late, name="reading-watchdog", daemon=True)
        self._watchdog.start()

    def send(self, request: Message) -> None:
        """Send a request."""
        with suppress(OSError):  # the process has died, which `receive` reports
            send(cast(BinaryIO, self.process.stdin), request)

    def start_time(self, seconds: float) -> None:
        """Start the time in which a reply must come."""
        self.seconds = seconds
        self._deadline = time.monotonic() + seconds

    def receive(self) -> Message | None:
        """Wait for a reply; None if the process has ended."""
        reply = receive(cast(BinaryIO, self.process.stdout))
        self._deadline = inf  # who takes the reply may need some time
        return reply

    def is_late(self) -> bool:
        """Stop the time and return whether it had run out."""
        with self._lock:
            self._deadline = inf
            return self._is_late

    def wait(self) -> None:
        """Wait until the process exits by itself, to get its own exit code."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=_EXIT_TIMEOUT_SECONDS)

    def kill(self) -> None:
        self.process.kill()
        self._is_closed.set()
        for channel in (self.process.stdin, self.process.stdout):
            with suppress(OSError):  # closing flushes what was not sent yet
                cast(BinaryIO, channel).close()
        self.process.wait()
        self._watchdog.join()

    def _kill_when_late(self) -> None:
        while not self._is_closed.wait(self._check_seconds):
            with self._lock:
                if time.monotonic() > self._deadline:
                    self._is_late = True
                    self.process.kill()
                    return


def _interpreter() -> list[str]:
    """Return the command for Python. -P: import nothing from the current folder, where a document may be json.py."""
    return [sys.executable, "-P"] if sys.version_info >= (3, 11) else [sys.executable]


def _import_paths() -> list[str]:
    """Return the import paths of this process as absolute paths."""
    paths = [os.path.abspath(entry) for entry in sys.path if entry]  # noqa: PTH100 - Path.resolve would follow links
    return paths if _ROOT in paths else [*paths, _ROOT]


def _exit_description(code: int) -> str:
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"exit code {code}"
