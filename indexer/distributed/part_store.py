"""The place of the parts of a build: a folder that all nodes share, on anything that fsspec opens."""

from __future__ import annotations

import hashlib
import platform
import posixpath
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from echo_index.errors import EngineError
from echo_index.indexer.building.engine import PARTS_FOLDER
from echo_index.indexer.sources.remote.driver import load_fsspec
from echo_index.indexer.storage.safe_open import plain_reason

SUFFIX = ".parquet"
_UNFINISHED = ".unfinished"
_PROBE = "probe-"


def parts_folder(place: str | None, index_dir: Path) -> str:
    """Return the folder for the parts of an index: one of its own in a place, or inside of the index.

    Several indexes may share a place: each build deletes only its own folder.
    """
    full = str(index_dir.absolute())
    if place is None:
        return f"{full}/{PARTS_FOLDER}"
    name = hashlib.sha256(f"{platform.node()}\0{full}".encode()).hexdigest()[:12]
    folder = place if "://" in place else str(Path(place).expanduser().absolute())
    return f"{folder.rstrip('/')}/echo-index-parts-{name}"


class PartStore:
    """A folder of parts. A part appears when it is complete, and never changes."""

    def __init__(self, folder: str) -> None:
        """Open a folder, which need not exist.

        Raises:
            MissingPackage: fsspec is not installed.
            EngineError: nothing opens such an address.
        """
        self.folder = folder
        try:
            self._files, self._root = load_fsspec().core.url_to_fs(folder)
        except ImportError as error:
            raise EngineError(
                f"The place {folder} cannot be opened: {error}.", remedy="Install it on all nodes."
            ) from None
        except (ValueError, OSError) as error:
            raise EngineError(
                f"The place {folder} cannot be opened: {error}.", remedy="Name another: --parts PLACE"
            ) from None

    def names(self) -> list[str]:
        """Return the names of all parts, in order.

        Raises:
            EngineError: the folder cannot be read.
        """
        with self._readable():
            self._files.invalidate_cache()
            if not self._files.exists(self._root):
                return []
            paths = self._files.ls(self._root, detail=False)
        return sorted(name for name in map(posixpath.basename, paths) if name.endswith(SUFFIX))

    def holds(self, name: str) -> bool:
        """Return whether there is a part of this name."""
        with self._readable():
            self._files.invalidate_cache()
            return bool(self._files.exists(self._path(name)))

    def write(self, name: str, content: bytes) -> None:
        """Write a part under a temporary name and rename it.

        Raises:
            EngineError: the folder cannot be written.
        """
        unfinished = self._path(f".{name}.{uuid.uuid4().hex}{_UNFINISHED}")
        with self._writable():
            self._files.makedirs(self._root, exist_ok=True)
            self._files.pipe_file(unfinished, content)
            self._files.mv(unfinished, self._path(name))

    @contextmanager
    def open(self, name: str) -> Iterator[Any]:
        """Open a part for reading.

        Raises:
            EngineError: it cannot be read.
        """
        with self._readable(), self._files.open(self._path(name), "rb") as file:
            yield file

    def delete(self, name: str) -> None:
        """Delete a part."""
        with self._writable():
            self._files.rm_file(self._path(name))

    def delete_all(self) -> None:
        """Delete the folder."""
        with self._writable():
            self._files.invalidate_cache()
            if self._files.exists(self._root):
                self._files.rm(self._root, recursive=True)

    def leave_probe(self) -> str:
        """Write a small file, and return its name: whoever shares the folder sees it.

        Raises:
            EngineError: the folder cannot be written.
        """
        name = f"{_PROBE}{uuid.uuid4().hex}"
        self.write(name, b"echo-index")
        return name

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._failure("read", error) from error

    @contextmanager
    def _writable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._failure("written", error) from error

    def _failure(self, verb: str, error: OSError) -> EngineError:
        reason = plain_reason(error)
        return EngineError(
            f"The place of the parts, {self.folder}, cannot be {verb} on {platform.node()}: {reason}.",
            remedy="Name a place that all nodes may write to: --parts PLACE",
        )
