"""Read the members of an archive as documents in the child process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from echo_index.errors import DocumentError
from echo_index.indexer.sandbox.document_reader import DocumentReader, ReadFile, add_reply
from echo_index.indexer.sandbox.protocol import Message
from echo_index.indexer.sources.member_patterns import MemberPatterns
from echo_index.indexer.sources.skipped_files import SkipReason

_MAX_CRASHES = 10  # of readers in one archive: after each it is unpacked again from its beginning


@dataclass(frozen=True, slots=True)
class KnownArchive:
    """What an earlier build knows of an archive: its hash, and the hashes of its members by their paths in it."""

    hash: str = ""
    members: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MemberListener:
    """Receives the members of an archive while it is read, each with its path in the archive.

    `on_read` gets a member with the size and time of the archive; it has no document if its hash is known. `on_skipped`
    gets the reason why no reader takes a member.
    """

    on_read: Callable[[str, ReadFile], None]
    on_skipped: Callable[[str, SkipReason], None]


@dataclass(frozen=True, slots=True)
class ReadArchive:
    """The result of reading an archive: hash, size, time and failure, and phrases for what was passed over.

    The size is 0 if it could not be opened.
    """

    file: ReadFile
    omissions: tuple[str, ...] = ()


def read_archive(
    reader: DocumentReader,
    path: Path,
    *,
    real_path: str,
    patterns: MemberPatterns,
    known: KnownArchive,
    listener: MemberListener,
) -> ReadArchive:
    """Read the members of an archive that the patterns take, unless it has the known hash.

    Raises:
        FileNotFoundError: there is no such file.
        SourceError: the child process cannot be started.
        WorkerStopped: the reader was stopped.
    """
    wanted = {"archive": patterns.archive, "include": patterns.include, "exclude": patterns.exclude}
    request: Message = {
        "operation": "read archive",
        "real_path": real_path,
        "known_hash": known.hash,
        "known_members": dict(known.members),
        "patterns": {**wanted, "left_out": [*patterns.left_out]},
    }
    reading = _Reading(listener)
    for _ in range(_MAX_CRASHES):
        try:
            for reply in reader.replies({**request, "start": reading.received}, path):
                reading.add(reply, path)
            return reading.result()
        except DocumentError as failure:
            if not reading.end_member(failure):
                return reading.result(failure)
    message = f"Reading it was given up after {_MAX_CRASHES} of its files took too long or crashed their reader."
    return reading.result(DocumentError(message))


class _Reading:
    """What was received of an archive, in one or more calls."""

    def __init__(self, listener: MemberListener) -> None:
        self.received = 0
        self._listener = listener
        self._archive = ReadFile()
        self._omissions: tuple[str, ...] = ()
        self._member: tuple[str, ReadFile] | None = None

    def add(self, reply: Message, path: Path) -> None:
        """Take a reply."""
        if "gone" in reply:
            raise FileNotFoundError(str(path))
        if "member" in reply:
            self._begin_member(reply)
        elif self._member:
            self._add_to_member(self._member, reply)
        elif "omissions" in reply:
            self._omissions = tuple(reply["omissions"])
        else:
            self._add_to_archive(reply)

    def end_member(self, failure: DocumentError) -> bool:
        """Let the member that is being read fail; return whether there is one."""
        if self._member:
            name, read = self._member
            self._finish(name, replace(read, failure=failure))
            return True
        return False

    def result(self, failure: DocumentError | None = None) -> ReadArchive:
        """Return what is known of the archive itself."""
        return ReadArchive(replace(self._archive, failure=failure) if failure else self._archive, self._omissions)

    def _begin_member(self, reply: Message) -> None:
        self.received += 1
        if "skipped" in reply:
            self._listener.on_skipped(reply["member"], reply["skipped"])
            return
        self._member = (reply["member"], replace(self._archive, hash=reply["member_hash"], failure=None))

    def _add_to_member(self, member: tuple[str, ReadFile], reply: dict[str, Any]) -> None:
        name, read = member
        self._finish(name, read if "is_known" in reply else add_reply(read, reply) or read)

    def _finish(self, name: str, read: ReadFile) -> None:
        self._member = None
        self._listener.on_read(name, read)

    def _add_to_archive(self, reply: Message) -> None:
        before = self._archive
        self._archive = add_reply(before, reply) or before
        if before.hash and self._archive.hash != before.hash:
            raise DocumentError("It changed while it was read.")
