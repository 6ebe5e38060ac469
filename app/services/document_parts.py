"""Understand the name of a part of a document as search shows it: "notes.md:7" or "report.pdf, page 3"."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

_SEPARATOR = re.compile(r":(?=\d)|#|, ")
_SPAN = re.compile(r"(?:(pages?|lines?|L)[ =]?)?(\d{1,9})(?:(?: to |-|–)L?(\d{1,9}))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class DocumentPart:
    """What of a document is meant: all of it, lines or pages (from 1), or a named place ("slide 3") or heading.

    Without `last`, it is one page, or a line with its surroundings.
    """

    unit: Literal["all", "line", "page", "name"] = "all"
    first: int = 0
    last: int | None = None
    name: str = ""


def split_location(text: str, is_document: Callable[[str], bool]) -> tuple[str, DocumentPart] | None:
    """Return the document and the part that a text means, or None if it does not begin with a document.

    The longest document counts, as the names of documents may contain colons, commas and number signs.
    """
    if is_document(text):
        return text, DocumentPart()
    for found in reversed([*_SEPARATOR.finditer(text)]):
        name, part = text[: found.start()], _parse_part(found.group(), text[found.end() :].strip())
        if part is not None and is_document(name):
            return name, part
    return None


def _parse_part(separator: str, text: str) -> DocumentPart | None:
    span = _SPAN.fullmatch(text)
    if separator == ":":
        return None if span is None or span[1] else DocumentPart("line", int(span[2]), _number(span[3]))
    if span is None or not span[1]:
        return DocumentPart("name", name=text) if text else None
    return DocumentPart("page" if span[1][0] in "pP" else "line", int(span[2]), _number(span[3]))


def _number(digits: str | None) -> int | None:
    return int(digits) if digits else None
