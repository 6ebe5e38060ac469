"""Open and read files that may be hostile: never block, and accept only regular files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from echo_index.errors import DocumentError

MEGABYTE = 2**20

# Opening a pipe would block until it has a writer, and a terminal could become the one that controls this process.
# Neither flag has an effect on a regular file.
_NONBLOCKING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_BINARY = getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True)
class FileContent:
    """The bytes of a file, and its size (bytes) and modification time (nanoseconds) just before they were read."""

    content: bytes
    size: int
    modified_ns: int


def open_file(path: str | Path, *, follow_link: bool = True) -> BufferedReader:
    """Open a regular file for reading.

    Raises:
        DocumentError: the path is something else, such as a pipe, a device or a folder.
        OSError: the file cannot be opened; or it is a link, `follow_link` is false, and the system can detect that.
    """
    descriptor = os.open(path, os.O_RDONLY | _BINARY | _NONBLOCKING | (0 if follow_link else _NO_FOLLOW))
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise DocumentError("It is not a file.")
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


@contextmanager
def found_file(path: Path, *, max_bytes: int, real_path: str = "") -> Iterator[tuple[BufferedReader, os.stat_result]]:
    """Open a file that a scan found, and return it with its status.

    `real_path` is the path without links at which the scan found the file. If it is given, it is the path that is
    opened, and a link that has replaced the file since then is not followed.

    Raises:
        DocumentError: the file cannot be read, is not a regular file, is larger than `max_bytes`, or was replaced by a
            link.
        FileNotFoundError: there is no such file.
    """
    try:
        with open_file(real_path or path, follow_link=not real_path) as file:
            if real_path and os.path.realpath(real_path) != real_path:
                raise DocumentError("It was replaced by a link after it was found.")
            status = os.fstat(file.fileno())
            validate_size(status.st_size, max_bytes)
            yield file, status
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(str(path)) from error
    except (OSError, ValueError) as error:
        if real_path and Path(real_path).is_symlink():
            raise DocumentError("It was replaced by a link after it was found.") from error
        raise DocumentError(f"It cannot be read: {plain_reason(error)}.") from error


def read_file(path: Path, *, max_bytes: int, real_path: str = "") -> FileContent:
    """Read a whole file; `real_path` is as for `found_file`.

    Raises:
        DocumentError: as of `found_file`.
        FileNotFoundError: there is no such file.
    """
    with found_file(path, max_bytes=max_bytes, real_path=real_path) as (file, status):
        content = file.read(max_bytes + 1)  # the file may have grown since
        validate_size(len(content), max_bytes)
        return FileContent(content, status.st_size, status.st_mtime_ns)


def plain_reason(error: OSError | ValueError) -> str:
    """Return the reason that the operating system gave, in lower case and without the path."""
    return (getattr(error, "strerror", None) or "its path cannot be used").lower()


def validate_size(size: int, limit: int) -> None:
    """Raise a DocumentError if a file has more bytes than the limit."""
    if size > limit:
        raise DocumentError(f"It is too large: {size / MEGABYTE:.1f} MB; the limit is {limit / MEGABYTE:.1f} MB.")
