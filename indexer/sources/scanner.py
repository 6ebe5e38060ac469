"""Find the files of sources, each once, without following links to folders."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from echo_index.errors import SourceError
from echo_index.indexer.documents.formats import is_archive
from echo_index.indexer.sources.file_tree import LOCAL_TREE, FileStatus, FileTree
from echo_index.indexer.sources.found_file import FoundFile
from echo_index.indexer.sources.gitignore import parse_patterns
from echo_index.indexer.sources.member_patterns import MemberPatterns
from echo_index.indexer.sources.remote.files import RemoteFiles
from echo_index.indexer.sources.skipped_files import SkippedFiles, SkipReason
from echo_index.indexer.sources.source import Source
from echo_index.indexer.sources.source_scan import (
    IS_EMPTY,
    ScanHooks,
    ScannedFile,
    SourceGone,
    SourceScan,
    has_known_suffix,
    is_unsupported,
)
from echo_index.indexer.storage.urls import path_url, url_path

__all__ = ["FoundFile", "IsKnown", "OnGone", "RemoteFiles", "ScannedFile", "Source", "scan", "scan_files"]

OnGone = Callable[[Source, str], None]
"""Receives a source whose folder or file is missing, is an empty folder or cannot be read, and which of these it is."""


IsKnown = Callable[[str, FileStatus], bool]
"""Returns whether a file at an address, given its path and status, is one that a reader took and has not changed."""


def scan(
    sources: Sequence[Source],
    *,
    ocr: bool = True,
    skip: Sequence[Path] = (),
    on_error: Callable[[Path, str], None] | None = None,
    on_skipped: Callable[[Source, Path, SkipReason], None] | None = None,
    on_gone: OnGone | None = None,
    remote: RemoteFiles | None = None,
    is_known: IsKnown = lambda path, status: False,
) -> Iterator[FoundFile]:
    """Yield the files of `sources`, each once, in an order that depends only on their paths.

    Excluded are files that the source's patterns or a `.gitignore` exclude, hidden files and folders, empty files,
    binary files of unknown suffix, pictures without `ocr`, links to a target outside their source, and the folders in
    `skip`. To a file that is itself a source, only its patterns and `skip` apply.

    `on_error` is called with the path and the reason for each folder or file that cannot be read; the scan continues.
    `on_skipped` is called, once for each path, for the files that nobody excluded: empty ones, binary ones of unknown
    suffix, and links to a file or folder outside their source. With `on_gone`, a source that is missing, empty or
    cannot be read is no error, and neither is a glob that matches nothing. Sources at addresses are listed by `remote`;
    of their files, those that are known are not looked into.

    Raises:
        SourceError: a pattern is invalid, a source cannot be read, or a glob matches nothing.
        MissingPackage: the driver for an address is not installed.
    """
    remote = remote or RemoteFiles()

    def has_no_reader(path: str, status: FileStatus) -> bool:
        if path_url(path) and not has_known_suffix(path, ocr=True) and is_known(path, status):
            return False
        return is_unsupported(path, ocr=ocr, remote=remote)

    for source, file in _scan(
        sources,
        skip=skip,
        on_error=on_error,
        on_skipped=on_skipped,
        on_gone=on_gone,
        is_unsupported=has_no_reader,
        remote=remote,
    ):
        path, members = Path(file.path), None
        if is_archive(path.name):
            relative = source.relative(file.path) or path.name
            members = MemberPatterns(relative, source.source.include, source.source.exclude)
        yield FoundFile(path, file.status.st_size, file.status.st_mtime_ns, file.real_path, members)


def scan_files(
    sources: Sequence[Source],
    *,
    skip: Sequence[Path] = (),
    is_unsupported: Callable[[str, FileStatus], bool],
    on_error: Callable[[Path, str], None],
    on_gone: OnGone,
    on_entry: Callable[[], None] | None = None,
    remote: RemoteFiles | None = None,
) -> Iterator[ScannedFile]:
    """Yield the files that `scan` would, without a look into any of them, in a fraction of its time.

    `is_unsupported` returns whether no reader takes a file, given its path and status. `on_entry` is called for each
    file and folder, and may raise an error to end the scan.

    Raises:
        SourceError: a pattern is invalid.
    """
    files = _scan(
        sources,
        skip=skip,
        is_unsupported=is_unsupported,
        on_error=on_error,
        on_gone=on_gone,
        on_entry=on_entry,
        remote=remote or RemoteFiles(),
    )
    return (file for _, file in files)


def _scan(
    sources: Sequence[Source],
    *,
    skip: Sequence[Path],
    is_unsupported: Callable[[str, FileStatus], bool],
    on_error: Callable[[Path, str], None] | None,
    on_skipped: Callable[[Source, Path, SkipReason], None] | None = None,
    on_gone: OnGone | None,
    on_entry: Callable[[], None] | None = None,
    remote: RemoteFiles,
) -> Iterator[tuple[SourceScan, ScannedFile]]:
    """Yield each file once, with the scan of the first source that it is in."""
    passed_over: dict[str, tuple[Path, SkipReason]] = {}

    def report_skipped(source: Source, path: str, reason: SkipReason) -> None:
        if path not in passed_over:
            passed_over[path] = (Path(path), reason)
            if on_skipped:
                on_skipped(source, Path(path), reason)

    report_error = on_error or (lambda path, reason: None)

    def open_tree(source: Source) -> FileTree:
        return remote.tree(source.path, on_error=report_error) if source.is_remote else LOCAL_TREE

    skipped = {os.path.realpath(folder) for folder in skip}
    begin = partial(
        SourceScan,
        open_tree=open_tree,
        skipped=frozenset(skipped | {str(url_path(f"file://{folder}")) for folder in skipped}),
        hooks=ScanHooks(report_error, report_skipped, is_unsupported, on_entry),
    )
    scans = [
        begin(
            source,
            include=parse_patterns(source.include) if source.include else None,
            exclude=parse_patterns(source.exclude),
        )
        for source in sorted(set(sources), key=lambda source: (source.path, source.pattern))
        if not source.is_deleted
    ]
    seen: set[str] = set()
    for source_scan in scans:
        source, has_files, passed_before = source_scan.source, False, len(passed_over)
        try:
            for file in source_scan.files():
                has_files = True
                if file.real_path not in seen:
                    seen.add(file.real_path)
                    yield source_scan, file
        except SourceGone as gone:
            if on_gone:
                on_gone(source, gone.reason)
            elif gone.reason != IS_EMPTY or source.is_remote:
                raise
        if source.pattern and not has_files and on_gone is None:
            skipped_files = SkippedFiles.count([*passed_over.values()][passed_before:])
            message = f"The pattern {source.name} matches no file that can be indexed."
            raise SourceError(" ".join([message, *skipped_files.sentences()]))
