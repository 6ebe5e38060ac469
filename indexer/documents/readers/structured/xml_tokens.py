"""Scan XML for tags and text, broken or not. Entities are not expanded, and nothing is fetched."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

_TOKEN = re.compile(
    r"<!--(?:.*?-->|.*)"
    r"|<!\[CDATA\[(?P<data>.*?)(?:\]\]>|\Z)"
    r"|<\?(?:.*?\?>|.*)"
    r"|<![A-Za-z][^>\[]*(?:\[(?:.*?\]\s*>|.*)|>|\Z)"
    r"|</\s*(?P<end>[^\s<>/]+)[^<>]*>?"
    # The number of attributes is limited because each takes memory while the expression is matched.
    r"|<(?P<start>[^\W\d][^\s<>/=\"']*)"
    r"(?P<attributes>[^<>\"']*(?:(?:\"[^\"<]*\"|'[^'<]*')[^<>\"']*){0,1000})>",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(r"([^\s=\"']+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_NOT_OF_THE_AUTHOR = ("xmlns", "xsi:", "xml:space", "xml:lang", "xml:base")
_MAX_VALUE = 1_000  # characters
_MARKUP = re.compile(r"<!--.*?-->|<!\[CDATA\[|\]\]>|<[^>]*>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Token:
    """A start or an end tag, or text; an empty element is a start tag and an end tag.

    `start` and `end` are its offsets. `name` has no prefix; `source` are the attributes as they are written.
    """

    kind: Literal["start", "end", "text"]
    start: int
    end: int
    name: str = ""
    source: str = field(default="", repr=False)

    def attributes(self) -> dict[str, str]:
        """Return the attributes of a start tag: names in lower case and without prefixes, values on one line."""
        found = [(name, _on_one_line(double or single)) for name, double, single in _ATTRIBUTE.findall(self.source)]
        return {_local(name).lower(): value for name, value in found if not name.startswith(_NOT_OF_THE_AUTHOR)}


def xml_tokens(text: str) -> Iterator[Token]:
    """Yield tags, and text that is not only white space. Comments and declarations are left out."""
    position = 0
    for match in _TOKEN.finditer(text):
        if _has_words(text, position, match.start()):
            yield Token("text", position, match.start())
        position = match.end()
        if match["start"]:
            name = _local(match["start"])
            yield Token("start", match.start(), position, name, match["attributes"])
            if match["attributes"].endswith("/"):
                yield Token("end", position, position, name)
        elif match["end"]:
            yield Token("end", match.start(), position, _local(match["end"]))
        elif match["data"] and not match["data"].isspace():
            yield Token("text", match.start(), position)
    if _has_words(text, position, len(text)):
        yield Token("text", position, len(text))


def plain_text(source: str) -> str:
    """Return the text of a piece of XML on one line, without tags."""
    return _on_one_line(_MARKUP.sub("", source))


def _on_one_line(value: str) -> str:
    return " ".join(html.unescape(value[:_MAX_VALUE]).split())  # which cannot take numbers with thousands of digits


def _has_words(text: str, start: int, end: int) -> bool:
    return start < end and not text[start:end].isspace()


def _local(name: str) -> str:
    return name.rpartition(":")[2] or name
