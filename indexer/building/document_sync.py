"""Update the documents of a catalog from files: read and chunk new and changed ones, remove missing ones."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from echo_index.errors import DocumentError, SourceError
from echo_index.indexer.building.archive_sync import ArchiveUpdate, StoredArchive, stored_archives
from echo_index.indexer.building.document_rows import chunk_rows, file_row
from echo_index.indexer.building.passage_sink import PassageSink
from echo_index.indexer.building.prefetch import OnFileRead
from echo_index.indexer.building.prepared import NOTHING, Prepared, ReadPassages
from echo_index.indexer.building.seen_files import SeenFiles, known_at_address
from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.catalog.records import ARCHIVE, ChunkRow, DocumentRow
from echo_index.indexer.documents.chunking import Chunking
from echo_index.indexer.documents.formats import readers_version
from echo_index.indexer.generations.source_registry import (
    excluded_paths,
    members_skipped,
    remember_members_skipped,
    remember_skipped,
    set_excluded_paths,
)
from echo_index.indexer.sandbox.document_reader import DocumentReader, ReadFile
from echo_index.indexer.sources.member_patterns import MemberPatterns
from echo_index.indexer.sources.remote.files import FetchFailed, RemoteFiles
from echo_index.indexer.sources.scanner import FoundFile, scan
from echo_index.indexer.sources.skipped_files import SkippedFiles, SkipReason
from echo_index.indexer.sources.source import Source
from echo_index.indexer.storage.stored_paths import full_path, stored_path
from echo_index.indexer.stores.corpus import PublicationReport
from echo_index.indexer.vectors.index_kind import IndexDescription

READERS = "readers"
"""The setting with the version of the readers that read all files."""
_CHECK = "Check the folder, --include and --exclude; hidden and git-ignored files are skipped."
_CONVERT = "Save them as another format first, such as PDF, Word (.docx), HTML or plain text."


@dataclass
class BuildReport:
    """The changes that a build made, and the sizes of the index afterwards.

    `left_out` counts the files that were skipped because they had been removed from the index; `skipped` are those
    that no reader takes. `failures` are (path, reason), including those of earlier builds. `omissions` are (path, what
    the text lacks) of the documents that this build read, `recognitions` (path, what of it was recognized in pictures,
    and how well). `ocr_hint` says how to have more pictures read, if there are any. `kept_patterns` are (source,
    include, exclude) of the sources that reuse the patterns of an earlier build. `read_again` says that files were read
    again although they had not changed, because the readers of this version find more in them. `gone` are (source, what
    is wrong with it) of the sources that were missing, empty or could not be read, and whose documents stay.
    `vector_index` describes the index if a new one was made and is approximate.
    `published` is what was written to the store of the index, if it has one and something was.
    """

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    left_out: int = 0
    embedded: int = 0
    documents: int = 0
    chunks: int = 0
    seconds: float = 0.0
    skipped: SkippedFiles = field(default_factory=SkippedFiles)
    failures: list[tuple[str, str]] = field(default_factory=list)
    omissions: list[tuple[str, str]] = field(default_factory=list)
    recognitions: list[tuple[str, str]] = field(default_factory=list)
    ocr_hint: str = ""
    kept_patterns: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = field(default_factory=list)
    read_again: bool = False
    gone: list[tuple[str, str]] = field(default_factory=list)
    vector_index: IndexDescription | None = None
    published: PublicationReport | None = None


@dataclass(frozen=True)
class DocumentUpdate:
    """One pass over the files for one generation of an index; the results are added to `report`."""

    catalog: Catalog
    index_dir: Path
    generation: int
    chunking: Chunking
    token_starts: Callable[[str], Sequence[int]]
    """Returns the character offset of each token of a text."""
    reader: DocumentReader
    report: BuildReport
    sink: PassageSink
    """Where the passages go."""
    context: str = ""
    ocr: bool = True
    remote: RemoteFiles = field(default_factory=RemoteFiles)
    """Lists and fetches what is at addresses."""
    prepared: Prepared = NOTHING
    """What was read and embedded ahead; it is not read again."""
    keep_gone: bool = False
    """Whether a source that is missing, empty or cannot be read keeps its documents, instead of ending the build."""

    def run(self, sources: Sequence[Source], *, skip: Sequence[Path], on_file_read: OnFileRead) -> None:
        """Process the files of the sources; `on_file_read` is called for each and may raise an error to stop.

        A document that was removed from the index is skipped, unless a source is that file itself.

        Raises:
            SourceError: the sources hold no file, or one of them disappeared meanwhile.
        """
        known = self.catalog.current_documents()
        self.report.read_again = bool(known) and self.catalog.setting(READERS) != readers_version(ocr=self.ocr)
        excluded = excluded_paths(self.catalog)
        file_sources = {stored_path(source.path, self.index_dir) for source in sources if not source.pattern}
        find_archive = stored_archives(known, excluded, file_sources)
        seen = SeenFiles(on_file_read)
        unreadable: list[Path] = []
        gone: list[Source] = []
        skipped: dict[Source, list[tuple[Path, SkipReason]]] = {source: [] for source in sources}

        def record_unreadable(folder: Path, reason: str) -> None:
            unreadable.append(folder)
            self.report.failures.append((stored_path(folder, self.index_dir), reason))

        def record_skipped(source: Source, path: Path, reason: SkipReason) -> None:
            skipped[source].append((path, reason))

        def record_gone(source: Source, reason: str) -> None:
            gone.append(source)
            self.report.gone.append((source.name, reason))

        found = scan(
            sources,
            ocr=self.ocr,
            skip=skip,
            on_error=record_unreadable,
            on_skipped=record_skipped,
            on_gone=record_gone if self.keep_gone else None,
            remote=self.remote,
            is_known=known_at_address({} if self.report.read_again else known),
        )
        for file in self.remote.ahead(found, partial(self._file_to_read, known, excluded - file_sources)):
            path = stored_path(file.path, self.index_dir)
            if path in excluded and path not in file_sources:
                self.report.left_out += 1
            elif file.members:
                self._update_archive(file, file.members, find_archive(path), seen)
            elif self._is_free(path, seen.members):
                self._update_document(file, path, known.get(path), seen)
        present = [source for source in sources if source not in gone]
        self._validate_sources_exist(present)
        counts = self._count_skipped({source: skipped[source] for source in present}, seen.archives)
        keeps_some = bool(unreadable) or bool(gone and known) or bool(self.report.left_out)
        if not seen.has_something() and not keeps_some:
            names = ", ".join(source.name for source in sources)
            raise SourceError(
                " ".join([f"There is no document to index in {names}.", *self.report.skipped.sentences()]),
                remedy=_CONVERT if self.report.skipped.unsupported else _CHECK,
            )
        remember_skipped(self.catalog, self.index_dir, counts)
        met = seen.documents | seen.archives
        set_excluded_paths(self.catalog, excluded - met)
        self._remove_missing([row for path, row in known.items() if path not in met], present, unreadable, gone)
        if self.catalog.setting(READERS) != readers_version(ocr=self.ocr):
            self.catalog.set_settings({READERS: readers_version(ocr=self.ocr)})

    def _validate_sources_exist(self, sources: Sequence[Source]) -> None:
        """Raise an error if a source has disappeared: a disconnected disk must not empty the index."""
        for source in sources:
            if not source.is_deleted and self._has_disappeared(source):
                raise SourceError(
                    f"{source.name} disappeared while it was being read; nothing was removed from the index.",
                    remedy="Restore it and run echo-index build again.",
                )

    def _has_disappeared(self, source: Source) -> bool:
        if source.is_remote:  # it was there when it was listed
            return self.remote.has_missed_files and self.remote.is_missing(source.path)
        if not source.path.exists():
            return True
        return self.keep_gone and source.path.is_dir() and not any(source.path.iterdir())

    def _count_skipped(
        self, skipped: Mapping[Source, Sequence[tuple[Path, SkipReason]]], archives: Iterable[str]
    ) -> dict[Source, SkippedFiles]:
        """Count the files that were passed over, also in archives, and report their sum."""
        counts = {source: SkippedFiles.count(paths) for source, paths in skipped.items()}
        for archive in archives:
            path = full_path(archive, self.index_dir)
            source = next(source for source in counts if source.covers(path))
            counts[source] = SkippedFiles.total([counts[source], members_skipped(self.catalog, archive)])
        self.report.skipped = SkippedFiles.total(counts.values())
        return counts

    def _is_free(self, path: str, others: Collection[str]) -> bool:
        """Return whether none of the other files has this path, and report it if one has."""
        if path in others:
            self.report.failures.append((path, "A file in an archive and a file in a folder have this path."))
            return False
        return True

    def _update_archive(
        self, file: FoundFile, patterns: MemberPatterns, archive: StoredArchive, seen: SeenFiles
    ) -> None:
        """Read the members of an archive if it is new or changed."""
        own: set[str] = set()

        def store(member: FoundFile, path: str, read: ReadFile) -> None:
            if path in own:  # the last of several files with this path counts
                known: DocumentRow | None = DocumentRow(path, "", 0, 0, "", "")
            elif self._is_free(path, seen.documents):
                known = archive.members.get(path)
            else:
                return
            own.add(path)
            seen.members.add(path)
            seen.add(path, self._apply(member, path, read, known, archive=archive.path))

        def keep(path: str) -> None:
            seen.members.add(path)
            self.report.unchanged += 1
            seen.add(path, 0)

        update = ArchiveUpdate(self.catalog, self.generation, self.reader, self.remote, archive, store, keep)
        try:
            row = update.run(file, patterns, read_again=self.report.read_again)
        except FileNotFoundError:
            return
        seen.archives.add(archive.path)
        seen.has_failed_archive |= row.failure is not None
        self.report.left_out += len(archive.left_out)
        if row is not archive.row:
            self.report.omissions += [(archive.path, phrase) for phrase in row.omissions]

    def _file_to_read(
        self, known: Mapping[str, DocumentRow], excluded: Collection[str], file: FoundFile
    ) -> FoundFile | None:
        """Return a file at an address if it will be read; None of an archive, which may have to be opened or not."""
        if not file.url:
            return None
        path = stored_path(file.path, self.index_dir)
        if file.members or path in excluded or self.prepared is not NOTHING:
            return None
        return None if self._is_as_before(file, known.get(path)) else file

    def _is_as_before(self, file: FoundFile, known: DocumentRow | None) -> bool:
        if known is None or self.report.read_again or not known.hash:
            return False
        return (known.size, known.modified_ns) == (file.size, file.modified_ns)

    def _update_document(self, file: FoundFile, path: str, known: DocumentRow | None, seen: SeenFiles) -> None:
        """Read a file if it is new or changed. One that is missing by now is not noted as seen.

        Of a file at an address that cannot be fetched, what is known stays.
        """
        if self._is_as_before(file, known):
            self.report.unchanged += 1
            seen.add(path, 0)
            return
        read = self.prepared.find(file, path)
        if isinstance(read, ReadPassages):
            seen.add(path, self._store(read.row, read.chunks, known))
            return
        known_hash = "" if known is None or self.report.read_again else known.hash
        try:
            read = read or self._read(file, known_hash)
        except FileNotFoundError:
            return
        except FetchFailed as failure:
            if known:
                self.report.failures.append((path, failure.message))
                self.report.unchanged += 1
                seen.add(path, 0)
                return
            read = ReadFile(failure=failure)
        seen.add(path, self._apply(file, path, read, known))

    def _read(self, file: FoundFile, known_hash: str) -> ReadFile:
        try:
            with self.remote.local(file) as real_path:
                return self.reader.read(file.path, real_path=real_path, known_hash=known_hash)
        except FetchFailed:
            raise
        except DocumentError as failure:
            return ReadFile(failure=failure)

    def _apply(
        self, file: FoundFile, path: str, read: ReadFile, known: DocumentRow | None, *, archive: str = ""
    ) -> int:
        """Store what was read of a file if it is new; return its number of new chunks."""
        if known and self._is_unchanged(known, read):
            if read.hash:
                self._touch(path, read.size, read.modified_ns, archive)
            self.report.unchanged += 1
            return 0
        chunks: list[ChunkRow] = []
        if read.document:
            chunks += chunk_rows(read.document, self.token_starts, self.chunking, context=self.context)
        return self._store(replace(file_row(path, file, read), archive=archive), chunks, known)

    def _store(self, row: DocumentRow, chunks: Sequence[ChunkRow], known: DocumentRow | None) -> int:
        """Store a document, unless the known one holds the same; return its number of new chunks."""
        path = row.path
        if known and self._holds_the_same(known, row, chunks):
            self._touch(path, row.size, row.modified_ns, row.archive)
            if known.fields != row.fields:
                self.catalog.set_fields(path, row.fields)
            self.report.unchanged += 1
            return 0
        self.sink.put(row, chunks, generation=self.generation)
        self.report.omissions += [(path, phrase) for phrase in row.omissions]
        self.report.recognitions += [(path, row.recognition)] if row.recognition else []
        if known:
            self.report.changed += 1
        else:
            self.report.added += 1
        return len(chunks)

    def _touch(self, path: str, size: int, modified_ns: int, archive: str) -> None:
        if not archive:  # all members of an archive are touched at once
            self.catalog.touch_document(path, size=size, modified_ns=modified_ns)

    def _is_unchanged(self, known: DocumentRow, read: ReadFile) -> bool:
        """Return whether the file has the same content as before, or still cannot be read for the same reason."""
        if read.document:
            return False
        return known.hash == read.hash and (not read.failure or known.failure == read.failure.message)

    def _holds_the_same(self, known: DocumentRow, row: DocumentRow, chunks: Sequence[ChunkRow]) -> bool:
        """Return whether a document that was read again is the same as before, apart from what is known of it."""
        if row != replace(known, size=row.size, modified_ns=row.modified_ns, fields=row.fields):
            return False
        return self.sink.holds(known, chunks, generation=self.generation)

    def _remove_missing(
        self,
        missing: Sequence[DocumentRow],
        sources: Sequence[Source],
        unreadable: Sequence[Path],
        gone: Sequence[Source],
    ) -> None:
        """Remove the missing documents that a source covers, except those that may only be out of reach now."""
        removed = []
        for row in missing:
            full = full_path(row.archive or row.path, self.index_dir)
            may_exist = any(full.is_relative_to(folder) for folder in unreadable) or any(
                source.covers(full) for source in gone
            )
            if not may_exist and any(source.covers(full) for source in sources):
                removed.append(row)
        self.catalog.remove_documents([row.path for row in removed], generation=self.generation)
        self.report.removed += sum(row.format != ARCHIVE for row in removed)
        for row in removed:
            if row.format == ARCHIVE:
                remember_members_skipped(self.catalog, row.path, SkippedFiles())
