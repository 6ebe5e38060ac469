"""Leave out of a mail what it quotes of earlier mails of the same mailbox."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import groupby

_MARKS = re.compile(r"(?:>[ \t]?)+")
# "-----Original Message-----" in any language; the quoted mail goes on to the end.
_ORIGINAL = re.compile(r"^-{3,}[ \t]*\w[^\n-]{2,60}-{3,}[ \t]*$", re.MULTILINE)
_BLANK_LINES = re.compile(r"\n{3,}")
_HEADER_END = re.compile(r"\n[ \t]*\n")


class History:
    """Remembers the lines and paragraphs of the mails that were read so far."""

    def __init__(self) -> None:
        self._known: set[int] = set()

    def without_known(self, text: str) -> str:
        """Return the text without the quotations that stand in full in earlier mails, and remember the text.

        A quotation is a run of lines that begin with ">", or what follows "-----Original Message-----" and its header.
        It is left out only as a whole, so that answers between quoted lines keep what they answer.
        """
        shown = self._without_original(self._without_quoted(text))
        self._known.update(map(hash, _passages(_unquoted(text.split("\n")))))
        return _BLANK_LINES.sub("\n\n", shown)

    def _without_quoted(self, text: str) -> str:
        lines: list[str] = []
        for is_quoted, group in groupby(text.split("\n"), key=lambda line: line.startswith(">")):
            run = [*group]
            lines += [] if is_quoted and self._knows(_unquoted(run)) else run
        return "\n".join(lines)

    def _without_original(self, text: str) -> str:
        mark = _ORIGINAL.search(text)
        if mark is None:
            return text
        header_end = _HEADER_END.search(text, mark.end())
        if header_end is None or not self._knows(_unquoted(text[header_end.end() :].split("\n"))):
            return text
        return text[: header_end.start()]

    def _knows(self, lines: list[str]) -> bool:
        """Return whether each paragraph is known, as it is or line by line."""
        for paragraph in _paragraphs(lines):
            if hash(" ".join(paragraph)) not in self._known and any(
                hash(line) not in self._known for line in paragraph
            ):
                return False
        return True


def _unquoted(lines: Iterable[str]) -> list[str]:
    return [" ".join(_MARKS.sub("", line, count=1).split() if line.startswith(">") else line.split()) for line in lines]


def _paragraphs(lines: list[str]) -> Iterator[list[str]]:
    for has_text, group in groupby(lines, key=bool):
        if has_text:
            yield [*group]


def _passages(lines: list[str]) -> Iterator[str]:
    """Yield the lines and the paragraphs of a text."""
    for paragraph in _paragraphs(lines):
        yield from paragraph
        yield " ".join(paragraph)
