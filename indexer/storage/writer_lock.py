"""One writer at a time. A lock dies with its process, however it ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from echo_index.errors import IndexBusy
from echo_index.indexer.storage.atomic_write import translate_write_errors


@contextmanager
def writer_lock(index_dir: Path) -> Iterator[None]:
    """Hold the write lock of an index, whose folder is made where there is none.

    Raises:
        IndexBusy: another process holds it; it is named.
        IndexUnwritable: nothing can be written to the folder.
    """
    holder = index_dir / "writer.pid"
    lock = FileLock(index_dir / "writer.lock", timeout=0)
    with translate_write_errors(index_dir):
        try:
            index_dir.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout:
            raise IndexBusy(
                f"The index in {index_dir} is being written by process {_process(holder)}.",
                remedy="Wait for it, or stop it.",
            ) from None
        try:
            holder.write_text(str(os.getpid()), encoding="utf-8")
        except BaseException:
            lock.release()
            raise
    try:
        yield
    finally:
        with suppress(OSError):
            holder.unlink(missing_ok=True)
        lock.release()


def _process(holder: Path) -> str:
    """Return who says to hold the lock; nobody does when it has just begun, or has just ended."""
    try:
        process = int(holder.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "unknown"
    return str(process) if _lives(process) else "unknown"  # one that was killed has left its number


def _lives(process: int) -> bool:
    if os.name != "posix":
        return True  # there, a signal would end it
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # it is somebody else's
        return True
    return True
