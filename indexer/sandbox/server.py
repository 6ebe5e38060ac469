"""What runs in the child process: files become documents, and pages pictures, where a parser may hang or burst.

Knows no index; ends when nobody asks any more. Started by indexer/worker.py.
"""

from __future__ import annotations

import base64
import hashlib
import math
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from echo_index.errors import DocumentError, EchoIndexError
from echo_index.indexer.documents.document import Document
from echo_index.indexer.documents.formats import parse_document
from echo_index.indexer.sandbox.protocol import OUT_OF_MEMORY, Message, receive, send
from echo_index.indexer.storage.safe_open import FileContent, read_file

_GRACE = 5  # seconds in which the parent, if it still lives, ends this process and says why


def main(seconds: float, memory_bytes: int) -> None:
    """Answer requests until there are no more."""
    requests, answers = _channels()
    _prepare_signals()
    _limit_memory(memory_bytes)
    send(answers, {"last": True})
    while (request := receive(requests)) is not None:
        _set_alarm(math.ceil(seconds) + _GRACE)
        for part in _OPERATIONS[request["operation"]](request):
            send(answers, part)
        _set_alarm(0)


def _read(request: Message) -> Iterator[Message]:
    """Tell what the file is, then what is in it, unless that is known."""
    path = Path(request["path"])
    try:
        file = read_file(path, max_bytes=request["file_bytes"], real_path=request["real_path"])
    except FileNotFoundError:
        yield {"gone": True, "last": True}
        return
    except DocumentError as error:
        yield _refusal(error)
        return
    hash = hashlib.sha256(file.content).hexdigest()
    is_known = hash == request["known_hash"]
    yield {"hash": hash, "size": file.size, "modified_ns": file.modified_ns, "last": is_known}
    if not is_known:
        yield _parsed(file.content, path, request["characters"])


def _parsed(content: bytes, path: Path, most_characters: int) -> Message:
    try:
        document = parse_document(content, path)
        _refuse_longer(document, most_characters)
    except DocumentError as error:
        return _refusal(error)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - a hostile file may break a parser in any way
        return _refusal(DocumentError(f"Reading it crashed its reader ({type(error).__name__})."))
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
    }


def _refuse_longer(document: Document, most: int) -> None:
    if len(document.text) > most:
        raise DocumentError(f"It is too long: {len(document.text):,} characters, where the limit is {most:,}.")


def _draw(request: Message) -> Iterator[Message]:
    """Draw a page as a PNG, from the very bytes that were indexed."""
    from echo_index.indexer.documents.page_rendering import render_page

    name: str = request["name"]
    try:
        content = _indexed_content(request)
        picture = render_page(content, name, request["page"], width=request["width"])
    except EchoIndexError as error:
        yield _refusal(error)
        return
    yield {"picture": base64.b64encode(picture).decode("ascii"), "last": True}


def _indexed_content(request: Message) -> bytes:
    name = request["name"]
    try:
        file = read_file(Path(request["path"]), max_bytes=request["size"])
    except FileNotFoundError:
        raise DocumentError(f"{name} cannot be read: no such file or directory.") from None
    except DocumentError:  # larger now, or no file any more
        file = FileContent(b"", 0, 0)
    if hashlib.sha256(file.content).hexdigest() != request["hash"]:
        raise DocumentError(f"{name} has changed since it was indexed.", remedy="Run echo-index build.")
    return file.content


_OPERATIONS: dict[str, Callable[[Message], Iterator[Message]]] = {"read": _read, "draw": _draw}


def _refusal(error: EchoIndexError) -> Message:
    return {"error": type(error).__name__, "message": error.message, "remedy": error.remedy, "last": True}


def _channels() -> tuple[BinaryIO, BinaryIO]:
    """Take standard input and output away from the libraries: what they print goes where errors go."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    return requests, answers


def _prepare_signals() -> None:
    """Leave Ctrl-C, which the whole group of processes gets, to the parent; let an alarm end what hangs in C code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})  # a parent hands its mask down


def _set_alarm(seconds: int) -> None:
    """Ask to be ended then, for the case that the parent is not there to do it; 0 for never."""
    if hasattr(signal, "alarm"):
        signal.alarm(seconds)


def _limit_memory(memory_bytes: int) -> None:
    """Bound what this process may map, where the system can; leave no core file of other people's documents."""
    try:
        import resource
    except ImportError:
        return
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    if most == resource.RLIM_INFINITY or memory_bytes < most:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    try:
        main(float(sys.argv[1]), int(sys.argv[2]))
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except OSError:
        os._exit(1)  # the parent is gone
