"""Divide RTF into its tokens: the borders of groups, control words, and bytes of text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

_TOKEN = re.compile(
    rb"(?P<text>[^\\{}]+)|(?P<hex>(?:\\'[0-9A-Fa-f]{2})+)|\\(?P<word>[A-Za-z]+)(?P<number>-?[0-9]+)?[ ]?"
    rb"|(?P<border>[{}])|\\(?P<symbol>[^A-Za-z])",
    re.DOTALL,
)
_NOT_TEXT = b"\r\n\0"
_MAX_WORD = 32  # letters
_MAX_DIGITS = 10  # with the sign


@dataclass(frozen=True, slots=True)
class Token:
    """A token: "{" or "}", a control word with its number, a control symbol such as "~", or bytes of text.

    Of these, only the one that it is is filled in.
    """

    border: str = ""
    word: str = ""
    number: int | None = None
    symbol: str = ""
    text: bytes = b""


_BORDERS = {b"{": Token(border="{"), b"}": Token(border="}")}


def tokens(content: bytes) -> Iterator[Token]:
    """Yield the tokens of RTF. Binary data is passed over."""
    position = 0
    while match := _TOKEN.match(content, position):
        position = match.end()
        kind = match.lastgroup
        if kind == "text":
            if text := match[0].translate(None, _NOT_TEXT):
                yield Token(text=text)
        elif kind == "hex":
            yield Token(text=bytes.fromhex(match[0].replace(b"\\'", b"").decode("ascii")))
        elif kind == "border":
            yield _BORDERS[match[0]]
        elif kind == "symbol":
            symbol = match["symbol"].decode("latin-1")
            yield Token(text=match["symbol"]) if symbol in "\\{}" else Token(symbol=symbol)
        else:
            token = _word(match["word"][:_MAX_WORD], (match["number"] or b"")[:_MAX_DIGITS])
            if token.word == "bin":
                position += max(0, token.number or 0)
            else:
                yield token


@lru_cache(maxsize=4096)  # few words are used again and again
def _word(word: bytes, number: bytes) -> Token:
    return Token(word=word.decode("ascii"), number=int(number) if number else None)
