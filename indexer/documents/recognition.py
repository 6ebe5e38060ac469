"""Say in words what of a document was recognized in pictures, and how well."""

from __future__ import annotations

from collections.abc import Iterable

from echo_index.indexer.documents.document import Document, Recognition
from echo_index.indexer.documents.enumeration import page_numbers
from echo_index.indexer.documents.formats import FORMATS, PICTURE
from echo_index.indexer.documents.ocr.engine import INSTALL, installed_engine
from echo_index.indexer.documents.readers.pdf.omissions import NO_TEXT_ON, ONLY_PICTURES, UNREADABLE_FONTS


def recognition_phrase(document: Document) -> str:
    """Return a phrase for the user: "pages 2 to 4 read by OCR, confidence 93 %"; empty if nothing was recognized."""
    recognition = document.recognition(0, len(document.text))
    if recognition is None:
        return ""
    pages = sorted({page for text in document.recognized if (page := document.page(text.start))})
    where = f"{page_numbers(pages)} " if pages else ""
    return f"{where}{confidence_phrase(recognition)}"


def ocr_hint(
    omissions: Iterable[tuple[str, str]],
    failures: Iterable[tuple[str, str]],
    skipped_suffixes: Iterable[str],
    *,
    ocr: bool,
) -> str:
    """Return what lets the next build read pictures of text that this one did not; empty if there are none.

    Args:
        omissions: Paths, and what their texts lack.
        failures: Paths, and why they could not be read.
        skipped_suffixes: Suffixes of files that were passed over.
        ocr: Whether builds recognize pictures if an engine is installed.
    """
    engine = installed_engine()
    if ocr and engine:
        return ""
    has_scans = any(phrase.startswith(NO_TEXT_ON) for _, phrase in omissions)
    has_scans = has_scans or any(reason in (ONLY_PICTURES, UNREADABLE_FONTS) for _, reason in failures)
    has_pictures = any(FORMATS.get(suffix) == PICTURE for suffix in skipped_suffixes)
    if not has_scans and not has_pictures:
        return ""
    what = " and ".join(filter(None, ["scanned pages" if has_scans else "", "pictures" if has_pictures else ""]))
    return f"OCR would read the {what}: {'echo-index build --ocr' if engine else INSTALL}"


def confidence_phrase(recognition: Recognition) -> str:
    """Return how well a text was recognized: "read by OCR, confidence 93 %"."""
    return f"read by OCR, confidence {int(100 * recognition.confidence)} %"
