"""A text that was taken out of a source, and where in the source each part of it stands."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SourceText:
    """A text; `parts` are the offsets in it at which a part begins that stands in one piece in the source, and where.

    The first part begins at 0. A part reaches as far as the next one begins.
    """

    text: str
    parts: tuple[tuple[int, int], ...]

    def pieces(self, start: int, end: int) -> Iterator[tuple[str, int]]:
        """Yield the text from `start` to before `end`, in pieces with their offsets in the source."""
        number = max(0, bisect_right(self.parts, start, key=lambda part: part[0]) - 1)
        while start < end:
            begin, source = self.parts[number]
            number += 1
            stop = min(end, self.parts[number][0]) if number < len(self.parts) else end
            if start < stop:
                yield self.text[start:stop], source + start - begin
            start = max(start, stop)

    def offset(self, position: int) -> int:
        """Return where in the source a character of the text stands."""
        begin, source = self.parts[max(0, bisect_right(self.parts, position, key=lambda part: part[0]) - 1)]
        return source + position - begin


def from_lines(text: str, source: str, line_starts: Sequence[int], first_line: int) -> SourceText:
    """Return a text whose lines stand in the lines of a source from `first_line` on, without what is around them.

    Each line of the text ends its line of the source, but for white space and closing marks.
    """
    parts = []
    position = 0
    for number, line in enumerate(text.split("\n"), start=first_line):
        if number < len(line_starts):
            start = line_starts[number]
            end = line_starts[number + 1] - 1 if number + 1 < len(line_starts) else len(source)
            words = line.strip()
            found = source.rfind(words, start, end) if words else end
            indent = len(line) - len(line.lstrip()) if words else len(line)
            parts.append((position, max(start, found) - indent))
        position += len(line) + 1
    return SourceText(text, tuple(parts) or ((0, len(source)),))
