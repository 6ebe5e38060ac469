"""Make headings of the definitions in source code: namespaces, classes, functions and methods."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from echo_index.indexer.documents.document import Heading, line_starts
from echo_index.indexer.documents.readers.heading_levels import last_useful_level
from echo_index.indexer.documents.readers.source_code.languages import Language
from echo_index.indexer.documents.readers.source_code.syntax import Definition, Syntax, find_syntax

_MAX_LEVEL = 6
_MAX_HEADINGS = 50_000
_SECTION = 80  # characters that a section has in the mean


_TOP_LEVEL = "top level"
_REST = 4  # lines of code behind a definition, from which on they have a heading of their own
_WORD = re.compile(r"\w")


@dataclass(frozen=True, slots=True)
class _Section:
    """A definition that is a heading, with the comments above it: its lines from `first` to `last`."""

    level: int
    title: str
    first: int
    last: int


def code_headings(text: str, language: Language) -> tuple[Heading, ...]:
    """Return the definitions in source code as headings, each at the first line of the comments right above it.

    What is broken is left out. A definition on one line is a heading only in languages whose functions are equations.
    Where a class goes on behind its methods, or a file behind its functions, there is a heading, too.
    """
    syntax = find_syntax(text.encode("utf-8", "replace"), language)
    if syntax is None:
        return ()
    sections = [*_sections(syntax, language)]
    starts = line_starts(text)
    headings = [
        Heading(section.level, section.title, starts[section.first])
        for section in _with_rests(sections, text.split("\n"))
    ]
    levels = [heading.level for heading in headings]
    deepest = last_useful_level(levels, len(text), most=_MAX_HEADINGS, section=_SECTION)
    return tuple(heading for heading in headings if heading.level <= deepest)


def _sections(syntax: Syntax, language: Language) -> Iterator[_Section]:
    last: _Section | None = None
    for level, definition in _with_levels(syntax.definitions):
        is_long = definition.last > definition.first
        if level > _MAX_LEVEL or not definition.title or not (is_long or language.has_equations):
            continue
        first = definition.first
        while first - 1 in syntax.leading_lines:
            first -= 1
        section = _Section(level, definition.title, max(first, last.first if last else 0), definition.last)
        if last and language.has_equations and (last.level, last.title) == (level, definition.title):
            last = replace(last, last=definition.last)
            continue
        if last:
            yield last
        last = section
    if last:
        yield last


def _with_rests(sections: Sequence[_Section], lines: Sequence[str]) -> Iterator[_Section]:
    """Yield sections, and where one that is around others goes on behind them, that one again."""
    around = [_Section(1, _TOP_LEVEL, 0, len(lines))]
    end = -1  # the line behind the section that was closed last, -1 if another one was opened since then
    for section in (*sections, around[0]):
        is_last = section is around[0]
        first = len(lines) if is_last else section.first
        while len(around) > 1 and around[-1].last < first:
            if rest := _rest(lines, end, around[-1].last):
                yield replace(around[-1], first=rest)
            end = max(end, around.pop().last + 1)  # in broken code a section may end behind the one around it
        if rest := _rest(lines, end, first):
            yield replace(around[-1], first=rest)
        if not is_last:
            yield section
            around.append(section)
            end = -1


def _rest(lines: Sequence[str], first: int, end: int) -> int | None:
    """Return where code begins in lines `[first, end)`, None if there are only a few lines of it."""
    words = [line for line in range(max(first, 0), end) if _WORD.search(lines[line])] if first >= 0 else []
    return words[0] if len(words) >= _REST else None


def _with_levels(definitions: Iterable[Definition]) -> Iterator[tuple[int, Definition]]:
    """Yield the definitions with their depth, from 1. They come in the order of their starts, the outer ones first."""
    ends: list[int] = []
    for definition in definitions:
        while ends and ends[-1] <= definition.start:
            ends.pop()
        ends.append(definition.end)
        yield len(ends), definition
