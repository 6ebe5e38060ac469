"""Find out how to parse a part of a Markdown text as it is parsed within the whole: in a list, a table, fenced code."""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass

from echo_index.app.web.rendering.writer import Span

_FENCE = re.compile(r"^[ \t>]*(?P<marks>`{3,}|~{3,})(?P<info>[^`\n]*)$", re.MULTILINE)
_BLOCK_START = re.compile(r"\n[ \t]*\n(?=\S)")
_BLOCK_END = re.compile(r"\n[ \t]*\n")
_DEFINITION = re.compile(r"^ {0,3}\[[^\]\[\n^][^\]\[\n]{0,200}\]:[ \t]*\S.{0,2000}$", re.MULTILINE)
_MAX_DEFINITIONS = 200
_MAX_CONTEXT = 20_000  # characters before a part that are parsed with it
_MAX_REST = 2_000  # characters after it


@dataclass(frozen=True, slots=True)
class Window:
    """The characters from `start` to before `end` are to be parsed, with other Markdown `before` and `after` them.

    `caption` is that of the table in which they begin, if it does not stand in the text.
    """

    start: int
    end: int
    before: str = ""
    after: str = ""
    caption: str = ""


def markdown_window(text: str, span: Span, *, is_whole: bool = True, table_header: str = "") -> Window:
    """Return what to parse of a text so that the characters in `span` mean the same as in the whole text.

    Unless the text `is_whole`, it may begin within fenced code. `table_header` is the header of the table in which the
    span begins; it is used if the text lacks it.
    """
    first, last = span
    begins_in_fence = not is_whole and _begins_in_fence(text)
    fences = _fences(text[: max(first, 1)], begins_in_fence=begins_in_fence)
    start = _block_start(text, first, fences)
    before = "```\n" if begins_in_fence and start == 0 else ""
    if first - start > _MAX_CONTEXT:
        start = text.rfind("\n", 0, first) + 1
        opening = next((fence.opening for fence in fences if fence.start < start < fence.end), "")
        before = f"{opening.strip()}\n" if opening else ""
    caption, _, names = table_header.rpartition("\n")
    if table_header and not before and names.strip("| ") not in text[start:first]:
        start, before = first, _table_head(names, text[first:last])
    else:
        caption = ""
    return Window(start, _block_end(text, last), before, _definitions(text, start, last), caption)


def _table_head(names: str, rows: str) -> str:
    """Return Markdown of a table without rows: the header, and as many columns as the rows need."""
    lines = [line for line in rows.split("\n") if "|" in line]
    columns = max((_columns(line) for line in (names, *lines)), default=1)
    cells = names.strip().strip("|")
    cells += " |" * (columns - _columns(names))
    return f"| {cells} |\n|{'---|' * columns}\n"


def _columns(row: str) -> int:
    return len(re.sub(r"\\.", "", row).strip().strip("|").split("|"))


@dataclass(frozen=True, slots=True)
class _Fence:
    start: int
    end: int
    opening: str


def _fences(text: str, *, begins_in_fence: bool) -> list[_Fence]:
    """Return the fenced code of a text. The last one may not have ended, which is taken as at the end of the text."""
    fences = []
    opened: re.Match[str] | None = None
    for line in _FENCE.finditer(text):
        if begins_in_fence:
            begins_in_fence = False
            fences.append(_Fence(0, line.end(), "```"))
        elif opened is None:
            opened = line
        elif line["marks"].startswith(opened["marks"]) and not line["info"].strip():
            fences.append(_Fence(opened.start(), line.end(), opened[0]))
            opened = None
    if opened is not None or begins_in_fence:
        start, opening = (0, "```") if opened is None else (opened.start(), opened[0])
        fences.append(_Fence(start, len(text) + 1, opening))
    return fences


def _begins_in_fence(text: str) -> bool:
    """Return whether the first fence of a part of a text looks like the end of one rather than the beginning."""
    lines = [*_FENCE.finditer(text)]
    if not lines or lines[0]["info"].strip():
        return False
    if len(lines) > 1 and lines[1]["info"].strip():
        return True
    before, after = text[: lines[0].start()], text[lines[0].end() :]
    ends_line = re.search(r"\S[ \t]*\n\Z", before) is not None
    return ends_line and (not after.strip() or re.match(r"\n[ \t]*\n", after) is not None)


def _block_start(text: str, position: int, fences: list[_Fence]) -> int:
    """Return where the block begins that a position stands in: after a blank line outside fenced code."""
    starts = [0, *(match.end() for match in _BLOCK_START.finditer(text, 0, position + 1) if match.end() <= position)]
    openings = [fence.start for fence in fences]
    for start in reversed(starts):
        opened = bisect_left(openings, start)
        if not opened or start >= fences[opened - 1].end:
            return start
    return 0


def _block_end(text: str, position: int) -> int:
    match = _BLOCK_END.search(text, position, position + _MAX_REST)
    if match:
        return match.start()
    end = text.find("\n", position, position + _MAX_REST)
    return end if end >= 0 else min(len(text), position + _MAX_REST)


def _definitions(text: str, start: int, end: int) -> str:
    """Return the definitions of links that stand before or after the part that is parsed."""
    found = [match[0] for match in _DEFINITION.finditer(text) if not start <= match.start() < end]
    return "\n\n" + "\n".join(found[:_MAX_DEFINITIONS]) if found else ""
