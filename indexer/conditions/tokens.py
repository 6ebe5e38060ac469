"""Divide the text of a condition into words, texts in quotation marks and signs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from echo_index.errors import ConditionError

_TOKEN = re.compile(
    r"""(?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|“[^”]*”)"""
    r"|(?P<sign><=|>=|!=|==|<>|[<>=(),\[\]])"
    r"|(?P<word>[^\s\"'“”<>=!(),\[\]]+)",
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_QUOTES = "\"'“"

_EXCERPT = 60  # characters before and after a place


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a condition: what it is, its text without quotation marks, and where it stands, in characters."""

    kind: Literal["word", "quoted", "sign", "end"]
    text: str
    start: int

    @property
    def shown(self) -> str:
        """The token as a message names it."""
        if self.kind == "end":
            return "the end"
        return f'the text "{self.text}"' if self.kind == "quoted" else self.text


def tokens_of(text: str) -> Iterator[Token]:
    """Yield the tokens of a condition, the last one being the end.

    Raises:
        ConditionError: a quotation mark is not closed, or a character means nothing here.
    """
    position = len(text) - len(text.lstrip())
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            character = text[position]
            if character in _QUOTES:
                closing = "”" if character == "“" else character
                raise condition_error(text, position, f"the quotation mark {character} is never closed by {closing}")
            raise condition_error(text, position, f"the character {character} means nothing here")
        if match["quoted"] is not None:
            inner = match["quoted"][1:-1]
            yield Token("quoted", inner if match["quoted"][0] == "“" else _ESCAPE.sub(r"\1", inner), position)
        else:
            yield Token("sign" if match["sign"] else "word", match.group(), position)
        position = match.end()
        position += len(text[position:]) - len(text[position:].lstrip())
    yield Token("end", "", len(text.rstrip()))


def condition_error(text: str, position: int, reason: str) -> ConditionError:
    """Return the error that a condition cannot be read at a position in its text, in characters."""
    start, end = max(0, position - _EXCERPT), position + _EXCERPT
    before, after = ("…" if start else ""), ("…" if end < len(text) else "")
    line = "".join(" " if character.isspace() else character for character in text[start:end])
    return ConditionError(
        f"The condition cannot be read at character {position + 1}: {reason}.",
        excerpt=f"{before}{line}{after}\n{' ' * (position - start + len(before))}^",
    )
