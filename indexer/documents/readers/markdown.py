"""Read Markdown: the text is the source, its headings are those of CommonMark."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from echo_index.indexer.documents.decoding import decode
from echo_index.indexer.documents.document import Document, Heading, first_title, line_starts

if TYPE_CHECKING:
    from markdown_it.token import Token

_FRONT_MATTER = re.compile(
    r"---[ \t]*\n(?P<yaml>(?:\s*\n|#.*\n)*[\w\"'-]+[ \t]*:(?:.*\n)*?)(?:---|\.\.\.)[ \t]*(?:\n|\Z)"
)
_MAX_FRONT_MATTER_LENGTH = 1 << 16  # characters; the YAML parser is slow


def read_markdown(content: bytes) -> Document:
    """Return the source with its headings, except those inside quotations and lists.

    The title is that of the YAML front matter, else the first heading of level 1, else the first heading.

    Raises:
        DocumentError: the content cannot be decoded.
    """
    text = decode(content)
    front_matter = _FRONT_MATTER.match(text)
    body_start = front_matter.end() if front_matter else 0
    headings = tuple(_headings(text, body_start))
    title = _front_matter_title(front_matter["yaml"]) if front_matter else ""
    return Document(
        text=text, title=title or first_title(headings), format="markdown", headings=headings, has_lines=True
    )


def _headings(text: str, body_start: int) -> Iterator[Heading]:
    from markdown_it import MarkdownIt

    # Only the inline markup of headings is parsed: of everything else, the blocks suffice.
    parser = MarkdownIt("commonmark").enable("table").disable(["inline"])
    environment: dict[str, object] = {}
    body = text[body_start:]
    tokens = parser.parse(body, environment)
    inline_parser = MarkdownIt("commonmark")
    starts = line_starts(body)
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open" and opening.level == 0 and opening.map:
            title = _plain_text(inline_parser.parseInline(inline.content, environment))
            if title:
                yield Heading(level=int(opening.tag[1:]), title=title, offset=body_start + starts[opening.map[0]])


def _plain_text(tokens: list[Token]) -> str:
    """Return the text of inline tokens without markup, on one line."""
    pieces = []
    waiting = tokens[::-1]
    while waiting:
        token = waiting.pop()
        if token.children:
            waiting.extend(reversed(token.children))
        elif token.type in {"text", "text_special", "code_inline"}:
            pieces.append(token.content)
        elif token.type in {"softbreak", "hardbreak"}:
            pieces.append(" ")
    return " ".join("".join(pieces).split())


def _front_matter_title(front_matter: str) -> str:
    """Return the value of `title`; empty if there is none or the YAML is malformed."""
    import yaml

    if len(front_matter) > _MAX_FRONT_MATTER_LENGTH:
        return ""
    try:
        # Composing instead of loading leaves a title such as 2024 a string, and does not expand merged aliases.
        root = yaml.compose(front_matter, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError):  # PyYAML raises any of these
        return ""
    entries = root.value if isinstance(root, yaml.MappingNode) else []
    titles = (value.value for key, value in entries if key.value == "title" and isinstance(value, yaml.ScalarNode))
    return " ".join(next(titles, "").split())
