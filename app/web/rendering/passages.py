"""Show the passage of a hit, and the text of a document, as their format is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from echo_index.app.web.html import escape_html
from echo_index.app.web.rendering.code import language_of_file, write_code
from echo_index.app.web.rendering.layout import write_layout
from echo_index.app.web.rendering.markdown import write_markdown
from echo_index.app.web.rendering.markdown_window import markdown_window
from echo_index.app.web.rendering.plain import mark_html, unwrap
from echo_index.app.web.rendering.source_text import SourceText
from echo_index.app.web.rendering.writer import PassageWriter, Span

if TYPE_CHECKING:
    from echo_index.indexer.catalog.records import ChunkRow
    from echo_index.indexer.inspection.document_queries import IndexedDocument
    from echo_index.retriever.search.hits import Hit

LAYOUT_FORMATS = frozenset(("html", "docx", "rtf", "pptx", "epub", "odt", "odp", "spreadsheet", "csv"))
"""Formats whose readers write rows of tables and items of lists as lines. The text has no marks."""

_EXCERPT_LENGTH = 520  # characters
_MAX_BEFORE_MARK = 160  # characters of the excerpt before the marked sentence
_MAX_RENDERED = 40_000  # characters of a document on each side of a passage that are rendered; others are shown plain
_HEADING_LEVEL = 3  # of the first headings in the viewer, below the title of the document


def passage_html(hit: Hit, *, text_before: str = "") -> str:
    """Return the part of a passage around its answering sentence, which is marked.

    `text_before` is text of the document that ends where the passage begins: what lists, tables and fenced code the
    passage begins in.
    """
    start, end = _excerpt(hit.text, hit.sentence)
    span = (hit.start + start, hit.start + end)
    mark = (hit.start + hit.sentence[0], hit.start + hit.sentence[1]) if hit.sentence else None
    writer = PassageWriter(span=span, mark=mark, before=start > 0, after=end < len(hit.text))
    if hit.format == "code":
        code = SourceText(hit.text, ((0, hit.start),))
        write_code(writer, code, language_of_file(hit.source))
        return f'<pre class="passage code" dir="ltr" tabindex="0">{writer.html()}</pre>'
    if hit.format == "markdown":
        text, here = text_before + hit.text, len(text_before)
        _write_markdown(writer, text, hit.start - here, (here, here + end), table_header=hit.table_header)
    elif hit.format in LAYOUT_FORMATS:
        headings = heading_offsets(hit)
        write_layout(writer, hit.text, start=hit.start, table_header=hit.table_header, headings=headings)
    else:
        return f'<p class="passage" dir="auto">{_plain_excerpt(hit, start, end)}</p>'
    return f'<div class="passage rendered" dir="auto">{writer.html()}</div>'


def document_text_html(document: IndexedDocument, mark: Span, *, first: int, last: int) -> str:
    """Return the characters from `first` to before `last` of a document; the first mark has the class `here`."""
    text, format = document.text, document.format
    begin, end = max(first, mark[0] - _MAX_RENDERED), min(last, mark[1] + _MAX_RENDERED)
    if format == "code":
        writer = PassageWriter(span=(first, last), mark=mark, first_mark="here")
        start = text.rfind("\n", 0, begin) + 1
        writer.write(text[first:start], first)
        write_code(writer, SourceText(text[start:end], ((0, start),)), language_of_file(document.path))
        writer.write(text[end:last], end)
        return f'<div class="document code" dir="auto" tabindex="0" role="document">{writer.html()}</div>'
    if format != "markdown" and format not in LAYOUT_FORMATS:
        html = mark_html(unwrap(text), mark, start=first, end=last).replace("<mark>", '<mark class="here">', 1)
        return f'<div class="document prose-text" dir="auto" tabindex="0" role="document">{html}</div>'
    writer = PassageWriter(span=(begin, end), mark=mark, first_mark="here")
    if format == "markdown":
        _write_markdown(writer, text, 0, (begin, end), heading_level=_HEADING_LEVEL)
    else:
        headings = frozenset(offset for passage in document.passages for offset in heading_offsets(passage))
        start = text.rfind("\n", 0, begin) + 1
        write_layout(writer, text[start:end], start=start, headings=headings, heading_level=_HEADING_LEVEL)
    parts = (_plain_part(text[first:begin]), writer.html(), _plain_part(text[end:last]))
    return f'<div class="document rendered" dir="auto" tabindex="0" role="document">{"".join(parts)}</div>'


def heading_offsets(passage: Hit | ChunkRow) -> frozenset[int]:
    """Return the offsets in the document of the lines of a passage that are headings.

    Where a passage begins and at its anchors, the line may also be text below the heading that holds there.
    """
    places = ((passage.start, passage.headings), *((anchor.offset, anchor.headings) for anchor in passage.anchors))
    return frozenset(
        offset
        for offset, headings in places
        if headings and passage.text[offset - passage.start :].partition("\n")[0].strip() == headings[-1]
    )


def _write_markdown(
    writer: PassageWriter,
    text: str,
    shift: int,
    span: Span,
    *,
    table_header: str = "",
    heading_level: int | None = None,
) -> None:
    """Write Markdown whose first character is number `shift` of the document; `span` counts from there."""
    window = markdown_window(text, span, is_whole=shift == 0, table_header=table_header)
    if writer.shows(shift + window.start, shift + window.start + 1):
        writer.write_lines(window.caption)
    write_markdown(
        writer,
        text[window.start : window.end],
        start=shift + window.start,
        before=window.before,
        after=window.after,
        heading_level=heading_level,
    )


def _plain_part(text: str) -> str:
    return f'<p class="lines">{escape_html(text)}</p>' if text.strip() else ""


def _plain_excerpt(hit: Hit, start: int, end: int) -> str:
    header = f"{escape_html(hit.table_header)}\n" if hit.table_header else ""
    before, after = "… " if start else "", " …" if end < len(hit.text) else ""
    return f"{header}{before}{mark_html(unwrap(hit.text), hit.sentence, start=start, end=end)}{after}"


def _excerpt(text: str, mark: Span | None) -> Span:
    """Return the span of a passage that a card shows: whole words around the marked sentence."""
    if len(text) <= _EXCERPT_LENGTH:
        return 0, len(text)
    start = max(0, min((mark[0] if mark else 0) - _MAX_BEFORE_MARK, len(text) - _EXCERPT_LENGTH))
    end = max(start + _EXCERPT_LENGTH, mark[1] if mark else 0)
    if start and (space := text.find(" ", start, mark[0] if mark else end)) >= 0:
        start = space + 1
    if end < len(text) and (space := text.rfind(" ", mark[1] if mark else start, end)) >= 0:
        end = space
    return start, end
