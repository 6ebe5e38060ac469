"""Convert between file paths and the paths stored in an index.

Stored paths are relative to the folder that contains the index, so that both can be moved together.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def stored_path(path: Path, index_dir: Path) -> str:
    """Return the path under which an index stores a file; absolute if not below the folder that contains the index."""
    base = _base_folder(index_dir)
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else path.as_posix()


def full_path(stored: str, index_dir: Path) -> Path:
    """Return the file path of a stored path."""
    return _base_folder(index_dir) / stored


def full_paths(index_dir: Path) -> Callable[[str], str]:
    """Return a function as `full_path` that returns texts, which is faster for many paths."""
    base = str(_base_folder(index_dir)).rstrip(os.sep) + os.sep
    if os.sep != "/":
        return lambda stored: str(full_path(stored, index_dir))
    return lambda stored: stored if stored.startswith("/") else base + stored


def _base_folder(index_dir: Path) -> Path:
    return Path(os.path.abspath(index_dir)).parent  # noqa: PTH100 - Path.resolve would follow links
