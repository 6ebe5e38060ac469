r"""Regular expressions that find where sentences end, for every place that cuts a text into sentences.

Western stops end a sentence only before white space (not in 3.11 or example.org); "。！？" end one whatever follows.
The expressions differ in what else belongs to a sentence, so they are not interchangeable.
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
"""Matches between sentences and between lines: split a text with it."""

# The lookbehind keeps the search linear in a long run of stops. Frozen: other ends would cut the chunks of every
# index elsewhere, which is why this expression lacks _MORE_STOPS.
CHUNK_SENTENCE_END = re.compile(rf"(?<![{_STOPS}])[{_STOPS}]+[{_CLOSING}]*\s+|[{_WIDE_STOPS}]+[{_WIDE_CLOSING}]*\s*")
"""Matches the end of a sentence with the white space after it. A line break alone ends none."""

SENTENCE_OR_LINE_END = re.compile(rf"\n|[{_STOPS}{_MORE_STOPS}]+[{_CLOSING}]*(?=\s)|[{_WIDE_STOPS}]+[{_WIDE_CLOSING}]*")
"""Matches the end of a sentence without the white space after it, or a line break."""

# Markers such as [2] after the stop belong to the sentence, so "]" must not count as a closing bracket here.
ANSWER_SENTENCE_END = re.compile(rf"\n|[.!?]+[\"'”’)]*{_CITATION_MARKERS}(?=\s|$)|[{_WIDE_STOPS}]{_CITATION_MARKERS}")
"""Matches the end of a sentence of a generated answer with its citation markers, or a line break."""
