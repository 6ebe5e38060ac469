"""reStructuredText: the source is the text, and its headings are the sections docutils sees. Follows no directive."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from echo_index.indexer.documents.decoding import decode
from echo_index.indexer.documents.document import Document, Heading, first_title

if TYPE_CHECKING:
    from docutils import nodes

_RULE = re.compile(r"([!-/:-@\[-`{-~])\1*")


def read_rst(content: bytes) -> Document:
    """Restructured text with its sections; the title is that of the first section of the outermost level.

    Unknown directives and roles are left as they stand, and no file is ever included. Raises DocumentError when the
    content cannot be decoded.
    """
    text = decode(content)
    headings = _headings(text)
    return Document(text=text, title=first_title(headings), format="rst", headings=headings, has_lines=True)


def _headings(text: str) -> tuple[Heading, ...]:
    try:
        sections = _sections(text)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - a directive may fail in any way, and the text is whole without its headings
        return ()
    # Lines as docutils counts them: more characters than "\n" end a line, but not these two.
    lines = re.sub("[\v\f]", " ", text).splitlines(keepends=True)
    stripped = [line.rstrip() for line in lines]
    offsets = [0]
    for line in lines:
        offsets.append(offsets[-1] + len(line))
    headings, line_number = [], 0
    for level, source, title in sections:
        found = _title_line(stripped, source, line_number)
        if found is not None and title:
            overlined = found > 0 and stripped[found - 1] == stripped[found + 1]
            headings.append(Heading(level=level, title=title, offset=offsets[found - overlined]))
            line_number = found + 2
    return tuple(headings)


def _title_line(lines: list[str], source: str, start: int) -> int | None:
    """The first line from `start` on that reads `source` and is underlined: docutils keeps no line of its titles.

    An indented look-alike in a literal block has an indented underline too, and is none.
    """
    wanted = " ".join(source.split())
    for number in range(start, len(lines) - 1):
        if _RULE.fullmatch(lines[number + 1]) and " ".join(lines[number].split()) == wanted:
            return number
    return None


def _sections(text: str) -> list[tuple[int, str, str]]:
    """Level, title as written and title as read of each section, in the order of the text."""
    from docutils import nodes

    found: list[tuple[int, str, str]] = []
    waiting: list[tuple[nodes.Element, int]] = [(_parsed(text), 0)]
    while waiting:
        parent, level = waiting.pop()
        if isinstance(parent, nodes.section) and isinstance(title := parent[0], nodes.title):
            found.append((level, title.rawsource, " ".join(title.astext().split())))
        inner = [child for child in parent.children if isinstance(child, nodes.section)]
        waiting.extend((section, level + 1) for section in reversed(inner))
    return found


def _parsed(text: str) -> nodes.document:
    from docutils.frontend import get_default_settings
    from docutils.parsers.rst import Parser
    from docutils.utils import new_document

    settings = get_default_settings(Parser)
    settings.report_level = settings.halt_level = 5  # beyond the severest: nothing is printed, nothing stops it
    settings.warning_stream = False
    settings.file_insertion_enabled = False
    settings.raw_enabled = False
    settings.syntax_highlight = "none"
    document = new_document("document", settings)
    Parser().parse(text, document)
    return document
