"""The program of the child process: parse documents and render pages, as requested by `process.Worker`.

It ends when its standard input is closed.
"""

from __future__ import annotations

import base64
import hashlib
import math
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import astuple
from functools import cache, partial
from pathlib import Path, PurePath
from typing import BinaryIO

from echo_index.errors import DocumentError, EchoIndexError
from echo_index.indexer.documents.document import Document
from echo_index.indexer.documents.formats import parse_document
from echo_index.indexer.documents.ocr.engine import installed_engine
from echo_index.indexer.documents.ocr.recognizer import PAGE_SECONDS, Recognizer
from echo_index.indexer.sandbox.archive_replies import archive_replies, member_content
from echo_index.indexer.sandbox.protocol import OUT_OF_MEMORY, Message, receive, send
from echo_index.indexer.storage.safe_open import MEGABYTE, read_file

Report = Callable[[Message], None]
"""Sends a reply while a request is still being worked on."""

RECOGNITION_SECONDS = 10 * PAGE_SECONDS
"""The time for a page, on a busy machine, and for what is left to do after the last. An engine gives up earlier."""

_ENGINE_BYTES = 1_536 * MEGABYTE  # of memory for the models and what they compute
_GRACE_SECONDS = 5  # in which the parent, if it is still running, kills this process and reports why


def main(seconds: float, memory_bytes: int) -> None:
    """Reply to requests until there are no more."""
    requests, replies = _take_channels()
    _prepare_signals()
    _limit_memory(memory_bytes)
    send(replies, {"last": True})  # ready
    while (request := receive(requests)) is not None:
        answers = _OPERATIONS[request["operation"]](request, partial(send, replies))
        _set_alarm(math.ceil(seconds) + _GRACE_SECONDS)
        for reply in answers:
            _set_alarm(0)  # the parent may need some time before it takes the reply
            send(replies, reply)
            _set_alarm(math.ceil(seconds) + _GRACE_SECONDS)
        _set_alarm(0)


def _read(request: Message, report: Report) -> Iterator[Message]:
    """Yield hash, size and time of a file, then its document, unless the hash is known. Pages are reported."""
    path = Path(request["path"])
    try:
        file = read_file(path, max_bytes=request["file_bytes"], real_path=request["real_path"])
    except FileNotFoundError:
        yield {"gone": True, "last": True}
        return
    except DocumentError as error:
        yield _failure(error)
        return
    hash = hashlib.sha256(file.content).hexdigest()
    is_known = hash == request["known_hash"]
    yield {"hash": hash, "size": file.size, "modified_ns": file.modified_ns, "last": is_known}
    if not is_known:
        recognizer = _recognizer(report) if request["ocr"] else None
        yield _parse(file.content, path, request["characters"], recognizer=recognizer)


def _read_archive(request: Message, report: Report) -> Iterator[Message]:
    """Yield hash, size and time of an archive, then its members, unless the hash is known."""
    recognizer = _recognizer(report) if request["ocr"] else None
    yield from archive_replies(request, parse=partial(_parse, recognizer=recognizer))


def _recognizer(report: Report) -> Recognizer | None:
    """Return what reads pictures, if it is installed. Each page has its own time, and its engine its own memory."""

    def on_page(page: int, pages: int) -> None:
        _set_alarm(RECOGNITION_SECONDS + _GRACE_SECONDS)
        _allow_engine_memory()
        report({"page": page, "pages": pages, "seconds": RECOGNITION_SECONDS, "last": False})

    engine = installed_engine()
    return Recognizer(engine, on_page=on_page) if engine else None


def _parse(content: bytes, path: PurePath, max_characters: int, *, recognizer: Recognizer | None) -> Message:
    try:
        document = parse_document(content, path, recognizer=recognizer)
        _validate_length(document, max_characters)
    except DocumentError as error:
        return _failure(error)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - a hostile file may make a parser raise any error
        return _failure(DocumentError(f"Reading it crashed its reader ({type(error).__name__})."))
    return {**_fields(document), "last": True}


def _fields(document: Document) -> Message:
    return {
        "text": document.text,
        "title": document.title,
        "has_own_title": document.has_own_title,
        "format": document.format,
        "headings": [(heading.level, heading.title, heading.offset) for heading in document.headings],
        "pages": document.pages,
        "has_lines": document.has_lines,
        "tables": [(table.start, table.end, table.header) for table in document.tables],
        "places": [(place.offset, place.name) for place in document.places],
        "omissions": document.omissions,
        "recognized": [astuple(text) for text in document.recognized],
        "fields": [(field.name, field.values) for field in document.fields],
    }


def _validate_length(document: Document, limit: int) -> None:
    if len(document.text) > limit:
        raise DocumentError(f"It is too long: {len(document.text):,} characters; the limit is {limit:,}.")


def _draw(request: Message, report: Report) -> Iterator[Message]:
    """Render a page as a PNG if the document is unchanged since it was indexed."""
    from echo_index.indexer.documents.page_rendering import render_page

    name: str = request["name"]
    try:
        content = _indexed_content(request)
        picture = render_page(content, name, request["page"], width=request["width"])
    except EchoIndexError as error:
        yield _failure(error)
        return
    yield {"picture": base64.b64encode(picture).decode("ascii"), "last": True}


def _indexed_content(request: Message) -> bytes:
    name = request["name"]
    path, size = Path(request["path"]), request["size"]
    try:
        if member := request["member"]:
            content = member_content(path, member, max_bytes=size, hash=request["hash"])
        else:
            content = read_file(path, max_bytes=size).content
    except FileNotFoundError:
        raise DocumentError(f"{name} cannot be read: no such file or directory.") from None
    except DocumentError:  # it has grown, or is no longer a regular file: its hash differs
        content = b""
    if hashlib.sha256(content).hexdigest() != request["hash"]:
        raise DocumentError(f"{name} has changed since it was indexed.", remedy="Run echo-index build.")
    return content


_OPERATIONS: dict[str, Callable[[Message, Report], Iterator[Message]]] = {
    "read": _read,
    "read archive": _read_archive,
    "draw": _draw,
}


def _failure(error: EchoIndexError) -> Message:
    return {"error": type(error).__name__, "message": error.message, "remedy": error.remedy, "last": True}


def _take_channels() -> tuple[BinaryIO, BinaryIO]:
    """Return standard input and output for messages only: what libraries print is redirected to standard error."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.dup2(2, 1)
    os.close(empty)
    return requests, replies


def _prepare_signals() -> None:
    """Ignore Ctrl-C, which the parent handles, and let an alarm end this process even while it hangs in C code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})  # the mask is inherited from the parent


def _set_alarm(seconds: int) -> None:
    """End this process after so many seconds, in case the parent is no longer there to do it; 0 for never."""
    if hasattr(signal, "alarm"):
        signal.alarm(seconds)


def _limit_memory(memory_bytes: int) -> None:
    """Limit the address space of this process, if the system can; write no core file, which would contain documents."""
    try:
        import resource
    except ImportError:
        return
    _, hard_limit = resource.getrlimit(resource.RLIMIT_AS)
    if hard_limit == resource.RLIM_INFINITY or memory_bytes < hard_limit:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, hard_limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@cache
def _allow_engine_memory() -> None:
    """Raise the limit of this process, once, by what recognizing takes."""
    try:
        import resource
    except ImportError:
        return
    limit, hard_limit = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        more = limit + _ENGINE_BYTES
        resource.setrlimit(
            resource.RLIMIT_AS, (more if hard_limit == resource.RLIM_INFINITY else min(more, hard_limit), hard_limit)
        )


if __name__ == "__main__":
    try:
        main(float(sys.argv[1]), int(sys.argv[2]))
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except OSError:
        os._exit(1)  # the parent is gone
