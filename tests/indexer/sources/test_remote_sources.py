"""Sources at addresses: which addresses are taken, what a scan finds there, and how files are fetched."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from remote_drivers import Shelf, shelf
from repository import ROOT

from echo_index.errors import DocumentError, MissingPackage, SourceError
from echo_index.indexer.sources.remote import files as remote_files
from echo_index.indexer.sources.remote.daemon_pool import DaemonPool, Stopped
from echo_index.indexer.sources.remote.files import FetchFailed, RemoteFiles
from echo_index.indexer.sources.remote.stamps import modified_ns
from echo_index.indexer.sources.scanner import FoundFile, scan
from echo_index.indexer.sources.source import Source
from echo_index.indexer.storage.file_times import has_time
from echo_index.indexer.storage.limits import FILE_BYTES
from echo_index.indexer.storage.stored_paths import full_name, full_path, full_paths, stored_path
from echo_index.indexer.storage.urls import folders_above, is_url, path_url, url_path


@pytest.fixture
def books() -> Iterator[Shelf]:
    """Return a driver with some files at shelf://books."""
    driver = shelf()
    driver.put(a_md="# A\n", deep__b_md="# B\n", deep__c_md="# C\n")
    yield driver
    Shelf.reset()


def names(address: str, *, include: tuple[str, ...] = (), exclude: tuple[str, ...] = (), **options: Any) -> list[str]:
    found = scan([Source.parse(address, include=include, exclude=exclude)], **options)
    return [file.url.removeprefix("shelf://books/") for file in found]


# Addresses


@pytest.mark.parametrize(
    "url", ["s3://bucket/docs/a b#ü.md", "file:///srv/docs", "memory://a", "hf://datasets/u/r@x/a"]
)
def test_an_address_survives_as_a_path(url: str, tmp_path: Path) -> None:
    path = url_path(url)
    assert is_url(url) and path_url(path) == path_url(str(path)) == url and not path.is_absolute()
    index = tmp_path / "index"
    assert stored_path(path, index) == full_name(url, index) == url
    assert full_path(url, index) == path and full_paths(index)(url) == str(path)


def test_paths_are_no_addresses(tmp_path: Path) -> None:
    assert not is_url("/srv/s3/a.md") and not is_url("C://a.md") and not is_url("notes:/a.md")
    assert path_url(tmp_path / "s3:/bucket") == ""
    assert full_name("docs/a.md", tmp_path / "index") == str(tmp_path / "docs/a.md")


def test_the_folders_above() -> None:
    assert folders_above("s3://bucket/docs/deep/a.md") == ["s3://bucket/docs/deep", "s3://bucket/docs", "s3://bucket"]
    assert folders_above("docs/deep/a.md") == ["docs/deep", "docs"] and folders_above("/a.md") == []


def test_an_address_is_taken_in_one_form() -> None:
    source = Source.parse("SHELF://books/deep/")
    assert source.is_remote and path_url(source.path) == "shelf://books/deep" and source.name == "SHELF://books/deep/"
    assert not Source.parse("/").is_remote
    glob = Source.parse("shelf://books/**/*.md")
    assert (path_url(glob.path), glob.pattern) == ("shelf://books", "**/*.md")
    assert path_url(Source.parse("file:///srv/docs/").path) == "file:///srv/docs"
    assert path_url(Source.parse("memory:///docs").path) == "memory://docs"


@pytest.mark.parametrize(
    "address",
    [
        "s3://key:hush@bucket/docs",
        "s3://hush@bucket/docs",
        "s3://key:hush/hush@bucket/docs",
        "s3://key:hush/docs",
        "sftp://ng:hush@host/docs",
        "https://hush@host/docs/a.pdf",
        "https://host/a.pdf?token=hush",
        "https://host/a.pdf?hush",
        "s3://bucket/a.pdf?X-Amz-Signature=hush",
    ],
)
def test_an_address_with_a_password_is_refused_and_not_shown(address: str) -> None:
    with pytest.raises(SourceError, match="may hold a password") as caught:
        Source.parse(address)
    assert "hush" not in str(caught.value) and "environment" in caught.value.remedy


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("nosuch://bucket/docs", "There is no driver for nosuch://"),
        ("shelf://books/../docs", "one of dots"),
        ("shelf://books//docs", "an empty part"),
        ("shelf://", "an empty part"),
        ("shelf:///books", "an empty part"),
        ("shelf://*/docs", "a wildcard in place of a bucket"),
        ("shelf://books/\x1b[1m", r"shelf://books/\\x1b\[1m holds control characters"),
        ("file://docs", "names a machine"),
        ("simplecache::shelf://books", "joins several"),
    ],
)
def test_other_addresses_that_cannot_be_used(address: str, reason: str) -> None:
    with pytest.raises(SourceError, match=reason) as caught:
        Source.parse(address)
    assert caught.value.remedy and "\x1b" not in str(caught.value)


def test_users_ports_and_revisions_are_no_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("echo_index.indexer.sources.source.validate_driver", lambda url: None)
    for address in ("sftp://ng@host:22/docs", "abfs://box@account.dfs.core.windows.net/docs", "hf://datasets/u/r@main"):
        assert path_url(Source.parse(address).path) == address


def test_a_missing_driver_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(MissingPackage, match=r"The driver for gs:// is not installed.*pip install gcsfs"):
        Source.parse("gs://bucket/docs")
    assert Source.remembered("gs://bucket/docs").is_remote, "an index knows it"
    monkeypatch.setitem(sys.modules, "paramiko", None)
    with pytest.raises(MissingPackage, match=r"pip install paramiko$"):
        Source.parse("sftp://host/docs")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(MissingPackage, match=r"pip install 'echo-index\[remote\]'"):
        Source.parse("gs://bucket/docs")


def test_no_address_is_ever_asked_for_nothing() -> None:
    code = (
        "import sys, echo_index.indexer.building.build_files, echo_index.indexer.inspection.changed_files\n"
        "from echo_index.indexer.sources.scanner import scan\n"
        "from echo_index.indexer.sources.source import Source\n"
        "assert Source.remembered('s3://bucket/docs').is_remote\n"
        "assert [*scan([Source.parse('docs')])]\n"
        "print('fsspec' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


# Scans


def test_the_rules_of_a_scan_apply_at_an_address(books: Shelf) -> None:
    books.put(**{".gitignore": "drafts/\n", "deep__.gitignore": "c.md\n", "drafts__x_md": "x", ".hidden__y_md": "y"})
    books.put(LICENSE="words\n", **{"image.bin": b"\0\1\2", "wide": "größer".encode("utf-16"), "empty_md": ""})
    skipped: list[tuple[str, str]] = []
    found = names("shelf://books", on_skipped=lambda source, path, reason: skipped.append((path.name, reason)))
    assert found == ["LICENSE", "a.md", "deep/b.md", "wide"]
    assert sorted(skipped) == [("empty.md", "empty"), ("image.bin", "unsupported")]
    assert names("shelf://books", exclude=("deep/",)) == ["LICENSE", "a.md", "wide"]
    assert names("shelf://books", include=("*.md",)) == ["a.md", "deep/b.md"]
    assert names("shelf://books/**/b*.md") == ["deep/b.md"]
    assert names("shelf://books/a.md") == ["a.md"]


def test_a_file_of_two_sources_is_found_once(books: Shelf) -> None:
    sources = [
        Source.parse("shelf://books"),
        Source.parse("shelf://books/deep"),
        Source.parse("shelf://books/deep/b.md"),
    ]
    assert len([*scan(sources)]) == 3


def test_a_driver_that_lists_folders_is_asked_for_each(tmp_path: Path) -> None:
    for name in ("a.md", "deep/b.md", "deep/deeper/c.md", ".git/d.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("# x\n")
    (tmp_path / "link.md").symlink_to(tmp_path / "a.md")
    (tmp_path / "around").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe.md")
    skipped: list[str] = []
    found = [
        *scan([Source.parse(f"file://{tmp_path}")], on_skipped=lambda source, path, reason: skipped.append(reason))
    ]
    assert [file.url for file in found] == [
        f"file://{tmp_path}/{name}" for name in ("a.md", "deep/b.md", "deep/deeper/c.md")
    ]
    assert skipped == ["link", "link"]
    local = [*scan([Source.parse(str(tmp_path))])]
    expected = [file for file in local if file.path.name != "link.md"]
    assert [file.size for file in found] == [file.size for file in expected]
    for file, wanted in zip(found, expected, strict=True):  # fsspec has the time as a float
        assert abs(file.modified_ns - wanted.modified_ns) < 2_000


def test_a_folder_that_cannot_be_listed_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fsspec.implementations.local import LocalFileSystem

    (tmp_path / "deep").mkdir()
    (tmp_path / "a.md").write_text("# a\n")
    listing = LocalFileSystem.ls

    def ls(self: Any, path: str, **options: Any) -> Any:
        if path.endswith("deep"):
            raise PermissionError(13, "not for you")
        return listing(self, path, **options)

    monkeypatch.setattr(LocalFileSystem, "ls", ls)
    failed: list[tuple[Path, str]] = []
    found = [*scan([Source.parse(f"file://{tmp_path}")], on_error=lambda path, reason: failed.append((path, reason)))]
    assert [file.path.name for file in found] == ["a.md"]
    assert [(path_url(path), reason) for path, reason in failed] == [(f"file://{tmp_path}/deep", "not for you")]


@pytest.mark.parametrize(
    "name",
    [
        "/books/../../etc/passwd.md",
        "/books/deep/../../x.md",
        "/books/./x.md",
        "/books//x.md",
        "/etc/passwd.md",
        "etc/passwd.md",
        "/booksellers/x.md",
        "/books/nul\0.md",
        "/books/\x1b[31mred.md",
        "/books/two\nlines.md",
        "/books/\ud800.md",
        f"/books/{'long' * 2000}.md",
    ],
)
def test_a_hostile_name_in_a_listing_is_reported_and_left_out(books: Shelf, name: str) -> None:
    Shelf.listed.append({"name": name, "size": 4, "type": "file", "created": 1.0})
    failed: list[tuple[Path, str]] = []
    assert names("shelf://books", on_error=lambda path, reason: failed.append((path, reason))) == [
        "a.md",
        "deep/b.md",
        "deep/c.md",
    ]
    [(path, reason)] = failed
    assert reason.startswith("its name") and ".." not in path.parts
    assert path_url(path).startswith("shelf://books") and str(path).isprintable()


def test_marks_of_folders_and_odd_entries_are_no_files(books: Shelf) -> None:
    Shelf.listed += [
        {"name": "/books/deep/", "size": 0, "type": "file"},
        {"name": "/books", "size": 0, "type": "directory"},
        {"name": "/books/socket.md", "size": 1, "type": "other"},
    ]
    assert names("shelf://books", on_error=lambda path, reason: pytest.fail(reason)) == [
        "a.md",
        "deep/b.md",
        "deep/c.md",
    ]


@pytest.mark.parametrize(("address", "reason"), [("shelf://nothing", "no such file"), ("shelf://books", "no route")])
def test_a_source_that_cannot_be_listed_is_gone(books: Shelf, address: str, reason: str) -> None:
    Shelf.is_down = reason == "no route"
    with pytest.raises(SourceError, match=rf"{address} cannot be read: {reason}.*nothing was removed"):
        names(address)
    gone: list[str] = []
    assert names(address, on_gone=lambda source, why: gone.append(why)) == []
    assert gone == ["is missing" if reason == "no such file" else "cannot be read (no route to the shelf)"]


def test_a_driver_that_needs_more_than_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Shelf, "__init__", lambda self, key, **options: None)
    Shelf.clear_instance_cache()
    with pytest.raises(SourceError, match="The driver for shelf:// needs to know more than shelf://books says"):
        names("shelf://books")


def test_a_file_is_not_gone_because_its_place_is_out_of_reach(books: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    def info(self: Shelf, path: str, **options: Any) -> Any:
        raise FileNotFoundError(path) from ConnectionRefusedError(111, "nobody answers")

    monkeypatch.setattr(Shelf, "info", info)
    with pytest.raises(SourceError, match="cannot be read: nobody answers"):
        names("shelf://books")
    assert not RemoteFiles().is_missing(url_path("shelf://books"))


# Times and versions


def test_a_time_is_kept_by_the_second_and_a_version_below_it() -> None:
    time = datetime(2024, 5, 17, 12, 30, tzinfo=timezone.utc)
    seconds = int(time.timestamp())
    first = modified_ns({"LastModified": time, "ETag": '"a"'})
    assert first // 10**9 == seconds and first == modified_ns({"LastModified": time, "ETag": '"a"'})
    assert first != modified_ns({"LastModified": time, "ETag": '"b"'})
    assert modified_ns({"mtime": seconds + 0.25}) == seconds * 10**9 + 250_000_000
    for same in ({"updated": "2024-05-17T12:30:00.000Z"}, {"modificationTime": seconds * 1000}):
        assert modified_ns(same) == seconds * 10**9


def test_a_version_without_a_time_is_no_time() -> None:
    stamp = modified_ns({"blob_id": "abc"})
    assert not has_time(stamp) and stamp != 0 and stamp != modified_ns({"blob_id": "abd"})
    assert has_time(-1) and has_time(10**9) and not has_time(0)


def test_a_file_of_which_nothing_is_known_is_always_new(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter((1e9, 1e9 + 1))
    monkeypatch.setattr("time.time", lambda: next(clock))
    assert modified_ns({"mtime": "yesterday"}) != modified_ns({})


# Fetching


def found_file(name: str, size: int = 4) -> FoundFile:
    return FoundFile(url_path(f"shelf://books/{name}"), size, 1_700_000_000_000_001_000, "")


def test_a_fetched_file_has_its_time_and_a_name_of_ours_and_is_deleted(books: Shelf) -> None:
    with RemoteFiles() as remote:
        with remote.local(found_file("deep/b.md")) as path:
            copy = Path(path)
            assert copy.read_bytes() == b"# B\n" and copy.name.isdecimal() and os.path.realpath(copy) == path
            assert copy.stat().st_mtime_ns == 1_700_000_000_000_001_000
        assert not copy.exists() and copy.parent.is_dir()
    assert not copy.parent.exists()


def test_files_are_fetched_before_their_turn_in_their_order(books: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = threading.Barrier(3, timeout=10)
    get_file = Shelf.get_file

    def slow(self: Shelf, *args: Any, **options: Any) -> None:
        at_once.wait()
        get_file(self, *args, **options)

    monkeypatch.setattr(Shelf, "get_file", slow)
    files = [found_file(name) for name in ("a.md", "deep/b.md", "deep/c.md")]
    local = FoundFile(Path("/srv/x.md"), 1, 1, "/srv/x.md")
    with RemoteFiles() as remote:
        contents = []
        for file in remote.ahead([*files, local], lambda file: file):
            with remote.local(file) as path:
                contents.append(path if file is local else Path(path).read_text())
    assert contents == ["# A\n", "# B\n", "# C\n", "/srv/x.md"]


def test_what_is_fetched_ahead_and_not_read_is_dropped(books: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_files, "_AT_A_TIME", 2)
    with RemoteFiles() as remote:
        assert len([*remote.ahead([found_file("a.md")] * 50, lambda file: file)]) == 50
        assert not remote._fetches


def test_a_file_that_is_too_large_is_not_fetched(books: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    with RemoteFiles() as remote:
        with pytest.raises(DocumentError, match="It is too large"), remote.local(found_file("a.md", FILE_BYTES + 1)):
            pass
        assert books.fetched() == []
        monkeypatch.setattr(remote_files, "FILE_BYTES", 3)  # a listing may lie about sizes
        with pytest.raises(DocumentError, match="It is too large"), remote.local(found_file("a.md", 3)):
            pass
        assert not any(remote._folder.iterdir())  # type: ignore[union-attr]


def test_failures_are_told_apart(books: Shelf) -> None:
    Shelf.refused["a.md"] = PermissionError("not for you")
    with RemoteFiles() as remote:
        with pytest.raises(FetchFailed, match="It cannot be fetched: not for you"), remote.local(found_file("a.md")):
            pass
        assert not remote.has_missed_files
        with pytest.raises(FileNotFoundError), remote.local(found_file("gone.md")):
            pass
        assert remote.has_missed_files
        assert not remote.is_missing(url_path("shelf://books")) and remote.is_missing(url_path("shelf://gone"))
        assert remote.is_readable(url_path("shelf://books/a.md")) and not remote.is_readable(url_path("shelf://gone"))
        Shelf.is_down = True
        assert not remote.is_missing(url_path("shelf://gone")), "nobody knows"
        for _ in range(remote_files._MOST_FAILURES - 1):
            with pytest.raises(FetchFailed, match="no route"), remote.local(found_file("deep/b.md")):
                pass
        with pytest.raises(SourceError, match="nothing was removed") as caught, remote.local(found_file("deep/b.md")):
            pass
        assert not isinstance(caught.value, DocumentError)


def test_who_waits_can_be_stopped_while_a_call_hangs() -> None:
    pool, hang = DaemonPool(1), threading.Event()
    task = pool.submit(lambda: hang.wait(30))
    waited: list[None] = []
    with pytest.raises(TimeoutError):
        pool.wait(task, seconds=0.05, on_wait=lambda: waited.append(None))
    assert waited
    threading.Timer(0.05, pool.stop).start()
    with pytest.raises(Stopped):
        pool.wait(task)
    hang.set()
