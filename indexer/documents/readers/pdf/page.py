"""Read one page of a PDF: the text that is seen on it, and what else it shows."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing
from ctypes import byref, c_int, c_uint
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from echo_index.indexer.documents.readers.pdf.annotations import Annotations, Comment, read_annotations
from echo_index.indexer.documents.readers.pdf.columns import columns_in_order, may_have_columns
from echo_index.indexer.documents.readers.pdf.glyphs import (
    Glyphs,
    counted_characters,
    keep_visible,
    read_boxes,
    read_rectangles,
    visible_box,
)
from echo_index.indexer.documents.readers.pdf.layers import LayerHiding
from echo_index.indexer.documents.readers.pdf.placement import place
from echo_index.indexer.documents.readers.pdf.superscripts import Raised, raised_numbers
from echo_index.indexer.documents.readers.scripts import superscript

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfObject, PdfPage, PdfTextPage

_MAX_OBJECTS = 1_000  # that are looked at to see whether a page is blank
_MAX_DEPTH = 4  # of forms within forms
_MIN_SIDE = 12  # points; no text would fit on a smaller page, so its box is wrong
_WORD = 20  # characters that tell what a superscript belongs to
_SAMPLES = 100  # characters of a page
_MAX_STAMP = 400  # characters that a header, a footer and a stamp over a scan have at most
_COVERED = 0.7  # of a page that is a scan
_WHITE = 250  # of 255; a lighter color is not seen on paper

# Characters that a font without a table of its characters leads to: control characters, replacement characters and
# those for private use.
_UNKNOWN = re.compile(r"[\x00\x01\x03-\x08\x0e-\x1f\x7f-\x9f\ue000-\uf8ff\ufff0-\ufffd]")
_MAX_UNKNOWN = 0.5  # of the characters
_MAX_CONTROL = 0.02  # of the characters, if the font does not say which they are


@dataclass(frozen=True, slots=True)
class PageContent:
    """What a page holds. `text` has PDFium's marks for hyphens at line ends.

    `draws` says whether the page is not blank, `is_unreadable` whether it has text in fonts that do not say which
    characters they draw, `is_scan` whether its text stands in a picture, as far as can be told without reading that.
    `files` are the names of attached files.
    """

    text: str
    draws: bool = True
    is_unreadable: bool = False
    is_scan: bool = False
    files: tuple[str, ...] = ()


def read_page(pdf: PdfDocument, number: int, *, layers: LayerHiding) -> PageContent:
    """Return what is seen on a page.

    Args:
        pdf: The document.
        number: The number of the page, from 0.
        layers: Knows the layers that are off.

    Raises:
        PdfiumError: the page is broken.
    """
    with closing(pdf[number]) as page:
        layers.hide(page)
        annotations = read_annotations(page, lambda: pdf[number])
        with closing(page.get_textpage()) as text_page:
            text = text_page.get_text_range()
            is_unreadable = _is_unreadable(text_page, text)
            text = _seen_text(page, text_page, "" if is_unreadable else text, annotations)
        text = text.replace("\r\n", "\n").replace("\r", "\n").rstrip()
        draws = bool(text) or is_unreadable or _draws(page)
        is_stamped_picture = 0 < len(text) <= _MAX_STAMP and _is_covered_by_pictures(page)
        return PageContent(
            text=_with_comments(text, annotations.comments),
            draws=draws,
            is_unreadable=is_unreadable,
            is_scan=is_unreadable or (draws and not text) or is_stamped_picture,
            files=annotations.files,
        )


def _seen_text(page: PdfPage, text_page: PdfTextPage, text: str, annotations: Annotations) -> str:
    if not text.strip():
        return "\n".join(item.text for item in sorted(annotations.drawn, key=lambda item: -item.box.top))
    rectangles = read_rectangles(page, text_page)
    visible = visible_box(page)
    is_too_small = min(visible.right - visible.left, visible.top - visible.bottom) < _MIN_SIDE
    is_all_visible = is_too_small or all(visible.contains(*box.center, margin=1) for box in rectangles)
    needs_boxes = annotations.drawn or not is_all_visible or may_have_columns(rectangles)
    text = counted_characters(text_page, text)
    glyphs = Glyphs(text, read_boxes(page, text_page, text) if needs_boxes else ())
    for number in raised_numbers(text_page, text):
        _write_raised(glyphs, number)
    if not is_all_visible:
        keep_visible(glyphs, visible)
    place(glyphs, annotations.drawn)
    text = (columns_in_order(glyphs) if needs_boxes else None) or "".join(glyphs.parts)
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _write_raised(glyphs: Glyphs, number: Raised) -> None:
    start, end = number.start, number.end
    words = superscript(glyphs.text[start:end], before=glyphs.text[max(0, start - _WORD) : start])
    glyphs.parts[start:end] = [words, *[""] * (end - start - 1)]


def _with_comments(text: str, comments: tuple[Comment, ...]) -> str:
    """Return the text with the comments below it, but for those that repeat the words that they mark."""
    words = " ".join(text.split())
    lines = [
        f"Comment by {comment.author}: {comment.words}" if comment.author else f"Comment: {comment.words}"
        for comment in comments
        if comment.words not in words
    ]
    return "\n\n".join(filter(None, [text, "\n".join(lines)]))


def _is_unreadable(text_page: PdfTextPage, text: str) -> bool:
    """Return whether the fonts of a page do not say which characters they draw, so that its text makes no sense."""
    from pypdfium2 import raw

    count = text_page.count_chars()
    left_out = max(0, count - len(text))  # PDFium leaves out control characters
    unknown = len(_UNKNOWN.findall(text)) + left_out
    if not unknown:
        return False
    length = sum(map(len, text.split())) + left_out
    if unknown > _MAX_UNKNOWN * length:
        return True
    samples = range(0, count, max(1, count // _SAMPLES))
    unmapped = [index for index in samples if raw.FPDFText_HasUnicodeMapError(text_page, index) == 1]
    return unknown > _MAX_CONTROL * length and len(unmapped) > _MAX_UNKNOWN * len(samples)


def _draws(page: PdfPage) -> bool:
    """Return whether something is seen on a page without text."""
    from pypdfium2 import raw

    kinds = [raw.FPDF_PAGEOBJ_IMAGE, raw.FPDF_PAGEOBJ_PATH, raw.FPDF_PAGEOBJ_SHADING]
    objects = islice(page.get_objects(filter=kinds, max_depth=_MAX_DEPTH), _MAX_OBJECTS)
    return any(item.type != raw.FPDF_PAGEOBJ_PATH or _is_seen(item) for item in objects)


def _is_covered_by_pictures(page: PdfPage) -> bool:
    """Return whether pictures take most of a page, as a scan does, be it in strips."""
    from pypdfium2 import raw

    left, bottom, right, top = page.get_bbox()
    covered = 0.0
    for item in islice(page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE], max_depth=_MAX_DEPTH), _MAX_OBJECTS):
        first, lowest, last, highest = item.get_bounds()
        covered += max(0.0, min(last, right) - max(first, left)) * max(0.0, min(highest, top) - max(lowest, bottom))
    return bool(covered >= _COVERED * (right - left) * (top - bottom))


def _is_seen(path: PdfObject) -> bool:
    """Return whether a path has a color other than white: some programs paint the paper."""
    from pypdfium2 import raw

    fills, strokes = c_int(), c_int()
    raw.FPDFPath_GetDrawMode(path, byref(fills), byref(strokes))
    fill_color, stroke_color = raw.FPDFPageObj_GetFillColor, raw.FPDFPageObj_GetStrokeColor
    return bool(fills.value and _is_dark(path, fill_color)) or bool(strokes.value and _is_dark(path, stroke_color))


def _is_dark(path: PdfObject, get_color: Callable[..., int]) -> bool:
    red, green, blue, alpha = c_uint(), c_uint(), c_uint(), c_uint()
    is_known = get_color(path, byref(red), byref(green), byref(blue), byref(alpha))
    return not is_known or bool(alpha.value and min(red.value, green.value, blue.value) < _WHITE)
