"""What a scan needs to know of files, wherever they are: folders on this machine have it, and addresses."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from echo_index.indexer.sources.gitignore import Patterns, enclosing_rules, folder_rules


class FileStatus(Protocol):
    """The part of `os.stat_result` that a scan looks at."""

    @property
    def st_mode(self) -> int:
        """Kind and permissions."""

    @property
    def st_size(self) -> int:
        """Bytes."""

    @property
    def st_mtime_ns(self) -> int:
        """When the content was changed, in nanoseconds."""

    @property
    def st_ctime_ns(self) -> int:
        """When the file was changed, in nanoseconds."""


class Entry(Protocol):
    """The part of `os.DirEntry` that a scan looks at."""

    @property
    def name(self) -> str:
        """The name in its folder."""

    @property
    def path(self) -> str:
        """The path of its folder, and its name."""

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Return whether it is a folder."""

    def is_symlink(self) -> bool:
        """Return whether it is a link."""

    def stat(self) -> FileStatus:
        """Return the status of the file, or of the file that a link leads to."""


class FileTree(Protocol):
    """The files below the path of a source. All methods raise OSError for what cannot be read."""

    def is_file(self, path: str) -> bool:
        """Return whether there is a file at a path, and no folder."""

    def status(self, path: str) -> FileStatus:
        """Return the status of a file."""

    def real_path(self, path: str) -> str:
        """Return a path without links; '' if a link leads to where nobody knows."""

    def entries(self, folder: str) -> Sequence[Entry]:
        """Return what is in a folder."""

    def rules(self, folder: str, names: Iterable[str]) -> tuple[Patterns, ...]:
        """Return the ignore rules that a folder with these entries adds."""

    def enclosing_rules(self, folder: Path) -> tuple[Patterns, ...]:
        """Return the ignore rules of the folders above."""


class LocalTree:
    """Files on this machine."""

    def is_file(self, path: str) -> bool:
        return Path(path).is_file()

    def status(self, path: str) -> FileStatus:
        return Path(path).stat()

    def real_path(self, path: str) -> str:
        return os.path.realpath(path)

    def entries(self, folder: str) -> Sequence[Entry]:
        with os.scandir(folder) as entries:
            return [*entries]

    def rules(self, folder: str, names: Iterable[str]) -> tuple[Patterns, ...]:
        return folder_rules(folder, names)

    def enclosing_rules(self, folder: Path) -> tuple[Patterns, ...]:
        return enclosing_rules(folder)


LOCAL_TREE = LocalTree()
