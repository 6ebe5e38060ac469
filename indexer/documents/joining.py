"""Join the texts of chunks of one document to the text that they were cut from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol


class Piece(Protocol):
    """A piece of a document's text; `start` is its offset there, `line` the number of its first line, if known."""

    @property
    def text(self) -> str:
        """The text."""

    @property
    def start(self) -> int:
        """The offset of the text in that of the document."""

    @property
    def line(self) -> int | None:
        """The number of the line that it begins on, from 1."""

    @property
    def table_header(self) -> str:
        """The header of the table that it begins inside of, if any: then it begins on a line of its own."""


def join_pieces(pieces: Iterable[Piece], *, start: int = 0, line: int = 1) -> str:
    """Return the text from the offset `start`, on line `line`, up to the end of the last piece, in their order.

    What overlaps stands in it once. The white space between pieces is not known: it is replaced by as many characters
    and, if the pieces have line numbers, as many line ends. So all offsets and line numbers after it hold, and each row
    of a table stays on its line.
    """
    text = ""
    for piece in pieces:
        gap = piece.start - start - len(text)
        more = piece.text[-gap:] if gap < 0 else piece.text
        if gap > 0:
            more = _white_space(gap, _newlines(piece, line, gap)) + more
        text += more
        line += more.count("\n")
    return text


def _newlines(piece: Piece, line: int, gap: int) -> int:
    """Return the number of line ends before a piece; `line` is the number of the line before it."""
    if piece.line is not None:
        return piece.line - line
    if piece.table_header:
        return 1
    return 2 if gap > 1 else 0  # the end of a paragraph, or only of a sentence


def _white_space(length: int, newlines: int) -> str:
    """Return `length` characters of white space: line ends first, then the blanks that indent what follows."""
    newlines = min(max(newlines, 0), length)
    return "\n" * newlines + " " * (length - newlines)
