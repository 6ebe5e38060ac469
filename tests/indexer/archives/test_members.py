"""Members of archives: names in all encodings, nesting, damage, and limits. Nothing is unpacked to the disk."""

from __future__ import annotations

import gzip
import io
import lzma
import struct
import tarfile
import time
import zipfile
import zlib
from collections.abc import Mapping
from random import Random
from unicodedata import normalize

import pytest
from archive_files import tar_bytes, tar_header, zip_bytes, zip_with_names

from echo_index.errors import DocumentError
from echo_index.indexer.archives.members import Member, MemberWalk
from echo_index.indexer.archives.packed_file import ArchiveLimits
from echo_index.indexer.sources.member_patterns import MemberPatterns

MEGABYTE = 2**20
FILES = {"a.md": "One", "folder/b.txt": "Two", "folder/deep/c.py": "Three = 3"}


class Walked:
    """The members of an archive, what was passed over, and the error that ended the pass."""

    def __init__(
        self, content: bytes, name: str = "a.zip", limits: ArchiveLimits | None = None, exclude: tuple[str, ...] = ()
    ) -> None:
        walk = MemberWalk(MemberPatterns(name, exclude=exclude), limits)
        self.members: list[Member] = []
        self.failure = ""
        try:
            for member in walk.members(io.BytesIO(content), name, size=len(content)):
                self.members.append(member)
        except DocumentError as error:
            self.failure = error.message
        self.omissions = walk.omissions

    @property
    def texts(self) -> dict[str, str]:
        return {member.path: member.content.decode() for member in self.members if member.content}

    @property
    def failures(self) -> dict[str, str]:
        return {member.path: member.failure.message for member in self.members if member.failure}

    @property
    def skipped(self) -> dict[str, str]:
        return {member.path: member.skipped for member in self.members if member.skipped}


# Formats


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_the_files_of_a_zip_are_read(method: int) -> None:
    assert Walked(zip_bytes({"folder/": "", **FILES}, method=method)).texts == FILES


@pytest.mark.parametrize(
    ("compression", "name"),
    [("", "A.TAR"), ("gz", "a.tar.gz"), ("gz", "a.tgz"), ("bz2", "a.tar.bz2"), ("bz2", "a.tbz2"), ("xz", "a.txz"),
     ("", "unpacked by a browser.tar.gz")],
)  # fmt: skip
def test_the_files_of_a_tar_are_read(compression: str, name: str) -> None:
    assert (
        Walked(tar_bytes({f"./{path}": text for path, text in FILES.items()}, compression=compression), name).texts
        == FILES
    )


def test_a_self_extracting_archive_and_one_behind_other_bytes_is_read() -> None:
    assert Walked(b"#!/bin/sh\nexit\n" + zip_bytes(FILES)).texts == FILES


def test_archives_in_archives_are_read_three_deep() -> None:
    content = zip_bytes({"c.md": "Deep", "d.zip": zip_bytes({"d.md": "too deep"})})
    content = tar_bytes({"b.md": "Below", "c.zip": content}, compression="xz")
    walked = Walked(zip_bytes({"a.md": "Top", "sub/b.tar.xz": content}))
    assert walked.texts == {
        "a.md": "Top",
        "sub/b.tar.xz!/b.md": "Below",
        "sub/b.tar.xz!/c.zip!/c.md": "Deep",
    }
    assert walked.omissions == ("1 archive too deep in other archives",)


def test_files_without_a_reader_and_empty_ones_are_told() -> None:
    files = {
        "a.exe": b"MZ\0\1\2\3" * 50,
        "b": b"Plain text",
        "c.bin": b"\0" * 999,
        "empty.md": b"",
        "d.docx": b"x",
    }
    for content, name in ((zip_bytes(files), "a.zip"), (tar_bytes(files), "a.tar.gz")):
        walked = Walked(content, name)
        assert walked.skipped == {"a.exe": "unsupported", "c.bin": "unsupported", "empty.md": "empty"}
        assert walked.texts == {"b": "Plain text", "d.docx": "x"}


def test_hidden_files_and_resource_forks_are_passed_over() -> None:
    files = {".git/a.md": "x", "b/.c.md": "x", "__MACOSX/._a.md": "x", "__MACOSX/a.md": "x", "d.md": "Seen"}
    walked = Walked(zip_bytes(files))
    assert (walked.texts, walked.skipped, walked.omissions) == ({"d.md": "Seen"}, {}, ())


def test_the_last_of_two_files_with_the_same_name_counts() -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            for text in ("Old", "New"):
                archive.writestr("a.md", text)
    assert [member.content for member in Walked(file.getvalue()).members] == [b"New"]


# Names


@pytest.mark.parametrize(
    ("encoding", "names"),
    [
        ("cp437", ["Größe und Maße.txt", "Prüfung/März.md"]),
        ("cp850", ["Größe und Maße.txt", "Prüfung/März.md"]),
        ("cp1252", ["Größe und Maße.txt", "Prüfung/März.md"]),
        ("cp866", ["Документы/Отчёт.txt"]),
        ("cp932", ["資料/報告書.txt", "日本語テキスト.txt"]),
        ("gbk", ["文档/报告.txt", "新建文本文档.txt"]),
        ("utf-8", ["文档/报告.txt", "Größe.txt"]),
    ],
)
def test_names_of_old_programs_are_decoded(encoding: str, names: list[str]) -> None:
    stored = {name.encode(encoding): b"Text" for name in names}
    assert [*Walked(zip_with_names(stored)).texts] == names
    if encoding != "utf-8":
        assert [*Walked(tar_bytes(dict.fromkeys(names, "Text"), encoding=encoding), "a.tgz").texts] == names


def test_names_in_utf8_are_marked_by_a_flag_or_an_extra_field() -> None:
    name = "Größe.txt".encode()
    assert [*Walked(zip_with_names({name: b"x"}, flag=0x800)).texts] == ["Größe.txt"]
    stored = b"Gr__e.txt"
    field = b"\1" + struct.pack("<L", zlib.crc32(stored)) + name
    assert [*Walked(zip_with_names({stored: b"x"}, extra=struct.pack("<HH", 0x7075, len(field)) + field)).texts] == [
        "Größe.txt"
    ]
    field = b"\1" + struct.pack("<L", 0) + name  # the name was changed by a program that did not know the field
    assert [*Walked(zip_with_names({stored: b"x"}, extra=struct.pack("<HH", 0x7075, len(field)) + field)).texts] == [
        "Gr__e.txt"
    ]


def test_names_have_composed_letters_and_folders_separated_by_slashes() -> None:
    assert [*Walked(zip_bytes({normalize("NFD", "Käse.md"): "x"})).texts] == [normalize("NFC", "Käse.md")]
    assert [*Walked(zip_with_names({b"folder\\b.md": b"x"})).texts] == ["folder/b.md"]


def test_paths_that_lead_out_links_and_devices_are_counted() -> None:
    names = {b"../a.md": b"x", b"/etc/passwd": b"x", b"b/../../c.md": b"x", b"C:\\d.md": b"x", b"..\\e.md": b"x"}
    assert Walked(zip_with_names(names)).omissions == ("5 files whose paths lead out of the archive",)
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tar_header("a.md", 1), io.BytesIO(b"x"))
        archive.addfile(tar_header("link.md", type=tarfile.SYMTYPE, target="/etc/passwd"))
        archive.addfile(tar_header("hard.md", type=tarfile.LNKTYPE, target="a.md"))
        archive.addfile(tar_header("null.md", type=tarfile.CHRTYPE))
    walked = Walked(file.getvalue(), "a.tar")
    assert (walked.texts, walked.omissions) == ({"a.md": "x"}, ("2 links", "1 device"))
    link = zipfile.ZipInfo("link.md")
    link.external_attr = 0o120777 << 16
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr(link, "/etc/passwd")
    assert (Walked(file.getvalue()).texts, Walked(file.getvalue()).omissions) == ({}, ("1 link",))


# Damage and encryption


def test_encrypted_files_fail_and_others_are_read() -> None:
    locked = zip_with_names({b"a.md": b"x" * 20, b"b.exe": b"y" * 20}, flag=1)
    walked = Walked(locked)
    assert walked.failures == {"a.md": "It is encrypted."}
    assert walked.skipped == {"b.exe": "unsupported"}


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tgz", "a.txz"])
@pytest.mark.parametrize("content", [b"", b"nothing of the kind " * 99, b"\x1f\x8b nothing", b"\xfd7zXZ\0 nothing"])
def test_what_is_no_archive_is_an_error(name: str, content: bytes) -> None:
    walked = Walked(content, name)
    assert walked.failure.startswith("It is damaged: ")
    assert walked.members == []


def test_what_stands_before_the_damage_is_read() -> None:
    files = {f"{n}.md": Random(n).randbytes(900).hex() for n in range(20)}
    walked = Walked(tar_bytes(files)[:-600], "a.tgz")
    assert 10 < len(walked.texts) < 20
    assert walked.failure.startswith("It is damaged behind its first ")
    plain = bytearray(tar_bytes({"a.md": "One", "b.md": "Two"}, compression=""))
    plain[1024 + 150] ^= 1  # in the checksum of the second header
    walked = Walked(bytes(plain), "a.tar")
    assert walked.texts == {"a.md": "One"}
    assert walked.failure.startswith("It is damaged behind its first file, and the rest is missing: ")


def test_a_damaged_file_in_a_zip_costs_only_itself() -> None:
    content = zip_bytes({"a.md": "One " * 50, "b.md": "Two"}, method=zipfile.ZIP_STORED)
    walked = Walked(content.replace(b"One One", b"One Own", 1))
    assert walked.texts == {"b.md": "Two"}
    assert walked.failures["a.md"].startswith("It is damaged in its archive: bad CRC-32")
    unknown = bytearray(zip_bytes({"a.md": "One"}))
    unknown[unknown.index(b"PK\1\2") + 10] = 98  # the method PPMd
    assert "compression" in Walked(bytes(unknown)).failures["a.md"]


def test_a_damaged_archive_in_an_archive_fails_alone() -> None:
    walked = Walked(zip_bytes({"in.tar.gz": b"\x1f\x8b no", "a.md": "One"}))
    assert walked.texts == {"a.md": "One"}
    assert walked.failures["in.tar.gz"].startswith("It is damaged: ")


# Limits

SMALL = ArchiveLimits(member_bytes=1000, unpacked_bytes=2500, members=5)


def test_a_file_that_is_too_large_is_named() -> None:
    for content, name in (
        (zip_bytes({"a.md": "x" * 1001, "b.md": "y"}), "a.zip"),
        (tar_bytes({"a.md": "x" * 1001, "b.md": "y"}), "a.tgz"),
    ):
        walked = Walked(content, name, ArchiveLimits(member_bytes=1000))
        assert walked.failures["a.md"].startswith("It is too large: ")
        assert walked.texts == {"b.md": "y"}


def test_so_many_bytes_are_unpacked_and_no_more() -> None:
    files = {f"{n}.md": "x" * 600 for n in range(5)}
    walked = Walked(zip_bytes(files), limits=SMALL)
    assert list(walked.texts) == ["0.md", "1.md", "2.md", "3.md"]
    assert walked.omissions == ("what lies beyond 0.0 MB of unpacked files",)


def test_so_many_files_are_read_and_no_more() -> None:
    files = {f"{n}.md": "x" for n in range(6)}
    assert Walked(zip_bytes({**files, "in.zip": zip_bytes(files)}), limits=SMALL).omissions == (
        "all but the first 5 files",
    )
    assert (
        len(
            Walked(
                tar_bytes({"in.tar": tar_bytes(files, compression=""), **files}), "a.tgz", ArchiveLimits(members=5)
            ).texts
        )
        == 4
    )
    assert len(Walked(tar_bytes(dict([*files.items()][:5])), "a.tgz", ArchiveLimits(members=5)).omissions) == 0


def layered_bomb() -> bytes:
    layer = zip_bytes({f"{n}.txt": b"a" * MEGABYTE for n in range(16)})
    for _ in range(4):
        layer = zip_bytes({f"{n}.zip": layer for n in range(16)})
    return layer


def overlapping_zip() -> bytes:
    """Return a ZIP whose directory names the same bytes 500 times."""
    content = zip_bytes({"0000.md": b"a" * (8 * MEGABYTE)})
    start = content.index(b"PK\1\2")
    end = content.index(b"PK\5\6")
    directory = b"".join(content[start:end].replace(b"0000.md", b"%04d.md" % n) for n in range(500))
    tail = struct.pack("<HHHHIIH", 0, 0, 500, 500, len(directory), start, 0)
    return content[:start] + directory + b"PK\5\6" + tail


def declared_tar(size: int) -> bytes:
    return tar_header("a.md", 3).tobuf() + b"One".ljust(512, b"\0") + tar_header("b.md", size).tobuf() + b"x" * 9999


@pytest.mark.parametrize(
    ("name", "content", "texts"),
    [
        ("a.zip", layered_bomb(), {}),
        ("a.tar", declared_tar(10**12), {"a.md": "One"}),
        ("a.tgz", gzip.compress(declared_tar(10**12)), {"a.md": "One"}),
        ("a.txz", lzma.compress(declared_tar(10**12) + bytes(80 * MEGABYTE)), {"a.md": "One"}),
    ],
    ids=["archives in archives", "a terabyte is declared", "in gzip", "endless zeros"],
)
def test_bombs_end_soon(name: str, content: bytes, texts: Mapping[str, str]) -> None:
    started = time.monotonic()
    walked = Walked(content, name)
    assert time.monotonic() - started < 10
    assert walked.texts == texts
    assert walked.omissions or walked.failure


def test_overlapping_files_unpack_no_more_than_others() -> None:
    walked = Walked(overlapping_zip())
    assert sum(map(len, walked.texts.values())) <= 80 * MEGABYTE
    assert walked.omissions or walked.failures


# Patterns


def test_patterns_take_an_archive_for_a_folder() -> None:
    content = zip_bytes({**FILES, "in.zip": zip_bytes(FILES)})
    for exclude, paths in (
        ("folder/", ["a.md", "in.zip!/a.md"]),
        ("in.zip", [*FILES]),
        ("in.zip/", [*FILES]),
        ("a.zip!/folder", ["a.md", "in.zip!/a.md", "in.zip!/folder/b.txt", "in.zip!/folder/deep/c.py"]),
        ("*.md", ["folder/b.txt", "folder/deep/c.py", "in.zip!/folder/b.txt", "in.zip!/folder/deep/c.py"]),
    ):
        assert [*Walked(content, exclude=(exclude,)).texts] == paths


@pytest.mark.parametrize(
    ("include", "taken"),
    [
        ((), True),
        (("*.md",), True),
        (("*.txt",), False),
        (("*.zip",), True),
        (("docs/a.zip!/f",), True),
        (("f/",), True),
    ],
)
def test_what_is_included_is_a_member_or_the_whole_archive(include: tuple[str, ...], taken: bool) -> None:
    assert MemberPatterns("docs/a.zip", include).takes("f/a.md") == taken
    assert not MemberPatterns("docs/a.zip", include, left_out=frozenset(["f/a.md"])).takes("f/a.md")
