"""Read files in a background thread while their chunks are embedded."""

from __future__ import annotations

from collections.abc import Callable
from threading import Condition, Thread
from types import TracebackType

_POLL_SECONDS = 0.2  # the longest wait, so that the caller can report progress or be stopped

OnFileRead = Callable[[int, int], None]
"""Receives the number of files that were looked at, and the number of chunks of the last one."""


class _Cancelled(Exception):
    """Ends a reading whose result is no longer needed."""


class Prefetch:
    """Run `read` in a thread inside the `with` block; leaving the block early cancels it.

    `stop` is called from another thread to cancel: it must make whatever `read` is waiting for raise an error.
    `activity` says in words what takes long at the moment, if anything does.
    """

    def __init__(
        self,
        read: Callable[[OnFileRead], None],
        *,
        stop: Callable[[], None],
        activity: Callable[[], str] = lambda: "",
    ) -> None:
        self.files_seen = 0
        self.activity = activity
        self._read, self._stop = read, stop
        self._new_chunks = 0
        self._is_finished = self._is_cancelled = False
        self._failure: BaseException | None = None
        self._changed = Condition()
        self._thread = Thread(target=self._run, name="reading", daemon=True)

    def __enter__(self) -> Prefetch:
        """Start to read."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Wait for the thread to end, so that it writes nothing afterwards."""
        self._is_cancelled = True
        if not self._is_finished:
            self._stop()
        self._thread.join()

    def is_finished(self) -> bool:
        """Return whether everything has been read; raise the error that ended the reading, if any."""
        with self._changed:
            if self._failure is not None:
                raise self._failure
            return self._is_finished

    def wait_for_chunks(self, count: int) -> bool:
        """Wait a moment for `count` chunks since the last call that returned True; return whether they have arrived."""
        with self._changed:
            self._changed.wait_for(lambda: self._new_chunks >= count or self._is_finished, timeout=_POLL_SECONDS)
            has_enough = self._new_chunks >= count
            if has_enough:
                self._new_chunks = 0
            return has_enough

    def _on_file_read(self, files_seen: int, chunks: int) -> None:
        if self._is_cancelled:
            raise _Cancelled
        with self._changed:
            self.files_seen = files_seen
            self._new_chunks += chunks
            self._changed.notify()

    def _run(self) -> None:
        failure: BaseException | None = None
        try:
            self._read(self._on_file_read)
        except BaseException as error:  # noqa: BLE001 - `is_finished` raises it in the thread that waits
            failure = error
        with self._changed:
            self._failure, self._is_finished = failure, True
            self._changed.notify()
