"""Wait for changes of the files of sources: by the events of the operating system, or by looking every few seconds."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from echo_index.app.services.file_systems import reports_changes
from echo_index.indexer.sources.gitignore import GIT_FOLDER, IGNORE_FILE

if TYPE_CHECKING:
    from echo_index.indexer.sources.source import Source

_QUIET_SECONDS = 1.0
_LONGEST_SECONDS = 5.0  # that a steady stream of changes is waited for
_POLL_SECONDS = 2.0
_SHARE = 10  # times as long as it took to look is waited before the next look
_STEP_MILLISECONDS = 100  # the longest wait before Ctrl-C or `stop` is noticed


class ChangeEvents:
    """Tells when files of sources may have changed, in batches that end with a quiet second or after five.

    A source that is missing is waited for. Sources on file systems that report no changes are looked at every few
    seconds, with `polling` all of them.
    """

    def __init__(
        self,
        sources: Callable[[], Sequence[Source]],
        *,
        ignored: Sequence[Path],
        polling: bool = False,
        stop: Event | None = None,
        notice: Callable[[str], None] = lambda line: None,
    ) -> None:
        """Take a function that returns the present sources, and the folders whose files do not count."""
        self.stop = stop or Event()
        self._sources = sources
        self._ignored = tuple({name for path in ignored for name in (str(path.absolute()), os.path.realpath(path))})
        self._polling = polling
        self._notice = notice
        self._silent: dict[Path, bool] = {}
        self._first_change: float | None = None
        self._due: float | None = None
        self.look_seconds = 0.0
        """How long the caller's last look at the files took: the next one is ten times as long after it."""

    def look_again(self, seconds: float) -> None:
        """End the next batch after this time, even if nothing changes until then."""
        self._due = time.monotonic() + seconds

    def batches(self) -> Iterator[None]:
        """Yield once after the start and then after each batch of changes, until `stop` is set.

        What changes while the caller works belongs to the next batch.
        """
        self.look_again(0)
        not_before = 0.0
        before: list[tuple[object, ...]] = []
        while not self.stop.is_set():
            state = self._state()
            if state != before:  # a source has come, gone or moved, or is a file and has changed
                before = state
                self._silent.clear()
                self._first_change = self._first_change or time.monotonic()
            with closing(self._wait(self._folders())) as waiting:
                for paths in waiting:
                    now = time.monotonic()
                    if self._first_change is None and any(map(self._counts, paths)):
                        self._first_change = now
                    if now >= not_before and self._is_complete(now, is_quiet=not paths):
                        self._first_change = self._due = None
                        yield
                        not_before = time.monotonic() + _SHARE * self.look_seconds
                        if self._is_polled():
                            self._due = self._due or not_before + _POLL_SECONDS
                    if self._state() != state:
                        break

    def _is_complete(self, now: float, *, is_quiet: bool) -> bool:
        if self._due is not None and now >= self._due:
            return True
        return self._first_change is not None and (is_quiet or now - self._first_change >= _LONGEST_SECONDS)

    def _wait(self, folders: Sequence[Path]) -> Generator[set[str], None, None]:
        """Yield the paths that have changed, or nothing after each quiet second."""
        from watchfiles import watch
        from watchfiles._rust_notify import WatchfilesRustInternalError

        if folders:
            try:
                for changes in watch(
                    *folders,
                    watch_filter=None,
                    step=_STEP_MILLISECONDS,
                    debounce=int(1000 * _QUIET_SECONDS),
                    rust_timeout=int(1000 * _QUIET_SECONDS),
                    yield_on_timeout=True,
                    stop_event=self.stop,
                    force_polling=False,
                    ignore_permission_denied=True,
                ):
                    yield {path for _, path in changes}
                return
            except FileNotFoundError:
                pass  # one of them has just vanished
            except (OSError, WatchfilesRustInternalError) as error:
                reason = str(error).split(":")[0].split(" about ")[0].rstrip(".").lower()
                self._notice(f"Folders cannot be watched ({reason}); they are looked at every few seconds instead.")
                self._polling = True
        self.stop.wait(_QUIET_SECONDS)
        yield set()

    def _folders(self) -> list[Path]:
        """Return the folders whose events are waited for."""
        return [source.path for source in self._sources() if source.path.is_dir() and not self._is_silent(source)]

    def _is_polled(self) -> bool:
        return any(source.path.is_dir() and self._is_silent(source) for source in self._sources())

    def _is_silent(self, source: Source) -> bool:
        if source.path not in self._silent:
            self._silent[source.path] = not reports_changes(source.path)
        return self._polling or self._silent[source.path]

    def _state(self) -> list[tuple[object, ...]]:
        """Return what shows that a source has come, gone or been replaced or, if it is a file, changed."""
        state: list[tuple[object, ...]] = []
        for source in self._sources():
            try:
                status = source.path.stat()
            except OSError:
                state.append((source.path,))
                continue
            state.append((source.path, status.st_dev, status.st_ino))
            if source.path.is_file():
                state[-1] += (status.st_size, status.st_mtime_ns)
        return state

    def _counts(self, path: str) -> bool:
        """Return whether a change may concern a build: not one in the index, in a hidden folder or of a hidden file."""
        if any(path == folder or path.startswith(folder.rstrip(os.sep) + os.sep) for folder in self._ignored):
            return False
        below = [source for source in self._sources() if Path(path).is_relative_to(source.path)]
        return not below or any(_is_visible(Path(path), source) for source in below)


def _is_visible(path: Path, source: Source) -> bool:
    *folders, name = path.relative_to(source.path).parts or ("",)
    if source.names_hidden_files():
        return GIT_FOLDER not in (*folders, name)
    return not any(folder.startswith(".") for folder in folders) and (name == IGNORE_FILE or not name.startswith("."))
