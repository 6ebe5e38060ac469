"""A database: atomic transactions, snapshots for readers, and errors that say what to do."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from repository import ROOT

from echo_index.errors import IndexDamaged, IndexUnwritable
from echo_index.indexer.storage.sqlite import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database(tmp_path / "one.sqlite", create=True)) as database:
        with database.transaction() as connection:
            connection.execute("CREATE TABLE numbers (number INTEGER)")
            connection.execute("INSERT INTO numbers VALUES (1)")
        yield database


def numbers(database: Database) -> list[int]:
    return [number for (number,) in database.rows("SELECT number FROM numbers ORDER BY number")]


def add(database: Database, number: int) -> None:
    with database.transaction() as connection:
        connection.execute("INSERT INTO numbers VALUES (?)", (number,))


@pytest.mark.parametrize("durable", [False, True])
def test_a_transaction_is_atomic(database: Database, durable: bool) -> None:
    with pytest.raises(KeyboardInterrupt), database.transaction(durable=durable) as connection:
        connection.execute("DELETE FROM numbers")
        raise KeyboardInterrupt
    assert numbers(database) == [1]
    with database.transaction(durable=durable) as connection:
        connection.execute("INSERT INTO numbers VALUES (2)")
    with closing(Database(database.path)) as other:
        assert numbers(other) == [1, 2]


def test_a_reader_sees_one_snapshot(database: Database) -> None:
    with closing(Database(database.path)) as reader:
        with reader.reading():
            assert numbers(reader) == [1]
            add(database, 2)
            with reader.reading():  # nested
                assert numbers(reader) == [1]
            assert numbers(reader) == [1]
        assert numbers(reader) == [1, 2]


def test_a_snapshot_ends_when_the_reader_fails(database: Database) -> None:
    with closing(Database(database.path)) as reader:
        with pytest.raises(ZeroDivisionError), reader.reading():
            assert numbers(reader) == [1]
            raise ZeroDivisionError
        add(database, 2)
        assert numbers(reader) == [1, 2]


def test_a_full_disk_is_reported_and_nothing_is_lost(database: Database) -> None:
    database.rows("PRAGMA max_page_count = 3")
    with (
        pytest.raises(IndexUnwritable, match=f"{database.path.parent} cannot be written: the disk is full") as caught,
        database.transaction() as connection,
    ):
        connection.execute("INSERT INTO numbers VALUES (?)", ("x" * 100_000,))
    assert "run the same command again" in caught.value.remedy
    assert numbers(database) == [1]
    database.rows("PRAGMA max_page_count = 1000")
    add(database, 2)
    assert numbers(database) == [1, 2]


@pytest.mark.parametrize("query", ["SELECT * FROM nowhere", "SELECT number FROM numbers"])
def test_a_damaged_file_is_reported(database: Database, query: str) -> None:
    for number in range(2000):
        add(database, number)
    database.close()
    content = bytearray(database.path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    database.path.write_bytes(content)
    for read in (Database.rows, lambda *arguments: [*Database.stream(*arguments)]):
        with closing(Database(database.path)) as damaged, pytest.raises(IndexDamaged, match="is damaged") as caught:
            read(damaged, query)
        assert "--rebuild" in caught.value.remedy


def test_reading_does_not_create_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(IndexDamaged, match="is missing"):
        Database(tmp_path / "none.sqlite").rows("SELECT 1")
    assert list(tmp_path.iterdir()) == []


def test_a_file_opened_as_immutable_is_reopened_when_it_changes(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = database.path
    database.close()  # which removes the log
    monkeypatch.setattr(os, "access", lambda *arguments: False)
    with closing(Database(path)) as reader:
        assert numbers(reader) == [1]
        assert [file.name for file in path.parent.iterdir()] == [path.name]
        with closing(Database(path, create=True)) as writer:
            add(writer, 2)
            assert numbers(reader) == [1, 2]  # from the log
        add(Database(path, create=True), 3)
        assert numbers(reader) == [1, 2, 3]


_AS_NOBODY = """
import os, sys
import urllib.parse  # before the process can no longer read the standard library: Path.as_uri imports it late
from pathlib import Path
from echo_index.indexer.storage.sqlite import Database
from echo_index.errors import IndexUnwritable
os.setuid(65534)
path = Path(sys.argv[1])
print(Database(path).rows("SELECT number FROM numbers"))
try:
    with Database(path, create=True).transaction() as connection:
        connection.execute("INSERT INTO numbers VALUES (2)")
except IndexUnwritable as error:
    print(error.message)
"""


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user")
def test_a_read_only_database_can_be_read(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = Path("/tmp") / f"echo-index-test-{os.getpid()}"  # a folder that every user may enter
    folder.mkdir(mode=0o755)
    try:
        path = folder / "one.sqlite"
        with closing(Database(path, create=True)) as database, database.transaction() as connection:
            connection.execute("CREATE TABLE numbers (number INTEGER)")
            connection.execute("INSERT INTO numbers VALUES (1)")
        run = subprocess.run(
            [sys.executable, "-c", _AS_NOBODY, str(path)],
            capture_output=True,
            text=True,
            cwd=ROOT,
        )
        assert run.stdout.splitlines() == ["[(1,)]", f"The index in {folder} cannot be written: it is read-only."], run
    finally:
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()


def test_much_deleted_content_leaves_the_file(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute("CREATE TABLE texts (text TEXT)")
        connection.executemany("INSERT INTO texts VALUES (?)", [("x" * 8000,)] * 200)
    add(database, 2)
    database.compact()
    assert database.value("PRAGMA page_count") > 200, "nothing was deleted"
    with closing(Database(database.path)) as reader, reader.reading():
        assert numbers(reader) == [1, 2]
        with database.transaction() as connection:
            connection.execute("DELETE FROM texts")
        database.compact()
        assert numbers(reader) == [1, 2]
    assert database.value("PRAGMA page_count") < 10
    assert numbers(database) == [1, 2]
    database.close()
    assert database.path.stat().st_size < 80_000


def test_a_new_file_has_larger_pages_and_one_of_an_earlier_version_keeps_its_own(tmp_path: Path) -> None:
    earlier = tmp_path / "earlier.sqlite"
    with closing(sqlite3.connect(earlier)) as connection:
        connection.execute("PRAGMA page_size = 4096")
        connection.execute("CREATE TABLE numbers (number INTEGER)")
    for path, size in ((earlier, 4096), (tmp_path / "new.sqlite", 8192)):
        with closing(Database(path, create=True)) as database:
            with database.transaction() as connection:
                connection.execute("CREATE TABLE IF NOT EXISTS numbers (number INTEGER)")
            add(database, 5)
            assert numbers(database) == [5]
            assert database.value("PRAGMA page_size") == size


def test_compacting_a_full_disk_is_no_error(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("echo_index.indexer.storage.sqlite._LEAST_FREED", 0)
    limit = database.value("PRAGMA page_count")
    database.rows(f"PRAGMA max_page_count = {limit}")
    database.rows("PRAGMA query_only = ON")  # VACUUM fails with "attempt to write a readonly database"
    database.compact(least_freed=0.0)
    assert numbers(database) == [1]
