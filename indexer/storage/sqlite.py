"""Access a SQLite file from several threads: connections, transactions, and errors with a remedy."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from echo_index.errors import EchoIndexError, IndexBusy, IndexDamaged, IndexUnwritable
from echo_index.indexer.storage.atomic_write import unwritable_index

Connection = sqlite3.Connection
Parameters = Sequence[Any] | Mapping[str, Any]

_REBUILD = "Build it again: echo-index build --rebuild FOLDER"
_BUSY_TIMEOUT_SECONDS = 60
FREED_SHARE = 0.25
"""From which share of a file on it is written anew without what was deleted: that takes as long as writing the rest."""
_LEAST_FREED = 32  # pages
_NEW_FILE = ("PRAGMA page_size = 8192", "PRAGMA journal_mode = WAL")
"""Settings of a new file; a file that exists keeps its pages. Of 4 kB, a seventh was empty behind rows of 700 bytes."""
_UNWRITABLE = {
    "database or disk is full": "the disk is full",
    "attempt to write a readonly database": "it is read-only",
    "disk i/o error": "the disk reports an error",
    "unable to open database file": "a file in it cannot be opened",
}
"""Messages of SQLite, in lower case, for a file that cannot be written, and the reason that the error gives."""


class Database:
    """A SQLite file. Threads may share the object: each thread gets its own connection.

    All methods raise IndexDamaged if the file is missing or cannot be read, IndexUnwritable if the disk is full or
    read-only, and IndexBusy if another process is writing for more than a minute.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self.path = path
        self._create = create
        self._local = threading.local()
        self._connections: list[Connection] = []
        self._writing = threading.Lock()  # without it, SQLite would make threads of this process poll

    def close(self) -> None:
        """Close the connections of all threads."""
        while self._connections:
            self._connections.pop().close()

    @contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[Connection]:
        """Commit all changes made inside the block, or none.

        A transaction survives the death of the process. With `durable`, this and all earlier ones also survive a power
        failure.
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
        """Give this thread a consistent snapshot inside the block, whatever other connections write."""
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
        """Return the rows of a query that changes nothing."""
        with self._translated_errors():
            return self._connection().execute(query, parameters).fetchall()

    def value(self, query: str, parameters: Parameters = ()) -> Any:
        """Return the single value of a query."""
        return self.rows(query, parameters)[0][0]

    def stream(self, query: str, parameters: Parameters = ()) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query without loading all of them at once."""
        with self._translated_errors():
            yield from self._connection().execute(query, parameters)

    def copy_to(self, path: Path) -> None:
        """Write a copy of the newest state to a new file, without what was deleted."""
        with self._translated_errors():
            self._connection().execute("VACUUM INTO ?", (str(path),))

    def flush(self) -> None:
        """Move all that was written from the write-ahead log to the file itself, and to the disk."""
        with self._translated_errors(), self._writing:
            connection = self._connection()
            connection.execute("PRAGMA synchronous = FULL")
            [(is_busy, _, _)] = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            if is_busy:
                raise IndexBusy(f"The catalog {self.path} is being read by another process.", remedy="Try again.")

    def compact(self, *, least_freed: float = FREED_SHARE) -> None:
        """Give the space of deleted rows back to the disk, if it is this share of the file and worth it.

        If that fails, nothing is lost or changed.
        """
        with suppress(IndexBusy, IndexUnwritable), self._translated_errors(), self._writing:
            connection = self._connection()
            [(pages,)], [(free,)] = (connection.execute(f"PRAGMA {name}") for name in ("page_count", "freelist_count"))
            if free >= max(_LEAST_FREED, least_freed * pages):
                connection.execute("VACUUM")
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._translate(error) from None

    def _translate(self, error: sqlite3.Error) -> EchoIndexError:
        message = str(error).lower()
        if "locked" in message:
            return IndexBusy(f"The catalog {self.path} is being written by another process.", remedy="Try again.")
        if message in _UNWRITABLE:
            return unwritable_index(self.path.parent, _UNWRITABLE[message])
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
        return self._open_read_only()

    def _open_read_only(self) -> _Opened:
        """Open the file on a full or read-only disk, where SQLite cannot create the shared memory file of the log."""
        if not _has_log(self.path):
            return _Opened(self._connect("mode=ro&immutable=1"), immutable_stamp=_stamp(self.path))
        try:
            return _Opened(self._connect("mode=ro"))  # works while another process writes: it has created that file
        except sqlite3.OperationalError:
            return _Opened(self._connect("mode=rw", "PRAGMA locking_mode = EXCLUSIVE"))  # needs no shared memory

    def _connect(self, access: str, *settings: str) -> Connection:
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?{access}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=_BUSY_TIMEOUT_SECONDS,
        )
        try:
            connection.create_function("casefold", 1, str.casefold, deterministic=True)
            for setting in (*settings, *(_NEW_FILE if self._create else ())):
                connection.execute(setting)
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.Error:
            connection.close()
            raise
        return connection


@dataclass(frozen=True, slots=True)
class _Opened:
    """A connection, with the size and modification time of the file if it was opened as immutable."""

    connection: Connection
    immutable_stamp: tuple[int, int] | None = None

    def is_stale(self, path: Path) -> bool:
        """Return whether a file that was opened as immutable has been changed."""
        if self.immutable_stamp is None or self.connection.in_transaction:
            return False
        try:
            return _has_log(path) or _stamp(path) != self.immutable_stamp
        except FileNotFoundError:
            return False  # the file was replaced by another one; the open one can still be read


def _has_log(path: Path) -> bool:
    log = path.with_name(f"{path.name}-wal")
    return log.exists() and log.stat().st_size > 0


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns
