"""Files are read in a thread of their own while what they hold is embedded. Knows neither files nor vectors."""

from __future__ import annotations

from collections.abc import Callable
from threading import Condition, Thread
from types import TracebackType

_MOMENT = 0.2  # seconds without a word, at most: so that who watches can stop the work

Tell = Callable[[int, int], None]
"""Told how many files were looked at, and how many chunks the last one was cut into."""


class _Left(Exception):
    """Ends a reading that nobody waits for any more."""


class Prefetch:
    """Runs `read` in a thread from the moment this is entered; leaving this early ends it, with the help of `stop`.

    `stop` is called from another thread, and is to let what `read` may be waiting for raise an error.
    """

    def __init__(self, read: Callable[[Tell], None], *, stop: Callable[[], None]) -> None:
        self.looked_at = 0
        self._read, self._stop = read, stop
        self._brought = 0
        self._is_over = self._is_left = False
        self._failure: BaseException | None = None
        self._changed = Condition()
        self._thread = Thread(target=self._run, name="reading", daemon=True)

    def __enter__(self) -> Prefetch:
        """Begin to read."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Return when the thread has ended: after this, it writes nothing."""
        self._is_left = True
        if not self._is_over:
            self._stop()
        self._thread.join()

    def is_over(self) -> bool:
        """Whether all is read. Raises what ended the reading, if it was an error."""
        with self._changed:
            if self._failure is not None:
                raise self._failure
            return self._is_over

    def brings(self, enough: int) -> bool:
        """Wait a moment for `enough` chunks since this was last true; tell whether they came."""
        with self._changed:
            self._changed.wait_for(lambda: self._brought >= enough or self._is_over, timeout=_MOMENT)
            came = self._brought >= enough
            if came:
                self._brought = 0
            return came

    def _tell(self, looked_at: int, chunks: int) -> None:
        if self._is_left:
            raise _Left
        with self._changed:
            self.looked_at = looked_at
            self._brought += chunks
            self._changed.notify()

    def _run(self) -> None:
        failure: BaseException | None = None
        try:
            self._read(self._tell)
        except BaseException as error:  # noqa: BLE001 - raised again where the reading is waited for
            failure = error
        with self._changed:
            self._failure, self._is_over = failure, True
            self._changed.notify()
