"""Find the headers of tables in TOML."""

from __future__ import annotations

import re
from collections.abc import Iterator

from echo_index.indexer.documents.document import Heading

_MAX_LEVEL = 3
_MAX_HEADINGS = 5_000
_KEY = r"(?:[\w-]+|\"[^\"\n]*\"|'[^'\n]*')"
_TOKEN = re.compile(
    rf"^[ \t]*(?P<header>\[\[?)[ \t]*(?P<path>{_KEY}(?:[ \t]*\.[ \t]*{_KEY})*)[ \t]*\]\]?[ \t]*(?:#[^\n]*)?$"
    r"|\"\"\"(?:\\.|(?!\"\"\").)*(?:\"\"\")?|'''(?:(?!''').)*(?:''')?|\"(?:\\.|[^\"\\\n])*\"?|'[^'\n]*'?|\#[^\n]*"
    r"|(?P<open>[\[{])|(?P<close>[\]}])",
    re.MULTILINE | re.DOTALL,
)
_PART = re.compile(_KEY)
_NAME = re.compile(r"^[ \t]*(?:name|title|id)[ \t]*=[ \t]*(?:\"([^\"\n\\]+)\"|'([^'\n]+)'|(\d+))", re.MULTILINE)


def toml_headings(text: str) -> tuple[Heading, ...]:
    """Return the headers of tables as headings: [servers.db1] is "db1" below "servers", three levels at most.

    A table of an array is named by its key "name", "title" or "id", else by its number.
    """
    headers = [*_headers(text)]
    ends = [header.start() for header in headers[1:]] + [len(text)]
    headings: list[Heading] = []
    open_path: list[str] = []
    numbers: dict[str, int] = {}
    for header, end in zip(headers[:_MAX_HEADINGS], ends, strict=False):
        path = [part.strip("\"'") for part in _PART.findall(header["path"])]
        if header["header"] == "[[":
            number = numbers[header["path"]] = numbers.get(header["path"], 0) + 1
            name = _NAME.search(text, header.end(), end)
            item = next(filter(None, name.groups())) if name else f"{path[-1]} {number}"
            path = [*path[: _MAX_LEVEL - 1 if len(path) == _MAX_LEVEL else None], item]
        path = [*path[: _MAX_LEVEL - 1], ".".join(path[_MAX_LEVEL - 1 :])] if len(path) > _MAX_LEVEL else path
        known = next((n for n, (a, b) in enumerate(zip(path, open_path, strict=False)) if a != b), len(open_path))
        for level in range(min(known, len(path) - 1), len(path)):
            if path[level].strip():
                headings.append(Heading(level + 1, path[level][:100], header.start()))
        open_path = path
    return tuple(headings)


def _headers(text: str) -> Iterator[re.Match[str]]:
    """Yield the headers, and not the arrays that look like one inside of values."""
    depth = 0
    position = 0
    while token := _TOKEN.search(text, position):
        position = token.end()
        if token["header"] and depth == 0:
            yield token
        elif token["header"] or token["open"]:
            depth += 1
            position = token.start("header") + 1 if token["header"] else position
        elif token["close"]:
            depth = max(0, depth - 1)
