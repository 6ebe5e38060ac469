"""The characters of a PDF page with their places, which can be changed before they are joined to the text.

PDFium gives the text of a page in one call. Asking for the place of each character takes longer, so it is done only
where the text alone does not tell what is seen.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from ctypes import byref, c_double
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pypdfium2 import PdfPage, PdfTextPage


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on the page as it is shown, in points. `bottom` is less than `top`."""

    left: float
    bottom: float
    right: float
    top: float

    @property
    def center(self) -> tuple[float, float]:
        """The point in the middle."""
        return (self.left + self.right) / 2, (self.bottom + self.top) / 2

    def contains(self, x: float, y: float, *, margin: float = 0) -> bool:
        """Return whether a point is inside or at most `margin` outside."""
        is_between = self.left - margin <= x <= self.right + margin
        return is_between and self.bottom - margin <= y <= self.top + margin


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text: its characters from `start` up to `end`, and the box around those that are drawn."""

    start: int
    end: int
    box: Box


@dataclass
class Glyphs:
    """The characters of a page. A part of `parts` is what stands for the character at its index, which may be nothing.

    `boxes` has None for a character that is not drawn, such as a line break or a space that PDFium put between words.
    """

    text: str
    boxes: Sequence[Box | None]
    parts: list[str] = field(init=False)

    def __post_init__(self) -> None:
        """Begin with each character standing for itself."""
        self.parts = list(self.text)

    def lines(self) -> Iterator[Line]:
        """Yield the lines that have drawn characters."""
        start = 0
        while start < len(self.text):
            end = self.text.find("\n", start)
            end = len(self.text) if end < 0 else end
            drawn = [box for box in self.boxes[start:end] if box]
            if drawn:
                yield Line(start, end, _around(drawn))
            start = end + 1


def counted_characters(text_page: PdfTextPage, text: str) -> str:
    """Return the text with one character for each that PDFium counts: the text lacks control characters.

    A character beyond the first 65,536 may be two surrogates.
    """
    from pypdfium2 import raw

    count = text_page.count_chars()
    if len(text) == count:
        return text
    codes = (raw.FPDFText_GetUnicode(text_page, index) for index in range(count))
    return "".join(chr(code) if code <= sys.maxunicode else "\ufffd" for code in codes)


def read_boxes(page: PdfPage, text_page: PdfTextPage, text: str) -> list[Box | None]:
    """Return the boxes of the characters of a page. The text must have one character for each that PDFium counts."""
    from pypdfium2 import raw

    turn = turned(page)
    left, bottom, right, top = c_double(), c_double(), c_double(), c_double()
    corners = byref(left), byref(right), byref(bottom), byref(top)
    get_box, handle = raw.FPDFText_GetCharBox, text_page.raw
    boxes: list[Box | None] = []
    for index, character in enumerate(text):
        is_drawn = not character.isspace() and get_box(handle, index, *corners) and right.value > left.value
        boxes.append(turn(left.value, bottom.value, right.value, top.value) if is_drawn else None)
    return boxes


def read_rectangles(page: PdfPage, text_page: PdfTextPage) -> list[Box]:
    """Return the boxes of the pieces of text, in the order of the text. This is fast."""
    from pypdfium2 import raw

    turn = turned(page)
    left, bottom, right, top = c_double(), c_double(), c_double(), c_double()
    boxes = []
    for index in range(raw.FPDFText_CountRects(text_page, 0, -1)):
        if raw.FPDFText_GetRect(text_page, index, byref(left), byref(top), byref(right), byref(bottom)):
            boxes.append(turn(left.value, bottom.value, right.value, top.value))
    return boxes


def visible_box(page: PdfPage) -> Box:
    """Return the part of the page that is shown."""
    return turned(page)(*page.get_bbox())


def turned(page: PdfPage) -> Callable[[float, float, float, float], Box]:
    """Return a function that makes a box of left, bottom, right and top in the page's own, unrotated coordinates."""
    quarters = page.get_rotation() // 90 % 4

    def turn(left: float, bottom: float, right: float, top: float) -> Box:
        if quarters == 1:
            left, bottom, right, top = bottom, -right, top, -left
        elif quarters == 2:
            left, bottom, right, top = -right, -top, -left, -bottom
        elif quarters == 3:
            left, bottom, right, top = -top, left, -bottom, right
        return Box(left, bottom, right, top)

    return turn


def baselines(text_page: PdfTextPage) -> Callable[[int], float]:
    """Return a function that gives the height at which a character stands on the unrotated page."""
    from pypdfium2 import raw

    x, y = c_double(), c_double()
    to_x, to_y = byref(x), byref(y)
    get_origin, handle = raw.FPDFText_GetCharOrigin, text_page.raw

    def baseline(index: int) -> float:
        get_origin(handle, index, to_x, to_y)
        return y.value

    return baseline


def font_height(text_page: PdfTextPage, index: int) -> float:
    """Return the height of the font of a character, as drawn on the unrotated page."""
    from pypdfium2 import raw

    box = raw.FS_RECTF()
    raw.FPDFText_GetLooseCharBox(text_page, index, byref(box))
    return float(box.top - box.bottom)


def keep_visible(glyphs: Glyphs, visible: Box) -> None:
    """Take out the characters whose middle is outside the part of the page that is shown."""
    for line in list(glyphs.lines()):
        boxes = glyphs.boxes[line.start : line.end]
        outside = {
            index
            for index, box in enumerate(boxes, start=line.start)
            if box and not visible.contains(*box.center, margin=1)
        }
        is_whole_line = len(outside) == sum(box is not None for box in boxes)
        for index in range(line.start, min(line.end + 1, len(glyphs.parts))):
            is_between = glyphs.parts[index] == " " and (index - 1 in outside or index + 1 in outside)
            if is_whole_line or is_between or index in outside:
                glyphs.parts[index] = ""


def _around(boxes: Sequence[Box]) -> Box:
    return Box(
        min(box.left for box in boxes),
        min(box.bottom for box in boxes),
        max(box.right for box in boxes),
        max(box.top for box in boxes),
    )
