"""Regular expressions for the ends of sentences.

A Western full stop ends a sentence only before white space, so not in 3.11 or example.org; the ideographic "。" always
ends one. Each expression serves a different purpose, so they are not interchangeable.
"""

from __future__ import annotations

import re

_STOPS = ".!?…"
_MORE_STOPS = "؟۔।"  # Arabic question mark, Urdu and Hindi full stops
_WIDE_STOPS = "。！？"
_CLOSING = r"\"'”’»)\]"
_WIDE_CLOSING = "」』”"
_CITATION_MARKERS = r"(?:\s?\[\d+\])*"

SENTENCE_BREAK = re.compile(rf"(?<=[{_STOPS}{_WIDE_STOPS}])\s+|(?<=[{_WIDE_STOPS}])|\n+")
"""Matches between sentences and between lines, for splitting a text. Serves synthetic and long queries."""

# The lookbehind keeps the search linear in a long run of stops. Do not change what matches, not even to include
# _MORE_STOPS: documents that have not changed would get other chunks than in existing indexes.
CHUNK_SENTENCE_END = re.compile(rf"(?<![{_STOPS}])[{_STOPS}]+[{_CLOSING}]*\s+|[{_WIDE_STOPS}]+[{_WIDE_CLOSING}]*\s*")
"""Matches the end of a sentence with the white space after it, for chunking. A line break alone ends no sentence."""

SENTENCE_OR_LINE_END = re.compile(rf"\n|[{_STOPS}{_MORE_STOPS}]+[{_CLOSING}]*(?=\s)|[{_WIDE_STOPS}]+[{_WIDE_CLOSING}]*")
"""Matches the end of a sentence without the white space after it, or a line break, for highlighting."""

# A citation marker such as [2] after the stop belongs to the sentence, so "]" is not a closing bracket here.
ANSWER_SENTENCE_END = re.compile(rf"\n|[.!?]+[\"'”’)]*{_CITATION_MARKERS}(?=\s|$)|[{_WIDE_STOPS}]{_CITATION_MARKERS}")
"""Matches the end of a sentence with its citation markers, or a line break, in generated answers."""
