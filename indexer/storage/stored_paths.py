"""How documents are named in an index: relative to the folder the index lies in, so that both can move together."""

from __future__ import annotations

import os
from pathlib import Path


def stored_path(path: Path, index_dir: Path) -> str:
    """Return the name of a file in the index; outside the folder that holds the index it is absolute."""
    base = _base(index_dir)
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else path.as_posix()


def full_path(stored: str, index_dir: Path) -> Path:
    """Return where a file of the index lies now."""
    return _base(index_dir) / stored


def _base(index_dir: Path) -> Path:
    return Path(os.path.abspath(index_dir)).parent  # noqa: PTH100 - as with sources, no link is to be resolved
