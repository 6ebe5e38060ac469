"""The cache: made once whoever asks, whole or not at all, and hashes remembered for as long as they hold."""

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

from echo_index.embeddings.runtime.cache import build_once, cache_folder, sha256_of


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ECHO_INDEX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def often_interrupted() -> Iterator[None]:
    """Let threads take turns all the time, so that what can go wrong between them does."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def make_slowly(folder: Path) -> None:
    """Leave a trace for each time this is called, and take long enough to be overtaken."""
    (folder.parent.parent / f"made-by-{os.getpid()}").touch()
    (folder / "first").write_text("1")
    time.sleep(0.5)
    (folder / "second").write_text("2")


def make_and_hang(folder: Path) -> None:
    """Begin, say so, and never finish."""
    (folder / "first").write_text("1")
    (folder.parent.parent / "begun").touch()
    time.sleep(60)


def files(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_the_cache_folder_is_where_the_environment_says(cache: Path) -> None:
    assert cache_folder() == cache
    assert cache.is_dir()


def test_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    build_once(tmp_path / "made", lambda folder: (folder / "file").touch())
    again = build_once(tmp_path / "made", lambda folder: pytest.fail("made twice"))
    assert [path.name for path in again.iterdir()] == ["file"]


def test_processes_that_start_at_once_make_it_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=build_once, args=(tmp_path / "made", make_slowly)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert files(tmp_path / "made") == {"first": "1", "second": "2"}
    assert len(list(tmp_path.glob("made-by-*"))) == 1


def test_a_failure_leaves_nothing_behind_and_the_next_try_is_free(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise RuntimeError("no space")

    with pytest.raises(RuntimeError, match="no space"):
        build_once(tmp_path / "place" / "made", fail)
    assert [path.name for path in (tmp_path / "place").iterdir() if path.suffix != ".lock"] == []
    build_once(tmp_path / "place" / "made", make_slowly)
    assert files(tmp_path / "place" / "made") == {"first": "1", "second": "2"}


@pytest.mark.skipif(sys.platform == "win32", reason="a process is killed by a signal")
def test_what_a_killed_process_left_does_not_matter(tmp_path: Path) -> None:
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


def test_a_hash_is_remembered_while_size_and_time_stay(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"before")
    remembered = sha256_of(file)
    stat = file.stat()
    file.write_bytes(b"AFTER!")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert sha256_of(file) == remembered  # it was not read again


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


def test_a_file_of_another_name_is_another_file(tmp_path: Path) -> None:
    for name, content in (("one", b"11"), ("two", b"22")):
        (tmp_path / name).write_bytes(content)
        os.utime(tmp_path / name, ns=(5, 5))
    assert sha256_of(tmp_path / "one") != sha256_of(tmp_path / "two")


def test_threads_that_hash_one_file_at_once_agree(tmp_path: Path, often_interrupted: None) -> None:
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
