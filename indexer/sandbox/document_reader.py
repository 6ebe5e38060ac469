"""Files become documents in a worker process, each within limits. A hostile one costs itself alone; knows no index."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from echo_index.errors import DocumentError
from echo_index.indexer.documents.document import Document, Heading
from echo_index.indexer.sandbox.process import Worker
from echo_index.indexer.sandbox.protocol import Message
from echo_index.indexer.storage.safe_open import MEGABYTE


@dataclass(frozen=True, slots=True)
class ReadingLimits:
    """What one file may cost: seconds, bytes of memory that its reader maps, its own bytes, characters of its text."""

    seconds: float = 60
    memory_bytes: int = 2048 * MEGABYTE
    file_bytes: int = 64 * MEGABYTE
    characters: int = 16_000_000


@dataclass(frozen=True, slots=True)
class ReadFile:
    """What became of a file: a document, a failure, or neither where the file is as it was known.

    `hash` is the SHA-256 of the bytes that were parsed; `size` in bytes and `modified_ns` were taken before these were
    read, so that what changed meanwhile differs. '' and 0 where there were no bytes to be had, or too many.
    """

    hash: str = ""
    size: int = 0
    modified_ns: int = 0
    document: Document | None = None
    failure: DocumentError | None = None


class DocumentReader:
    """Reads one file after another in a process that begins with the first and ends with this."""

    def __init__(self, limits: ReadingLimits | None = None) -> None:
        self._limits = limits or ReadingLimits()
        self._worker = Worker(seconds=self._limits.seconds, memory_bytes=self._limits.memory_bytes)

    def __enter__(self) -> DocumentReader:
        """Return this reader."""
        return self

    def __exit__(self, *exception: object) -> None:
        """End the process."""
        self.close()

    def close(self) -> None:
        """End the process; a later read begins another."""
        self._worker.close()

    def stop(self) -> None:
        """End the process from another thread: what reads, now or later, raises WorkerStopped."""
        self._worker.stop()

    def read(self, path: Path, *, real_path: str = "", known_hash: str = "") -> ReadFile:
        """Read the file at `path`, unless its bytes have the known hash.

        With `real_path`, the place without links where the file was found, only what is there is opened.

        Raises:
            FileNotFoundError: it is gone.
            SourceError: the process cannot be started.
            WorkerStopped: `stop` was called.
        """
        request: Message = {
            "operation": "read",
            "path": os.path.abspath(path),  # noqa: PTH100 - a link is to keep its own name
            "real_path": real_path,
            "known_hash": known_hash,
            "file_bytes": self._limits.file_bytes,
            "characters": self._limits.characters,
        }
        read: ReadFile | None = ReadFile()
        try:
            for part in self._worker.ask(request, doing="Reading it"):
                read = read and _with_part(read, part)
        except DocumentError as failure:
            return replace(read or ReadFile(), failure=failure)
        if read is None:
            raise FileNotFoundError(str(path))
        return read


def _with_part(read: ReadFile, part: Message) -> ReadFile | None:
    """What is known with the next part of the answer; None when the file is gone."""
    if "gone" in part:
        return None
    if "hash" in part:
        return replace(read, hash=part["hash"], size=part["size"], modified_ns=part["modified_ns"])
    if "text" in part:
        return replace(read, document=_document(part))
    return replace(read, failure=DocumentError(part["message"], remedy=part["remedy"]))


def _document(part: Message) -> Document:
    return Document(
        text=part["text"],
        title=part["title"],
        format=part["format"],
        headings=tuple(Heading(level, title, offset) for level, title, offset in part["headings"]),
        pages=tuple(part["pages"]),
        has_lines=part["has_lines"],
        has_own_title=part["has_own_title"],
    )
