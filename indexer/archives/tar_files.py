"""List the files in a TAR archive, compressed or not, in one pass."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
from collections.abc import Iterator
from functools import partial
from typing import IO, Any, Literal

from echo_index.indexer.archives.member_names import tar_name
from echo_index.indexer.archives.packed_file import Budget, CountedStream, PackedFile

_BUFFER_BYTES = 2**17
_MAGIC_BYTES = 6
_MAX_EMPTY_READS = 8


class _CheckedHeader(tarfile.TarInfo):
    """The header of a file. A damaged one is an error; `tarfile` takes it for the end of the archive."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> _CheckedHeader:
        try:
            return super().fromtarfile(archive)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as error:  # type: ignore[attr-defined]
            raise tarfile.ReadError(f"a header is damaged ({error})") from error


class _EndingStream(CountedStream):
    """A stream that cannot be read long beyond its end: `tarfile` would try so for each block of a file cut off."""

    def __init__(self, stream: IO[bytes], budget: Budget) -> None:
        super().__init__(stream, budget)
        self._empty_reads = 0

    def read(self, size: int = -1) -> bytes:
        """Read up to so many bytes.

        Raises:
            tarfile.ReadError: the end was passed several times.
            TooMuchUnpacked: the budget is spent.
        """
        content = super().read(size)
        self._empty_reads += not content
        if self._empty_reads > _MAX_EMPTY_READS:
            raise tarfile.ReadError("unexpected end of data")
        return content

    def _read_from(self, stream: IO[bytes], size: int) -> bytes:
        read: bytes = stream.read1(size)  # type: ignore[attr-defined]  # gives what stands before damage
        return read


def tar_files(file: IO[bytes], budget: Budget) -> Iterator[PackedFile]:
    """Yield the files in a TAR archive, also those of the same name, of which the last counts.

    Damage may raise any error.
    """
    stream: Any = _EndingStream(_unpacked(file), budget)
    options: dict[str, Any] = {"tarinfo": _CheckedHeader, "encoding": "utf-8", "errors": "surrogateescape"}
    with tarfile.open(fileobj=stream, mode="r|", bufsize=_BUFFER_BYTES, **options) as archive:
        while (member := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined]  # or a long archive would fill the memory
            if not member.isdir():
                yield PackedFile(tar_name(member.name), member.size, partial(_open, archive, member), _kind(member))


def _open(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    stream = archive.extractfile(member)
    assert stream is not None  # only a link or a device has no content
    return stream


def _kind(member: tarfile.TarInfo) -> Literal["file", "link", "device"]:
    if member.issym() or member.islnk():
        return "link"
    return "file" if member.isreg() else "device"


def _unpacked(file: IO[bytes]) -> IO[bytes]:
    """Return the stream without its compression, which the first bytes tell: browsers unpack some files themselves."""
    start = file.tell()
    magic = file.read(_MAGIC_BYTES)
    file.seek(start)
    if magic.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file)  # type: ignore[return-value]
    if magic.startswith(b"BZh"):
        return bz2.BZ2File(file)
    return lzma.LZMAFile(file) if magic.startswith(b"\xfd7zXZ\0") else file
