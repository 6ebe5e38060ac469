"""Document to chunks, cut at headings, paragraphs and sentences under a limit of tokens. Knows no model or database."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from echo_index.indexer.documents.document import Document
from echo_index.indexer.text.sentences import CHUNK_SENTENCE_END

Span = tuple[int, int]

_PARAGRAPH_END = re.compile(r"\n[ \t]*\n\s*")
_LINE_END = re.compile(r"\n")
_SHORT_SECTION = 24  # tokens; a section shorter than this is read together with its first subsection
_LONGEST_STRETCH = 250_000  # characters that are cut at a time: their units take a hundred times the memory
_PREFIX_CHARACTERS = 160  # of title and headings in front of an embedded chunk


@dataclass(frozen=True, slots=True)
class Chunking:
    """How documents are cut: the most tokens of a chunk, and about how many of them stand in the chunk before too."""

    max_tokens: int = 200
    overlap_tokens: int = 30


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage of a document: `document.text[start:end] == text`."""

    text: str
    headings: tuple[str, ...]
    start: int
    end: int
    page: int | None
    line: int | None


def split_into_chunks(document: Document, *, token_starts: Sequence[int], chunking: Chunking) -> Iterator[Chunk]:
    """Yield the chunks of a document in order; together they hold all of its text but white space.

    `token_starts` are the ascending character offsets at which the tokens of `document.text` begin.
    """
    measure = _Measure(document.text, token_starts)
    for stretch in _stretches(document, measure):
        units = list(_units(stretch, measure, chunking.max_tokens))
        for start, end in _pack(units, chunking):
            yield Chunk(
                text=document.text[start:end],
                headings=document.heading_path(end - 1),
                start=start,
                end=end,
                page=document.page(start),
                line=document.line(start),
            )


def title_path(title: str, headings: Sequence[str]) -> tuple[str, ...]:
    """Return the title and the headings of a passage, outermost first, without what one before it already says."""
    path: list[str] = []
    for name in (title, *headings):
        if name and not any(name in said for said in path):
            path.append(name)
    return tuple(path)


def embedded_title(document: Document) -> str:
    """Return the title that is embedded with a document's chunks: the name of a file, which may change, is none."""
    return document.title if document.has_own_title else ""


def embedded_text(title: str, headings: Sequence[str], text: str) -> str:
    """Return what is embedded for a chunk: its title and headings, unless its first line has them, and its text."""
    first_line = text.partition("\n")[0]
    named = [name for name in title_path(title, headings) if name not in first_line]
    prefix = " > ".join(named)[-_PREFIX_CHARACTERS:]
    return f"{prefix}\n{text}" if prefix else text


class _Measure:
    """Counts tokens between character offsets, and trims white space."""

    def __init__(self, text: str, token_starts: Sequence[int]) -> None:
        self.text = text
        self.token_starts = token_starts

    def tokens(self, start: int, end: int) -> int:
        first, after = self.token_span(start, end)
        return after - first

    def token_span(self, start: int, end: int) -> Span:
        return bisect_left(self.token_starts, start), bisect_left(self.token_starts, end)

    def trimmed(self, start: int, end: int) -> Span | None:
        while start < end and self.text[start].isspace():
            start += 1
        while end > start and self.text[end - 1].isspace():
            end -= 1
        return (start, end) if start < end else None

    def split(self, span: Span, ends: re.Pattern[str]) -> Iterator[Span]:
        start, end = span
        for match in ends.finditer(self.text, start, end):
            if piece := self.trimmed(start, match.end()):
                yield piece
            start = match.end()
        if piece := self.trimmed(start, end):
            yield piece


def _stretches(document: Document, measure: _Measure) -> Iterator[Span]:
    """Yield the sections; of an enormous one one part after the other, cut at a line end or space if there is one."""
    for start, end in _sections(document, measure):
        while end - start > _LONGEST_STRETCH:
            most = start + _LONGEST_STRETCH
            cuts = (document.text.rfind(normalization, start + 1, most) for normalization in "\n ")
            cut = next((cut for cut in cuts if cut > 0), most)
            yield start, cut
            start = cut
        yield start, end


def _sections(document: Document, measure: _Measure) -> Iterator[Span]:
    """Yield the stretches between headings; a heading with next to nothing under it goes with its subsection."""
    start = 0
    level_before = None
    for heading in document.headings:
        begun = measure.tokens(start, heading.offset)
        deeper = level_before is None or heading.level > level_before
        level_before = heading.level
        if deeper and begun < _SHORT_SECTION:
            continue
        yield start, heading.offset
        start = heading.offset
    yield start, len(document.text)


@dataclass(frozen=True, slots=True)
class _Unit:
    """The least that is moved from one chunk to the next: a sentence, or as much of one as fits.

    It is a span of characters and one of tokens, `[first_token, end_token)`.
    """

    start: int
    end: int
    first_token: int
    end_token: int
    ends_paragraph: bool


def _units(section: Span, measure: _Measure, limit: int) -> Iterator[_Unit]:
    for paragraph in measure.split(section, _PARAGRAPH_END):
        for sentence in measure.split(paragraph, CHUNK_SENTENCE_END):
            for start, end in _within(sentence, measure, limit):
                yield _Unit(start, end, *measure.token_span(start, end), ends_paragraph=end == paragraph[1])


def _within(sentence: Span, measure: _Measure, limit: int) -> Iterator[Span]:
    """Cut a sentence that is too long at its line ends, and a line that is too long between tokens."""
    if measure.tokens(*sentence) <= limit:
        yield sentence
        return
    for start, end in measure.split(sentence, _LINE_END):
        first, last = measure.token_span(start, end)
        cuts = [start, *measure.token_starts[first + limit : last : limit], end]
        for cut in map(measure.trimmed, cuts, cuts[1:]):
            if cut:
                yield cut


def _tokens(first: _Unit, last: _Unit) -> int:
    return last.end_token - first.first_token


def _pack(units: Sequence[_Unit], chunking: Chunking) -> Iterator[Span]:
    """Join neighbouring units to chunks; each begins with the last few tokens of the one before it."""
    first = done = 0  # so many units stand in a chunk
    while done < len(units):
        rest = _tokens(units[first], units[-1])
        budget = chunking.max_tokens
        if budget < rest < 2 * budget - chunking.overlap_tokens:
            budget = (rest + chunking.overlap_tokens) // 2 + 1  # two chunks of like length, not a long and a tiny one
        after = done + 1
        while after < len(units) and _tokens(units[first], units[after]) <= budget:
            after += 1
        if after < len(units):
            after = _back_to_paragraph_end(units, first, after, beyond=done, least=2 * budget // 3)
        yield units[first].start, units[after - 1].end
        if after < len(units):
            first = _back_by_overlap(units, first, after, chunking)
        done = after


def _back_to_paragraph_end(units: Sequence[_Unit], first: int, after: int, *, beyond: int, least: int) -> int:
    """Return the last position at which a paragraph ends, if that leaves at least so many tokens."""
    for position in range(after, beyond, -1):
        if _tokens(units[first], units[position - 1]) < least:
            break
        if units[position - 1].ends_paragraph:
            return position
    return after


def _back_by_overlap(units: Sequence[_Unit], first: int, after: int, chunking: Chunking) -> int:
    """Return where the next chunk begins: as many whole units back as the overlap holds, with room for a new one."""
    last, new = units[after - 1], units[after]
    position = after
    while position - 1 > first:
        too_far = _tokens(units[position - 1], last) > chunking.overlap_tokens
        if too_far or _tokens(units[position - 1], new) > chunking.max_tokens:
            break
        position -= 1
    return position
