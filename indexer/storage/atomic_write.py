"""Files of an index put in place whole or not at all. Knows nothing of what is in them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from echo_index.errors import IndexUnwritable
from echo_index.indexer.storage.safe_open import plain_reason

_UNFINISHED = ".unfinished"


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let `write` fill a file that then takes the place of `path`, at once, and is on the disk when this returns.

    Raises:
        IndexUnwritable: it cannot be written; what was at `path` is still there.
    """
    unfinished = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}{_UNFINISHED}")
    with translate_write_errors(path.parent):
        try:
            with unfinished.open("wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
            _keep_names(path.parent)
        except BaseException:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise


def sweep_unfinished(folder: Path) -> None:
    """Delete what writers that were killed had begun."""
    for path in folder.glob(f"*{_UNFINISHED}"):
        path.unlink(missing_ok=True)


@contextmanager
def translate_write_errors(index_dir: Path) -> Iterator[None]:
    """Tell in one sentence what keeps an index from being written.

    Raises:
        IndexUnwritable: in place of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise IndexUnwritable(
            f"The index in {index_dir} cannot be written: {plain_reason(error)}.",
            remedy="What was there is kept; make room or give access, and run the same command again.",
        ) from None


def _keep_names(folder: Path) -> None:
    """Have the names in a folder written to the disk, where the system can do that."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
