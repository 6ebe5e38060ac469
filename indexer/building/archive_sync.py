"""Update the documents of a catalog from an archive: read it in one pass if it has changed."""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from echo_index.errors import DocumentError
from echo_index.indexer.archives.member_names import SEPARATOR
from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.catalog.records import ARCHIVE, DocumentRow
from echo_index.indexer.generations.source_registry import remember_members_skipped
from echo_index.indexer.sandbox.archive_reader import KnownArchive, MemberListener, ReadArchive, read_archive
from echo_index.indexer.sandbox.document_reader import DocumentReader, ReadFile
from echo_index.indexer.sources.member_patterns import MemberPatterns
from echo_index.indexer.sources.scanner import FoundFile, RemoteFiles
from echo_index.indexer.sources.skipped_files import SkippedFiles, SkipReason


@dataclass(frozen=True, slots=True)
class StoredArchive:
    """An archive as the catalog has it: its stored path, its own row, and the rows of its members by their paths.

    `left_out` are the stored paths of members that were removed from the index.
    """

    path: str
    row: DocumentRow | None = None
    members: Mapping[str, DocumentRow] = field(default_factory=dict)
    left_out: Collection[str] = ()

    def is_whole(self) -> bool:
        """Return whether it was read to its end: an interrupted build has changed only some of its members."""
        rows = self.members.values()
        return self.row is not None and all(_stamp(row) == _stamp(self.row) for row in rows)


def stored_archives(
    known: Mapping[str, DocumentRow], excluded: Collection[str], named: Collection[str]
) -> Callable[[str], StoredArchive]:
    """Return a function that finds an archive by its stored path, given all rows and the paths of removed documents.

    All members of the archives in `named` are wanted again.
    """
    members: defaultdict[str, dict[str, DocumentRow]] = defaultdict(dict)
    for path, row in known.items():
        if row.archive:
            members[row.archive][path] = row

    left_out: defaultdict[str, list[str]] = defaultdict(list)
    for path in excluded:
        for separator in re.finditer(SEPARATOR, path):
            left_out[path[: separator.start()]].append(path)

    def find(path: str) -> StoredArchive:
        row = known.get(path)
        archive_row = row if row and row.format == ARCHIVE else None
        return StoredArchive(path, archive_row, members.get(path, {}), () if path in named else left_out.get(path, ()))

    return find


@dataclass(frozen=True, slots=True)
class ArchiveUpdate:
    """The update of the documents of one archive. `store` takes a member that was read, `keep` one that is as before.

    The row of the archive itself is written last, so that an interrupted build opens the archive again. Its hash is
    that of the file and of what was wanted of it.
    """

    catalog: Catalog
    generation: int
    reader: DocumentReader
    remote: RemoteFiles
    stored: StoredArchive
    store: Callable[[FoundFile, str, ReadFile], None]
    keep: Callable[[str], None]

    def run(self, file: FoundFile, patterns: MemberPatterns, *, read_again: bool) -> DocumentRow:
        """Update the documents, also unchanged ones with `read_again`; return the row of the archive itself.

        It is the row as it was if the archive holds the same as before.

        Raises:
            FileNotFoundError: there is no such file.
        """
        stored, wanted = self.stored, _wanted(patterns, self.stored.left_out)
        row = None if read_again or not stored.is_whole() else stored.row
        content_hash, _, wanted_before = row.hash.partition(" ") if row else ("", "", "")
        known_hash = content_hash if wanted_before == wanted else ""
        if row and known_hash and _stamp(row) == (file.size, file.modified_ns):
            self._keep_all()
            return row
        hashes = {} if read_again else {path: member.hash for path, member in stored.members.items()}
        seen: set[str] = set()
        skipped: list[tuple[Path, SkipReason]] = []
        read = self._read(file, patterns, KnownArchive(known_hash, self._inside(hashes)), seen, skipped)
        if not read.file.size:
            self._keep_all()  # it cannot be opened now, which says nothing about its members
            return self._store_row(_row(stored.path, file, read, hash=""))
        if row and read.file.hash == known_hash:
            self._keep_all()
        else:
            missing = [path for path in stored.members if path not in seen]
            self.catalog.remove_documents(missing, generation=self.generation)
            remember_members_skipped(self.catalog, stored.path, SkippedFiles.count(skipped))
            row = _row(stored.path, file, read, hash=f"{read.file.hash} {wanted}")
        self.catalog.touch_members(stored.path, size=read.file.size, modified_ns=read.file.modified_ns)
        return self._store_row(replace(row, size=read.file.size, modified_ns=read.file.modified_ns))

    def _inside(self, hashes: Mapping[str, str]) -> dict[str, str]:
        return {path.removeprefix(self.stored.path + SEPARATOR): hash for path, hash in hashes.items()}

    def _keep_all(self) -> None:
        for path in self.stored.members:
            self.keep(path)

    def _read(
        self,
        file: FoundFile,
        patterns: MemberPatterns,
        known: KnownArchive,
        seen: set[str],
        skipped: list[tuple[Path, SkipReason]],
    ) -> ReadArchive:
        """Read the archive; add the stored paths of its members to `seen`, and what no reader takes to `skipped`."""

        def store(name: str, read: ReadFile) -> None:
            path = f"{self.stored.path}{SEPARATOR}{name}"
            seen.add(path)
            self.store(FoundFile(file.path / name, read.size, read.modified_ns, file.real_path), path, read)

        left_out = frozenset(path.removeprefix(self.stored.path + SEPARATOR) for path in self.stored.left_out)
        listener = MemberListener(store, lambda name, reason: skipped.append((Path(name), reason)))
        wanted = replace(patterns, left_out=left_out)
        try:
            with self.remote.local(file) as real_path:
                return read_archive(
                    self.reader, file.path, real_path=real_path, patterns=wanted, known=known, listener=listener
                )
        except DocumentError as failure:  # it cannot be fetched
            return ReadArchive(ReadFile(failure=failure))

    def _store_row(self, row: DocumentRow) -> DocumentRow:
        before = self.stored.row
        if before and replace(before, hash=row.hash, size=row.size, modified_ns=row.modified_ns) == row:
            self.catalog.touch_document(row.path, size=row.size, modified_ns=row.modified_ns, hash=row.hash)
            return before
        self.catalog.put_document(row, [], generation=self.generation)
        return row


def _row(path: str, file: FoundFile, read: ReadArchive, *, hash: str) -> DocumentRow:
    failure = read.file.failure.message if read.file.failure else None
    size, modified_ns, title = file.size, file.modified_ns, file.path.name
    return DocumentRow(path, hash, size, modified_ns, ARCHIVE, title, failure=failure, omissions=read.omissions)


def _wanted(patterns: MemberPatterns, left_out: Collection[str]) -> str:
    """Return a short text that changes with the members that are wanted of an archive."""
    fields = [patterns.include, patterns.exclude, sorted(left_out)]
    return hashlib.sha256(json.dumps(fields).encode()).hexdigest()[:16]


def _stamp(row: DocumentRow) -> tuple[int, int]:
    return row.size, row.modified_ns
