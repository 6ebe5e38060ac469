"""Recognize the pages of a file, up to a number of them, each in a limited time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from echo_index.errors import DocumentError
from echo_index.indexer.documents.ocr.engine import Engine
from echo_index.indexer.documents.ocr.lines import Line, Word
from echo_index.indexer.documents.ocr.reading_order import Paragraph, paragraphs

if TYPE_CHECKING:
    from PIL.Image import Image

PAGE_SECONDS = 30
"""The time of computing for a page, which on a busy machine takes longer. A page that needs more is given up."""

MAX_PAGES = 2_000
"""How many pages of a file are recognized."""

_MAX_PIXELS = 16_000_000  # of a picture that is recognized: more than A4 at 400 dots per inch
_MIN_SIDE = 16  # pixels; nobody can read what is smaller

OnPage = Callable[[int, int], None]
"""Receives the number of a page before it is recognized, and the number of pages of its document."""


@dataclass(frozen=True, slots=True)
class RecognizedPage:
    """The paragraphs of a page in reading order, or why it has none although it may hold text."""

    paragraphs: tuple[Paragraph, ...] = ()
    failure: Literal["", "given up", "beyond the limit"] = ""


class Recognizer:
    """Recognizes pages of one file, and of the files inside it."""

    def __init__(self, engine: Engine, *, on_page: OnPage = lambda page, pages: None) -> None:
        """Take the engine, and what is to be told before each page."""
        self._engine = engine
        self._on_page = on_page
        self._count = 0

    def recognize(self, draw: Callable[[], Image], *, page: int, pages: int) -> RecognizedPage:
        """Return what a page says.

        Args:
            draw: Returns a gray picture of the page. What it raises is passed on.
            page: The number of the page, from 1.
            pages: The number of pages of its document.
        """
        self._count += 1
        if self._count > MAX_PAGES:
            return RecognizedPage(failure="beyond the limit")
        self._on_page(page, pages)
        picture = _fitted(draw())
        if min(picture.size) < _MIN_SIDE:
            return RecognizedPage()
        try:
            lines = self._engine.recognize(picture, seconds=PAGE_SECONDS)
        except DocumentError:
            return RecognizedPage(failure="given up")
        return RecognizedPage(paragraphs([*_printable(lines)]))


def _fitted(picture: Image) -> Image:
    """Return a picture of no more pixels than are needed."""
    width, height = picture.size
    factor = (_MAX_PIXELS / (width * height)) ** 0.5
    return picture.resize((int(width * factor) or 1, int(height * factor) or 1)) if factor < 1 else picture


def _printable(lines: Sequence[Line]) -> Iterator[Line]:
    """Yield the lines without characters that are not drawn, which no engine should find."""
    for line in lines:
        words = [Word("".join(filter(str.isprintable, word.text)), word.confidence) for word in line.words]
        if words := [word for word in words if word.text.strip()]:
            yield Line(tuple(words), line.area)
