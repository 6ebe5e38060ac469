"""One SQLite file: connections, transactions, and its errors in our words. Knows nothing of what is in the tables."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from echo_index.errors import EchoIndexError, IndexBusy, IndexDamaged, IndexUnwritable

Connection = sqlite3.Connection
Parameters = Sequence[Any] | Mapping[str, Any]

_REBUILD = "Build it again: echo-index build --rebuild FOLDER"
_SECONDS_TO_WAIT = 60
_UNWRITABLE = {
    "database or disk is full": "the disk is full",
    "attempt to write a readonly database": "it is read-only",
    "disk i/o error": "the disk reports an error",
    "unable to open database file": "a file in it cannot be opened",
}
"""SQLite's words, in lower case, for what stops a writer, and ours."""


class Database:
    """A SQLite file. Threads may share it; each has a connection of its own.

    Its methods raise IndexDamaged where the file is gone or cannot be read, IndexUnwritable where the disk is full or
    read-only, and IndexBusy where another process writes for longer than a minute.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self.path = path
        self._create = create
        self._local = threading.local()
        self._connections: list[Connection] = []
        self._writing = threading.Lock()  # SQLite would let the threads of this process sleep and try again

    def close(self) -> None:
        """Close the connections of all threads."""
        while self._connections:
            self._connections.pop().close()

    @contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[Connection]:
        """Write all that happens inside, or nothing; `durable`: it is on the disk, with all before, even without power.

        A transaction that is not durable outlives the process, not the machine.
        """
        with self._translated_errors(), self._writing:
            connection = self._connection()
            connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.commit()
            except BaseException:
                connection.rollback()
                raise

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Let everything that this thread reads inside be of one state, whatever is written meanwhile."""
        with self._translated_errors():
            connection = self._connection()
            if connection.in_transaction:
                yield
                return
            connection.execute("BEGIN")
            try:
                yield
            finally:
                connection.rollback()

    def rows(self, query: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """Return the rows that a query finds; it is to change nothing."""
        with self._translated_errors():
            return self._connection().execute(query, parameters).fetchall()

    def value(self, query: str, parameters: Parameters = ()) -> Any:
        """Return the one value that a query finds."""
        return self.rows(query, parameters)[0][0]

    def stream(self, query: str, parameters: Parameters = ()) -> Iterator[tuple[Any, ...]]:
        """Yield the rows that a query finds, without holding them all."""
        with self._translated_errors():
            yield from self._connection().execute(query, parameters)

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._explanation(error) from None

    def _explanation(self, error: sqlite3.Error) -> EchoIndexError:
        words = str(error).lower()
        if "locked" in words:
            return IndexBusy(f"The catalog {self.path} is being written by another process.", remedy="Try again.")
        if words in _UNWRITABLE:
            return IndexUnwritable(
                f"The index in {self.path.parent} cannot be written: {_UNWRITABLE[words]}.",
                remedy="What was there is kept; make room or give access, and run the same command again.",
            )
        return IndexDamaged(f"The catalog {self.path} is damaged: {error}.", remedy=_REBUILD)

    def _connection(self) -> Connection:
        opened: _Opened | None = getattr(self._local, "opened", None)
        if opened is not None and opened.is_stale(self.path):
            opened.connection.close()
            self._connections.remove(opened.connection)
            opened = None
        if opened is None:
            opened = self._open()
            self._local.opened = opened
            self._connections.append(opened.connection)
        return opened.connection

    def _open(self) -> _Opened:
        if self._create:
            return _Opened(self._connect("mode=rwc"))
        if not self.path.exists():
            raise IndexDamaged(f"The catalog {self.path} is missing.", remedy=_REBUILD)
        if os.access(self.path.parent, os.W_OK):
            try:
                return _Opened(self._connect("mode=rw"))
            except sqlite3.OperationalError as error:
                if str(error).lower() not in _UNWRITABLE:
                    raise
        return self._open_without_writing()

    def _open_without_writing(self) -> _Opened:
        """Open the file where nothing can be written beside it, as readers of a log do: on a full or read-only disk."""
        if not _has_log(self.path):
            return _Opened(self._connect("mode=ro&immutable=1"), taken_for_constant=_stamp(self.path))
        try:
            return _Opened(self._connect("mode=ro"))  # while somebody writes it, all that a reader needs is there
        except sqlite3.OperationalError:
            return _Opened(self._connect("mode=rw", "PRAGMA locking_mode = EXCLUSIVE"))  # nobody else meanwhile

    def _connect(self, access: str, *settings: str) -> Connection:
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?{access}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=_SECONDS_TO_WAIT,
        )
        try:
            for setting in (*settings, *(["PRAGMA journal_mode = WAL"] if self._create else [])):
                connection.execute(setting)
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.Error:
            connection.close()
            raise
        return connection


@dataclass(frozen=True, slots=True)
class _Opened:
    """A connection; `taken_for_constant` is the stamp of a file that was opened as one that nobody changes."""

    connection: Connection
    taken_for_constant: tuple[int, int] | None = None

    def is_stale(self, path: Path) -> bool:
        """Return whether somebody has begun to change that file."""
        if self.taken_for_constant is None or self.connection.in_transaction:
            return False
        try:
            return _has_log(path) or _stamp(path) != self.taken_for_constant
        except FileNotFoundError:
            return False  # it was replaced, and can be read to the end


def _has_log(path: Path) -> bool:
    log = path.with_name(f"{path.name}-wal")
    return log.exists() and log.stat().st_size > 0


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns
