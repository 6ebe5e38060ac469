"""Read reStructuredText: the text is the source, its headings are the sections found by docutils."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from echo_index.indexer.documents.decoding import decode
from echo_index.indexer.documents.document import Document, Heading, first_title

if TYPE_CHECKING:
    from docutils import nodes

_RULE = re.compile(r"([!-/:-@\[-`{-~])\1*")


def read_rst(content: bytes) -> Document:
    """Return the source with its sections as headings; the title is that of the first top-level section.

    Unknown directives and roles are ignored, and no file is ever included.

    Raises:
        DocumentError: the content cannot be decoded.
    """
    text = decode(content)
    headings = _headings(text)
    return Document(text=text, title=first_title(headings), format="rst", headings=headings, has_lines=True)


def _headings(text: str) -> tuple[Heading, ...]:
    try:
        sections = _sections(text)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - a directive may raise any error; the text is usable without headings
        return ()
    # Split lines as docutils does: at more characters than "\n", but not at these two.
    lines = re.sub("[\v\f]", " ", text).splitlines(keepends=True)
    stripped = [line.rstrip() for line in lines]
    offsets = [0]
    for line in lines:
        offsets.append(offsets[-1] + len(line))
    headings, line_number = [], 0
    for level, source, title in sections:
        title_line = _find_title_line(stripped, source, line_number)
        if title_line is not None and title:
            is_overlined = title_line > 0 and stripped[title_line - 1] == stripped[title_line + 1]
            headings.append(Heading(level=level, title=title, offset=offsets[title_line - is_overlined]))
            line_number = title_line + 2
    return tuple(headings)


def _find_title_line(lines: list[str], source: str, start: int) -> int | None:
    """Return the first line from `start` on that equals `source` and is underlined: docutils does not report it.

    In a literal block a similar line has an indented underline, which does not match.
    """
    title = " ".join(source.split())
    for number in range(start, len(lines) - 1):
        if _RULE.fullmatch(lines[number + 1]) and " ".join(lines[number].split()) == title:
            return number
    return None


def _sections(text: str) -> list[tuple[int, str, str]]:
    """Return level, title in the source and title without markup of each section, in document order."""
    from docutils import nodes

    sections: list[tuple[int, str, str]] = []
    waiting: list[tuple[nodes.Element, int]] = [(_parse(text), 0)]
    while waiting:
        parent, level = waiting.pop()
        if isinstance(parent, nodes.section) and isinstance(title := parent[0], nodes.title):
            sections.append((level, title.rawsource, " ".join(title.astext().split())))
        subsections = [child for child in parent.children if isinstance(child, nodes.section)]
        waiting.extend((section, level + 1) for section in reversed(subsections))
    return sections


def _parse(text: str) -> nodes.document:
    from docutils.frontend import get_default_settings
    from docutils.parsers.rst import Parser
    from docutils.utils import new_document

    settings = get_default_settings(Parser)
    settings.report_level = settings.halt_level = 5  # above the most severe level: never print, never stop
    settings.warning_stream = False
    settings.file_insertion_enabled = False
    settings.raw_enabled = False
    settings.syntax_highlight = "none"
    document = new_document("document", settings)
    Parser().parse(text, document)
    return document
