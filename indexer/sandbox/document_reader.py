"""Read files as documents in a child process within limits, so that a hostile file cannot harm this process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from echo_index.errors import DocumentError
from echo_index.indexer.documents.document import Document, Heading, Place, Recognition, RecognizedText, Table
from echo_index.indexer.documents.fields import Field
from echo_index.indexer.sandbox.process import Worker
from echo_index.indexer.sandbox.protocol import Message
from echo_index.indexer.storage.limits import FILE_BYTES
from echo_index.indexer.storage.safe_open import MEGABYTE

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class ReadingLimits:
    """Limits for reading one file: time, address space of the child process, file size, and length of the text."""

    seconds: float = 60
    memory_bytes: int = 2048 * MEGABYTE
    file_bytes: int = FILE_BYTES
    characters: int = 16_000_000


@dataclass(frozen=True, slots=True)
class ReadFile:
    """The result of reading a file: a document, a failure, or neither if the file has the known hash.

    `hash` is the SHA-256 of the content. `size` (bytes) and `modified_ns` were taken before reading, so that a later
    change can be detected. They are '' and 0 if the file could not be read or was too large.
    """

    hash: str = ""
    size: int = 0
    modified_ns: int = 0
    document: Document | None = None
    failure: DocumentError | None = None


class DocumentReader:
    """Reads one file after another in a child process, which starts with the first file and ends on close."""

    def __init__(self, limits: ReadingLimits | None = None, *, ocr: bool = True) -> None:
        """With `ocr`, pictures of text are recognized if an engine for that is installed."""
        self.recognizing = ""
        """The page that is being recognized, such as "scan.pdf, page 3 of 40"; empty if none is."""
        self._limits = limits or ReadingLimits()
        self._ocr = ocr
        self._worker = Worker(seconds=self._limits.seconds, memory_bytes=self._limits.memory_bytes)

    def __enter__(self) -> DocumentReader:
        """Return this reader."""
        return self

    def __exit__(self, *exception: object) -> None:
        """End the child process."""
        self.close()

    def close(self) -> None:
        """End the child process. A later read starts a new one."""
        self._worker.close()

    def stop(self) -> None:
        """End the child process from another thread: `read` raises WorkerStopped, now and later."""
        self._worker.stop()

    def read(self, path: Path, *, real_path: str = "", known_hash: str = "") -> ReadFile:
        """Read a file, but do not parse it if its content has the known hash.

        If `real_path` is given, the path without links at which a scan found the file, exactly that file is read.

        Raises:
            FileNotFoundError: there is no such file.
            SourceError: the child process cannot be started.
            WorkerStopped: `stop` was called.
        """
        request: Message = {"operation": "read", "real_path": real_path, "known_hash": known_hash}
        result: ReadFile | None = ReadFile()
        try:
            for reply in self.replies(request, path):
                result = result and add_reply(result, reply)
        except DocumentError as failure:
            return replace(result or ReadFile(), failure=failure)
        if result is None:
            raise FileNotFoundError(str(path))
        return result

    def replies(self, request: Message, path: Path) -> Iterator[Message]:
        """Send a request to read the file at `path`, and yield the replies of the child process.

        Raises:
            DocumentError: a reply took too much time or memory, or crashed the child process.
            SourceError: the child process cannot be started.
            WorkerStopped: `stop` was called.
        """
        limits: Message = {
            "path": os.path.abspath(path),  # noqa: PTH100 - Path.resolve would follow a link
            "file_bytes": self._limits.file_bytes,
            "characters": self._limits.characters,
            "ocr": self._ocr,
        }
        try:
            for reply in self._worker.call(request | limits, activity="Reading it"):
                if "page" in reply:
                    self.recognizing = _page_text(path.name, reply["page"], reply["pages"])
                else:
                    yield reply
        finally:
            self.recognizing = ""


def add_reply(result: ReadFile, reply: Message) -> ReadFile | None:
    """Return the result with what a reply adds to it; None if the file does not exist."""
    if "gone" in reply:
        return None
    if "hash" in reply:
        return replace(result, hash=reply["hash"], size=reply["size"], modified_ns=reply["modified_ns"])
    if "text" in reply:
        return replace(result, document=_parse_document(reply))
    return replace(result, failure=DocumentError(reply["message"], remedy=reply["remedy"]))


def _page_text(name: str, page: int, pages: int) -> str:
    return f"{name}, page {page:,} of {pages:,}" if pages > 1 else name


def _recognized_text(start: int, end: int, recognition: tuple[float, list[Span]]) -> RecognizedText:
    confidence, uncertain = recognition
    return RecognizedText(start, end, Recognition(confidence, tuple((first, after) for first, after in uncertain)))


def _parse_document(reply: Message) -> Document:
    return Document(
        text=reply["text"],
        title=reply["title"],
        format=reply["format"],
        headings=tuple(Heading(level, title, offset) for level, title, offset in reply["headings"]),
        pages=tuple(reply["pages"]),
        has_lines=reply["has_lines"],
        has_own_title=reply["has_own_title"],
        tables=tuple(Table(start, end, header) for start, end, header in reply["tables"]),
        places=tuple(Place(offset, name) for offset, name in reply["places"]),
        omissions=tuple(reply["omissions"]),
        recognized=tuple(_recognized_text(*values) for values in reply["recognized"]),
        fields=tuple(Field(name, tuple(values)) for name, values in reply["fields"]),
    )
