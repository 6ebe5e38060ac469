"""A child process that may hang, burst or crash in this one's place. Knows its limits; nothing of what it is asked."""

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
_ROOT = str(Path(__file__).parents[3])  # the folder that holds the package
_GIGABYTE = 2**30
_DYING_SECONDS = 5


class WorkerStopped(Exception):
    """Nobody wants an answer any more."""


class Worker:
    """One child process, begun when it is first asked and again when it died. For one thread at a time, but for `stop`.

    `seconds` is the most that one answer may take, `memory_bytes` all that the process may ever map.
    """

    def __init__(self, *, seconds: float, memory_bytes: int) -> None:
        self._seconds = seconds
        self._memory_bytes = memory_bytes
        self._child: _Child | None = None
        self._is_stopped = False

    @property
    def pid(self) -> int | None:
        """The process as the operating system knows it; None while there is none."""
        return self._child.process.pid if self._child else None

    def ask(self, request: Message, *, doing: str) -> Iterator[Message]:
        """Yield the parts of the answer, to the last of them. `doing` begins the sentence that says why there is none.

        Raises:
            DocumentError: it took too long or too much memory, or the process died of it.
            SourceError: no process can be started.
            WorkerStopped: `stop` was called.
        """
        child = self._living_child()
        is_last = False
        try:
            child.begin(request)
            while not is_last and (part := child.receive()) is not None:
                is_last = part.pop("last")
                yield part
            if not is_last:
                child.let_die()
        finally:
            if not is_last or child.is_late():
                self.close()
        self._refuse_stopped()
        if not is_last:
            raise DocumentError(self._why_it_died(child, doing))

    def stop(self) -> None:
        """Let whoever asks, now or later, get no more answers. May be called from any thread."""
        self._is_stopped = True
        if (child := self._child) is not None:
            child.process.kill()

    def close(self) -> None:
        """End the process, whatever it is at."""
        if self._child:
            self._child.end()
            self._child = None

    def _living_child(self) -> _Child:
        if self._child and self._child.process.poll() is None:
            return self._child
        self.close()
        self._child = _Child(self._seconds, self._memory_bytes)
        self._refuse_stopped()  # asked when there is a process: one that begins from now on would not be ended
        is_ready = False
        try:
            is_ready = self._child.receive() is not None
        finally:
            if not is_ready:
                self.close()
        self._refuse_stopped()
        if self._child is None:
            remedy = f"See why: {Path(sys.executable).name} -m {_MODULE}"
            raise SourceError("The process that reads documents does not start.", remedy=remedy)
        return self._child

    def _refuse_stopped(self) -> None:
        if self._is_stopped:
            raise WorkerStopped

    def _why_it_died(self, child: _Child, doing: str) -> str:
        if child.is_late():
            return f"{doing} took longer than {self._seconds:g} second{'' if self._seconds == 1 else 's'}."
        if child.process.returncode == OUT_OF_MEMORY:
            return f"{doing} takes more than {self._memory_bytes / _GIGABYTE:.1f} GB of memory."
        return f"{doing} crashed its reader ({_ending(child.process.returncode)})."


class _Child:
    """The process, and a thread that ends it when an answer is late.

    One thread for all answers: to begin one for each would take as long as to read a short document.
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
        self._seconds = seconds
        self._deadline = inf
        self._is_late = False
        self._lock = Lock()
        self._is_over = Event()
        self._watch = Thread(target=self._end_when_late, name="reading-watch", daemon=True)
        self._watch.start()

    def begin(self, request: Message) -> None:
        """Send a request, whose time runs from now on."""
        self._deadline = time.monotonic() + self._seconds
        with suppress(OSError):  # it has died, and `receive` will tell
            send(cast(BinaryIO, self.process.stdin), request)

    def receive(self) -> Message | None:
        """Wait for a part of the answer; None when there will be none."""
        return receive(cast(BinaryIO, self.process.stdout))

    def is_late(self) -> bool:
        """Stop the time, and tell whether it had run out."""
        with self._lock:
            self._deadline = inf
            return self._is_late

    def let_die(self) -> None:
        """Wait for a process that says no more, so that it ends with its own exit code."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=_DYING_SECONDS)

    def end(self) -> None:
        self.process.kill()
        self._is_over.set()
        for channel in (self.process.stdin, self.process.stdout):
            with suppress(OSError):  # for what was not sent yet
                cast(BinaryIO, channel).close()
        self.process.wait()
        self._watch.join()

    def _end_when_late(self) -> None:
        while not self._is_over.wait(min(1.0, self._seconds / 10)):
            with self._lock:
                if time.monotonic() > self._deadline:
                    self._is_late = True
                    self.process.kill()
                    return


def _interpreter() -> list[str]:
    """Return Python, told to import nothing from the current folder: one of the documents may be called json.py."""
    return [sys.executable, "-P"] if sys.version_info >= (3, 11) else [sys.executable]


def _import_paths() -> list[str]:
    """Return where this process finds its packages, be it run from wherever."""
    paths = [os.path.abspath(entry) for entry in sys.path if entry]  # noqa: PTH100 - as it stands, links and all
    return paths if _ROOT in paths else [*paths, _ROOT]


def _ending(code: int) -> str:
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"exit code {code}"
