"""Write Markdown as HTML: headings, lists, tables, code, and links that a browser may follow."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from echo_index.app.web.html import escape_html
from echo_index.app.web.rendering.code import language_of_fence, write_code
from echo_index.app.web.rendering.markdown_parser import block_tokens, inline_tokens, is_link
from echo_index.app.web.rendering.source_text import SourceText, from_lines
from echo_index.app.web.rendering.writer import PassageWriter
from echo_index.indexer.documents.document import line_starts

if TYPE_CHECKING:
    from markdown_it.token import Token

# What takes a time that grows with its square, or becomes much longer, is shown as it is written.
_MAX_INLINE = 6_000  # characters of a paragraph
_MAX_BRACKETS = 64  # of a paragraph
_LEAST_BRACKETS = 300  # of a text in which links are looked for
_CHARACTERS_OF_LINK = 12  # of a text for each bracket, at least
_MAX_CELLS = 25_000  # of the tables, if each row had as many as the widest table: short rows are filled up
_RULE = re.compile(r"^[-|: \t>]+$", re.MULTILINE)  # below the header of a table
# Elements and addresses that do something. A paragraph with one is shown as it is written, so that none of it hides.
_ACTIVE = re.compile(
    r"</?(?:script|iframe|frame|object|embed|applet|style|svg|math|form|base|link|meta)\b"
    r"|<[^<>]{0,200}\bon[a-z]{2,20}\s*=|\]\(\s*<?\s*(?:javascript|vbscript|data|file):|\b(?:javascript|vbscript):",
    re.IGNORECASE,
)
_FRONT_MATTER = re.compile(
    r"---[ \t]*\n(?P<fields>(?:[ \t]*\n|#.*\n)*[\w\"'-]+[ \t]*:(?:.*\n)*?(?:.*\Z)?)(?:(?:---|\.\.\.)[ \t]*(?:\n|\Z)|\Z)"
)
_ELEMENTS = {"em": "em", "strong": "strong", "s": "s"}


def write_markdown(
    writer: PassageWriter,
    text: str,
    *,
    start: int = 0,
    before: str = "",
    after: str = "",
    heading_level: int | None = None,
    links: bool = True,
) -> None:
    """Write Markdown that stands at character `start` of the source.

    `before` and `after` are Markdown around it that stands nowhere, such as the header of the table that the text
    begins in, and definitions of links. A heading of level 1 is announced as one of `heading_level`; without one,
    headings only look like headings. Without `links`, links and images are shown as they are written.
    """
    text = text.replace("\r", " ").replace("\0", "\ufffd")
    if start == 0 and not before and (front := _FRONT_MATTER.match(text)):
        fields = front["fields"].rstrip("\n")
        _write_pre(writer, SourceText(fields, ((0, front.start("fields")),)), "yaml")
        start, text = front.end(), text[front.end() :]
    if _most_cells(text) > _MAX_CELLS:
        writer.open("p", 'class="lines"')
        writer.write(text, start)
        writer.close()
        return
    links = links and text.count("[") <= max(_LEAST_BRACKETS, len(text) // _CHARACTERS_OF_LINK)
    _Blocks(writer, before + text + after, start - len(before), heading_level, links=links).write()


def _most_cells(text: str) -> int:
    columns = max((rule[0].count("|") for rule in _RULE.finditer(text)), default=0)
    return columns * sum("|" in line for line in text.split("\n")) if columns else 0


def _write_pre(writer: PassageWriter, code: SourceText, language: str) -> None:
    writer.open("pre", 'class="code" dir="ltr" tabindex="0"')
    write_code(writer, code, language)
    writer.close()


class _Blocks:
    """Writes the blocks of a Markdown source whose first character stands at `shift`."""

    def __init__(
        self, writer: PassageWriter, source: str, shift: int, heading_level: int | None, *, links: bool
    ) -> None:
        self._writer = writer
        self._source = source
        self._shift = shift
        self._heading_level = heading_level
        self._line_starts = line_starts(source)
        self._links = links
        self._tokens, self._environment = block_tokens(source, links=links)
        self._handlers: dict[str, Callable[[Token], None]] = {
            "heading_open": self._open_heading,
            "paragraph_open": self._open_paragraph,
            "paragraph_close": self._close_paragraph,
            "bullet_list_open": lambda token: self._writer.open("ul", 'dir="auto"'),
            "ordered_list_open": lambda token: self._writer.open("ol", 'dir="auto"'),
            "list_item_open": self._open_item,
            "blockquote_open": lambda token: self._writer.open("blockquote", 'dir="auto"'),
            "hr": self._write_rule,
            "fence": self._write_fence,
            "code_block": self._write_indented_code,
            "inline": self._write_inline,
        }

    def write(self) -> None:
        tokens = self._tokens
        number = 0
        while number < len(tokens):
            token = tokens[number]
            if token.type == "table_open":
                number = self._write_table(tokens, number)
            elif token.type in self._handlers:
                self._handlers[token.type](token)
            elif token.nesting < 0:
                self._writer.close()
            number += 1

    def _open_heading(self, token: Token) -> None:
        level = int(token.tag[1:])
        role = ""
        if self._heading_level is not None:
            role = f' role="heading" aria-level="{min(6, self._heading_level + level - 1)}"'
        self._writer.open("p", f'class="heading level-{level}"{role}')

    def _open_paragraph(self, token: Token) -> None:
        if not token.hidden:
            self._writer.open("p")

    def _close_paragraph(self, token: Token) -> None:
        if not token.hidden:
            self._writer.close()

    def _open_item(self, token: Token) -> None:
        self._writer.open("li", f'value="{int(token.info)}"' if token.info.isdigit() else "")

    def _write_rule(self, token: Token) -> None:
        self._writer.write_void("hr", *self._span(token))

    def _write_fence(self, token: Token) -> None:
        first, _ = token.map or (0, 0)
        self._write_code(token, first + 1, language_of_fence(token.info))

    def _write_indented_code(self, token: Token) -> None:
        first, _ = token.map or (0, 0)
        self._write_code(token, first, "")

    def _write_code(self, token: Token, first_line: int, language: str) -> None:
        if self._writer.shows(*self._span(token)):
            code = self._shifted(from_lines(token.content.rstrip("\n"), self._source, self._line_starts, first_line))
            _write_pre(self._writer, code, language)

    def _write_inline(self, token: Token) -> None:
        if token.content and self._writer.shows(*self._span(token)):
            first, _ = token.map or (0, 0)
            lines = from_lines(token.content, self._source, self._line_starts, first)
            _InlineWriter(self._writer, self._shifted(lines)).write(self._environment, links=self._links)

    # Tables. The rows are shown whole, below the header.

    def _write_table(self, tokens: Sequence[Token], number: int) -> int:
        """Write the table that begins with a token, and return the number of its last token."""
        head = self._writer.part()
        self._writer.open("div", 'class="table" tabindex="0" role="group" aria-label="Table"')
        while tokens[number].type != "thead_close":
            number += 1
            if tokens[number].type == "tr_open":
                head_row = tokens[number]
                number = self._write_row(head, tokens, number)
        self._writer.open("table", 'dir="auto"', lead=f"<thead>{head.html()}</thead>")
        self._writer.open("tbody")
        if self._writer.shows(*self._span(head_row)):
            self._writer.begin()
            self._writer.marks += head.marks
        while tokens[number].type != "table_close":
            number += 1
            if tokens[number].type == "tr_open" and self._writer.shows(*self._span(tokens[number])):
                part = self._writer.part()
                number = self._write_row(part, tokens, number)
                self._writer.write_part(part)
        for _ in ("tbody", "table", "div"):
            self._writer.close()
        return number

    def _write_row(self, writer: PassageWriter, tokens: Sequence[Token], number: int) -> int:
        """Write a row, and return the number of its last token."""
        line, _ = tokens[number].map or (0, 0)
        cursor = self._line_starts[line]
        writer.open("tr")
        while tokens[number].type != "tr_close":
            number += 1
            token = tokens[number]
            if token.nesting > 0:
                align = str(token.attrs.get("style", "")).rpartition(":")[2]
                scope = ' scope="col"' if token.tag == "th" else ""
                writer.open(token.tag, f'class="{align or "left"}"{scope}')
                writer.begin()
            elif token.type == "inline":
                cell, cursor = self._cell(token.content, cursor)
                _InlineWriter(writer, self._shifted(cell)).write(self._environment, links=self._links)
            else:
                writer.close()
        return number

    def _cell(self, content: str, cursor: int) -> tuple[SourceText, int]:
        """Return where the content of a cell stands in the source from `cursor` on, and where the next one may begin.

        A bar in a cell is escaped in the source.
        """
        escaped = content.replace("|", "\\|")
        found = max(cursor, self._source.find(escaped, cursor))
        bars = [bar.start() for bar in re.finditer(r"\|", content)]
        parts = [(0, found), *((bar, found + bar + number) for number, bar in enumerate(bars, start=1))]
        return SourceText(content, tuple(parts)), found + len(escaped)

    def _shifted(self, text: SourceText) -> SourceText:
        return SourceText(text.text, tuple((begin, source + self._shift) for begin, source in text.parts))

    def _span(self, token: Token) -> tuple[int, int]:
        first, end = token.map or (0, 0)
        stop = self._line_starts[end] if end < len(self._line_starts) else len(self._source)
        return self._shift + self._line_starts[first], self._shift + stop


class _InlineWriter:
    """Writes the content of one paragraph, heading or cell."""

    def __init__(self, writer: PassageWriter, content: SourceText) -> None:
        self._writer = writer
        self._content = content
        self._links: list[bool] = []  # whether each open link is written as one

    def write(self, environment: dict[str, object], *, links: bool) -> None:
        text = self._content.text
        is_short = len(text) <= _MAX_INLINE and text.count("[") <= _MAX_BRACKETS
        tokens = inline_tokens(text, environment, links=links) if is_short else []
        if not tokens or _ACTIVE.search(_text_of(tokens)):
            self._write_text(text, 0, len(text))
            return
        for token in tokens:
            self._write_token(token)

    def _write_token(self, token: Token) -> None:
        start, end = token.meta.get("span", (0, 0))
        if token.type in ("text", "text_special"):
            self._write_text(token.content, start, end)
        elif token.type == "code_inline":
            self._writer.open("code", 'dir="auto"')
            self._write_text(token.content, start, end)
            self._writer.close()
        elif token.type == "softbreak":
            self._write_text(" ", start, end)
        elif token.type == "hardbreak":
            self._writer.write_void("br", self._content.offset(start), self._content.offset(start) + 1)
        elif token.type == "image":
            self._writer.open("span", 'class="image"')
            self._write_text(_text_of(token.children or ()), start, end)
            self._writer.close()
        elif token.tag in _ELEMENTS:
            self._writer.open(token.tag) if token.nesting > 0 else self._writer.close()
        elif token.type == "link_open":
            self._open_link(str(token.attrs["href"]))
        elif token.type == "link_close" and self._links.pop():
            self._writer.close()

    def _open_link(self, address: str) -> None:
        self._links.append(is_link(address))
        if self._links[-1]:
            self._writer.open(
                "a", f'href="{escape_html(address)}" target="_blank" rel="noopener noreferrer nofollow" dir="auto"'
            )

    def _write_text(self, text: str, start: int, end: int) -> None:
        """Write a text that stands at some characters of the content, which it may not be as long as."""
        if end - start == len(text):
            for piece, offset in self._content.pieces(start, end):
                self._writer.write(text[: len(piece)], offset)
                text = text[len(piece) :]
        else:
            self._writer.write(text, self._content.offset(start), self._content.offset(max(start, end - 1)) + 1)


def _text_of(tokens: Sequence[Token]) -> str:
    """Return the text of tokens outside code, and in the descriptions of images."""
    pieces = []
    for token in tokens:
        if token.children:  # of an image, which may be within another, but not deeper than there are brackets
            pieces.append(_text_of(token.children))
        elif token.type in ("text", "text_special"):
            pieces.append(token.content)
        elif token.type in ("softbreak", "hardbreak"):
            pieces.append(" ")
    return "".join(pieces)
