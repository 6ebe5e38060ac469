"""Write superscripts so that they can be told from what they stand behind: 10^14, not 1014."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby

_ORDINAL_ENDING = re.compile(r"st|nd|rd|th|er|re|e|ère|ème|do|ro|to|mo|o|a|º|ª|de|te|ste", re.IGNORECASE)
_LETTERS = re.compile(r"[^\W\d_]{2,}")
_ATOM = re.compile(r"[-−+]?(?:[\d.,]+|\w)")


def superscript(text: str, *, before: str) -> str:
    """Return a superscript as text that follows `before`: `^14`, `^-5`, `^(n+1)`.

    The ending of an ordinal (1st) or of an abbreviation (Mlle), text in square brackets, and marks without letters or
    digits stay as they are.
    """
    words = " ".join(text.split())
    is_ordinal = before[-1:].isdigit() and _ORDINAL_ENDING.fullmatch(words)
    is_abbreviation = before[-1:].isalpha() and _LETTERS.fullmatch(words)
    if is_ordinal or is_abbreviation or words.startswith("[") or not re.search(r"\w", words):
        return text
    return f"^{words}" if _ATOM.fullmatch(words) else f"^({words})"


def with_superscripts(pieces: Iterable[tuple[str, bool]]) -> str:
    """Return pieces of text, each with whether it is raised, as one text in which raised ones can be told apart."""
    written: list[str] = []
    for is_raised, group in groupby(pieces, key=lambda piece: piece[1]):
        text = "".join(piece for piece, _ in group)
        written.append(superscript(text, before=written[-1][-1:] if written else "") if is_raised else text)
    return "".join(written)
