"""Allow one writer of an index at a time. The lock is released when its process ends, however it ends."""

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
    """Hold the write lock of an index inside the block. Create the folder of the index if it is missing.

    Raises:
        IndexBusy: another process holds the lock.
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
                f"The index in {index_dir} is being written by process {_holder_pid(holder)}.",
                remedy="Wait until it has finished, or stop it.",
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


def _holder_pid(holder: Path) -> str:
    """Return the process ID in the file beside the lock; "unknown" if the writer has just begun or just ended."""
    try:
        pid = int(holder.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "unknown"
    return str(pid) if _is_running(pid) else "unknown"  # a killed process leaves its ID behind


def _is_running(pid: int) -> bool:
    if os.name != "posix":
        return True  # on Windows, os.kill would end the process
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # the process belongs to another user
        return True
    return True
