"""Unpack the members of an archive, and of the archives in it, one after the other."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import IO, Literal, Protocol

from echo_index.errors import DocumentError
from echo_index.indexer.archives.member_names import SEPARATOR, is_hidden, member_path
from echo_index.indexer.archives.packed_file import ArchiveLimits, Budget, PackedFile, TooMuchUnpacked
from echo_index.indexer.archives.tar_files import tar_files
from echo_index.indexer.archives.zip_files import zip_files
from echo_index.indexer.documents.decoding import begins_binary
from echo_index.indexer.documents.formats import has_reader, is_archive
from echo_index.indexer.documents.readers.failures import reported
from echo_index.indexer.storage.safe_open import MEGABYTE, validate_size

_NOUNS = {
    "link": ("link", "links"),
    "device": ("device", "devices"),
    "outside": ("file whose path leads out of the archive", "files whose paths lead out of the archive"),
    "deep": ("archive too deep in other archives", "archives too deep in other archives"),
}
"""What is passed over, in the singular and the plural."""


class Selection(Protocol):
    """Chooses members of an archive by their paths, `folder/a.md` or `inner.zip!/a.md`."""

    def takes(self, path: str) -> bool:
        """Return whether a file is wanted."""

    def enters(self, path: str) -> bool:
        """Return whether files in an archive inside the archive may be wanted."""


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an archive: its content, or why it cannot be read, or why no reader takes it."""

    path: str
    content: bytes = b""
    failure: DocumentError | None = None
    skipped: Literal["unsupported", "empty"] | None = None


class MemberWalk:
    """One pass over the members of an archive that a selection takes. Nothing is written to the disk.

    Hidden files are passed over.
    """

    def __init__(self, selection: Selection, limits: ArchiveLimits | None = None, *, ocr: bool = True) -> None:
        """With `ocr`, pictures are members that a reader takes, if an engine for them is installed."""
        self._selection = selection
        self._ocr = ocr
        self._limits = limits or ArchiveLimits()
        self._budget = Budget(0)
        self._files = 0
        self._passed_over: Counter[str] = Counter()
        self._omissions: list[str] = []

    @property
    def omissions(self) -> tuple[str, ...]:
        """Return phrases for what was passed over so far: "2 links"."""
        counts = (f"{count:,} {_NOUNS[kind][count > 1]}" for kind, count in self._passed_over.items())
        return (*counts, *self._omissions)

    def members(self, file: IO[bytes], name: str, *, size: int) -> Iterator[Member]:
        """Yield the members of the archive of this name and size. Their order is always the same.

        Raises:
            DocumentError: it is no archive, or damaged behind what was yielded.
        """
        limits = self._limits
        most = min(limits.unpacked_bytes, limits.member_bytes + limits.ratio * size)
        self._budget = Budget(most)
        try:
            yield from self._members(file, name, "", depth=1)
        except TooMuchUnpacked:
            self._omissions.append(f"what lies beyond {most / MEGABYTE:,.1f} MB of unpacked files")

    def _members(self, file: IO[bytes], name: str, folder: str, *, depth: int) -> Iterator[Member]:
        list_files = zip_files if name.lower().endswith(".zip") else tar_files
        packed_files = list_files(file, self._budget)
        before = self._files
        while True:
            with _damage_reported(self._files - before):
                packed = next(packed_files, None)
            if packed is None or self._is_full():
                return
            self._files += 1
            path = self._usable_path(packed, folder)
            if path and is_archive(path):
                yield from self._nested(packed, path, depth)
            elif path and self._selection.takes(path):
                yield self._member(packed, path)

    def _is_full(self) -> bool:
        if self._files < self._limits.members:
            return False
        phrase = f"all but the first {self._limits.members:,} files"
        if phrase not in self._omissions:
            self._omissions.append(phrase)
        return True

    def _usable_path(self, packed: PackedFile, folder: str) -> str | None:
        path = member_path(packed.name)
        if path is None:
            self._passed_over["outside"] += 1
        elif not is_hidden(path):
            if packed.kind == "file":
                return folder + path
            self._passed_over[packed.kind] += 1
        return None

    def _nested(self, packed: PackedFile, path: str, depth: int) -> Iterator[Member]:
        if not self._selection.enters(path):
            return
        if depth == self._limits.depth:
            self._passed_over["deep"] += 1
            return
        try:
            content = self._unpack(packed, path)
            if content:
                yield from self._members(io.BytesIO(content), path, path + SEPARATOR, depth=depth + 1)
        except DocumentError as failure:
            yield Member(path, failure=failure)

    def _member(self, packed: PackedFile, path: str) -> Member:
        if not packed.size:
            return Member(path, skipped="empty")
        try:
            content = self._unpack(packed, path)
        except DocumentError as failure:
            return Member(path, failure=failure)
        return Member(path, skipped="unsupported") if content is None else Member(path, content)

    def _unpack(self, packed: PackedFile, path: str) -> bytes | None:
        """Return the content of a file; None if no reader takes it."""
        limit = self._limits.member_bytes
        has_known_suffix = is_archive(path) or has_reader(path, ocr=self._ocr)
        if packed.is_encrypted:
            if not has_known_suffix:
                return None
            raise DocumentError("It is encrypted.")
        with reported("It is damaged in its archive"):
            stream = packed.open()
            beginning = _Beginning(stream)
            if not has_known_suffix and begins_binary(beginning):  # type: ignore[arg-type]
                return None
            validate_size(packed.size, limit)
            content = beginning.read_all(limit + 1)
            validate_size(len(content), limit)
            return content


class _Beginning:
    """Reads the beginning of a stream that cannot go back, and then all of it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._read = bytearray()

    def read(self, size: int) -> bytes:
        content = self._stream.read(size)
        self._read += content
        return content

    def read_all(self, most: int) -> bytes:
        while len(self._read) < most and self.read(most - len(self._read)):
            pass
        return bytes(self._read)


def _damage_reported(files: int) -> AbstractContextManager[None]:
    """Turn what goes wrong within, behind so many files, into an error that says so."""
    first = "file" if files == 1 else f"{files:,} files"
    return reported(f"It is damaged behind its first {first}, and the rest is missing" if files else "It is damaged")
