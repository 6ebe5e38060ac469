"""The cache folder: converted models, measurements and file hashes. All of it may be deleted; it is made again."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from filelock import FileLock
from platformdirs import user_cache_path

from echo_index.embeddings.runtime.atomic_write import replace_file

T = TypeVar("T")

_BLOCK_BYTES = 1 << 20


def cache_folder() -> Path:
    """Return the cache folder: ECHO_INDEX_CACHE, or the user's cache directory. Create it if it is missing."""
    from_environment = os.environ.get("ECHO_INDEX_CACHE")
    folder = Path(from_environment).expanduser() if from_environment else user_cache_path("echo-index")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def cache_key(*parts: str) -> str:
    """Return the SHA-256 of some strings, in order, in hexadecimal: the name of a file in the cache."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()


def get_or_make(
    folder_name: str,
    file_name: str,
    *,
    read: Callable[[Path], T],
    make: Callable[[], T],
    write: Callable[[Path, T], object],
) -> T:
    """Return the value that a cached file stores. If there is none, make the value and store it.

    A file that `read` fails on is damaged: it is replaced. A cache that cannot be written is not an error: the value is
    made again next time.

    Args:
        folder_name: Sub-folder of the cache folder, one for each kind of value.
        file_name: Name of the file; it identifies everything that determines the value.
        read: Reads the value from a path.
        make: Makes the value.
        write: Writes the value to a path; it may write no file if this value cannot be stored.
    """
    path = cache_folder() / folder_name / file_name
    with suppress(Exception):  # each file format raises errors of its own for a damaged file
        return read(path)
    value = make()
    with suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        replace_file(path, lambda unfinished: write(unfinished, value))
    return value


def build_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """Return `folder`; if it does not exist, let `make` fill a temporary folder beside it, then rename that one.

    Safe when several processes start at once: one makes it, the others wait. If that process is killed, the next one
    starts over.
    """
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            with tempfile.TemporaryDirectory(
                prefix=f"{folder.name}.", dir=folder.parent, ignore_cleanup_errors=True
            ) as unfinished:
                complete = Path(unfinished) / folder.name
                complete.mkdir()
                make(complete)
                complete.rename(folder)
    return folder


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal, cached for as long as its size and modification time stay the same.

    Raises:
        OSError: the file cannot be read.
    """
    stat = path.stat()
    return get_or_make(
        "hashes",
        f"{cache_key(f'{path.resolve()}:{stat.st_size}:{stat.st_mtime_ns}')}.json",
        read=lambda file: str(json.loads(file.read_text(encoding="utf-8"))["sha256"]),
        make=lambda: _hash_file(path),
        write=lambda file, sha256: file.write_text(json.dumps({"path": str(path), "sha256": sha256}), encoding="utf-8"),
    )


def _hash_file(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
