"""Find out which files have changed since the last build, by their sizes and times."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from echo_index.indexer.archives.member_names import SEPARATOR
from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.catalog.chunk_queries import file_stamps, find_document
from echo_index.indexer.generations.manifest import Manifest
from echo_index.indexer.generations.recovery import complete_manifest
from echo_index.indexer.generations.source_registry import (
    excluded_paths,
    remembered_ocr,
    remembered_sources,
    with_patterns,
)
from echo_index.indexer.sources.file_tree import FileStatus
from echo_index.indexer.sources.scanner import RemoteFiles, scan_files
from echo_index.indexer.sources.source import Source
from echo_index.indexer.sources.source_scan import has_known_suffix, is_unsupported
from echo_index.indexer.storage.stored_paths import full_paths, stored_path


@dataclass(frozen=True, slots=True)
class FileChanges:
    """How many files are new, changed or removed since the last build; an archive counts as one file.

    `gone` are (name, what is wrong with it) of the sources that are missing, empty or cannot be read. Their documents
    do not count as removed.
    """

    new: int = 0
    changed: int = 0
    removed: int = 0
    gone: tuple[tuple[str, str], ...] = ()

    @property
    def count(self) -> int:
        """The number of files that a build would have to look at."""
        return self.new + self.changed + self.removed


class _TooLong(Exception):
    """Ends a scan that takes longer than allowed."""


def find_changes(index_dir: Path, sources: Sequence[Source] | None = None) -> FileChanges:
    """Compare the files of sources with the newest complete generation of an index.

    The sources are those of all builds unless others are given, which get the patterns of earlier builds as in a build.

    Raises:
        IndexMissing: there is no complete index in the folder.
        IndexMismatch: a later version of echo-index wrote the index.
        IndexDamaged: the index cannot be read.
        SourceError: a pattern is invalid.
    """
    manifest = complete_manifest(index_dir)
    with (
        closing(Catalog(index_dir / manifest.catalog_file)) as catalog,
        catalog.reading(generation=manifest.generation),
    ):
        return _Comparison(catalog, manifest, seen_before=None, on_entry=None).run(sources)


def quick_changes(index_dir: Path, *, seconds: float) -> FileChanges | None:
    """Return `find_changes` of the sources of all builds, or None if it took longer than `seconds`.

    Sources at addresses are left out.

    Files whose suffix no reader takes count only if they were changed after the last build: only these are opened, to
    see if they are plain text.

    Raises:
        IndexMissing, IndexMismatch, IndexDamaged, SourceError: as `find_changes`.
    """
    deadline = time.monotonic() + seconds

    def check_time() -> None:
        if time.monotonic() > deadline:
            raise _TooLong

    manifest = complete_manifest(index_dir)
    built = int(datetime.fromisoformat(manifest.finished).timestamp() * 1e9)
    try:
        with (
            closing(Catalog(index_dir / manifest.catalog_file)) as catalog,
            catalog.reading(generation=manifest.generation),
        ):
            return _Comparison(catalog, manifest, seen_before=built, on_entry=check_time).run(None)
    except _TooLong:
        return None


@dataclass(frozen=True)
class _Comparison:
    """The comparison of files with one generation of a catalog.

    Files without a reader that have not changed since `seen_before` (nanoseconds) were seen by the last build, which
    knows them or has passed them over.
    """

    catalog: Catalog
    manifest: Manifest
    seen_before: int | None
    on_entry: Callable[[], None] | None

    def run(self, given: Sequence[Source] | None) -> FileChanges:
        catalog = self.catalog
        index_dir = catalog.path.parent
        sources = remembered_sources(catalog, index_dir) if given is None else with_patterns(catalog, index_dir, given)
        if not sources:
            return FileChanges()
        if self.seen_before is not None:  # there is no time to ask another machine
            sources = [source for source in sources if not source.is_remote]
        with RemoteFiles() as remote:
            return self._compare(sources, remote)

    def _compare(self, sources: Sequence[Source], remote: RemoteFiles) -> FileChanges:
        catalog = self.catalog
        index_dir = catalog.path.parent
        full, ocr = full_paths(index_dir), remembered_ocr(catalog, None)
        known = {full(path): stamp for path, *stamp in file_stamps(catalog, generation=self.manifest.generation)}
        excluded = {full(path) for path in excluded_paths(catalog)} - {str(source.path) for source in sources}
        unreadable: list[Path] = []
        gone: dict[Source, str] = {}

        def has_no_reader(path: str, status: FileStatus) -> bool:
            if path in known:
                return False
            if self._may_be_new(status):
                return is_unsupported(path, ocr=ocr, remote=remote)
            return not has_known_suffix(path, ocr=ocr)

        new, changed = 0, 0
        missing = {*known}
        for file in scan_files(
            sources,
            skip=[index_dir],
            is_unsupported=has_no_reader,
            on_error=lambda path, reason: unreadable.append(path),
            on_gone=gone.__setitem__,
            on_entry=self.on_entry,
            remote=remote,
        ):
            stamp = known.get(file.path)
            if stamp is not None:
                missing.discard(file.path)
                changed += stamp != [file.status.st_size, file.status.st_mtime_ns]
            elif file.path not in excluded:
                new += not self._is_member(file.path)
        removed = sum(_is_removed(Path(path), sources, gone, unreadable) for path in missing)
        return FileChanges(new, changed, removed, tuple((source.name, reason) for source, reason in gone.items()))

    def _may_be_new(self, status: FileStatus) -> bool:
        return self.seen_before is None or max(status.st_mtime_ns, status.st_ctime_ns) >= self.seen_before

    def _is_member(self, path: str) -> bool:
        """Return whether a file has the path of a member of an archive, which then takes its place in the index."""
        if SEPARATOR not in path:
            return False
        stored = stored_path(Path(path), self.catalog.path.parent)
        return find_document(self.catalog, stored, generation=self.manifest.generation) is not None


def _is_removed(path: Path, sources: Sequence[Source], gone: dict[Source, str], unreadable: Sequence[Path]) -> bool:
    """Return whether a build would remove the document of a missing file."""
    if any(path.is_relative_to(folder) for folder in unreadable) or any(source.covers(path) for source in gone):
        return False
    return any(source.covers(path) for source in sources)
