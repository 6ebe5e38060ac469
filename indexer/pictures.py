"""A page of an indexed PDF as a picture. Draws only what the index holds, from the very file that was read."""

from __future__ import annotations

import hashlib
import stat
from contextlib import closing
from io import BytesIO
from math import inf, sqrt
from typing import TYPE_CHECKING

from echo_embeddings.errors import DocumentError, MissingPackage
from indexer.documents import plain_reason
from indexer.listing import held_document
from indexer.paths import full_path
from indexer.readers.pdf import opened_pdf
from indexer.records import DocumentRow
from indexer.snapshot import Snapshot

if TYPE_CHECKING:
    from pypdfium2 import PdfBitmap

_MOST_PIXELS = 4_000_000
_LONGEST_SIDE = 4096  # pixels


def draw_page(snapshot: Snapshot, path: str, page: int, *, width: int) -> bytes:
    """Draw a page of a document, named by its stored path, as a PNG of `width` pixels; `page` counts from 1.

    A page of unusual size is drawn smaller, within 4 million pixels and 4096 in each direction.

    Raises:
        DocumentError: the index holds no such PDF, its file has changed since it was indexed, or it has no such page.
        MissingPackage: Pillow is not installed.
    """
    document = held_document(snapshot, path)
    if document.format != "pdf":
        raise DocumentError(f"{path} is not a PDF that could be read, so it has no pages to draw.")
    if width < 1:
        raise DocumentError(f"A page cannot be drawn {width} pixels wide.")
    content = _content(snapshot, document)
    with opened_pdf(content) as pdf:
        if not 1 <= page <= len(pdf):
            raise DocumentError(f"{path} has the pages 1 to {len(pdf)}; there is no page {page}.")
        with closing(pdf[page - 1]) as opened:
            scale = _scale(*opened.get_size(), width=width)
            with closing(opened.render(scale=scale)) as bitmap:
                return _png(bitmap)


def _content(snapshot: Snapshot, document: DocumentRow) -> bytes:
    """Return the bytes that were indexed. What is of another size now, or no file, is not even read."""
    file = full_path(document.path, snapshot.catalog.path.parent)
    try:
        status = file.stat()
        same = stat.S_ISREG(status.st_mode) and status.st_size == document.size
        content = file.read_bytes() if same else b""
    except OSError as error:
        raise DocumentError(f"{document.path} cannot be read: {plain_reason(error)}.") from error
    if not same or hashlib.sha256(content).hexdigest() != document.hash:
        raise DocumentError(f"{document.path} has changed since it was indexed.", remedy="Run echo-index build.")
    return content


def _scale(page_width: float, page_height: float, *, width: int) -> float:
    """Return how many pixels a point becomes."""
    if not (0 < page_width < inf and 0 < page_height < inf):
        raise DocumentError(f"A page of {page_width} by {page_height} points cannot be drawn.")
    scale = min(
        width / page_width,
        sqrt(_MOST_PIXELS / (page_width * page_height)),
        _LONGEST_SIDE / max(page_width, page_height),
    )
    return scale * (1 - 1e-9)  # PDFium's sides are rounded up to whole pixels


def _png(bitmap: PdfBitmap) -> bytes:
    try:
        picture = bitmap.to_pil()
    except ImportError as error:
        raise MissingPackage("Pillow is not installed.", remedy="Install it: pip install pillow") from error
    file = BytesIO()
    picture.save(file, format="PNG")
    return file.getvalue()
