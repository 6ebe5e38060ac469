"""Check uploaded files and store them in a folder beside the index."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from functools import partial
from itertools import chain, count
from pathlib import Path

from echo_index.app.defaults import DEFAULTS
from echo_index.embeddings.runtime.atomic_write import replace_file
from echo_index.errors import DocumentError

_MAX_NAME_BYTES = 200  # file systems allow 255, and a number may be added to the name
_MAX_SUFFIX_BYTES = 16
_ARCHIVE_SUFFIX = re.compile(r"\.tar\.\w+$", re.IGNORECASE)


def uploads_folder(index_dir: Path, served_with: Sequence[Path] = ()) -> Path:
    """Return the folder of uploaded files: beside the index, so that both can be moved together.

    Of several indexes in one folder that are `served_with` each other, each has uploads of its own, named after the
    index, and then keeps them when it is served alone. One that alone has earlier uploads keeps those.
    """
    folder = index_dir.absolute().parent
    common, own = folder / DEFAULTS.uploads_name, folder / f"{DEFAULTS.uploads_name}-{index_dir.name}"
    if own.is_dir():
        return own
    neighbours = [
        other
        for other in served_with
        if other.resolve() != index_dir.resolve() and other.resolve().parent == index_dir.resolve().parent
    ]
    if not neighbours or (_uses(index_dir, common) and not any(_uses(other, common) for other in neighbours)):
        return common
    return own


def _uses(index_dir: Path, folder: Path) -> bool:
    """Return whether a source of an index is in a folder."""
    from echo_index.indexer.generations.source_registry import read_sources

    return any(Path(source).is_relative_to(folder) for source in read_sources(index_dir))


def store_uploads(files: Sequence[Path], folder: Path, *, max_bytes: int) -> list[Path]:
    """Copy files into the folder under their own names, or none of them if one is not accepted.

    A file replaces an earlier upload of the same name. Files of the same name within one upload are numbered.

    Raises:
        DocumentError: a file has an unsupported format or is too large.
    """
    for file in files:
        _validate_upload(file, max_bytes)
    folder.mkdir(parents=True, exist_ok=True)
    stored: list[Path] = []
    for file in files:
        target = _free_name(folder / safe_name(file.name), taken=stored)
        replace_file(target, partial(shutil.copyfile, file))
        stored.append(target)
    return stored


def safe_name(name: str) -> str:
    """Return a safe file name: no path separators, control characters or leading dots, and not too long."""
    name = os.path.basename(name.replace("\\", "/"))  # noqa: PTH119 - the name may be a Windows path
    printable = "".join(character if character.isprintable() else "_" for character in name).strip(". ")
    stem, suffix = os.path.splitext(printable)  # noqa: PTH122
    if len(suffix.encode()) > _MAX_SUFFIX_BYTES:
        stem, suffix = printable, ""
    stem_bytes = _MAX_NAME_BYTES - len(suffix.encode())
    return f"{stem.encode()[:stem_bytes].decode(errors='ignore').strip() or 'file'}{suffix}"


def _free_name(path: Path, *, taken: Sequence[Path]) -> Path:
    suffix = _ARCHIVE_SUFFIX.search(path.name)
    stem, end = (path.name[: suffix.start()], suffix[0]) if suffix else (path.stem, path.suffix)
    numbered = (path.with_name(f"{stem}-{number}{end}") for number in count(2))
    return next(candidate for candidate in chain([path], numbered) if candidate not in taken)


def _validate_upload(file: Path, max_bytes: int) -> None:
    from echo_index.indexer.documents.formats import has_reader, is_archive

    name = safe_name(file.name)
    if not (has_reader(name) or is_archive(name)):
        raise DocumentError(
            f"{file.name} has a format that cannot be read.",
            remedy="Save it as PDF, Word (.docx), HTML or plain text, and upload that.",
        )
    size = file.stat().st_size
    if size > max_bytes:
        raise DocumentError(f"{file.name} is too large: {size / 1e6:.1f} MB; the limit is {max_bytes / 1e6:.0f} MB.")
