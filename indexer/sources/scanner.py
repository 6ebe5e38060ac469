"""Find the files of sources, without following links to folders. Files are opened only to detect binary ones."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from echo_index.errors import DocumentError, SourceError
from echo_index.indexer.documents.decoding import is_binary
from echo_index.indexer.documents.formats import has_reader, is_archive
from echo_index.indexer.sources.gitignore import (
    PatternList,
    Patterns,
    enclosing_rules,
    folder_rules,
    is_ignored,
    parse_patterns,
)
from echo_index.indexer.sources.member_patterns import MemberPatterns
from echo_index.indexer.sources.skipped_files import SkippedFiles, SkipReason
from echo_index.indexer.sources.source import Source
from echo_index.indexer.storage.safe_open import plain_reason

__all__ = ["FoundFile", "Source", "scan"]


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A regular file: its absolute path, size (bytes) and modification time (nanoseconds).

    `real_path` is the path without links. A reader must open only that, in case a link replaces the file later.
    For an archive, `members` says which of its members are wanted; for other files it is None.
    """

    path: Path
    size: int
    modified_ns: int
    real_path: str
    members: MemberPatterns | None = None


def scan(
    sources: Sequence[Source],
    *,
    ocr: bool = True,
    skip: Sequence[Path] = (),
    on_error: Callable[[Path, str], None] | None = None,
    on_skipped: Callable[[Source, Path, SkipReason], None] | None = None,
) -> Iterator[FoundFile]:
    """Yield the files of `sources`, each once, in an order that depends only on their paths.

    Excluded are files that the source's patterns or a `.gitignore` exclude, hidden files and folders, empty files,
    binary files of unknown suffix, pictures without `ocr`, links to a target outside their source, and the folders in
    `skip`. To a file that is itself a source, only its patterns and `skip` apply.

    `on_error` is called with the path and the reason for each folder or file that cannot be read; the scan continues.
    `on_skipped` is called, once for each path, for the files that nobody excluded: empty ones, binary ones of unknown
    suffix, and links to a file or folder outside their source.

    Raises:
        SourceError: a pattern is invalid, a source cannot be read, or a glob matches nothing.
    """
    skipped = frozenset(os.path.realpath(folder) for folder in skip)
    passed_over: dict[str, tuple[Path, SkipReason]] = {}

    def report_skipped(source: Source, path: str, reason: SkipReason) -> None:
        if path not in passed_over:
            passed_over[path] = (Path(path), reason)
            if on_skipped:
                on_skipped(source, Path(path), reason)

    scans = [
        _Scan(
            source,
            include=parse_patterns(source.include) if source.include else None,
            exclude=parse_patterns(source.exclude),
            skipped=skipped,
            on_error=on_error or (lambda path, reason: None),
            on_skipped=report_skipped,
            ocr=ocr,
        )
        for source in sorted(set(sources), key=lambda source: (source.path, source.pattern))
        if not source.is_deleted
    ]
    seen: set[str] = set()
    for source_scan in scans:
        source, has_files, passed_before = source_scan.source, False, len(passed_over)
        for file in source_scan.files():
            has_files = True
            if file.real_path not in seen:
                seen.add(file.real_path)
                yield file
        if source.pattern and not has_files:
            skipped_files = SkippedFiles.count([*passed_over.values()][passed_before:])
            message = f"The pattern {source.name} matches no file that can be indexed."
            raise SourceError(" ".join([message, *skipped_files.sentences()]))


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder of the scan: its path with and without links, and the ignore rules for it, innermost first."""

    path: str
    real_path: str
    rules: tuple[Patterns, ...]

    def subfolder(self, name: str) -> _Folder:
        return replace(self, path=_join(self.path, name), real_path=_join(self.real_path, name))


_Listing = list[tuple[_Folder, "os.DirEntry[str]"]]


@dataclass(frozen=True, slots=True)
class _Scan:
    """The scan of one source. Paths are strings: creating 100,000 path objects is slow."""

    source: Source
    include: PatternList | None
    exclude: PatternList
    skipped: frozenset[str]
    on_error: Callable[[Path, str], None]
    on_skipped: Callable[[Source, str, SkipReason], None]
    ocr: bool

    def files(self) -> Iterator[FoundFile]:
        """Yield the files of the source. The same file may occur twice, through links."""
        source = self.source
        try:
            if source.path.is_file():
                yield from self._named_file(source.path)
                return
            real_root = os.path.realpath(source.path)
            waiting = self._listing(_Folder(str(source.path), real_root, enclosing_rules(source.path)))
        except OSError as error:
            raise SourceError(f"{source.name} cannot be read: {plain_reason(error)}.") from error
        while waiting:
            folder, entry = waiting.pop()
            try:
                if entry.is_dir(follow_symlinks=False):
                    if self._should_enter(entry, folder):
                        waiting += self._listing(folder.subfolder(entry.name))
                    continue
                file = self._check_file(entry, folder, real_root)
            except FileNotFoundError:
                continue  # deleted since its folder was listed
            except OSError as error:
                self.on_error(Path(entry.path), plain_reason(error))
                continue
            if file:
                yield file

    def _listing(self, folder: _Folder) -> _Listing:
        """Return the entries of a folder, last name first, as they are taken from the end of the list."""
        if self._is_skipped(folder.real_path):
            return []
        with os.scandir(folder.path) as entries:
            sorted_entries = sorted(entries, key=lambda entry: entry.name, reverse=True)
        if rules := folder_rules(folder.path, (entry.name for entry in sorted_entries)):
            folder = replace(folder, rules=(*rules, *folder.rules))
        return [(folder, entry) for entry in sorted_entries]

    def _should_enter(self, entry: os.DirEntry[str], folder: _Folder) -> bool:
        return self._is_accepted(entry, folder, is_folder=True) and self.source.may_match_below(Path(entry.path))

    def _check_file(self, entry: os.DirEntry[str], folder: _Folder, real_root: str) -> FoundFile | None:
        if not self._is_accepted(entry, folder, is_folder=False):
            return None
        if self.source.pattern and not self.source.covers(Path(entry.path)):
            return None
        real_path = _join(folder.real_path, entry.name)
        if entry.is_symlink():
            real_path = os.path.realpath(entry.path)
            if not _is_below(real_path, real_root):
                self.on_skipped(self.source, entry.path, "link")
                return None
            if self._is_skipped(real_path):
                return None
        status = entry.stat()
        if not stat.S_ISREG(status.st_mode):
            return None
        if not status.st_size:
            self.on_skipped(self.source, entry.path, "empty")
            return None
        if not is_archive(entry.name) and _is_unknown_binary(entry.path, ocr=self.ocr):
            self.on_skipped(self.source, entry.path, "unsupported")
            return None
        return self._found(Path(entry.path), status, real_path)

    def _found(self, path: Path, status: os.stat_result, real_path: str) -> FoundFile:
        members = None
        if is_archive(path.name):
            relative = self._relative(str(path)) or path.name
            members = MemberPatterns(relative, self.source.include, self.source.exclude)
        return FoundFile(path, status.st_size, status.st_mtime_ns, real_path, members)

    def _relative(self, path: str) -> str:
        return path[len(str(self.source.path).rstrip(os.sep)) + 1 :]

    def _is_accepted(self, entry: os.DirEntry[str], folder: _Folder, *, is_folder: bool) -> bool:
        """Return whether neither the name, nor a `.gitignore`, nor the patterns of the source exclude an entry."""
        if entry.name.startswith(".") and not self.source.names_hidden_files():
            return False
        if not _is_text(entry.name):
            self.on_error(Path(entry.path), "its name is not valid text")
            return False
        if is_ignored(entry.path, folder.rules, is_folder=is_folder):
            return False
        return self._matches_patterns(self._relative(entry.path), is_folder=is_folder)

    def _matches_patterns(self, relative: str, *, is_folder: bool) -> bool:
        is_folder = is_folder or is_archive(relative)
        if self.exclude.verdict(relative, is_folder=is_folder):
            return False
        return is_folder or self.include is None or self.include.selects(relative)

    def _named_file(self, path: Path) -> Iterator[FoundFile]:
        real_path = os.path.realpath(path)
        if self._matches_patterns(path.name, is_folder=False) and not self._is_skipped(real_path):
            yield self._found(path, path.stat(), real_path)

    def _is_skipped(self, real_path: str) -> bool:
        return any(_is_below(real_path, folder) for folder in self.skipped)


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


def _is_unknown_binary(path: str, *, ocr: bool) -> bool:
    file = Path(path)
    try:
        return not has_reader(file.name, ocr=ocr) and is_binary(file)
    except (PermissionError, DocumentError):
        return False  # the reader of the document will report it
