"""Recognize the pages of a PDF that are pictures of text."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from functools import partial
from math import inf, sqrt
from typing import TYPE_CHECKING

from echo_index.indexer.documents.ocr.recognizer import RecognizedPage, Recognizer
from echo_index.indexer.documents.readers.pdf.page import PageContent

if TYPE_CHECKING:
    from PIL.Image import Image
    from pypdfium2 import PdfDocument

_DOTS_PER_POINT = 200 / 72
_MAX_PIXELS = 12_000_000
_MAX_SIDE = 8_000  # pixels


def recognize_scans(
    pdf: PdfDocument, contents: Sequence[PageContent | None], recognizer: Recognizer
) -> dict[int, RecognizedPage]:
    """Return what is recognized on each page that is a picture of text, by its index."""
    from pypdfium2 import PdfiumError

    scans = {}
    for index, content in enumerate(contents):
        if content and content.is_scan:
            try:
                scans[index] = recognizer.recognize(partial(_draw, pdf, index), page=index + 1, pages=len(contents))
            except PdfiumError:
                scans[index] = RecognizedPage(failure="given up")
    return scans


def _draw(pdf: PdfDocument, index: int) -> Image:
    """Return a page in shades of gray, as it is seen."""
    with closing(pdf[index]) as page:
        width, height = page.get_size()
        if not (0 < width < inf and 0 < height < inf):
            width, height = 1.0, 1.0
        scale = min(_DOTS_PER_POINT, sqrt(_MAX_PIXELS / (width * height)), _MAX_SIDE / max(width, height))
        with closing(page.render(scale=scale, grayscale=True)) as bitmap:
            picture: Image = bitmap.to_pil().copy()
            return picture
