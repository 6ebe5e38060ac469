"""One writer at a time. A lock dies with its process, however it ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from echo_embeddings.errors import IndexBusy


@contextmanager
def only_writer(index_dir: Path) -> Iterator[None]:
    """Hold the write lock of an index.

    Raises:
        IndexBusy: another process holds it; it is named.
    """
    holder = index_dir / "writer.pid"
    lock = FileLock(index_dir / "writer.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        process = holder.read_text(encoding="utf-8").strip() if holder.exists() else "unknown"
        raise IndexBusy(
            f"The index in {index_dir} is being built by process {process}.", remedy="Wait for it, or stop it."
        ) from None
    try:
        holder.write_text(str(os.getpid()), encoding="utf-8")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()
