"""Replace a file in one step: other processes see its old content or its new content, never a part of it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_UNFINISHED = ".unfinished"


def replace_file(path: Path, write: Callable[[Path], object], *, durable: bool = False) -> None:
    """Call `write` with the path of a temporary file in the same folder, then rename that file to `path`.

    If anything fails, the temporary file is deleted and `path` stays as it was. With `durable`, the new content has
    reached the disk when this returns: it survives a power failure.

    Raises:
        OSError: the file cannot be written.
    """
    # Hidden, so that a scan of the folder does not take the temporary file for a document.
    unfinished = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}{_UNFINISHED}")
    try:
        write(unfinished)
        if durable:
            with unfinished.open("rb+") as file:  # Windows flushes only files that are open for writing
                os.fsync(file.fileno())
        unfinished.replace(path)
        if durable:
            _sync_folder(path.parent)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise


def delete_unfinished(folder: Path) -> None:
    """Delete the temporary files that killed processes left in a folder. No process may be writing there.

    Raises:
        OSError: a file cannot be deleted.
    """
    for path in folder.glob(f"*{_UNFINISHED}"):
        path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk. Only POSIX systems can open a folder for that."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
