"""The cache: values and folders are made once and stored completely; hashes are valid while files do not change."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from echo_index.embeddings.runtime.cache import build_once, cache_folder, cache_key, get_or_make, sha256_of


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ECHO_INDEX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def often_interrupted() -> Iterator[None]:
    """Switch threads as often as possible to provoke race conditions."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def make_slowly(folder: Path) -> None:
    """Create a file for each call, and take long enough for other processes to catch up."""
    (folder.parent.parent / f"made-by-{os.getpid()}").touch()
    (folder / "first").write_text("1")
    time.sleep(0.5)
    (folder / "second").write_text("2")


def make_and_hang(folder: Path) -> None:
    """Begin, create a file that says so, and never finish."""
    (folder / "first").write_text("1")
    (folder.parent.parent / "begun").touch()
    time.sleep(60)


def files(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_the_environment_names_the_cache_folder(cache: Path) -> None:
    assert cache_folder() == cache
    assert cache.is_dir()


class Numbers:
    """Makes the next number each time; stores numbers as text, except negative ones."""

    def __init__(self, first: int = 1) -> None:
        self.next = first

    def get(self, name: str = "number") -> int:
        return get_or_make("numbers", name, read=lambda path: int(path.read_text()), make=self.make, write=self.write)

    def make(self) -> int:
        self.next += 1
        return self.next - 1

    def write(self, path: Path, number: int) -> None:
        if number >= 0:
            path.write_text(str(number))


def test_a_value_is_made_once_for_each_name(cache: Path) -> None:
    numbers = Numbers()
    assert [numbers.get(), numbers.get(), numbers.get("other"), numbers.get()] == [1, 1, 2, 1]
    assert files(cache / "numbers") == {"number": "1", "other": "2"}


def test_a_damaged_value_is_made_again(cache: Path) -> None:
    numbers = Numbers()
    numbers.get()
    (cache / "numbers" / "number").write_text("damaged")
    assert [numbers.get(), numbers.get()] == [2, 2]


def test_a_value_that_cannot_be_stored_is_made_each_time(cache: Path) -> None:
    numbers = Numbers(first=-2)
    assert [numbers.get(), numbers.get(), numbers.get(), numbers.get()] == [-2, -1, 0, 0]
    cache.joinpath("file").touch()
    read, make = (lambda path: int(path.read_text())), numbers.make
    assert [get_or_make("file", "x", read=read, make=make, write=numbers.write) for _ in range(2)] == [1, 2]


def test_an_error_of_make_is_raised_and_stores_nothing(cache: Path) -> None:
    def fail() -> int:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        get_or_make("numbers", "number", read=lambda path: int(path.read_text()), make=fail, write=Numbers().write)
    assert not (cache / "numbers").exists()


def test_a_key_depends_on_every_part_and_their_order() -> None:
    assert len({cache_key(*parts) for parts in (("a", "b"), ("b", "a"), ("ab",), ("a",), ("a", ""))}) == 5
    assert cache_key("caf\udce9")  # a file name that is not UTF-8


def test_an_existing_folder_is_not_built_again(tmp_path: Path) -> None:
    build_once(tmp_path / "made", lambda folder: (folder / "file").touch())
    again = build_once(tmp_path / "made", lambda folder: pytest.fail("made twice"))
    assert [path.name for path in again.iterdir()] == ["file"]


def test_concurrent_processes_build_a_folder_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=build_once, args=(tmp_path / "made", make_slowly)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert files(tmp_path / "made") == {"first": "1", "second": "2"}
    assert len(list(tmp_path.glob("made-by-*"))) == 1


def test_a_failure_leaves_no_files_and_can_be_repeated(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise RuntimeError("no space")

    with pytest.raises(RuntimeError, match="no space"):
        build_once(tmp_path / "place" / "made", fail)
    assert [path.name for path in (tmp_path / "place").iterdir() if path.suffix != ".lock"] == []
    build_once(tmp_path / "place" / "made", make_slowly)
    assert files(tmp_path / "place" / "made") == {"first": "1", "second": "2"}


@pytest.mark.skipif(sys.platform == "win32", reason="a process is killed by a signal")
def test_files_of_a_killed_process_do_not_matter(tmp_path: Path) -> None:
    place = tmp_path / "place"
    process = multiprocessing.get_context("spawn").Process(target=build_once, args=(place / "made", make_and_hang))
    process.start()
    deadline = time.monotonic() + 30
    while not (place / "begun").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join(10)
    assert not (place / "made").exists()
    build_once(place / "made", make_slowly)
    assert files(place / "made") == {"first": "1", "second": "2"}


def test_the_hash_of_a_file_is_its_sha256(tmp_path: Path) -> None:
    content = os.urandom(3_000_000)  # more than a block
    (tmp_path / "file").write_bytes(content)
    assert sha256_of(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def test_a_hash_is_cached_while_size_and_time_stay(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"before")
    cached = sha256_of(file)
    stat = file.stat()
    file.write_bytes(b"AFTER!")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert sha256_of(file) == cached  # it was not read again


@pytest.mark.parametrize("change", ["time", "size", "both"])
def test_a_changed_file_gets_a_new_hash(tmp_path: Path, change: str) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"before")
    stat = file.stat()
    sha256_of(file)
    after = b"AFTER!" if change == "time" else b"longer than before"
    file.write_bytes(after)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns + (0 if change == "size" else 1_000_000)))
    assert sha256_of(file) == hashlib.sha256(after).hexdigest()


def test_files_with_different_names_have_their_own_hashes(tmp_path: Path) -> None:
    for name, content in (("one", b"11"), ("two", b"22")):
        (tmp_path / name).write_bytes(content)
        os.utime(tmp_path / name, ns=(5, 5))
    assert sha256_of(tmp_path / "one") != sha256_of(tmp_path / "two")


def test_concurrent_threads_get_the_same_hash(tmp_path: Path, often_interrupted: None) -> None:
    answers: list[str] = []
    start = threading.Barrier(8)

    def ask() -> None:
        for number in range(40):
            start.wait(10)
            answers.append(sha256_of(tmp_path / str(number)))

    for number in range(40):
        (tmp_path / str(number)).write_bytes(b"same")
    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert answers == [hashlib.sha256(b"same").hexdigest()] * 320
