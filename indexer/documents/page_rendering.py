"""A page of a PDF becomes a PNG of bounded size. Knows no index, and whose page it is only by name."""

from __future__ import annotations

from contextlib import closing
from io import BytesIO
from math import inf, sqrt
from typing import TYPE_CHECKING

from echo_index.errors import DocumentError, MissingPackage
from echo_index.indexer.documents.readers.pdf import open_pdf

if TYPE_CHECKING:
    from pypdfium2 import PdfBitmap

_MOST_PIXELS = 4_000_000
_LONGEST_SIDE = 4096  # pixels


def render_page(content: bytes, name: str, page: int, *, width: int) -> bytes:
    """Draw a page, counted from 1, as a PNG of `width` pixels; one of unusual size is drawn smaller.

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
