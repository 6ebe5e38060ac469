"""The cache folder: converted models and remembered file hashes. Everything in it can be deleted and comes back."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_path

_BLOCK = 1 << 20


def cache_folder() -> Path:
    """Return the folder, from ECHO_INDEX_CACHE or the user's cache directory; it is made where it is missing."""
    named = os.environ.get("ECHO_INDEX_CACHE")
    folder = Path(named).expanduser() if named else user_cache_path("echo-index")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def build_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """Return `folder`, made by `make` in a temporary folder beside it and renamed when whole.

    Safe when several processes start at once: one makes it, the others wait. What a killed process left is redone.
    """
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            with tempfile.TemporaryDirectory(
                prefix=f"{folder.name}.", dir=folder.parent, ignore_cleanup_errors=True
            ) as unfinished:
                whole = Path(unfinished) / folder.name
                whole.mkdir()
                make(whole)
                whole.rename(folder)
    return folder


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal, remembered for as long as its size and time stay the same."""
    stat = path.stat()
    key = f"{path.resolve()}:{stat.st_size}:{stat.st_mtime_ns}"
    memory = cache_folder() / "hashes" / f"{hashlib.sha256(key.encode()).hexdigest()}.json"
    if memory.exists():
        return str(json.loads(memory.read_text(encoding="utf-8"))["sha256"])
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    told = json.dumps({"path": str(path), "sha256": digest.hexdigest()})
    write_cached(memory, lambda file: file.write_text(told, encoding="utf-8"))
    return digest.hexdigest()


def write_cached(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a file of the cache folder, which others see whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
    write(unfinished)
    unfinished.replace(path)
