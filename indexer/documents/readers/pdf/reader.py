"""Read PDF: what is seen on each page, recognized in pictures of text if that is possible, and the outline."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from typing import TYPE_CHECKING

from echo_index.errors import DocumentError
from echo_index.indexer.documents.document import Document, Heading, RecognizedText
from echo_index.indexer.documents.enumeration import page_numbers
from echo_index.indexer.documents.fields import collect_fields, common_field
from echo_index.indexer.documents.ocr.recognizer import RecognizedPage, Recognizer
from echo_index.indexer.documents.readers.hyphens import join_divided_words
from echo_index.indexer.documents.readers.pdf.layers import LayerHiding
from echo_index.indexer.documents.readers.pdf.omissions import (
    NO_TEXT_ON,
    ONLY_PICTURES,
    UNREADABLE_FONTS,
    attached_files,
)
from echo_index.indexer.documents.readers.pdf.page import PageContent, read_page
from echo_index.indexer.documents.readers.pdf.scans import recognize_scans
from echo_index.indexer.documents.readers.pdf.xmp import xmp_title
from echo_index.indexer.documents.readers.scans.text import failure_omissions, with_recognized

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

_BETWEEN_PAGES = "\n\n"
_MAX_TITLE_LINE_LENGTH = 120  # characters
_MAX_HEADINGS = 10_000
_MAX_BROKEN_PAGES = 1_000
_MAX_NAMES = 100  # of attached files
_XFA_FORM = 2  # PDFium's FORMTYPE_XFA_FULL
_XFA_OMISSION = "the fields of an XFA form"
_WRONG_PASSWORD = 4  # PDFium's FPDF_ERR_PASSWORD

_PROPERTIES = {
    **{"Author": "author", "Subject": "subject", "Keywords": "keywords"},
    **{"CreationDate": "date", "ModDate": "changed"},
}

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_PLACEHOLDER_TITLE = re.compile(r"untitled\b.*|microsoft word - .*|\(?anonymous\)?", re.IGNORECASE)

# PDFium is not thread-safe.
_pdfium_lock = threading.Lock()


@contextmanager
def open_pdf(content: bytes) -> Iterator[PdfDocument]:
    """Open a PDF. No other thread can use PDFium inside the block.

    Raises:
        DocumentError: the file needs a password, or it is broken, which may appear only inside the block.
    """
    from pypdfium2 import PdfDocument, PdfiumError

    with _pdfium_lock:
        try:
            with closing(PdfDocument(content)) as pdf:
                pdf.init_forms()  # before a page is opened, which then has its fields
                yield pdf
        except PdfiumError as error:
            if error.err_code == _WRONG_PASSWORD:
                raise DocumentError("It is encrypted with a password.") from error
            raise DocumentError(f"It is not a readable PDF: {_short_reason(error)}.") from error


def read_pdf(content: bytes, *, recognizer: Recognizer | None = None) -> Document:
    """Return the text of the pages, separated by blank lines, with the outline as headings.

    Pages that are pictures of text are read by the recognizer, if there is one.

    A heading is at its title on the page that it links to, or at the start of the page if the title is not found there.
    The title is that of the metadata, else the first line if it is short.

    Raises:
        DocumentError: the file is broken, needs a password or contains no text.
    """
    with open_pdf(content) as pdf:
        contents = list(_read_pages(pdf, LayerHiding(content)))
        scans = recognize_scans(pdf, contents, recognizer) if recognizer else {}
        outline = list(islice(_outline(pdf), _MAX_HEADINGS))
        title = _clean_title(pdf.get_metadata_value("Title"))
        if not title or _PLACEHOLDER_TITLE.fullmatch(title):
            title = _clean_title(xmp_title(content))
            title = "" if _PLACEHOLDER_TITLE.fullmatch(title) else title
        properties = collect_fields(
            common_field(name, pdf.get_metadata_value(key) or "") for key, name in _PROPERTIES.items()
        )
        files = _attached_files(pdf)
        form = [_XFA_OMISSION] if pdf.get_formtype() == _XFA_FORM else []
    texts = [_clean(page) for page in join_divided_words([content.text if content else "" for content in contents])]
    pages, recognized = with_recognized(texts, scans, separator=_BETWEEN_PAGES)
    if not any(pages):
        raise DocumentError(_reason_for_no_text(contents, scans))
    starts = _page_starts(pages)
    headings = sorted(_headings(outline, pages, starts), key=lambda heading: heading.offset)
    return Document(
        text=_BETWEEN_PAGES.join(pages),
        title=title or _sure_title(pages, recognized),
        format="pdf",
        headings=tuple(headings),
        pages=tuple(starts),
        omissions=(*_omissions(contents, pages, scans), *_attachments(contents, files), *form),
        recognized=tuple(recognized),
        fields=properties,
    )


def _read_pages(pdf: PdfDocument, layers: LayerHiding) -> Iterator[PageContent | None]:
    """Yield what the pages hold; None for a page that is broken."""
    from pypdfium2 import PdfiumError

    broken = 0
    for number in range(len(pdf)):
        try:
            yield read_page(pdf, number, layers=layers)
        except PdfiumError:
            broken += 1
            if broken > _MAX_BROKEN_PAGES or broken == len(pdf):
                raise
            yield None


def _clean(page: str) -> str:
    return _CONTROL.sub("", page).rstrip()


def _attached_files(pdf: PdfDocument) -> list[str]:
    count = pdf.count_attachments()
    return [pdf.get_attachment(index).get_name() if index < _MAX_NAMES else "" for index in range(count)]


def _reason_for_no_text(contents: Sequence[PageContent | None], scans: Mapping[int, RecognizedPage]) -> str:
    if failures := [*_recognition_failures(scans)]:
        return f"OCR does not read it: {' and '.join(failures)}."
    if scans:
        return "It holds only pictures, and OCR finds no text in them."
    if any(content.is_unreadable for content in contents if content):
        return UNREADABLE_FONTS
    if any(content.draws for content in contents if content):
        return ONLY_PICTURES
    return "It holds no text: its pages are blank."


def _omissions(
    contents: Sequence[PageContent | None], pages: Sequence[str], scans: Mapping[int, RecognizedPage]
) -> Iterator[str]:
    failed = {index for index, scan in scans.items() if scan.failure}
    numbered = list(enumerate(contents, start=1))
    without_text = [
        number
        for number, content in numbered
        if content and content.draws and not pages[number - 1].strip() and number - 1 not in failed
    ]
    broken = [number for number, content in numbered if not content]
    if without_text:
        yield f"{NO_TEXT_ON} {page_numbers(without_text)}"
    if broken:
        yield f"{page_numbers(broken)}, which {'are' if len(broken) > 1 else 'is'} broken"
    yield from _recognition_failures(scans)


def _recognition_failures(scans: Mapping[int, RecognizedPage]) -> Iterator[str]:
    return failure_omissions((index + 1, scan.failure) for index, scan in scans.items())


def _attachments(contents: Sequence[PageContent | None], files: Sequence[str]) -> Iterator[str]:
    if attached := [*files, *(name for content in contents if content for name in content.files)]:
        yield attached_files(attached)


def _outline(pdf: PdfDocument) -> Iterator[tuple[int, str, int]]:
    """Yield level, title and page index of each bookmark that has a title and links to a page."""
    for bookmark in pdf.get_toc():
        destination = bookmark.get_dest()
        page = destination.get_index() if destination else None
        title = _clean_title(bookmark.get_title())
        if title and page is not None and 0 <= page < len(pdf):
            yield bookmark.level + 1, title, page


def _page_starts(pages: list[str]) -> list[int]:
    starts, offset = [], 0
    for page in pages:
        starts.append(offset)
        offset += len(page) + len(_BETWEEN_PAGES)
    return starts


def _headings(outline: list[tuple[int, str, int]], pages: list[str], starts: list[int]) -> Iterator[Heading]:
    """Yield a heading for each entry of the outline. On a page, each title is searched after the one before it."""
    last_page, last_end = -1, 0
    for level, title, page in outline:
        pattern = re.compile(r"\s+".join(re.escape(word) for word in title.split()), re.IGNORECASE)
        search_start = last_end if page == last_page else 0
        match = pattern.search(pages[page], search_start)
        last_page, last_end = page, match.end() if match else search_start
        yield Heading(level=level, title=title, offset=starts[page] + (match.start() if match else 0))


def _first_line(pages: list[str]) -> str:
    lines = (" ".join(line.split()) for page in pages for line in page.split("\n"))
    line = next((line for line in lines if line), "")
    return line if len(line) <= _MAX_TITLE_LINE_LENGTH else ""


def _sure_title(pages: list[str], recognized: Sequence[RecognizedText]) -> str:
    """Return the first line if it is short and no word of it may have been recognized wrongly."""
    line = _first_line(pages)
    start = _BETWEEN_PAGES.join(pages).find(line)
    uncertain = [span for text in recognized for span in text.recognition.uncertain]
    return "" if any(first < start + len(line) and start < end for first, end in uncertain) else line


def _clean_title(text: str) -> str:
    return " ".join(_CONTROL.sub("", text).split())


def _short_reason(error: Exception) -> str:
    """Return PDFium's reason, which is the part in brackets: "Failed to load document (PDFium: Data format error)."."""
    inner = re.search(r"\(PDFium: (.*?)\)", str(error))
    return (inner[1] if inner else str(error)).rstrip(".").lower()
