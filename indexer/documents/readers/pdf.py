"""Read PDF: the text of each page and the outline. Scanned pages have no text, as images are not recognized."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import islice
from typing import TYPE_CHECKING

from echo_index.errors import DocumentError
from echo_index.indexer.documents.document import Document, Heading

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

_BETWEEN_PAGES = "\n\n"
_MAX_TITLE_LINE_LENGTH = 120  # characters
_MAX_HEADINGS = 10_000
_WRONG_PASSWORD = 4  # PDFium's FPDF_ERR_PASSWORD

# PDFium's mark for a hyphen that breaks a word at the end of a line.
_HYPHENATION = re.compile(r"[\ufffe\x02](?:\r?\n)?")
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
                yield pdf
        except PdfiumError as error:
            if error.err_code == _WRONG_PASSWORD:
                raise DocumentError("It is encrypted with a password.") from error
            raise DocumentError(f"It is not a readable PDF: {_short_reason(error)}.") from error


def read_pdf(content: bytes) -> Document:
    """Return the text of the pages, separated by blank lines, with the outline as headings.

    A heading is at its title on the page that it links to, or at the start of the page if the title is not found there.
    The title is that of the metadata, else the first line if it is short.

    Raises:
        DocumentError: the file is broken, needs a password or contains no text.
    """
    with open_pdf(content) as pdf:
        pages = [_page_text(pdf, number) for number in range(len(pdf))]
        outline = list(islice(_outline(pdf), _MAX_HEADINGS))
        title = _clean_title(pdf.get_metadata_value("Title"))
    if not any(page.strip() for page in pages):
        raise DocumentError("It holds no text: its pages are probably scanned images.")
    starts = _page_starts(pages)
    headings = sorted(_headings(outline, pages, starts), key=lambda heading: heading.offset)
    return Document(
        text=_BETWEEN_PAGES.join(pages),
        title=_first_line(pages) if not title or _PLACEHOLDER_TITLE.fullmatch(title) else title,
        format="pdf",
        headings=tuple(headings),
        pages=tuple(starts),
    )


def _page_text(pdf: PdfDocument, number: int) -> str:
    with closing(pdf[number]) as page, closing(page.get_textpage()) as text_page:
        text = _HYPHENATION.sub("", text_page.get_text_range())
    return _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).rstrip()


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


def _clean_title(text: str) -> str:
    return " ".join(_CONTROL.sub("", text).split())


def _short_reason(error: Exception) -> str:
    """Return PDFium's reason, which is the part in brackets: "Failed to load document (PDFium: Data format error)."."""
    inner = re.search(r"\(PDFium: (.*?)\)", str(error))
    return (inner[1] if inner else str(error)).rstrip(".").lower()
