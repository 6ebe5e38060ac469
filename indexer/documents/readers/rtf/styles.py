"""Know which styles of paragraphs are headings and captions."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_BODY_TEXT_LEVEL = 9
_MAX_ANCESTORS = 50
_NAMED_HEADING = re.compile(r"heading ?([1-9])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Paragraph:
    """What a paragraph says of itself: its style, outline level, and how many tables within each other hold it."""

    style: int = 0
    outline: int | None = None
    is_in_table: bool = False
    nesting: int = 0

    def tables(self) -> int:
        """Return how many tables within each other hold the paragraph."""
        return self.nesting or int(self.is_in_table)


@dataclass(slots=True)
class Styles:
    """The styles by their numbers: names, outline levels, and the styles on which they are based."""

    names: dict[int, str] = field(default_factory=dict)
    outlines: dict[int, int] = field(default_factory=dict)
    bases: dict[int, int] = field(default_factory=dict)
    _known: dict[int, tuple[int | None, bool]] = field(default_factory=dict)

    def add(self, paragraph: Paragraph, name: str) -> None:
        """Add the style that `paragraph` describes."""
        self.names[paragraph.style] = name.strip().rstrip(";").strip()
        if paragraph.outline is not None:
            self.outlines[paragraph.style] = paragraph.outline
        self._known.clear()

    def base(self, style: int, other: int) -> None:
        """Let a style be based on another one."""
        self.bases[style] = other
        self._known.clear()

    def heading_level(self, paragraph: Paragraph) -> int | None:
        """Return the level of a heading, 0 for a title, None if the paragraph is no heading."""
        return self._look_up(paragraph.style)[0] if paragraph.outline is None else _level(paragraph.outline)

    def is_caption(self, paragraph: Paragraph) -> bool:
        """Return whether a paragraph is the caption of a table or a picture."""
        return self._look_up(paragraph.style)[1]

    def _look_up(self, style: int) -> tuple[int | None, bool]:
        if style not in self._known:
            chain = self._chain(style)
            level = next((level for each in chain if (level := self._style_level(each)) is not None), None)
            self._known[style] = level, any(self.names.get(each, "").lower() == "caption" for each in chain)
        return self._known[style]

    def _style_level(self, style: int) -> int | None:
        name = self.names.get(style, "")
        if name.lower() == "title":
            return 0
        heading = _NAMED_HEADING.fullmatch(name)
        return int(heading[1]) if heading else _level(self.outlines.get(style, _BODY_TEXT_LEVEL))

    def _chain(self, style: int) -> list[int]:
        """Return a style and those on which it is based."""
        chain: list[int] = []
        base: int | None = style
        while base is not None and base not in chain and len(chain) < _MAX_ANCESTORS:
            chain.append(base)
            base = self.bases.get(base)
        return chain


def _level(outline: int) -> int | None:
    return outline + 1 if 0 <= outline < _BODY_TEXT_LEVEL else None
