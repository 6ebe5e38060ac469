"""Convert between file paths and the paths stored in an index.

Stored paths are relative to the folder that contains the index, so that both can be moved together. What is at an
address is stored under it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from echo_index.indexer.storage.urls import is_url, path_url, url_path


def stored_path(path: Path, index_dir: Path) -> str:
    """Return the path under which an index stores a file; absolute if not below the folder that contains the index."""
    base = _base_folder(index_dir)
    if path.is_relative_to(base):
        return path.relative_to(base).as_posix()
    return path_url(path) or path.as_posix()


def full_path(stored: str, index_dir: Path) -> Path:
    """Return the file path of a stored path."""
    return url_path(stored) if is_url(stored) else _base_folder(index_dir) / stored


def full_name(stored: str, index_dir: Path) -> str:
    """Return the file path of a stored path as a text, or its address."""
    return stored if is_url(stored) else str(_base_folder(index_dir) / stored)


def full_paths(index_dir: Path) -> Callable[[str], str]:
    """Return a function that returns `full_path` as a text, which is faster for many paths."""
    base = str(_base_folder(index_dir)).rstrip(os.sep) + os.sep
    if os.sep != "/":
        return lambda stored: str(full_path(stored, index_dir))

    def full(stored: str) -> str:
        if stored.startswith("/"):
            return stored
        return str(url_path(stored)) if is_url(stored) else base + stored

    return full


def _base_folder(index_dir: Path) -> Path:
    return Path(os.path.abspath(index_dir)).parent  # noqa: PTH100 - Path.resolve would follow links
