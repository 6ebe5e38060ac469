"""One SQLite file: connections, transactions, and its errors in our words. Knows nothing of what is in the tables."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from echo_embeddings.errors import EchoIndexError, IndexBusy, IndexDamaged, IndexUnwritable

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

    def close(self) -> None:
        """Close the connections of all threads."""
        while self._connections:
            self._connections.pop().close()

    @contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[Connection]:
        """Write all that happens inside, or nothing; `durable`: it is on the disk, with all before, even without power.

        A transaction that is not durable outlives the process, not the machine.
        """
        with self._explained():
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
        with self._explained():
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
        with self._explained():
            return self._connection().execute(query, parameters).fetchall()

    def value(self, query: str, parameters: Parameters = ()) -> Any:
        """Return the one value that a query finds."""
        return self.rows(query, parameters)[0][0]

    def stream(self, query: str, parameters: Parameters = ()) -> Iterator[tuple[Any, ...]]:
        """Yield the rows that a query finds, without holding them all."""
        with self._explained():
            yield from self._connection().execute(query, parameters)

    @contextmanager
    def _explained(self) -> Iterator[None]:
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
        connection: Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._connect()
            self._local.connection = connection
            self._connections.append(connection)
        return connection

    def _connect(self) -> Connection:
        if not self._create and not self.path.exists():
            raise IndexDamaged(f"The catalog {self.path} is missing.", remedy=_REBUILD)
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?{self._access()}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=_SECONDS_TO_WAIT,
        )
        try:
            if self._create:
                connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _access(self) -> str:
        if self._create:
            return "mode=rwc"
        if os.access(self.path.parent, os.W_OK):
            return "mode=rw"
        # Readers write beside a log. Where they may not, a file without a log can be read as one that never changes.
        log = self.path.with_name(f"{self.path.name}-wal")
        return "mode=ro" if log.exists() and log.stat().st_size else "mode=ro&immutable=1"
