"""Read Markdown: the text is the source as far as a person sees it, its headings are those of CommonMark and HTML."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from echo_index.indexer.documents.decoding import decode
from echo_index.indexer.documents.document import Document, Heading, Table, first_title, line_starts
from echo_index.indexer.documents.readers.html.reader import fragment_text
from echo_index.indexer.documents.readers.invisible import without_invisible
from echo_index.indexer.documents.readers.markdown.front_matter import find_front_matter
from echo_index.indexer.documents.readers.markdown.seen import Block, seen_markdown
from echo_index.indexer.documents.readers.markdown.tables import find_tables

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token
    from markdown_it.utils import EnvType

_BLOCK_KINDS = {"inline": "text", "html_block": "html", "fence": "fence", "code_block": "indented"}
_HTML_HEADING = re.compile(r"<(?P<closing>/?)h(?P<level>[1-6])\b[^<>]*>", re.IGNORECASE)
_MAX_HTML_HEADING_LENGTH = 4000  # characters of source
_COMMENT = re.compile(r"<!--.*?-->|\{/\*.*?\*/\}|(?<![%\w])%%.*?%%|\[\^[^\]\s]{1,40}\]")
# Of Pandoc and kramdown: {#name .class key=value}, {: #name}, {-}
_ATTRIBUTES = re.compile(r"\s*\{:?\s*(?:(?:[#.][^\s{}]+|-|[\w-]+=(?:\"[^\"{}]*\"|[^\s{}\"]+))(?:\s+|(?=\})))+\}\s*$")
_CLOSING_HASHES = re.compile(r"(?:^|(?<=\s))#+\s*$")
_MAX_HEADING_LENGTH = 2000  # characters of source that are searched for attributes


def read_markdown(content: bytes) -> Document:
    """Return the source with its headings, except those inside quotations and lists, and its tables.

    What nobody sees when it is rendered is not in the text: comments, scripts, styles, and addresses that hold the data
    of a picture. Entities are the characters they stand for. Lines keep their numbers. Fenced code stays as it is.

    The title is that of the front matter, else the first heading of level 1, else the first heading.

    Raises:
        DocumentError: the content cannot be decoded.
    """
    return _read(content, is_mdx=False)


def read_mdx(content: bytes) -> Document:
    """Return MDX like Markdown, without imports, exports and the comments of JSX.

    Raises:
        DocumentError: the content cannot be decoded.
    """
    return _read(content, is_mdx=True)


def _read(content: bytes, *, is_mdx: bool) -> Document:
    from markdown_it import MarkdownIt

    source = decode(content)
    front_matter = find_front_matter(source)
    before, body = without_invisible(source[: front_matter.end]), source[front_matter.end :]
    # Only the inline markup of headings is parsed: of everything else, the blocks suffice.
    environment: EnvType = {}
    tokens = MarkdownIt("commonmark").enable("table").disable(["inline"]).parse(body, environment)
    blocks = [
        Block(token.map[0], token.map[1], _BLOCK_KINDS[token.type])
        for token in tokens
        if token.type in _BLOCK_KINDS and token.map
    ]
    seen = seen_markdown(body, blocks, line_starts(body), is_mdx=is_mdx)
    starts = line_starts(seen)
    inline_parser = MarkdownIt("commonmark")
    found = [
        *_headings(tokens, inline_parser, environment, starts),
        *_html_headings(seen, tokens, inline_parser, environment, starts),
    ]
    found.sort(key=lambda heading: heading.offset)
    shift = len(before)
    headings = tuple(Heading(heading.level, heading.title, shift + heading.offset) for heading in found)
    tables = tuple(
        Table(shift + table.start, shift + table.end, table.header) for table in find_tables(tokens, seen, starts)
    )
    return Document(
        text=before + seen,
        title=without_invisible(front_matter.title) or first_title(headings),
        format="markdown",
        headings=headings,
        has_lines=True,
        tables=tables,
        fields=front_matter.fields,
    )


def _headings(
    tokens: Sequence[Token], inline_parser: MarkdownIt, environment: EnvType, starts: Sequence[int]
) -> Iterator[Heading]:
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open" and opening.level == 0 and opening.map:
            source = _heading_source(inline.content)
            title = _plain_text(inline_parser.parseInline(source, environment))
            if title:
                yield Heading(level=int(opening.tag[1:]), title=title, offset=starts[opening.map[0]])


def _heading_source(source: str) -> str:
    """Return the source of a heading without comments, marks of footnotes, attributes and closing hashes."""
    if len(source) > _MAX_HEADING_LENGTH:
        return source
    source = _COMMENT.sub("", source).rstrip()
    shortened = _ATTRIBUTES.sub("", source)
    return _CLOSING_HASHES.sub("", shortened) if shortened != source else source


def _html_headings(
    seen: str, tokens: Sequence[Token], inline_parser: MarkdownIt, environment: EnvType, starts: Sequence[int]
) -> Iterator[Heading]:
    """Yield the headings that HTML blocks begin: `<h1 align="center">Kelpie</h1>`. They may end in a later block."""
    html_lines = bytearray(len(starts) + 1)
    for token in tokens:
        if token.type == "html_block" and token.level == 0 and token.map:
            first, end = token.map
            html_lines[first:end] = b"\1" * (end - first)
    opening: re.Match[str] | None = None
    for tag in _HTML_HEADING.finditer(seen):
        line = bisect_right(starts, tag.start()) - 1
        if not tag["closing"]:
            opening = tag if html_lines[line] else None
            continue
        if opening is not None and tag.end() - opening.end() <= _MAX_HTML_HEADING_LENGTH:
            title = _html_title(seen[opening.end() : tag.start()], inline_parser, environment)
            if title:
                offset = starts[bisect_right(starts, opening.start()) - 1]
                yield Heading(level=int(opening["level"]), title=title, offset=offset)
        opening = None


def _html_title(source: str, inline_parser: MarkdownIt, environment: EnvType) -> str:
    """Return the text of a heading of HTML. After a blank line it is Markdown again."""
    if "\n\n" in source:
        source = inline_parser.renderer.render(
            inline_parser.parseInline(" ".join(source.split()), environment), inline_parser.options, environment
        )
    return fragment_text(source)


def _plain_text(tokens: Sequence[Token]) -> str:
    """Return the text of inline tokens without markup, on one line."""
    pieces = []
    waiting = [*tokens][::-1]
    while waiting:
        token = waiting.pop()
        if token.children:
            waiting.extend(reversed(token.children))
        elif token.type in {"text", "text_special", "code_inline"}:
            pieces.append(token.content)
        elif token.type in {"softbreak", "hardbreak"}:
            pieces.append(" ")
    return " ".join(without_invisible("".join(pieces)).split())
