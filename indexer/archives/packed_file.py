"""A file in an archive that is not unpacked yet, and the limits for unpacking."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Literal

from echo_index.indexer.storage.limits import ARCHIVE_BYTES, FILE_BYTES
from echo_index.indexer.storage.safe_open import MEGABYTE


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """Limits for reading one archive, with the archives in it."""

    archive_bytes: int = ARCHIVE_BYTES
    """Size of the archive itself."""
    member_bytes: int = FILE_BYTES
    """Unpacked size of a member."""
    unpacked_bytes: int = 1024 * MEGABYTE
    """Unpacked size of everything."""
    ratio: int = 250
    """How many times the size of the archive may be unpacked, beyond the size of one member."""
    members: int = 10_000
    """Number of files."""
    depth: int = 3
    """An archive is at depth 1, an archive in it at 2."""


@dataclass(frozen=True, slots=True)
class PackedFile:
    """A file in an archive: its name as it is stored, with `/` between folders, and its size as the archive says.

    `open` is called before the next file is asked for. Damage may make it, and the reading, raise any error.
    """

    name: str
    size: int
    open: Callable[[], IO[bytes]]
    kind: Literal["file", "link", "device"] = "file"
    is_encrypted: bool = False


class TooMuchUnpacked(BaseException):
    """More bytes are unpacked than an archive may hold. No handler of errors of libraries may catch it."""


class Budget:
    """Counts the bytes that are unpacked."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._used = 0

    def spend(self, count: int) -> None:
        """Count bytes.

        Raises:
            TooMuchUnpacked: they are more than the limit.
        """
        self._used += count
        if self._used > self.limit:
            raise TooMuchUnpacked


class CountedStream(io.RawIOBase):
    """A stream whose bytes are counted as they are read. It never reads much more than the budget allows."""

    def __init__(self, stream: IO[bytes], budget: Budget) -> None:
        self._stream, self._budget = stream, budget

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Read up to so many bytes.

        Raises:
            TooMuchUnpacked: the budget is spent.
        """
        most = self._budget.limit + 1
        content = self._read_from(self._stream, most if size < 0 else min(size, most))
        self._budget.spend(len(content))
        return content

    def _read_from(self, stream: IO[bytes], size: int) -> bytes:
        return stream.read(size)
