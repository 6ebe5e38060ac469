"""Say in words what of a document was recognized in pictures, and how well."""

from __future__ import annotations

from echo_index.indexer.documents.document import Document
from echo_index.indexer.documents.enumeration import page_numbers


def recognition_phrase(document: Document) -> str:
    """Return a phrase for the user: "pages 2 to 4 read by OCR, confidence 93 %"; empty if nothing was recognized."""
    recognition = document.recognition(0, len(document.text))
    if recognition is None:
        return ""
    pages = sorted({page for text in document.recognized if (page := document.page(text.start))})
    where = f"{page_numbers(pages)} " if pages else ""
    return f"{where}read by OCR, confidence {confidence_percent(recognition.confidence)}"


def confidence_percent(confidence: float) -> str:
    """Return a confidence from 0 to 1 as shown: "93 %"."""
    return f"{int(100 * confidence)} %"
