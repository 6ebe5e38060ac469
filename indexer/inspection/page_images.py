"""A page of an indexed PDF as a picture. Draws only what the index holds, from the very file that was read."""

from __future__ import annotations

import atexit
import base64
from threading import Lock

from echo_index.errors import DocumentError, MissingPackage, SourceError
from echo_index.indexer.generations.snapshot import Snapshot
from echo_index.indexer.inspection.document_queries import indexed_path
from echo_index.indexer.sandbox.process import Worker
from echo_index.indexer.sandbox.protocol import Message
from echo_index.indexer.storage.stored_paths import full_path

# A page that takes forever, or all there is, must not take the web server with it.
_worker = Worker(seconds=20, memory_bytes=2**30)
_one_at_a_time = Lock()
atexit.register(_worker.close)


def render_page(snapshot: Snapshot, path: str, page: int, *, width: int) -> bytes:
    """Draw a page of a document, named by its stored path, as a PNG of `width` pixels; `page` counts from 1.

    A page of unusual size is drawn smaller, within 4 million pixels and 4096 in each direction. Drawn is in a process
    of its own, within 20 seconds and 1 GB of memory.

    Raises:
        DocumentError: the index holds no such PDF, its file has changed since it was indexed, or it has no such page;
            drawing the page takes too long or too much memory.
        MissingPackage: Pillow is not installed.
    """
    document = indexed_path(snapshot, path)
    if document.format != "pdf":
        raise DocumentError(f"{path} is not a PDF that could be read, so it has no pages to draw.")
    if width < 1:
        raise DocumentError(f"A page cannot be drawn {width} pixels wide.")
    answer = _asked(
        {
            "operation": "draw",
            "path": str(full_path(document.path, snapshot.catalog.path.parent)),
            "name": document.path,
            "size": document.size,
            "hash": document.hash,
            "page": page,
            "width": width,
        }
    )
    if "picture" in answer:
        return base64.b64decode(answer["picture"])
    failure = MissingPackage if answer["error"] == "MissingPackage" else DocumentError
    raise failure(answer["message"], remedy=answer["remedy"])


def _asked(request: Message) -> Message:
    try:
        with _one_at_a_time:
            [answer] = _worker.ask(request, doing=f"Drawing page {request['page']} of {request['name']}")
    except DocumentError:
        raise
    except SourceError as error:  # the process does not start
        raise DocumentError(error.message, remedy=error.remedy) from error
    return answer
