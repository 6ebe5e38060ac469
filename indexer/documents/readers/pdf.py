"""PDF: the text of each page and the outline. Sees no pictures: a scanned page has no text."""

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
_LONGEST_TITLE_LINE = 120
_MOST_HEADINGS = 10_000
_WRONG_PASSWORD = 4  # PDFium's FPDF_ERR_PASSWORD

# PDFium marks a hyphen that was put in to break a word at the end of a line.
_BROKEN_WORD = re.compile(r"[\ufffe\x02](?:\r?\n)?")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_NO_TITLE = re.compile(r"untitled\b.*|microsoft word - .*|\(?anonymous\)?", re.IGNORECASE)

# PDFium is one library for the whole process, and may be entered by one thread at a time.
_pdfium = threading.Lock()


@contextmanager
def open_pdf(content: bytes) -> Iterator[PdfDocument]:
    """Open a PDF; until it is closed, no other thread is in PDFium.

    Raises DocumentError when the file, or what is asked of it while it is open, is broken or needs a password.
    """
    from pypdfium2 import PdfDocument, PdfiumError

    with _pdfium:
        try:
            with closing(PdfDocument(content)) as pdf:
                yield pdf
        except PdfiumError as error:
            if error.err_code == _WRONG_PASSWORD:
                raise DocumentError("It is encrypted with a password.") from error
            raise DocumentError(f"It is not a readable PDF: {_short_reason(error)}.") from error


def read_pdf(content: bytes) -> Document:
    """The pages of a PDF, two newlines between them, with its outline as headings.

    A heading stands where its title is found on the page it points to, else where that page begins. The title is that
    of the metadata, else the first line if it is short. Raises DocumentError when the file is broken, needs a password
    or holds no text.
    """
    with open_pdf(content) as pdf:
        pages = [_page_text(pdf, number) for number in range(len(pdf))]
        outline = list(islice(_outline(pdf), _MOST_HEADINGS))
        title = _plain(pdf.get_metadata_value("Title"))
    if not any(page.strip() for page in pages):
        raise DocumentError("It holds no text: its pages are probably scanned pictures.")
    starts = _page_starts(pages)
    headings = sorted(_headings(outline, pages, starts), key=lambda heading: heading.offset)
    return Document(
        text=_BETWEEN_PAGES.join(pages),
        title=_first_line(pages) if not title or _NO_TITLE.fullmatch(title) else title,
        format="pdf",
        headings=tuple(headings),
        pages=tuple(starts),
    )


def _page_text(pdf: PdfDocument, number: int) -> str:
    with closing(pdf[number]) as page, closing(page.get_textpage()) as text_page:
        text = _BROKEN_WORD.sub("", text_page.get_text_range())
    return _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).rstrip()


def _outline(pdf: PdfDocument) -> Iterator[tuple[int, str, int]]:
    """Level, title and page index of each bookmark that has a title and points into the document."""
    for bookmark in pdf.get_toc():
        destination = bookmark.get_dest()
        page = destination.get_index() if destination else None
        title = _plain(bookmark.get_title())
        if title and page is not None and 0 <= page < len(pdf):
            yield bookmark.level + 1, title, page


def _page_starts(pages: list[str]) -> list[int]:
    starts, offset = [], 0
    for page in pages:
        starts.append(offset)
        offset += len(page) + len(_BETWEEN_PAGES)
    return starts


def _headings(outline: list[tuple[int, str, int]], pages: list[str], starts: list[int]) -> Iterator[Heading]:
    """The outline's entries at their offsets. Entries of one page are looked for one after the other."""
    last_page, last_end = -1, 0
    for level, title, page in outline:
        words = r"\s+".join(re.escape(word) for word in title.split())
        searched_from = last_end if page == last_page else 0
        found = re.compile(words, re.IGNORECASE).search(pages[page], searched_from)
        last_page, last_end = page, found.end() if found else searched_from
        yield Heading(level=level, title=title, offset=starts[page] + (found.start() if found else 0))


def _first_line(pages: list[str]) -> str:
    lines = (" ".join(line.split()) for page in pages for line in page.split("\n"))
    line = next((line for line in lines if line), "")
    return line if len(line) <= _LONGEST_TITLE_LINE else ""


def _plain(text: str) -> str:
    return " ".join(_CONTROL.sub("", text).split())


def _short_reason(error: Exception) -> str:
    """PDFium's own words, without those around them: "Failed to load document (PDFium: Data format error)."."""
    inner = re.search(r"\(PDFium: (.*?)\)", str(error))
    return (inner[1] if inner else str(error)).rstrip(".").lower()
