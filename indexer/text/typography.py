"""Undo typography: bring a text to Unicode's NFKC form without joining what only stands close together."""

from __future__ import annotations

import re
import unicodedata

_INVISIBLE = "\u00ad\u2060\ufeff\u200e\u200f\u202a-\u202e\u2066-\u2069"  # soft hyphens and marks of direction
_NARROW = "\u00a0\u2007-\u2009\u202f"  # spaces that do not break a line
_RAISED = "⁺⁻⁰¹²³⁴-⁹"
_FRACTION = "¼-¾⅐-⅞"
_TYPOGRAPHY = re.compile(f"[{_INVISIBLE}{_NARROW}{_RAISED}{_FRACTION}\u02bc\u2010\u2011\u2120\u2122]")
_REPLACEMENTS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(f"[{_INVISIBLE}]+"), ""),
    (re.compile("[\u2010\u2011]"), "-"),  # hyphens
    (re.compile("\u02bc"), "'"),  # the apostrophe of Ukrainian words
    (re.compile("[\u2120\u2122]"), " "),  # trade marks
    (re.compile(rf"[{_NARROW}](?<=\d.)(?=\d{{3}}(?!\d))"), "'"),  # between the digits of one number
    (re.compile(rf"[{_FRACTION}](?<=\d.)"), r" \g<0>"),  # 3½
)
_RAISED_RUN = re.compile(rf"(?<=[\w)])[{_RAISED}]+")


def plain_text(text: str) -> str:
    """Return a text in Unicode's NFKC form, but with 10¹⁴ as 10^14 and 3½ as 3 1/2.

    Spaces that group the digits of a number become apostrophes. What cannot be seen, such as a soft hyphen, is dropped.
    """
    if text.isascii():
        return text
    if _TYPOGRAPHY.search(text):
        for pattern, replacement in _REPLACEMENTS:
            text = pattern.sub(replacement, text)
        text = _RAISED_RUN.sub(r"^\g<0>", text)
    return unicodedata.normalize("NFKC", text)
