"""Take the numbers of pages out of headers and footers."""

from __future__ import annotations

import re

PAGE_NUMBER = "\0"
"""Stands for the number of a page in a text; XML cannot contain it."""

_WORDS = re.compile(r"[^\W\d_]+")
_PARTS = re.compile(r"\t| \| ")
_MAX_WORDS_AT_PAGE_NUMBER = 2  # "Page … of …"


def without_page_numbers(text: str) -> str:
    """Return a text without page numbers, and without its parts, between tabs or in cells, that only have them."""
    lines = []
    for line in text.split("\n"):
        kept = [
            " ".join(part.replace(PAGE_NUMBER, "").split())
            for part in _PARTS.split(line)
            if PAGE_NUMBER not in part or len(_WORDS.findall(part)) > _MAX_WORDS_AT_PAGE_NUMBER
        ]
        lines.append("\t".join(filter(None, kept)))
    return "\n".join(filter(None, lines))
