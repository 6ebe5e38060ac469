"""Give access to files at addresses: list them, look into them, and fetch several at a time ahead of their reader."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

from echo_index.errors import DocumentError, MissingPackage, SourceError
from echo_index.indexer.documents.decoding import BINARY_SAMPLE_BYTES, begins_binary
from echo_index.indexer.documents.formats import has_reader, is_archive
from echo_index.indexer.sources.found_file import FoundFile
from echo_index.indexer.sources.remote.address import printable
from echo_index.indexer.sources.remote.daemon_pool import DaemonPool, Task
from echo_index.indexer.sources.remote.driver import counting_callback, driver_errors, open_driver
from echo_index.indexer.sources.remote.tree import RemoteEntry, RemoteTree
from echo_index.indexer.storage.limits import ARCHIVE_BYTES, FILE_BYTES
from echo_index.indexer.storage.safe_open import MEGABYTE, validate_size
from echo_index.indexer.storage.urls import path_url

Item = TypeVar("Item")

_AT_A_TIME = 16  # requests: an answer takes long, and little of the network
_AHEAD_BYTES = 256 * MEGABYTE  # of files that are fetched and not read yet
_AHEAD_ITEMS = 1_000
_FIRST_BYTES = 8192
_MOST_FAILURES = 8  # in a row, after which the place is given up
_SHOW_BYTES = 4 * MEGABYTE  # of a file, from which on it is shown how much has come


class FetchFailed(DocumentError):
    """A file at an address cannot be fetched now, which says nothing about its content."""


@dataclass(slots=True)
class _Fetch:
    file: FoundFile
    target: Path
    received: int = 0
    task: Task[None] = field(init=False)


class RemoteFiles:
    """The files at addresses, as one build sees them. Fetched files lie in a temporary folder until they are read.

    `activity` says in words what is waited for; `on_wait` is called with it often, and may raise an error to stop.
    Nothing is loaded and no thread is started before an address is asked for.
    """

    def __init__(self, *, on_wait: Callable[[str], None] = lambda activity: None) -> None:
        self.activity = ""
        self.has_missed_files = False
        """Whether a file was not there any more when it was fetched."""
        self._on_wait = on_wait
        self._pool = DaemonPool(_AT_A_TIME)
        self._folder: Path | None = None
        self._numbers = itertools.count(1)
        self._fetches: dict[Path, _Fetch] = {}
        self._unknown: dict[str, list[str]] = {}
        self._looks: dict[str, Task[bool]] = {}
        self._failures = 0

    def __enter__(self) -> RemoteFiles:
        """Return this object."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Stop, and delete what was fetched."""
        self.stop()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def stop(self) -> None:
        """Give up all that is waited for, now and later. May be called from any thread."""
        self._pool.stop()

    def tree(self, root: Path, *, on_error: Callable[[Path, str], None]) -> RemoteTree:
        """Return the tree of an address, given as a path. What a driver remembers of earlier listings is forgotten.

        Raises:
            MissingPackage: the driver is not installed.
            OSError: the driver cannot be set up.
        """
        url = path_url(root)
        files, name = self._run(f"listing {url}", partial(open_driver, url))
        files.invalidate_cache()
        return RemoteTree(
            root,
            files,
            name,
            run=partial(self._run, f"listing {url}"),
            on_error=on_error,
            on_listed=self._note_unknown,
        )

    def is_missing(self, path: Path, *, seconds: float | None = None) -> bool:
        """Return whether the place says that nothing is at an address. If it does not answer, that is not known."""

        def look() -> None:
            files, name = open_driver(path_url(path))
            files.invalidate_cache()
            with driver_errors():
                files.info(name)

        try:
            self._run(f"looking for {path_url(path)}", look, seconds=seconds)
        except FileNotFoundError:
            return True
        except (OSError, SourceError, MissingPackage, TimeoutError):
            return False
        return False

    def is_readable(self, path: Path) -> bool:
        """Return whether a file at an address can be fetched; only its first byte is."""
        try:
            self._run(f"looking for {path_url(path)}", partial(_head, str(path), 1))
        except (OSError, SourceError, MissingPackage):
            return False
        return True

    def is_binary(self, path: str) -> bool:
        """Return whether a file begins as no text does. Several files of a listing are looked into at a time.

        Raises:
            OSError: it cannot be read.
        """
        if path not in self._looks:
            siblings = self._unknown.get(str(Path(path).parent), [])
            next_one = bisect_right(siblings, path)
            for name in (path, *siblings[next_one : next_one + _AT_A_TIME - 1]):
                self._looks[name] = self._pool.submit(partial(_begins_binary, name))
        return bool(self._wait(f"looking into {path_url(path)}", self._looks.pop(path)))

    def ahead(self, items: Iterable[Item], file_of: Callable[[Item], FoundFile | None]) -> Iterator[Item]:
        """Yield all items. Those files at addresses that `file_of` returns are being fetched before their turn."""
        window: deque[Item] = deque()
        files: deque[FoundFile | None] = deque()
        for item in items:
            file = file_of(item)
            file = file if file and file.url else None
            window.append(item)
            files.append(file)
            if file and file.size <= FILE_BYTES:
                self._start(file)
            while window and (not self._fetches or self._is_full(len(window))):
                yield window.popleft()
                self._drop(files.popleft())
        while window:
            yield window.popleft()
            self._drop(files.popleft())

    @contextmanager
    def local(self, file: FoundFile) -> Iterator[str]:
        """Fetch a file, and return the path at which it is inside of the `with` block, with the size and time it had.

        For a file on this machine, that is its own path.

        Raises:
            FileNotFoundError: there is no such file any more.
            FetchFailed: it cannot be fetched now.
            DocumentError: it is too large.
            SourceError: several in a row could not be fetched: the place cannot be reached.
        """
        if not file.url:
            yield file.real_path
            return
        validate_size(file.size, _limit(file))
        fetch = self._fetches.get(file.path) or self._start(file)
        try:
            self._receive(fetch)
            yield str(fetch.target)
        finally:
            self._drop(file)

    def _receive(self, fetch: _Fetch) -> None:
        file = fetch.file

        def activity() -> str:
            name = printable(file.path.name)
            if file.size < _SHOW_BYTES:
                return f"fetching {name}"
            return f"fetching {name}, {fetch.received / 1e6:,.0f} of {file.size / 1e6:,.0f} MB"

        try:
            self._wait(activity, fetch.task)
        except FileNotFoundError:
            self.has_missed_files = True
            raise
        except PermissionError as error:
            raise FetchFailed(f"It cannot be fetched: {error.strerror}.") from error
        except OSError as error:
            self._failures += 1
            if self._failures == _MOST_FAILURES:
                raise SourceError(
                    f"{file.url} cannot be fetched, nor could the {_MOST_FAILURES - 1} files before it: "
                    f"{error.strerror}; nothing was removed from the index.",
                    remedy="Build again when the place can be reached; what was embedded is kept.",
                ) from error
            raise FetchFailed(f"It cannot be fetched: {error.strerror}.") from error
        self._failures = 0

    def _start(self, file: FoundFile) -> _Fetch:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="echo-index-remote-")).resolve()
        # The name of the file plays no part in this: it comes from outside.
        fetch = self._fetches[file.path] = _Fetch(file, self._folder / str(next(self._numbers)))
        fetch.task = self._pool.submit(partial(_fetch, fetch))
        return fetch

    def _drop(self, file: FoundFile | None) -> None:
        if file and (fetch := self._fetches.pop(file.path, None)):
            fetch.task.cancel()
            with suppress(OSError):
                fetch.target.unlink()

    def _is_full(self, items: int) -> bool:
        fetches = [*self._fetches.values()]
        size = sum(fetch.file.size for fetch in fetches)
        return items >= _AHEAD_ITEMS or len(fetches) >= _AT_A_TIME or size >= _AHEAD_BYTES

    def _note_unknown(self, folder: str, entries: Sequence[RemoteEntry]) -> None:
        """Note which files of a folder no reader takes for their names, in the order in which a scan comes to them."""
        files = (entry for entry in entries if entry.kind == "file" and not entry.name.startswith("."))
        unknown = (entry.path for entry in files if not (has_reader(entry.name) or is_archive(entry.name)))
        self._unknown[folder] = sorted(unknown)

    def _run(self, activity: str, work: Callable[[], Any], *, seconds: float | None = None) -> Any:
        return self._wait(activity, self._pool.submit(work), seconds=seconds)

    def _wait(self, activity: str | Callable[[], str], task: Task[Any], *, seconds: float | None = None) -> Any:
        def report() -> None:
            self.activity = activity if isinstance(activity, str) else activity()
            self._on_wait(self.activity)

        try:
            return self._pool.wait(task, on_wait=report, seconds=seconds)
        finally:
            self.activity = ""


def _limit(file: FoundFile) -> int:
    return FILE_BYTES if file.members is None else ARCHIVE_BYTES


def _fetch(fetch: _Fetch) -> None:
    file, limit = fetch.file, _limit(fetch.file)

    def count(size: int) -> None:
        fetch.received += size
        validate_size(fetch.received, limit)

    files, name = open_driver(file.url)
    with driver_errors():
        files.get_file(name, str(fetch.target), callback=counting_callback(count))
        size = fetch.target.stat().st_size
    validate_size(size, limit)
    os.utime(fetch.target, ns=(file.modified_ns, file.modified_ns))


def _begins_binary(path: str) -> bool:
    content = _head(path, _FIRST_BYTES)
    return begins_binary(BytesIO(_head(path, BINARY_SAMPLE_BYTES) if b"\0" in content else content))


def _head(path: str, size: int) -> bytes:
    files, name = open_driver(path_url(path))
    with driver_errors():
        return bytes(files.cat_file(name, start=0, end=size))
