"""Find the tables of Markdown: their header row, their caption, and where their other rows stand."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from echo_index.indexer.documents.document import Table

if TYPE_CHECKING:
    from markdown_it.token import Token

_MAX_CAPTION_LENGTH = 300
_HEADER_LINES = 2  # the header row and the rule under it
_NAME = r"(?:Table|Tab\.|Tabelle|Tableau|Tabla|Tabela|Tabella|Tabel|Tabell|Таблица)"
_CAPTION_BEFORE = re.compile(rf"[*_]*{_NAME}\s?[\w.]{{0,10}}\s?[:.–—-]|:\s", re.IGNORECASE)
_CAPTION_AFTER = re.compile(r"(?:Table)?:\s")  # as Pandoc has it


def find_tables(tokens: Sequence[Token], text: str, line_starts: Sequence[int]) -> Iterator[Table]:
    """Yield the tables that have a header or a caption. `line_starts` are the offsets of the lines of the tokens."""
    for number, token in enumerate(tokens):
        if token.type != "table_open" or not token.map:
            continue
        first, end = token.map
        header = _line(text, line_starts, first)
        caption = _caption(tokens, number)
        header = "\n".join(part for part in (caption, header if header.strip("| ") else "") if part)
        start = line_starts[min(first + _HEADER_LINES, len(line_starts) - 1)]
        stop = line_starts[end] if end < len(line_starts) else len(text)
        stop = start + len(text[start:stop].rstrip())
        if header and stop > start:
            yield Table(start=start, end=stop, header=header)


def _line(text: str, line_starts: Sequence[int], number: int) -> str:
    end = line_starts[number + 1] if number + 1 < len(line_starts) else len(text)
    return text[line_starts[number] : end].strip().lstrip("> ")


def _caption(tokens: Sequence[Token], opening: int) -> str:
    """Return the paragraph before or after a table if it is its caption."""
    if opening >= 3 and _is_caption(tokens[opening - 2], tokens[opening - 1], _CAPTION_BEFORE):
        before = tokens[opening - 2].content
        is_of_table_before = opening >= 4 and tokens[opening - 4].type == "table_close"
        if not (is_of_table_before and _CAPTION_AFTER.match(before)):
            return " ".join(before.split())
    closing = opening + 1
    while closing < len(tokens) and tokens[closing].type != "table_close":
        closing += 1
    if closing + 3 < len(tokens) and _is_caption(tokens[closing + 2], tokens[closing + 3], _CAPTION_AFTER):
        return " ".join(tokens[closing + 2].content.split())
    return ""


def _is_caption(inline: Token, closing: Token, pattern: re.Pattern[str]) -> bool:
    return (
        inline.type == "inline"
        and closing.type == "paragraph_close"
        and len(inline.content) <= _MAX_CAPTION_LENGTH
        and bool(pattern.match(inline.content))
    )
