"""Files that visitors give: checked, and kept in a folder of their own beside the index. Knows no index."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from echo_embeddings.errors import DocumentError

_LONGEST_NAME = 120  # characters, as a file system takes them


def keep_uploads(files: Sequence[Path], folder: Path, *, most_bytes: int) -> list[Path]:
    """Copy files into the folder under their own names; one of the same name is replaced. All of them or none.

    Raises:
        DocumentError: a file is of no kind that can be read, or too large; it is named.
    """
    for file in files:
        _check(file, most_bytes)
    folder.mkdir(parents=True, exist_ok=True)
    kept = []
    for file in files:
        target = folder / safe_name(file.name)
        unfinished = target.with_name(f".{target.name}.unfinished")
        shutil.copyfile(file, unfinished)
        unfinished.replace(target)
        kept.append(target)
    return kept


def safe_name(name: str) -> str:
    """Return a name that is one visible file in one folder: no separators, no control characters, no leading dots."""
    name = os.path.basename(name.replace("\\", "/"))  # noqa: PTH119 - a name as another system may write it
    plain = "".join(character if character.isprintable() else "_" for character in name).strip().lstrip(".")
    stem, suffix = os.path.splitext(plain)  # noqa: PTH122
    return f"{stem[: _LONGEST_NAME - len(suffix)] or 'file'}{suffix}"


def _check(file: Path, most_bytes: int) -> None:
    from indexer import FORMATS

    if file.suffix.lower() not in FORMATS:
        raise DocumentError(
            f"{file.name} is of no kind that can be read.",
            remedy="Text, Markdown, reST, HTML, PDF, DOCX and source code can.",
        )
    size = file.stat().st_size
    if size > most_bytes:
        limit = f"{most_bytes / 1e6:.0f} MB"
        raise DocumentError(f"{file.name} is too large: {size / 1e6:.1f} MB, where the limit is {limit}.")
