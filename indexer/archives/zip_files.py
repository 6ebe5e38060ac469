"""List the files in a ZIP archive."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from functools import partial
from typing import IO, Literal
from zipfile import ZipFile, ZipInfo

from echo_index.indexer.archives.member_names import zip_names
from echo_index.indexer.archives.packed_file import Budget, CountedStream, PackedFile

_ENCRYPTED = 0x1


def zip_files(file: IO[bytes], budget: Budget) -> Iterator[PackedFile]:
    """Yield the files in a ZIP archive; of those with the same name only the last, as `unzip` leaves it.

    Damage may raise any error.
    """
    archive = ZipFile(file)
    members = archive.infolist()
    last = dict(zip(zip_names(members), members, strict=True))
    for name, member in last.items():
        if not name.endswith("/"):
            encrypted = bool(member.flag_bits & _ENCRYPTED)
            yield PackedFile(
                name, member.file_size, partial(_open, archive, member, budget), _kind(member), is_encrypted=encrypted
            )


def _open(archive: ZipFile, member: ZipInfo, budget: Budget) -> IO[bytes]:
    return CountedStream(archive.open(member), budget)  # type: ignore[return-value]


def _kind(member: ZipInfo) -> Literal["file", "link", "device"]:
    kind = stat.S_IFMT(member.external_attr >> 16)  # 0 if the archive was not made on Unix
    if kind == stat.S_IFLNK:
        return "link"
    return "file" if kind in (0, stat.S_IFREG) else "device"
