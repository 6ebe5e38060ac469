"""Find the documents that a person or a program names: by path, by folder or by glob."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from fnmatch import translate
from functools import lru_cache
from pathlib import Path
from unicodedata import normalize

from echo_index.indexer.storage.stored_paths import stored_path
from echo_index.indexer.storage.urls import is_url


def named_documents(name: str, documents: Mapping[str, str], index_dir: Path) -> list[str]:
    """Return those of the documents that a name means, in their order.

    `documents` are stored paths, each with that of the archive it is in, or ''. The name is tried as the path of a
    document or of an archive, which means all documents in it, as a folder above documents, and as a glob, in which `*`
    also matches `/`; the first that finds something counts, so a path with brackets is no glob. It is read as a path
    that search shows and as one from the current folder. The Unicode forms of a letter are alike, as macOS stores
    another than one types.
    """
    composed = [(normalize("NFC", path), normalize("NFC", archive)) for path, archive in documents.items()]
    spellings = _spellings(name, index_dir)
    for matches in (_is_at, _is_below, _matches):
        for spelling in spellings:
            found = [document for document, paths in zip(documents, composed, strict=True) if matches(spelling, *paths)]
            if found:
                return found
    return []


def documents_of_names(names: Collection[str], documents: Mapping[str, str], index_dir: Path) -> set[str]:
    """Return the stored paths that at least one of the names means."""
    return {path for name in names for path in named_documents(name, documents, index_dir)}


def _spellings(name: str, index_dir: Path) -> list[str]:
    """Return a name as search would show it, then as the path of a file, with composed letters."""
    if not name.strip():
        return []
    if is_url(name):
        return [normalize("NFC", name.rstrip("/"))]
    shown = os.path.normpath(name)
    file = Path(os.path.abspath(os.path.expanduser(name)))  # noqa: PTH100, PTH111 - Path.resolve would follow links
    spellings = (shown.replace(os.sep, "/"), stored_path(file, index_dir))
    return list(dict.fromkeys(normalize("NFC", spelling) for spelling in spellings))


def _is_at(spelling: str, path: str, archive: str) -> bool:
    """Return whether a spelling is that of a document, or of its archive, or of an archive inside that."""
    in_archive = archive and len(spelling) >= len(archive) and path.startswith(f"{spelling}!/")
    return path == spelling or bool(in_archive)


def _is_below(spelling: str, path: str, archive: str) -> bool:
    return path.startswith(f"{spelling.rstrip('/')}/")


def _matches(spelling: str, path: str, archive: str) -> bool:
    matches = _glob(spelling).match
    return bool(matches(path) or (archive and matches(archive)))


@lru_cache(maxsize=256)
def _glob(glob: str) -> re.Pattern[str]:
    return re.compile(translate(glob.replace("[^", "[!")))
