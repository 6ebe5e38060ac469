"""Read the title that a PDF has in its XMP metadata, which newer files have in place of the older kind."""

from __future__ import annotations

import html
import re

_START = b"<dc:title"
_MAX_LENGTH = 4_000  # bytes of a title with its languages
_MAX_TITLES = 100
_ITEM = re.compile(rb"<rdf:li(?:\s[^<>]*)?>([^<>]*)</rdf:li>")


def xmp_title(content: bytes) -> str:
    """Return the title of the metadata of a file; an empty string if there is none, or several that differ.

    Pictures in a file may have metadata of their own. Metadata that is compressed is not read.
    """
    titles = set()
    start = content.find(_START)
    for _ in range(_MAX_TITLES):
        if start < 0:
            break
        element = content[start : start + _MAX_LENGTH].partition(b"</dc:title>")[0]
        if item := _ITEM.search(element):
            titles.add(html.unescape(item[1].decode("utf-8", "replace")).strip())
        start = content.find(_START, start + len(_START))
    titles.discard("")
    return titles.pop() if len(titles) == 1 else ""
