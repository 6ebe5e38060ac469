"""Find the raised numbers of a PDF page, such as the exponent of a power or the mark of a footnote."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from echo_index.indexer.documents.readers.pdf.glyphs import baselines, font_height

if TYPE_CHECKING:
    from pypdfium2 import PdfTextPage

# The place between a word, number or bracket and the number behind it.
_CANDIDATE = re.compile(r"(?<=[\w)\]])(?=[-−–+]?\d)")
_RAISED = re.compile(r"[-−–+]?\d+\w*")
_MAX_LENGTH = 8  # characters
_MIN_RISE = 0.15  # of the height of the font
_MAX_SIZE = 0.9  # of the size of what it is raised from


@dataclass(frozen=True, slots=True)
class Raised:
    """A raised number: its characters from `start` up to `end`."""

    start: int
    end: int


def raised_numbers(text_page: PdfTextPage, text: str) -> Iterator[Raised]:
    """Yield the numbers that are raised and smaller than the character before them.

    `text` has one character for each that PDFium counts.
    """
    baseline = baselines(text_page)
    for match in _CANDIDATE.finditer(text):
        base, first = match.start() - 1, match.start()
        height = baseline(first)
        rise = height - baseline(base)
        if rise <= 0:
            continue
        size = font_height(text_page, base)
        if rise < _MIN_RISE * size or font_height(text_page, first) > _MAX_SIZE * size:
            continue
        number = _RAISED.match(text, first, first + _MAX_LENGTH)
        end = number.end() if number else first
        while end > first and abs(baseline(end - 1) - height) > rise / 4:
            end -= 1
        if text[first:end].strip("-−–+"):
            yield Raised(first, end)
