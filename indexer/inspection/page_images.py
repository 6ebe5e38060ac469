"""Render a page of an indexed PDF as an image, provided that its file is unchanged."""

from __future__ import annotations

import atexit
import base64
from threading import Lock

from echo_index.errors import DocumentError, MissingPackage, SourceError
from echo_index.indexer.archives.member_names import SEPARATOR
from echo_index.indexer.inspection.document_queries import indexed_path
from echo_index.indexer.sandbox.process import Worker
from echo_index.indexer.sandbox.protocol import Message
from echo_index.indexer.storage.stored_paths import full_path
from echo_index.indexer.storage.urls import is_url
from echo_index.indexer.stores.index_reader import IndexReader

# A separate process with limits, because a page may need so much time or RAM that it would block the web server.
_worker = Worker(seconds=20, memory_bytes=2**30)
_one_at_a_time = Lock()
atexit.register(_worker.close)


def render_page(index: IndexReader, path: str, page: int, *, width: int) -> bytes:
    """Render a page (counted from 1) of the document with this stored path as a PNG of `width` pixels.

    Pages of unusual size are rendered smaller, with at most 4 million pixels and 4096 in each direction. Rendering is
    limited to 20 seconds and 1 GB of memory.

    Raises:
        DocumentError: the index has no such PDF or page, the file has changed since it was indexed, or rendering takes
            too much time or memory.
        MissingPackage: Pillow is not installed.
    """
    document = indexed_path(index, path)
    if document.format != "pdf":
        raise DocumentError(f"{path} is not a PDF that could be read, so it has no pages to draw.")
    if index.folder is None:
        raise DocumentError(f"The file of {path} is on the machine that built the index, so its pages cannot be drawn.")
    if is_url(document.path):
        raise DocumentError(f"{path} is not on this machine, so its pages cannot be drawn.")
    if width < 1:
        raise DocumentError(f"A page cannot be drawn {width} pixels wide.")
    member = document.path.removeprefix(document.archive + SEPARATOR) if document.archive else ""
    answer = _run_worker(
        {
            "operation": "draw",
            "path": str(full_path(document.archive or document.path, index.folder)),
            "member": member,
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


def _run_worker(request: Message) -> Message:
    try:
        with _one_at_a_time:
            [answer] = _worker.call(request, activity=f"Drawing page {request['page']} of {request['name']}")
    except DocumentError:
        raise
    except SourceError as error:  # the process could not be started
        raise DocumentError(error.message, remedy=error.remedy) from error
    return answer
