"""Write the files of an index in one step, and explain why an index cannot be written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from echo_index.embeddings.runtime.atomic_write import replace_file
from echo_index.errors import IndexUnwritable
from echo_index.indexer.storage.safe_open import plain_reason


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Replace the file at `path` in one step. Its new content has reached the disk when this returns.

    Raises:
        IndexUnwritable: the file cannot be written; what was at `path` is unchanged.
    """

    def write_file(unfinished: Path) -> None:
        with unfinished.open("wb") as file:
            write(file)

    with translate_write_errors(path.parent):
        replace_file(path, write_file, durable=True)


@contextmanager
def translate_write_errors(index_dir: Path) -> Iterator[None]:
    """Turn any OSError raised inside into an IndexUnwritable that names the index and the reason.

    Raises:
        IndexUnwritable: an OSError was raised.
    """
    try:
        yield
    except OSError as error:
        raise unwritable_index(index_dir, plain_reason(error)) from None


def unwritable_index(index_dir: Path, reason: str) -> IndexUnwritable:
    """Return the error for an index that cannot be written."""
    return IndexUnwritable(
        f"The index in {index_dir} cannot be written: {reason}.",
        remedy="It is unchanged. Free disk space or grant write access, then run the same command again.",
    )
