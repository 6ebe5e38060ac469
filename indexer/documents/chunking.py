"""Split a document into chunks of limited length at headings, paragraphs and sentences."""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from echo_index.indexer.documents.document import Document, Recognition, Table
from echo_index.indexer.text.sentences import CHUNK_SENTENCE_END

Span = tuple[int, int]

_PARAGRAPH_END = re.compile(r"\n[ \t]*\n\s*")
_LINE_END = re.compile(r"\n")
_SHORT_SECTION = 24  # tokens; a shorter section is merged with its first subsection
_MAX_PART_LENGTH = 250_000  # characters split at a time: the units of a part take a hundred times its memory
_MAX_PREFIX_LENGTH = 160  # characters of title and headings before an embedded chunk
_MAX_PREFIX_WITH_CONTEXT = 200  # characters of the context, title and headings, of which the context is never cut
_SEPARATOR = " > "


@dataclass(frozen=True, slots=True)
class Chunking:
    """The maximum length of a chunk, and about how much of it repeats the end of the chunk before, in tokens."""

    max_tokens: int = 200
    overlap_tokens: int = 30


@dataclass(frozen=True, slots=True)
class Anchor:
    """The page, the place and the headings that hold from an offset in the document on."""

    offset: int
    page: int | None
    place: str
    headings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk of a document: `text` is `document.text[start:end]`; `page` and `line` are those of its start, from 1.

    `headings` are those above its end. `anchors` say where in the chunk page, place or headings are others.
    `table_header` is the header of the table that the chunk begins inside of; it is read, but not part of `text`.
    `recognition` says how well the text was recognized, if it stands in a picture, with offsets in `text`.
    """

    text: str
    headings: tuple[str, ...]
    start: int
    end: int
    page: int | None
    line: int | None
    place: str = ""
    table_header: str = ""
    anchors: tuple[Anchor, ...] = ()
    recognition: Recognition | None = None


def split_into_chunks(document: Document, *, token_starts: Sequence[int], chunking: Chunking) -> Iterator[Chunk]:
    """Yield the chunks of a document in order. Together they contain all of its text except white space.

    `token_starts` are the character offsets, in ascending order, at which the tokens of `document.text` begin.
    """
    tokenized = _TokenizedText(document.text, token_starts)
    for part in _parts(document, tokenized):
        units = list(_units(part, tokenized, document.tables, chunking.max_tokens))
        for first, last in _pack(units, chunking):
            start, end = first.start, last.end
            headings = document.heading_path(end - 1)
            yield Chunk(
                text=document.text[start:end],
                headings=headings,
                start=start,
                end=end,
                page=document.page(start),
                line=document.line(start),
                place=document.place(start),
                table_header=first.header,
                anchors=tuple(_anchors(document, start, end, headings)),
                recognition=document.recognition(start, end),
            )


def title_path(title: str, headings: Sequence[str]) -> tuple[str, ...]:
    """Return title and headings, outermost first, without those that are empty or contained in an earlier one."""
    path: list[str] = []
    for name in (title, *headings):
        if name and not any(name in earlier for earlier in path):
            path.append(name)
    return tuple(path)


def with_table_header(header: str, text: str) -> str:
    """Return the text of a chunk as it is read: below the header of the table that it begins inside of, if any."""
    return f"{header}\n{text}" if header else text


def embedded_title(document: Document) -> str:
    """Return the title to embed with a document's chunks: empty if it is only the file name, which may change."""
    return document.title if document.has_own_title else ""


def embedded_text(title: str, headings: Sequence[str], text: str, *, context: str = "") -> str:
    """Return the text to embed for a chunk: the context, title and headings that its first line lacks, then its text.

    `context` is that of the index. It is always whole; a long path of title and headings loses its beginning.
    """
    first_line = text.partition("\n")[0]
    path = _SEPARATOR.join(name for name in title_path(title, headings) if name not in first_line)
    if context:
        room = _MAX_PREFIX_WITH_CONTEXT - len(context) - len(_SEPARATOR)
        path = _SEPARATOR.join(part for part in (context, path[-room:] if room > 0 else "") if part)
    else:
        path = path[-_MAX_PREFIX_LENGTH:]
    return f"{path}\n{text}" if path else text


def embedded_hash(title: str, headings: Sequence[str], text: str, *, context: str) -> bytes:
    """Return the SHA-256 of the text to embed for a chunk."""
    return hashlib.sha256(embedded_text(title, headings, text, context=context).encode()).digest()


def _anchors(document: Document, start: int, end: int, headings: tuple[str, ...]) -> Iterator[Anchor]:
    """Yield an anchor for each change inside a chunk, and one for its start if others than `headings` hold there."""
    offsets: set[int] = set()
    for changes in (document.heading_offsets, document.pages, document.place_offsets):
        offsets.update(changes[bisect_right(changes, start) : bisect_left(changes, end)])
    if document.heading_path(start) != headings:
        offsets.add(start)
    for offset in sorted(offsets):
        yield Anchor(offset, document.page(offset), document.place(offset), document.heading_path(offset))


class _TokenizedText:
    """A text and its token offsets: counts tokens in spans of characters, and splits and trims such spans."""

    def __init__(self, text: str, token_starts: Sequence[int]) -> None:
        self.text = text
        self.token_starts = token_starts

    def count_tokens(self, start: int, end: int) -> int:
        first, after = self.token_span(start, end)
        return after - first

    def token_span(self, start: int, end: int) -> Span:
        return bisect_left(self.token_starts, start), bisect_left(self.token_starts, end)

    def trim(self, start: int, end: int) -> Span | None:
        while start < end and self.text[start].isspace():
            start += 1
        while end > start and self.text[end - 1].isspace():
            end -= 1
        return (start, end) if start < end else None

    def split(self, span: Span, ends: re.Pattern[str]) -> Iterator[Span]:
        start, end = span
        for match in ends.finditer(self.text, start, end):
            if piece := self.trim(start, match.end()):
                yield piece
            start = match.end()
        if piece := self.trim(start, end):
            yield piece


def _parts(document: Document, tokenized: _TokenizedText) -> Iterator[Span]:
    """Yield the sections. A very long section is split at a line end, or else at a space."""
    for start, end in _sections(document, tokenized):
        while end - start > _MAX_PART_LENGTH:
            limit = start + _MAX_PART_LENGTH
            cuts = (document.text.rfind(separator, start + 1, limit) for separator in "\n ")
            cut = next((cut for cut in cuts if cut > 0), limit)
            yield start, cut
            start = cut
        yield start, end


def _sections(document: Document, tokenized: _TokenizedText) -> Iterator[Span]:
    """Yield the sections between headings, a short one together with its first subsection."""
    start = 0
    previous_level = None
    for heading in document.headings:
        is_deeper = previous_level is None or heading.level > previous_level
        previous_level = heading.level
        if is_deeper and tokenized.count_tokens(start, heading.offset) < _SHORT_SECTION:
            continue
        yield start, heading.offset
        start = heading.offset
    yield start, len(document.text)


@dataclass(frozen=True, slots=True)
class _Unit:
    """What chunks are made of: a sentence, or a piece of one that is too long for a chunk.

    A unit is a span of characters, `[start, end)`, and of tokens, `[first_token, end_token)`. A row of a table has the
    `header` that a chunk which begins with it repeats, and its length in tokens.
    """

    start: int
    end: int
    first_token: int
    end_token: int
    ends_paragraph: bool
    header: str = ""
    header_tokens: int = 0


def _units(section: Span, tokenized: _TokenizedText, tables: Sequence[Table], limit: int) -> Iterator[_Unit]:
    start, end = section
    first = bisect_right(tables, start, key=lambda table: table.end)
    for table in tables[first : bisect_left(tables, end, key=lambda table: table.start)]:
        yield from _sentence_units((start, max(start, table.start)), tokenized, limit, before_table=True)
        start = max(start, table.start)
        yield from _row_units((start, min(end, table.end)), tokenized, _shorten_header(table, tokenized, limit), limit)
        start = max(start, min(end, table.end))
    yield from _sentence_units((start, end), tokenized, limit)


def _sentence_units(
    section: Span, tokenized: _TokenizedText, limit: int, *, before_table: bool = False
) -> Iterator[_Unit]:
    paragraphs = [*tokenized.split(section, _PARAGRAPH_END)]
    for paragraph in paragraphs:
        is_header = before_table and paragraph is paragraphs[-1]  # no chunk should end between header and rows
        for sentence in tokenized.split(paragraph, CHUNK_SENTENCE_END):
            for start, end in _split_long_sentence(sentence, tokenized, limit):
                ends_paragraph = end == paragraph[1] and not is_header
                yield _Unit(start, end, *tokenized.token_span(start, end), ends_paragraph=ends_paragraph)


def _row_units(rows: Span, tokenized: _TokenizedText, header: tuple[str, int], limit: int) -> Iterator[_Unit]:
    text, tokens = header
    for row in tokenized.split(rows, _LINE_END):
        for start, end in _split_long_sentence(row, tokenized, limit - tokens):
            span = tokenized.token_span(start, end)
            yield _Unit(start, end, *span, ends_paragraph=end >= rows[1], header=text, header_tokens=tokens)


def _shorten_header(table: Table, tokenized: _TokenizedText, limit: int) -> tuple[str, int]:
    """Return the header of a table, cut so that rows have room beside it, and about how many tokens it has."""
    # The header stands before the rows, perhaps not in these words, but about as long.
    tokens = tokenized.count_tokens(max(0, table.start - len(table.header)), table.start)
    most = limit // 2
    if tokens <= most:
        return table.header, tokens
    shortened = table.header[: len(table.header) * most // tokens]
    return shortened.rpartition(" ")[0] or shortened, most


def _split_long_sentence(sentence: Span, tokenized: _TokenizedText, limit: int) -> Iterator[Span]:
    """Yield a sentence. If it exceeds the limit, split it at line ends, and lines that exceed it between tokens."""
    if tokenized.count_tokens(*sentence) <= limit:
        yield sentence
        return
    for start, end in tokenized.split(sentence, _LINE_END):
        first, after = tokenized.token_span(start, end)
        cuts = [start, *tokenized.token_starts[first + limit : after : limit], end]
        for piece in map(tokenized.trim, cuts, cuts[1:]):
            if piece:
                yield piece


def _tokens(first: _Unit, last: _Unit) -> int:
    return last.end_token - first.first_token + first.header_tokens


def _pack(units: Sequence[_Unit], chunking: Chunking) -> Iterator[tuple[_Unit, _Unit]]:
    """Yield the first and the last unit of each chunk.

    A chunk begins with the last units of the one before, as overlap, unless the next unit is the row of a table.
    """
    first = done = 0  # units before `done` are in a chunk
    while done < len(units):
        remaining = _tokens(units[first], units[-1])
        budget = chunking.max_tokens
        if budget < remaining < 2 * budget - chunking.overlap_tokens:
            budget = (remaining + chunking.overlap_tokens) // 2 + 1  # two chunks of similar length, not long and tiny
        after = done + 1
        while after < len(units) and _tokens(units[first], units[after]) <= budget:
            after += 1
        if after < len(units):
            after = _last_paragraph_end(units, first, after, beyond=done, min_tokens=2 * budget // 3)
        yield units[first], units[after - 1]
        if after < len(units):
            first = _overlap_start(units, first, after, chunking)
        done = after


def _last_paragraph_end(units: Sequence[_Unit], first: int, after: int, *, beyond: int, min_tokens: int) -> int:
    """Return the position after the last unit that ends a paragraph; `after` if the chunk would become too short."""
    for position in range(after, beyond, -1):
        if _tokens(units[first], units[position - 1]) < min_tokens:
            break
        if units[position - 1].ends_paragraph:
            return position
    return after


def _overlap_start(units: Sequence[_Unit], first: int, after: int, chunking: Chunking) -> int:
    """Return the first unit of the next chunk: as far back as the overlap allows, with room for one new unit."""
    last, new = units[after - 1], units[after]
    position = after
    if new.header:
        return position
    while position - 1 > first:
        exceeds_overlap = _tokens(units[position - 1], last) > chunking.overlap_tokens
        if exceeds_overlap or _tokens(units[position - 1], new) > chunking.max_tokens:
            break
        position -= 1
    return position
