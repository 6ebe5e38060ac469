"""Find the documents that a person or a program names: by path, by folder or by glob."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Sequence
from fnmatch import translate
from functools import lru_cache
from pathlib import Path
from unicodedata import normalize

from echo_index.indexer.storage.stored_paths import stored_path


def named_documents(name: str, documents: Sequence[str], index_dir: Path) -> list[str]:
    """Return those of the stored paths `documents` that a name means, in their order.

    The name is tried as a document's path, as a folder above documents, and as a glob, in which `*` also matches `/`;
    the first that finds something counts, so a path with brackets is no glob. It is read as a path that search shows
    and as one from the current folder. The Unicode forms of a letter are alike, as macOS stores another than one types.
    """
    composed = [normalize("NFC", path) for path in documents]
    spellings = _spellings(name, index_dir)
    for matches in (_equal, _below, _matching):
        for spelling in spellings:
            found = matches(spelling, composed)
            if found:
                return [documents[position] for position in found]
    return []


def documents_of_names(names: Collection[str], documents: Sequence[str], index_dir: Path) -> set[str]:
    """Return the stored paths that at least one of the names means."""
    return {path for name in names for path in named_documents(name, documents, index_dir)}


def _spellings(name: str, index_dir: Path) -> list[str]:
    """Return a name as search would show it, then as the path of a file, with composed letters."""
    if not name.strip():
        return []
    shown = os.path.normpath(name)
    file = Path(os.path.abspath(os.path.expanduser(name)))  # noqa: PTH100, PTH111 - Path.resolve would follow links
    spellings = (shown.replace(os.sep, "/"), stored_path(file, index_dir))
    return list(dict.fromkeys(normalize("NFC", spelling) for spelling in spellings))


def _equal(spelling: str, paths: Sequence[str]) -> list[int]:
    return [position for position, path in enumerate(paths) if path == spelling]


def _below(spelling: str, paths: Sequence[str]) -> list[int]:
    folder = f"{spelling.rstrip('/')}/"
    return [position for position, path in enumerate(paths) if path.startswith(folder)]


def _matching(spelling: str, paths: Sequence[str]) -> list[int]:
    matches = _glob(spelling).match
    return [position for position, path in enumerate(paths) if matches(path)]


@lru_cache(maxsize=256)
def _glob(glob: str) -> re.Pattern[str]:
    return re.compile(translate(glob.replace("[^", "[!")))
