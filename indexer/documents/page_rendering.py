"""Render a page of a PDF as a PNG of limited size."""

from __future__ import annotations

from contextlib import closing
from io import BytesIO
from math import inf, sqrt
from typing import TYPE_CHECKING

from echo_index.errors import DocumentError, MissingPackage
from echo_index.indexer.documents.readers.pdf.reader import open_pdf

if TYPE_CHECKING:
    from pypdfium2 import PdfBitmap

_MAX_PIXELS = 4_000_000
_MAX_SIDE = 4096  # pixels


def render_page(content: bytes, name: str, page: int, *, width: int) -> bytes:
    """Return a page as a PNG, `width` pixels wide, or less if the page would exceed the size limits.

    Args:
        content: The bytes of the PDF.
        name: The name of the document, for error messages.
        page: The number of the page, from 1.
        width: Width of the PNG in pixels.

    Raises:
        DocumentError: the PDF is broken, or has no such page.
        MissingPackage: Pillow is not installed.
    """
    with open_pdf(content) as pdf:
        if not 1 <= page <= len(pdf):
            raise DocumentError(f"{name} has the pages 1 to {len(pdf)}; there is no page {page}.")
        with closing(pdf[page - 1]) as opened:
            scale = _scale(*opened.get_size(), width=width)
            with closing(opened.render(scale=scale)) as bitmap:
                return _png(bitmap)


def _scale(page_width: float, page_height: float, *, width: int) -> float:
    """Return the number of pixels per point."""
    if not (0 < page_width < inf and 0 < page_height < inf):
        raise DocumentError(f"A page of {page_width} by {page_height} points cannot be rendered.")
    scale = min(
        width / page_width,
        sqrt(_MAX_PIXELS / (page_width * page_height)),
        _MAX_SIDE / max(page_width, page_height),
    )
    return scale * (1 - 1e-9)  # PDFium rounds both sides up to whole pixels


def _png(bitmap: PdfBitmap) -> bytes:
    try:
        picture = bitmap.to_pil()
    except ImportError as error:
        raise MissingPackage("Pillow is not installed.", remedy="Install it: pip install pillow") from error
    file = BytesIO()
    picture.save(file, format="PNG")
    return file.getvalue()
