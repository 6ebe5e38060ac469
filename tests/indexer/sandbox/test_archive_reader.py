"""Members of archives are read in a child process with limits for each, and none costs the others."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from archive_files import tar_bytes, zip_bytes
from scan_files import page_picture, picture_file, scanned

from echo_index.indexer.sandbox import archive_reader
from echo_index.indexer.sandbox.archive_reader import KnownArchive, MemberListener, ReadArchive, read_archive
from echo_index.indexer.sandbox.document_reader import DocumentReader, ReadFile, ReadingLimits
from echo_index.indexer.sources.member_patterns import MemberPatterns

SLOW = b"A line of text.\n\n" * 400_000  # docutils needs half a minute for it


class Members(dict[str, ReadFile]):
    """What was read of each member, and `skipped` ones."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped: list[tuple[str, str]] = []

    def read(self, reader: DocumentReader, path: Path, known: KnownArchive | None = None) -> ReadArchive:
        listener = MemberListener(self.__setitem__, lambda name, reason: self.skipped.append((name, reason)))
        patterns = MemberPatterns(path.name)
        return read_archive(
            reader, path, real_path="", patterns=patterns, known=known or KnownArchive(), listener=listener
        )

    def texts(self) -> dict[str, str]:
        return {name: read.document.text for name, read in self.items() if read.document}


@pytest.fixture
def reader() -> Iterator[DocumentReader]:
    with DocumentReader(ReadingLimits(seconds=2)) as reader:
        yield reader


@pytest.fixture
def members() -> Members:
    return Members()


@pytest.mark.parametrize("suffix", ["zip", "tar.gz"])
def test_a_member_that_takes_too_long_costs_only_itself(
    tmp_path: Path, reader: DocumentReader, members: Members, suffix: str
) -> None:
    path = tmp_path / f"a.{suffix}"
    files = {"a.md": b"One\n", "b.exe": b"\0\1" * 99, "slow.rst": SLOW, "c.exe": b"\0\1" * 99, "d.md": b"Two\n"}
    path.write_bytes(zip_bytes(files) if suffix == "zip" else tar_bytes(files))
    result = members.read(reader, path)
    assert result.file.failure is None
    assert members.texts() == {"a.md": "One\n", "d.md": "Two\n"}
    assert members.skipped == [("b.exe", "unsupported"), ("c.exe", "unsupported")]
    failed = members["slow.rst"]
    assert failed.failure
    assert failed.failure.message == "Reading it took longer than 2 seconds."
    assert failed.hash == hashlib.sha256(SLOW).hexdigest(), "so that it is not tried again"
    stamp = (path.stat().st_size, path.stat().st_mtime_ns)
    assert (
        {(read.size, read.modified_ns) for read in members.values()}
        == {stamp}
        == {(result.file.size, result.file.modified_ns)}
    )


@pytest.mark.skipif(not find_spec("rapidocr"), reason='RapidOCR is not installed: pip install "echo-index[ocr]"')
def test_pictures_in_an_archive_are_recognized_if_wanted(tmp_path: Path, members: Members) -> None:
    path = tmp_path / "a.zip"
    scan = scanned(page_picture("The lamp burns rapeseed oil.", size=(6, 2)))
    path.write_bytes(zip_bytes({"scan.png": picture_file(scan)}))
    with DocumentReader(ocr=False) as reader:
        members.read(reader, path)
    assert members.skipped == [("scan.png", "unsupported")]
    recognized = Members()
    with DocumentReader() as reader:
        recognized.read(reader, path)
    assert recognized.texts()["scan.png"].strip() == "The lamp burns rapeseed oil."


def test_each_member_has_its_own_time(tmp_path: Path, members: Members) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zip_bytes({f"{n}.rst": b"A line of text.\n\n" * 3_000 for n in range(10)}))
    with DocumentReader(ReadingLimits(seconds=1.5)) as reader:
        members.read(reader, path)
    assert len(members.texts()) == 10, "in two seconds"


def test_the_time_of_who_takes_a_member_does_not_count(tmp_path: Path, members: Members) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zip_bytes({f"{n}.txt": f"{n} " * 100_000 for n in range(3)}))  # more than a pipe holds

    def take(name: str, read: ReadFile) -> None:
        members[name] = read
        time.sleep(1.8)

    with DocumentReader(ReadingLimits(seconds=1.5)) as reader:
        reader.read(path)  # imports what it needs
        listener = MemberListener(take, lambda name, reason: None)
        patterns = MemberPatterns(path.name)
        read_archive(reader, path, real_path="", patterns=patterns, known=KnownArchive(), listener=listener)
    assert len(members.texts()) == 3


def test_after_many_crashes_the_archive_is_given_up(
    tmp_path: Path, members: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_reader, "_MAX_CRASHES", 2)
    path = tmp_path / "a.zip"
    path.write_bytes(zip_bytes({f"{n}.rst": SLOW for n in range(4)}))
    with DocumentReader(ReadingLimits(seconds=1)) as reader:
        failure = members.read(reader, path).file.failure
    assert failure
    assert failure.message == "Reading it was given up after 2 of its files took too long or crashed their reader."
    assert [*members] == ["0.rst", "1.rst"]


def test_what_is_known_is_not_parsed(tmp_path: Path, reader: DocumentReader, members: Members) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zip_bytes({"a.md": "One\n", "b.md": "Two\n"}))
    first = members.read(reader, path)
    assert first.file.hash == hashlib.sha256(path.read_bytes()).hexdigest()
    again = Members()
    hashes = {"a.md": members["a.md"].hash}
    again.read(reader, path, KnownArchive("", hashes))
    assert again.texts() == {"b.md": "Two\n"}
    assert again["a.md"] == ReadFile(hashes["a.md"], first.file.size, first.file.modified_ns)
    nothing = Members()
    assert nothing.read(reader, path, KnownArchive(first.file.hash)).file == first.file
    assert not nothing


def test_missing_and_unreadable_archives(tmp_path: Path, reader: DocumentReader, members: Members) -> None:
    with pytest.raises(FileNotFoundError):
        members.read(reader, tmp_path / "a.zip")
    (tmp_path / "a.zip").mkdir()
    read = members.read(reader, tmp_path / "a.zip")
    assert read.file.failure
    assert (read.file.failure.message, read.file.size) == ("It is not a file.", 0)
