"""Files that visitors give: checked, and kept in a folder of their own beside the index. Knows no index."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from itertools import chain, count
from pathlib import Path

from echo_index.errors import DocumentError

_LONGEST_NAME = 200  # bytes: file systems take 255, and names are made longer for a moment
_LONGEST_SUFFIX = 16


def keep_uploads(files: Sequence[Path], folder: Path, *, most_bytes: int) -> list[Path]:
    """Copy files into the folder under their own names, all of them or none.

    One that was uploaded earlier under the same name is replaced; two of one name that come together are both kept.

    Raises:
        DocumentError: a file is of no kind that can be read, or too large; it is named.
    """
    for file in files:
        _check(file, most_bytes)
    folder.mkdir(parents=True, exist_ok=True)
    kept: list[Path] = []
    for file in files:
        target = _free_name(folder / safe_name(file.name), taken=kept)
        unfinished = folder / ".unfinished"
        shutil.copyfile(file, unfinished)
        unfinished.replace(target)
        kept.append(target)
    return kept


def safe_name(name: str) -> str:
    """Return a name that is one visible file in one folder: no separators, no control characters, no leading dots."""
    name = os.path.basename(name.replace("\\", "/"))  # noqa: PTH119 - a name as another system may write it
    plain = "".join(character if character.isprintable() else "_" for character in name).strip(". ")
    stem, suffix = os.path.splitext(plain)  # noqa: PTH122
    if len(suffix.encode()) > _LONGEST_SUFFIX:
        stem, suffix = plain, ""
    room = _LONGEST_NAME - len(suffix.encode())
    return f"{stem.encode()[:room].decode(errors='ignore').strip() or 'file'}{suffix}"


def _free_name(path: Path, *, taken: Sequence[Path]) -> Path:
    numbered = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in count(2))
    return next(name for name in chain([path], numbered) if name not in taken)


def _check(file: Path, most_bytes: int) -> None:
    from echo_index.indexer.documents.formats import FORMATS

    if Path(safe_name(file.name)).suffix.lower() not in FORMATS:
        raise DocumentError(
            f"{file.name} is of no kind that can be read.",
            remedy="Text, Markdown, reST, HTML, PDF, DOCX and source code can.",
        )
    size = file.stat().st_size
    if size > most_bytes:
        limit = f"{most_bytes / 1e6:.0f} MB"
        raise DocumentError(f"{file.name} is too large: {size / 1e6:.1f} MB, where the limit is {limit}.")
