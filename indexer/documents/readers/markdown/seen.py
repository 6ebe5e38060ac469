"""Take out of Markdown what a person does not see when it is rendered. Each line keeps its number."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import unescape

from echo_index.indexer.documents.readers.invisible import without_invisible

_DATA = r"data:(?=[\w.+-]{1,80}/|;)[\w.+-]{0,80}(?:/[\w.+-]{1,80})?(?:;[\w.+-]{1,80}(?:=[\w.+-]{1,80})?){0,8},"
_DATA_URI = re.compile(
    rf"(?<![\w-]){_DATA}[^\s\"'<>()\\\]]*"
    # Lines of base64 that follow.
    r"(?:\n[ \t>]*[A-Za-z0-9+/]{40,}={0,2}(?=[\s\"')>]|\Z))*(?:\n[ \t>]*[A-Za-z0-9+/]+={0,2}(?=[\"')>]))?"
)
_QUOTED_DATA_URI = re.compile(
    rf"\"\s{{0,9}}{_DATA}(?:[^\"\n]|\n(?![ \t]*\n))*\"|'\s{{0,9}}{_DATA}(?:[^'\n]|\n(?![ \t]*\n))*'"
)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][\da-fA-F]{1,6}|[A-Za-z][A-Za-z\d]{1,31});")
_SCRIPT_END = re.compile(r"</(?:script|style)\s*>", re.IGNORECASE)
# What may begin something that is not seen. In text a character may be escaped, and code spans are seen as they are.
_IN_TEXT = re.compile(r"\\.|(?P<ticks>`+)|<!--|\{/\*|(?<![%\w])%%|data:|[\"']\s{0,9}data:|&", re.DOTALL)
_IN_HTML = re.compile(r"<!--|<\?|<(?:script|style)\b|\{/\*|data:|[\"']\s{0,9}data:|&", re.IGNORECASE)
_IN_CODE = re.compile(r"data:")
_MARKS = {"text": _IN_TEXT, "html": _IN_HTML, "indented": _IN_CODE}
_BACKTICKS = re.compile("`+")
_ALONE = re.compile(r"%%[ \t]*$", re.MULTILINE)
_MODULE_LINE = re.compile(r"import\s+(?:[\w*{].*\sfrom\s+)?[\"']|import\s+\{|export\s+[\w{*]")
_ENDS = {"<!--": "-->", "<?": "?>", "{/*": "*/}", "%%": "%%"}
_KEPT_IN_HTML = {"&lt;", "&gt;"}  # they would look like tags


@dataclass(frozen=True, slots=True)
class Block:
    """Lines of the source, from `start` to before `end`: "text", "html", "fence", "indented"."""

    start: int
    end: int
    kind: str


def seen_markdown(source: str, blocks: Sequence[Block], line_starts: Sequence[int], *, is_mdx: bool) -> str:
    """Return the source without comments, scripts, styles, and addresses that hold data; entities are characters.

    In MDX, imports and exports are taken out too. `blocks` are the leaf blocks in order.
    """
    return without_invisible("".join(_Reader(source, is_mdx=is_mdx).pieces(_regions(source, blocks, line_starts))))


@dataclass(frozen=True, slots=True)
class _Region:
    """Characters of the source that are read alike."""

    start: int
    end: int
    kind: str


def _regions(source: str, blocks: Sequence[Block], starts: Sequence[int]) -> Iterator[_Region]:
    """Yield the blocks and what is between them, such as definitions of links, as regions of characters."""
    done = 0
    for block in blocks:
        start = max(done, starts[block.start])
        end = starts[block.end] if block.end < len(starts) else len(source)
        if start > done:
            yield _Region(done, start, "text")
        if end > start:
            yield _Region(start, end, block.kind)
        done = max(done, end)
    if done < len(source):
        yield _Region(done, len(source), "text")


class _Reader:
    """Reads regions in order. `absent` are ends that do not occur any more before an offset: none is searched twice."""

    def __init__(self, source: str, *, is_mdx: bool) -> None:
        self._source = source
        self._is_mdx = is_mdx
        self._absent: set[tuple[str, int]] = set()

    def pieces(self, regions: Iterator[_Region]) -> Iterator[str]:
        """Yield the source in pieces; of what is not seen only the line ends."""
        position = 0
        for region in regions:
            if region.end <= position:
                continue
            rest = _Region(max(position, region.start), region.end, region.kind)
            position = rest.start
            for start, end, seen in self._changes(rest):
                yield self._source[position:start]
                yield seen + "\n" * self._source.count("\n", start, end)
                position = end
            if position < rest.end:
                yield self._source[position : rest.end]
                position = rest.end

    def _changes(self, region: _Region) -> Iterator[tuple[int, int, str]]:
        """Yield start and end of what is not seen as it is written, and what is seen instead."""
        source = self._source
        if region.kind == "fence":
            return
        if self._is_mdx and region.kind == "text" and _MODULE_LINE.match(source, region.start):
            yield region.start, region.end, ""
            return
        pattern = _MARKS[region.kind]
        code_spans = _CodeSpans(source, region) if region.kind == "text" else None
        position = region.start
        while match := pattern.search(source, position, region.end):
            start, position = match.span()
            if code_spans is not None and match["ticks"]:
                position = code_spans.end(match)
                continue
            change = self._change(match, region)
            if change is not None:
                position, seen = change
                yield start, position, seen

    def _change(self, match: re.Match[str], region: _Region) -> tuple[int, str] | None:
        """Return the end of what begins with a mark, and what is seen instead; None if all of it is seen."""
        mark, start = match[0], match.start()
        if mark == "&":
            entity = _ENTITY.match(self._source, start)
            if entity is None or (region.kind == "html" and entity[0].lower() in _KEPT_IN_HTML):
                return None
            return entity.end(), unescape(entity[0]).replace("\n", " ").replace("\r", " ")
        if mark.endswith("data:"):
            if quoted := _QUOTED_DATA_URI.match(self._source, start):
                return quoted.end(), mark[0] * 2
            uri = _DATA_URI.match(self._source, match.end() - len("data:"))
            return (uri.end(), mark.removesuffix("data:")) if uri else None
        if mark.startswith("\\"):
            return None
        if mark in _ENDS:
            end = self._end_of(mark, region, match.end())
            return None if end is None else (end, "")
        closing = _SCRIPT_END.search(self._source, match.end(), region.end)
        return closing.end() if closing else region.end, ""

    def _end_of(self, mark: str, region: _Region, position: int) -> int | None:
        """Return where a comment ends; None if it is seen, because it does not end in the same block of text."""
        if mark == "{/*" and not self._is_mdx:
            return None
        closing = _ENDS[mark]
        is_alone = mark == "%%" and bool(_ALONE.match(self._source, region.start)) and position <= region.start + 2
        if is_alone:
            closing = f"\n{closing}"
        goes_on = is_alone or mark == "{/*" or region.kind == "html"
        limit = len(self._source) if goes_on else region.end
        found = -1 if (closing, limit) in self._absent else self._source.find(closing, position, limit)
        if found >= 0:
            return found + len(closing)
        self._absent.add((closing, limit))
        return region.end if region.kind == "html" else None


class _CodeSpans:
    """Finds where code spans of a block end: at as many backticks as they begin with."""

    def __init__(self, source: str, region: _Region) -> None:
        self._source = source
        self._region = region
        self._runs: dict[int, list[int]] | None = None

    def end(self, opening: re.Match[str]) -> int:
        """Return the end of the code span that `opening` begins; the end of `opening` if it begins none."""
        length = len(opening[0])
        if self._runs is None:
            self._runs = {}
            for run in _BACKTICKS.finditer(self._source, self._region.start, self._region.end):
                self._runs.setdefault(len(run[0]), []).append(run.start())
        starts = self._runs.get(length, [])
        following = bisect_right(starts, opening.start())
        return starts[following] + length if following < len(starts) else opening.end()
