"""Write text without markup as it is, with one span marked."""

from __future__ import annotations

import re

from echo_index.app.web.html import escape_html
from echo_index.app.web.rendering.writer import Span

# A line end between words only wraps the text; before a list, heading, table or indented line it has a meaning.
_SOFT_LINE_END = re.compile(r"(?<=\S)\n(?=[^\s#>*+|=`~\d-])")
_CODE_FENCE = re.compile(r"(^(?:```|~~~)(?:.|\n)*?(?:^(?:```|~~~)|\Z))", re.MULTILINE)


def mark_html(text: str, mark: Span | None, *, start: int = 0, end: int | None = None) -> str:
    """Return text[start:end] as HTML, with one span of `text` marked."""
    end = len(text) if end is None else end
    if mark is None:
        return escape_html(text[start:end])
    first, last = max(start, mark[0]), min(end, mark[1])
    return f"{escape_html(text[start:first])}<mark>{escape_html(text[first:last])}</mark>{escape_html(text[last:end])}"


def unwrap(text: str) -> str:
    """Replace line ends that only wrap prose by spaces, which keeps all offsets."""
    prose_and_fences = _CODE_FENCE.split(text)
    prose_and_fences[::2] = [_SOFT_LINE_END.sub(" ", prose) for prose in prose_and_fences[::2]]
    return "".join(prose_and_fences)
