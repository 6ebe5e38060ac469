"""The bytes of a file that may be hostile: opening never waits, and what is no regular file is refused. Parses none."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from echo_index.errors import DocumentError

MEGABYTE = 2**20

# A pipe would wait for a writer, and a terminal could become ours. Neither flag means anything for a regular file.
_NEVER_WAIT = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_BINARY = getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True)
class FileContent:
    """What a file held, its size in bytes, and when it had last been modified, in nanoseconds, before it was read."""

    content: bytes
    size: int
    modified_ns: int


def open_file(path: str | Path, *, follow_link: bool = True) -> BufferedReader:
    """Open a regular file to read its bytes.

    Raises:
        DocumentError: it is something else, such as a pipe, a device or a folder.
        OSError: it cannot be opened, or is a link where `follow_link` is false and the system can tell.
    """
    descriptor = os.open(path, os.O_RDONLY | _BINARY | _NEVER_WAIT | (0 if follow_link else _NO_LINK))
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise DocumentError("It is not a file.")
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_file(path: Path, *, max_bytes: int, real_path: str = "") -> FileContent:
    """Read a whole file. With `real_path`, the place without links where it was found, only what is there is read.

    Raises:
        DocumentError: it cannot be read, is no regular file or is larger than `max_bytes`; a link has taken its place.
        FileNotFoundError: there is no such file.
    """
    try:
        with open_file(real_path or path, follow_link=not real_path) as file:
            if real_path and os.path.realpath(real_path) != real_path:
                raise DocumentError("A link has taken its place since it was found.")
            status = os.fstat(file.fileno())
            _refuse_larger(status.st_size, max_bytes)
            content = file.read(max_bytes + 1)  # it may grow meanwhile
            _refuse_larger(len(content), max_bytes)
            return FileContent(content, status.st_size, status.st_mtime_ns)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(str(path)) from error
    except (OSError, ValueError) as error:
        if real_path and Path(real_path).is_symlink():
            raise DocumentError("A link has taken its place since it was found.") from error
        raise DocumentError(f"It cannot be read: {plain_reason(error)}.") from error


def plain_reason(error: OSError | ValueError) -> str:
    """Why the operating system refused, in a few lower-case words and without the path."""
    return (getattr(error, "strerror", None) or "its path cannot be used").lower()


def _refuse_larger(size: int, most: int) -> None:
    if size > most:
        raise DocumentError(f"It is too large: {size / MEGABYTE:.1f} MB, where the limit is {most / MEGABYTE:.1f} MB.")
