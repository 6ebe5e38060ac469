"""What built an index, as one JSON file that is written last: where it stands, the index is complete."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from echo_embeddings.errors import IndexDamaged, IndexMissing
from indexer.means import Means

FORMAT_VERSION = 1
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Canary:
    """A text and the vector it had when the index was built, as its encoder gave it."""

    text: str
    vector: tuple[float, ...]


@dataclass(frozen=True)
class Manifest:
    """One complete generation of an index."""

    generation: int
    fingerprint: str
    encoder: dict[str, str | int | None]
    """The readable parts of the fingerprint."""
    chunking: dict[str, int]
    documents: int
    chunks: int
    vectors_file: str
    finished: str
    """UTC, ISO 8601."""
    means: Means
    """What is taken away from vectors and questions before they are compared."""
    canaries: tuple[Canary, ...]
    format_version: int = FORMAT_VERSION


def read_manifest(index_dir: Path) -> Manifest:
    """Return the manifest of an index.

    Raises:
        IndexMissing: there is no complete index in the folder.
        IndexDamaged: the file is not a manifest that this version understands.
    """
    path = index_dir / MANIFEST
    try:
        fields: Any = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(fields, dict):
            raise ValueError("it is no JSON object")
    except FileNotFoundError:
        raise _missing(index_dir) from None
    except (OSError, ValueError) as error:
        raise IndexDamaged(f"The manifest {path} cannot be read: {error}.", remedy=_BUILD_AGAIN) from None
    if fields.get("format_version") != FORMAT_VERSION:
        raise IndexDamaged(
            f"The index in {index_dir} has format {fields.get('format_version')!r}; this version reads format "
            f"{FORMAT_VERSION}.",
            remedy=_BUILD_AGAIN,
        )
    try:
        canaries = tuple(Canary(item["text"], tuple(item["vector"])) for item in fields.pop("canaries"))
        means = fields.pop("means")
        common = Means(tuple(means["document"]), tuple(means["query"]), means["passages"])
        return Manifest(canaries=canaries, means=common, **fields)
    except (KeyError, TypeError) as error:
        raise IndexDamaged(f"The manifest {path} is incomplete: {error}.", remedy=_BUILD_AGAIN) from None


def manifest_stamp(index_dir: Path) -> tuple[int, int]:
    """Return what changes whenever a new manifest is put in place; cheap enough to ask before every search.

    Raises:
        IndexMissing: there is no complete index in the folder.
    """
    try:
        stat = (index_dir / MANIFEST).stat()
    except FileNotFoundError:
        raise _missing(index_dir) from None
    return stat.st_ino, stat.st_mtime_ns


def write_manifest(index_dir: Path, manifest: Manifest) -> None:
    """Put the manifest in place, whole or not at all."""
    unfinished = index_dir / f"{MANIFEST}.unfinished"
    with unfinished.open("w", encoding="utf-8") as file:
        json.dump(asdict(manifest), file, indent=1, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(index_dir / MANIFEST)


def _missing(index_dir: Path) -> IndexMissing:
    if index_dir.is_dir() and any(index_dir.iterdir()):
        begun = f"There is no complete index in {index_dir} yet: a build was begun and has not ended."
        return IndexMissing(begun, remedy="Go on with it: echo-index build FOLDER")
    return IndexMissing(f"There is no complete index in {index_dir}.", remedy="Build one: echo-index build FOLDER")


_BUILD_AGAIN = "Build it again: echo-index build --rebuild FOLDER"
