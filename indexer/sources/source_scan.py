"""Walk through one source without following links to folders. Files are opened only to detect binary ones."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from echo_index.errors import DocumentError, SourceError
from echo_index.indexer.documents.decoding import is_binary
from echo_index.indexer.documents.formats import has_reader, is_archive
from echo_index.indexer.sources.file_tree import Entry, FileStatus, FileTree
from echo_index.indexer.sources.gitignore import PatternList, Patterns, is_ignored
from echo_index.indexer.sources.remote.files import RemoteFiles
from echo_index.indexer.sources.skipped_files import SkipReason
from echo_index.indexer.sources.source import Source
from echo_index.indexer.storage.safe_open import plain_reason
from echo_index.indexer.storage.urls import path_url

IS_EMPTY = "is empty"
_NOTHING_REMOVED = "; nothing was removed from the index"


class ScannedFile(NamedTuple):
    """A regular file of a source: its absolute path, its status, and its path without links."""

    path: str
    status: FileStatus
    real_path: str


class SourceGone(SourceError):
    """The folder or file of a source is missing, is empty or cannot be read; `reason` says which."""

    def __init__(self, source: Source, reason: str, *, message: str) -> None:
        super().__init__(message)
        self.source = source
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ScanHooks:
    """What a scan calls.

    `on_error` receives the path and the reason for each folder or file that cannot be read, `on_skipped` each file that
    nobody excluded and that is passed over. `is_unsupported` returns whether no reader takes a file, given its path and
    its status; only files without a known suffix need to be opened for this. `on_entry` is called for each file and
    folder, and may raise an error to end the scan.
    """

    on_error: Callable[[Path, str], None]
    on_skipped: Callable[[Source, str, SkipReason], None]
    is_unsupported: Callable[[str, FileStatus], bool]
    on_entry: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder of the scan: its path with and without links, and the ignore rules for it, innermost first."""

    path: str
    real_path: str
    rules: tuple[Patterns, ...]

    def subfolder(self, name: str) -> _Folder:
        return replace(self, path=_join(self.path, name), real_path=_join(self.real_path, name))


_Listing = list[tuple[_Folder, Entry]]


@dataclass(frozen=True, slots=True)
class SourceScan:
    """The scan of one source. Paths are strings: creating 100,000 path objects is slow.

    `open_tree` begins to list the files of the source. `skipped` are the paths without links of folders to leave out.
    """

    source: Source
    open_tree: Callable[[Source], FileTree]
    include: PatternList | None
    exclude: PatternList
    skipped: frozenset[str]
    hooks: ScanHooks

    def files(self) -> Iterator[ScannedFile]:
        """Yield the files of the source. The same file may occur twice, through links.

        Raises:
            SourceGone: the file or folder of the source cannot be read, or the folder is empty.
        """
        source, on_entry = self.source, self.hooks.on_entry
        kept = _NOTHING_REMOVED if source.is_remote else ""
        try:
            tree = self.open_tree(source)
            if tree.is_file(str(source.path)):
                yield from self._named_file(tree, source.path)
                return
            real_root = tree.real_path(str(source.path))
            if self._is_skipped(real_root):
                return
            waiting = self._listing(tree, _Folder(str(source.path), real_root, tree.enclosing_rules(source.path)))
        except OSError as error:
            reason = plain_reason(error)
            is_missing = isinstance(error, FileNotFoundError)
            raise SourceGone(
                source,
                "is missing" if is_missing else f"cannot be read ({reason})",
                message=f"{source.name} cannot be read: {reason}{kept}.",
            ) from error
        if not waiting:
            raise SourceGone(source, IS_EMPTY, message=f"{source.name} is empty{kept}.")
        while waiting:
            if on_entry:
                on_entry()
            folder, entry = waiting.pop()
            try:
                if entry.is_dir(follow_symlinks=False):
                    if self._should_enter(entry, folder):
                        waiting += self._listing(tree, folder.subfolder(entry.name))
                    continue
                file = self._check_file(tree, entry, folder, real_root)
            except FileNotFoundError:
                continue  # deleted since its folder was listed
            except OSError as error:
                self.hooks.on_error(Path(entry.path), plain_reason(error))
                continue
            if file:
                yield file

    def relative(self, path: str) -> str:
        """Return an absolute path of a file as a path below the source."""
        return path[len(str(self.source.path).rstrip(os.sep)) + 1 :]

    def _listing(self, tree: FileTree, folder: _Folder) -> _Listing:
        """Return the entries of a folder, last name first, as they are taken from the end of the list."""
        if self._is_skipped(folder.real_path):
            return []
        sorted_entries = sorted(tree.entries(folder.path), key=lambda entry: entry.name, reverse=True)
        if rules := tree.rules(folder.path, (entry.name for entry in sorted_entries)):
            folder = replace(folder, rules=(*rules, *folder.rules))
        return [(folder, entry) for entry in sorted_entries]

    def _should_enter(self, entry: Entry, folder: _Folder) -> bool:
        return self._is_accepted(entry, folder, is_folder=True) and (
            not self.source.pattern or self.source.may_match_below(Path(entry.path))
        )

    def _check_file(self, tree: FileTree, entry: Entry, folder: _Folder, real_root: str) -> ScannedFile | None:
        if not self._is_accepted(entry, folder, is_folder=False):
            return None
        path = entry.path
        if self.source.pattern and not self.source.covers(Path(path)):
            return None
        real_path = path if folder.path == folder.real_path else _join(folder.real_path, entry.name)
        if entry.is_symlink():
            real_path = tree.real_path(path)
            if not _is_below(real_path, real_root):
                self.hooks.on_skipped(self.source, path, "link")
                return None
            if self._is_skipped(real_path):
                return None
        status = entry.stat()
        if not stat.S_ISREG(status.st_mode):
            return None
        if not status.st_size:
            self.hooks.on_skipped(self.source, path, "empty")
            return None
        if self.hooks.is_unsupported(path, status):
            self.hooks.on_skipped(self.source, path, "unsupported")
            return None
        return ScannedFile(path, status, real_path)

    def _is_accepted(self, entry: Entry, folder: _Folder, *, is_folder: bool) -> bool:
        """Return whether neither the name, nor a `.gitignore`, nor the patterns of the source exclude an entry."""
        name = entry.name
        if name[0] == "." and not self.source.names_hidden_files():
            return False
        if not name.isascii() and not _is_text(name):
            self.hooks.on_error(Path(entry.path), "its name is not valid text")
            return False
        if folder.rules and is_ignored(entry.path, folder.rules, is_folder=is_folder):
            return False
        if self.include is None and not self.exclude.patterns:
            return True
        return self._matches_patterns(self.relative(entry.path), is_folder=is_folder)

    def _matches_patterns(self, relative: str, *, is_folder: bool) -> bool:
        is_folder = is_folder or is_archive(relative)
        if self.exclude.verdict(relative, is_folder=is_folder):
            return False
        return is_folder or self.include is None or self.include.selects(relative)

    def _named_file(self, tree: FileTree, path: Path) -> Iterator[ScannedFile]:
        real_path = tree.real_path(str(path))
        if self._matches_patterns(path.name, is_folder=False) and not self._is_skipped(real_path):
            yield ScannedFile(str(path), tree.status(str(path)), real_path)

    def _is_skipped(self, real_path: str) -> bool:
        return any(_is_below(real_path, folder) for folder in self.skipped)


def has_known_suffix(path: str, *, ocr: bool) -> bool:
    """Return whether a reader takes a file for its name, or it is an archive."""
    name = os.path.basename(path)  # noqa: PTH119 - creating 100,000 path objects is slow
    return has_reader(name, ocr=ocr) or is_archive(name)


def is_unsupported(path: str, *, ocr: bool, remote: RemoteFiles) -> bool:
    """Return whether no reader takes a file: it has no known suffix and is binary, which needs a look into it."""
    if has_known_suffix(path, ocr=ocr):
        return False
    try:
        return remote.is_binary(path) if path_url(path) else is_binary(Path(path))
    except (PermissionError, DocumentError):
        return False  # the reader of the document will report it


def _join(folder: str, name: str) -> str:
    return f"{folder.rstrip(os.sep)}{os.sep}{name}"


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _is_text(name: str) -> bool:
    """Return whether a name can be encoded as UTF-8. On some systems names are arbitrary bytes."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
