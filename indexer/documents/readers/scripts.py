"""Write superscripts so that they can be told from what they stand behind: 10^14, not 1014."""

from __future__ import annotations

import re

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
