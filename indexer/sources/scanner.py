"""Sources become a stream of files. Follows no link to a folder, and opens a file only to see if it is text."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from echo_index.errors import DocumentError, SourceError
from echo_index.indexer.documents.decoding import is_binary
from echo_index.indexer.documents.formats import FORMATS
from echo_index.indexer.sources.gitignore import (
    IGNORE_FILE,
    Patterns,
    is_ignored,
    patterns_given,
    patterns_in,
    rules_above,
)
from echo_index.indexer.sources.source import Source
from echo_index.indexer.storage.safe_open import plain_reason

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

__all__ = ["FoundFile", "Source", "scan"]


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A regular file: its absolute path, its size in bytes and when it was last modified, in nanoseconds.

    `real_path` is the same without links. Nothing else is to be read, should a link be put in its place.
    """

    path: Path
    size: int
    modified_ns: int
    real_path: str


def scan(
    sources: Sequence[Source],
    *,
    skip: Sequence[Path] = (),
    on_error: Callable[[Path, str], None] | None = None,
) -> Iterator[FoundFile]:
    """Find the files of `sources`, each once, in an order that depends on their paths alone.

    Left out are what the source's patterns leave out, hidden files and folders, what `.gitignore` files name, empty
    files, files of unknown suffix that are binary, links that lead out of their source, and the folders in `skip`. A
    file that is a source itself is subject to its patterns and to `skip` alone.

    `on_error` is told of each folder or file below a source that cannot be read, and why; the scan goes on. Raises
    SourceError when a pattern is invalid, a source cannot be read or a glob matches nothing.
    """
    skipped = frozenset(os.path.realpath(folder) for folder in skip)
    scans = [
        _Scan(
            source,
            include=patterns_given(source.include) if source.include else None,
            exclude=patterns_given(source.exclude),
            skipped=skipped,
            on_error=on_error or (lambda path, reason: None),
        )
        for source in sorted(set(sources), key=lambda source: (source.path, source.pattern))
    ]
    seen: set[str] = set()
    for each in scans:
        source, matched = each.source, False
        for file in each.files():
            matched = True
            if file.real_path not in seen:
                seen.add(file.real_path)
                yield file
        if source.pattern and not matched:
            raise SourceError(f"The pattern {source.name} matches no file that can be indexed.")


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder on the way: its path, the same without links, and the ignore rules that hold in it, innermost first."""

    path: str
    real_path: str
    rules: tuple[Patterns, ...]

    def inner(self, name: str) -> _Folder:
        return replace(self, path=_join(self.path, name), real_path=_join(self.real_path, name))


_Listing = list[tuple[_Folder, "os.DirEntry[str]"]]


@dataclass(frozen=True, slots=True)
class _Scan:
    """The filters of one source. Paths are strings here: a path object for each of 100,000 files takes its time."""

    source: Source
    include: GitIgnoreSpec | None
    exclude: GitIgnoreSpec
    skipped: frozenset[str]
    on_error: Callable[[Path, str], None]

    def files(self) -> Iterator[FoundFile]:
        """The source's files; their real paths tell which were found before."""
        source = self.source
        try:
            if source.path.is_file():
                yield from self._named_file(source.path)
                return
            real_root = os.path.realpath(source.path)
            waiting = self._listing(_Folder(str(source.path), real_root, rules_above(source.path)))
        except OSError as error:
            raise SourceError(f"{source.name} cannot be read: {plain_reason(error)}.") from error
        while waiting:
            folder, entry = waiting.pop()
            try:
                if entry.is_dir(follow_symlinks=False):
                    if self._is_entered(entry, folder):
                        waiting += self._listing(folder.inner(entry.name))
                    continue
                found = self._file(entry, folder, real_root)
            except FileNotFoundError:
                continue  # gone since its folder was listed
            except OSError as error:
                self.on_error(Path(entry.path), plain_reason(error))
                continue
            if found:
                yield found

    def _listing(self, folder: _Folder) -> _Listing:
        """The folder's entries, last name first: they are taken from the end."""
        if self._is_skipped(folder.real_path):
            return []
        with os.scandir(folder.path) as entries:
            listed = sorted(entries, key=lambda entry: entry.name, reverse=True)
        if any(entry.name == IGNORE_FILE and entry.is_file() for entry in listed):
            folder = replace(folder, rules=(patterns_in(folder.path), *folder.rules))
        return [(folder, entry) for entry in listed]

    def _is_entered(self, entry: os.DirEntry[str], folder: _Folder) -> bool:
        return self._is_let_through(entry, folder, is_folder=True) and self.source.may_lead_to_files(Path(entry.path))

    def _file(self, entry: os.DirEntry[str], folder: _Folder, real_root: str) -> FoundFile | None:
        if not self._is_let_through(entry, folder, is_folder=False):
            return None
        if self.source.pattern and not self.source.covers(Path(entry.path)):
            return None
        real_path = _join(folder.real_path, entry.name)
        if entry.is_symlink():
            real_path = os.path.realpath(entry.path)
            if not _is_below(real_path, real_root) or self._is_skipped(real_path):
                return None
        status = entry.stat()
        if not stat.S_ISREG(status.st_mode) or not status.st_size or _is_unknown_binary(entry.path):
            return None
        return FoundFile(Path(entry.path), status.st_size, status.st_mtime_ns, real_path)

    def _is_let_through(self, entry: os.DirEntry[str], folder: _Folder, *, is_folder: bool) -> bool:
        """Whether neither its name, nor a `.gitignore`, nor the patterns of its source keep the entry out."""
        if entry.name.startswith(".") and not self.source.names_hidden_files():
            return False
        if not _is_text(entry.name):
            self.on_error(Path(entry.path), "its name is not valid text")
            return False
        if is_ignored(entry.path, folder.rules, is_folder=is_folder):
            return False
        relative = entry.path[len(str(self.source.path).rstrip(os.sep)) + 1 :]
        return self._is_chosen(f"{relative}/" if is_folder else relative, is_folder=is_folder)

    def _is_chosen(self, relative: str, *, is_folder: bool) -> bool:
        if self.exclude.match_file(relative):
            return False
        return is_folder or self.include is None or self.include.match_file(relative)

    def _named_file(self, path: Path) -> Iterator[FoundFile]:
        real_path = os.path.realpath(path)
        if self._is_chosen(path.name, is_folder=False) and not self._is_skipped(real_path):
            status = path.stat()
            yield FoundFile(path, status.st_size, status.st_mtime_ns, real_path)

    def _is_skipped(self, real_path: str) -> bool:
        return any(_is_below(real_path, folder) for folder in self.skipped)


def _join(folder: str, name: str) -> str:
    return f"{folder.rstrip(os.sep)}{os.sep}{name}"


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _is_text(name: str) -> bool:
    """Whether the name can be written as UTF-8: names are bytes on some systems, and need not be."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _is_unknown_binary(path: str) -> bool:
    file = Path(path)
    try:
        return file.suffix.lower() not in FORMATS and is_binary(file)
    except (PermissionError, DocumentError):
        return False  # whoever reads the document will say so
