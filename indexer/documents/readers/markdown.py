"""Markdown: the source is the text, and its headings are those CommonMark sees. Renders nothing."""

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
_FRONT_TITLE = re.compile(r"^title[ \t]*:[ \t]*(?P<value>.*(?:\n[ \t]+\S.*)*)", re.MULTILINE)
_BLOCK_MARK = re.compile(r"^[|>][+-]?\d?\s")


def read_markdown(content: bytes) -> Document:
    """Markdown with its top-level headings; a heading inside a quotation or a list is part of that passage.

    The title is that of the YAML front matter, else the first heading of level 1, else the first heading. Raises
    DocumentError when the content cannot be decoded.
    """
    text = decode(content)
    front_matter = _FRONT_MATTER.match(text)
    body_start = front_matter.end() if front_matter else 0
    headings = tuple(_headings(text, body_start))
    title = _front_title(front_matter["yaml"]) if front_matter else ""
    return Document(
        text=text, title=title or first_title(headings), format="markdown", headings=headings, has_lines=True
    )


def _headings(text: str, body_start: int) -> Iterator[Heading]:
    from markdown_it import MarkdownIt

    # Inline markup is parsed for the headings alone: all the rest is needed only as blocks.
    parser = MarkdownIt("commonmark").enable("table").disable(["inline"])
    environment: dict[str, object] = {}
    body = text[body_start:]
    tokens = parser.parse(body, environment)
    inline_parser = MarkdownIt("commonmark")
    starts = line_starts(body)
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open" and opening.level == 0 and opening.map:
            title = _plain(inline_parser.parseInline(inline.content, environment))
            if title:
                yield Heading(level=int(opening.tag[1:]), title=title, offset=body_start + starts[opening.map[0]])


def _plain(tokens: list[Token]) -> str:
    """The text of inline tokens without their markup, on one line."""
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


def _front_title(yaml: str) -> str:
    """The value of `title:`: a plain, quoted or block scalar. No YAML parser is needed for one line of text."""
    found = _FRONT_TITLE.search(yaml)
    value = found["value"].strip() if found else ""
    quoted = re.match(r"\"((?:[^\"\\]|\\.)*)\"|'((?:[^']|'')*)'", value)
    if quoted and quoted[1] is not None:
        value = re.sub(r"\\(.)", r"\1", quoted[1])
    elif quoted:
        value = quoted[2].replace("''", "'")
    else:
        value = re.sub(r"(?:^|\s)#.*", "", _BLOCK_MARK.sub("", value))
    return " ".join(value.split())
