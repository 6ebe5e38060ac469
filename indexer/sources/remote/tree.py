"""List the files below an address. The names in a listing are not trusted."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from stat import S_IFIFO
from typing import Any, Literal

from echo_index.indexer.sources.file_tree import Entry, FileStatus
from echo_index.indexer.sources.gitignore import IGNORE_FILE, MAX_IGNORE_BYTES, Patterns, ignore_file_patterns
from echo_index.indexer.sources.remote.address import has_control_characters, printable
from echo_index.indexer.sources.remote.driver import driver_errors
from echo_index.indexer.sources.remote.stamps import RemoteStatus, remote_status
from echo_index.indexer.storage.urls import path_url

_Kind = Literal["folder", "file", "link", "other"]

_MAX_LENGTH = 4096  # characters of a name, as in file systems
_NO_FILE = RemoteStatus(1, 0, S_IFIFO)


@dataclass(frozen=True, slots=True)
class RemoteEntry:
    """An entry of a listing."""

    name: str
    path: str
    kind: _Kind
    status: RemoteStatus = _NO_FILE

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Return whether it is a folder."""
        return self.kind == "folder"

    def is_symlink(self) -> bool:
        """Return whether it is a link."""
        return self.kind == "link"

    def stat(self) -> FileStatus:
        """Return the status of the file."""
        return self.status


class RemoteTree:
    """The files below an address.

    A driver that lists a whole tree at once is asked for it once; others are asked for one folder after the other.
    `run` calls a function that uses the network, and `on_error` receives what is in a listing and cannot be used.
    """

    def __init__(
        self,
        root: Path,
        files: Any,
        name: str,
        *,
        run: Callable[[Callable[[], Any]], Any],
        on_error: Callable[[Path, str], None],
        on_listed: Callable[[str, Sequence[RemoteEntry]], None],
    ) -> None:
        """Begin to list the address that `root` stands for, whose name in the file system `files` is `name`."""
        self._root = root
        self._files = files
        self._name = name
        self._run = run
        self._on_error = on_error
        self._on_listed = on_listed
        self._info: Mapping[str, Any] = {}
        self._folders: dict[str, list[RemoteEntry]] | None = None

    def is_file(self, path: str) -> bool:
        self._info = self._call(lambda: self._files.info(self._name))
        self._name = str(self._info.get("name") or self._name).rstrip("/")
        return self._info.get("type") == "file"

    def status(self, path: str) -> FileStatus:
        return remote_status(self._info)

    def real_path(self, path: str) -> str:
        return path if path == str(self._root) else ""

    def entries(self, folder: str) -> Sequence[Entry]:
        if _lists_trees(self._files):
            if self._folders is None:
                infos = self._call(lambda: self._files.find(self._name, detail=True))
                self._folders = self._tree(infos.values())
            entries: Sequence[RemoteEntry] = self._folders.get(folder, [])
        else:
            below = self._below(folder)
            infos = self._call(lambda: self._files.ls(self._name + below, detail=True))
            entries = self._tree(infos, depth=below.count("/") + 1).get(folder, [])
        self._on_listed(folder, entries)
        return entries

    def rules(self, folder: str, names: Iterable[str]) -> tuple[Patterns, ...]:
        if IGNORE_FILE not in {*names}:
            return ()
        path = f"{self._name}{self._below(folder)}/{IGNORE_FILE}"
        content = self._call(lambda: self._files.cat_file(path, start=0, end=MAX_IGNORE_BYTES + 1))
        patterns = ignore_file_patterns(folder, content)
        return (patterns,) if patterns.patterns.patterns else ()

    def enclosing_rules(self, folder: Path) -> tuple[Patterns, ...]:
        return ()

    def _below(self, folder: str) -> str:
        """Return the path of a folder below the root: '' for the root, else one that begins with a slash."""
        return folder[len(str(self._root)) :].replace(os.sep, "/")

    def _call(self, work: Callable[[], Any]) -> Any:
        def call() -> Any:
            with driver_errors():
                return work()

        return self._run(call)

    def _tree(self, infos: Iterable[Mapping[str, Any]], *, depth: int | None = None) -> dict[str, list[RemoteEntry]]:
        """Return the entries of each folder, given those of a tree, or at one depth below the root."""
        folders: defaultdict[str, dict[str, RemoteEntry]] = defaultdict(dict)
        for info in infos:
            parts = self._parts(str(info.get("name", "")))
            if not parts or (depth is not None and len(parts) != depth):
                continue
            folder = str(self._root)  # texts: making path objects is slow
            for part in parts[:-1]:
                path = f"{folder}{os.sep}{part}"
                folders[folder].setdefault(f"{part}/", RemoteEntry(part, path, "folder"))
                folder = path
            name, kind = parts[-1], _kind(info)
            key = f"{name}/" if kind == "folder" else name  # a store may have a file and a folder of one name
            status = remote_status(info) if kind == "file" else _NO_FILE
            folders[folder][key] = RemoteEntry(name, f"{folder}{os.sep}{name}", kind, status)
        return {folder: [*entries.values()] for folder, entries in folders.items()}

    def _parts(self, name: str) -> Sequence[str]:
        """Return the parts of a name below the root; none for the root itself, the mark of a folder, or a bad name."""
        below = name[len(self._name) :] if name.startswith(f"{self._name}/") else None
        if below is None or below.endswith("/"):
            if below is None and name.rstrip("/") != self._name:
                self._reject(name, "its name leads out of its source")
            return ()
        parts = below[1:].split("/")
        if {"", ".", ".."} & {*parts} or (os.sep != "/" and os.sep in below):
            self._reject(name, "its name has an empty part, or one of dots")
        elif has_control_characters(below) or len(below) > _MAX_LENGTH:
            self._reject(name, "its name has control characters, or is too long")
        elif not str(self._files._strip_protocol(path_url(self._root / below[1:]))).endswith(below):
            self._reject(name, "its name cannot be written as an address")
        else:
            return parts
        return ()

    def _reject(self, name: str, reason: str) -> None:
        shown = printable(name.removeprefix(self._name)).replace("..", "…").strip("/")
        self._on_error(self._root / shown[:_MAX_LENGTH], reason)


def _kind(info: Mapping[str, Any]) -> _Kind:
    if info.get("islink") or info.get("type") == "link":
        return "link"
    kinds: dict[Any, _Kind] = {"directory": "folder", "file": "file"}
    return kinds.get(info.get("type"), "other")


def _lists_trees(files: Any) -> bool:
    """Return whether a driver lists all files below a folder by itself, in few requests, as those of object stores do.

    What fsspec does for others goes from folder to folder, and leaves out those that cannot be read.
    """
    from fsspec.asyn import AsyncFileSystem
    from fsspec.spec import AbstractFileSystem

    if isinstance(files, AsyncFileSystem):
        return type(files)._find is not AsyncFileSystem._find
    return type(files).find is not AbstractFileSystem.find
