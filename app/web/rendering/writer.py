"""Write the HTML of a part of a text, with one span of it marked."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from echo_index.app.web.html import escape_html

Span = tuple[int, int]
"""Start and end, in characters of the source."""

EVERYTHING: Span = (-(2**62), 2**62)
_ELLIPSIS = "…"


@dataclass(frozen=True, slots=True)
class _Element:
    tag: str
    opening: str


class PassageWriter:
    """Collects HTML. Only what stands in `span` of the source is written, and what stands in `mark` is marked.

    Elements are written when something in them is: one without text in the span is left out. `marks` counts the marks;
    the first one has the class `first_mark`. With `before` or `after`, an ellipsis says that text was left out there.
    """

    def __init__(
        self,
        *,
        span: Span = EVERYTHING,
        mark: Span | None = None,
        first_mark: str = "",
        before: bool = False,
        after: bool = False,
    ) -> None:
        self.span = span
        self.mark = mark
        self.marks = 0
        self._first_mark = first_mark
        self._before = before
        self._after = after
        self._pieces: list[str] = []
        self._elements: list[_Element] = []
        self._written = 0  # of the elements; those are the first ones
        self._in_mark = False
        self._last_text: int | None = None  # the number of pieces after the last text, None after the row of a table

    def open(self, tag: str, attributes: str = "", *, lead: str = "") -> None:
        """Begin an element; `lead` is HTML that it begins with if it is written."""
        self._elements.append(_Element(tag, f"<{tag}{attributes and ' '}{attributes}>{lead}"))

    def close(self) -> None:
        """End the innermost element."""
        element = self._elements.pop()
        if self._written > len(self._elements):
            self._end_mark()
            self._pieces.append(f"</{element.tag}>")
            self._written -= 1

    def begin(self) -> None:
        """Write the elements that are open, even if no text follows in them."""
        if self._written < len(self._elements):
            self._end_mark()
            self._pieces += [element.opening for element in self._elements[self._written :]]
            self._written = len(self._elements)

    def shows(self, start: int, end: int) -> bool:
        """Return whether any of the characters from `start` to before `end` is shown."""
        return start < self.span[1] and self.span[0] < end

    def write(self, text: str, start: int, end: int | None = None) -> None:
        """Add text that stands at `start` of the source, up to `end` if it is not as long as there.

        Text of another length than in the source is shown and marked as a whole.
        """
        if end is not None and end - start != len(text):
            if text and self.shows(start, end):
                self._append(text, is_marked=self.mark is not None and start < self.mark[1] and self.mark[0] < end)
            return
        first, last = max(start, self.span[0]), min(start + len(text), self.span[1])
        cuts = [first, *(cut for cut in self.mark or () if first < cut < last), last]
        for here, there in pairwise(cuts):
            if here < there:
                is_marked = self.mark is not None and self.mark[0] <= here < self.mark[1]
                self._append(text[here - start : there - start], is_marked=is_marked)

    def write_void(self, tag: str, start: int, end: int) -> None:
        """Add an element without content that stands at some characters of the source."""
        if self.shows(start, end):
            self.begin()
            self._end_mark()
            self._pieces.append(f"<{tag}>")

    def part(self) -> PassageWriter:
        """Return a writer for a part that is shown whole or not at all. `write_part` adds it."""
        return PassageWriter(mark=self.mark, first_mark="" if self.marks else self._first_mark)

    def write_part(self, part: PassageWriter) -> None:
        """Add what was written to a part."""
        if self._before:
            self._pieces.insert(0, f'<p class="more">{_ELLIPSIS}</p>')
            self._before = False
        self.begin()
        self._end_mark()
        self._pieces.append(part.html())
        self.marks += part.marks
        self._last_text = None

    def write_lines(self, text: str) -> None:
        """Add a paragraph that stands nowhere in the source, such as the caption of a table; none if it is empty."""
        if text:
            part = self.part()
            part.open("p", 'class="lines"')
            part.write(text, -len(text))
            self.write_part(part)

    def text_html(self, text: str) -> str:
        """Return a piece of text as HTML."""
        return escape_html(text)

    def is_in(self, *tags: str) -> bool:
        """Return whether what is written next stands in an element of one of these tags."""
        return any(element.tag in tags for element in self._elements)

    def html(self) -> str:
        """Return what was written, with all elements closed."""
        while self._elements:
            self.close()
        self._end_mark()
        pieces = self._pieces
        if self._after and self._last_text is None:
            pieces = [*pieces, f'<p class="more">{_ELLIPSIS}</p>']
        elif self._after:
            pieces = [*pieces[: self._last_text], f" {_ELLIPSIS}", *pieces[self._last_text :]]
        return "".join(pieces)

    def _append(self, text: str, *, is_marked: bool) -> None:
        self.begin()
        if self._in_mark and not is_marked:
            self._end_mark()
        if self._before:
            self._pieces.append(f"{_ELLIPSIS} ")
            self._before = False
        if is_marked and not self._in_mark:
            self._pieces.append(
                f'<mark class="{self._first_mark}">' if self._first_mark and not self.marks else "<mark>"
            )
            self._in_mark = True
            self.marks += 1
        self._pieces.append(self.text_html(text))
        self._last_text = len(self._pieces)

    def _end_mark(self) -> None:
        if self._in_mark:
            self._pieces.append("</mark>")
            self._in_mark = False
            self._last_text = len(self._pieces)
