"""Scan JSON, with comments and trailing commas as in settings files, and write it with line ends."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from echo_index.indexer.documents.readers.structured.events import Event

_TOKEN = re.compile(
    r"(?P<string>\"(?:[^\"\\\n]|\\.)*\"?)|(?P<open>[{\[])|(?P<close>[}\]])|(?P<mark>[:,])"
    r"|(?P<comment>//[^\n]*|/\*(?:.*?\*/|.*))|(?P<word>[^\s{}\[\]:,\"/]+|/)",
    re.DOTALL,
)
_INDENT = "  "
_MAX_INDENTED = 8  # levels


def json_events(text: str) -> Iterator[Event]:
    """Yield the events of JSON. What is broken ends them or is left out."""
    for token in _TOKEN.finditer(text):
        kind = token.lastgroup
        if kind == "open":
            yield Event("mapping" if token[0] == "{" else "sequence", token.start())
        elif kind == "close":
            yield Event("end", token.end())
        elif kind == "string":
            yield Event("scalar", token.start(), _string(token[0]))
        elif kind == "word":
            yield Event("scalar", token.start(), token[0])


def indented_json(text: str) -> str:
    """Return JSON with each member of an object and each item of an array on a line of its own."""
    pieces: list[str] = []
    depth = 0
    for token in _TOKEN.finditer(text):
        written = token[0]
        if token.lastgroup == "open":
            depth += 1
            pieces.append(written + _line_start(depth))
        elif token.lastgroup == "close":
            depth = max(0, depth - 1)
            pieces.append(_line_start(depth) + written)
        elif token.lastgroup == "mark":
            pieces.append(": " if written == ":" else f",{_line_start(depth)}")
        else:
            pieces.append(written)
    return "".join(pieces)


def _line_start(depth: int) -> str:
    return "\n" + _INDENT * min(depth, _MAX_INDENTED)


def _string(source: str) -> str:
    if "\\" not in source:
        return source.strip('"')
    try:
        return str(json.loads(source))
    except ValueError:
        return source.strip('"')
