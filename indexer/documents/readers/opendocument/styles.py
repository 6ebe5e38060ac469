"""Know what styles say about text: titles, hidden text, superscripts, and the labels of lists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from echo_index.indexer.documents.readers.opendocument.markup import attribute, child, count, descendants, name

if TYPE_CHECKING:
    from lxml.etree import _Element

_MAX_ANCESTORS = 50
_MAX_SIGNS = 20  # of what stands before or behind a number
_LEVELS = ("text:list-level-style-number", "text:list-level-style-bullet", "text:list-level-style-image")


@dataclass(frozen=True, slots=True)
class Level:
    """A level of a list: whether it has a bullet, its format ("" for none), what is around it, and its first number.

    `shown_levels` is how many levels the number shows: two for "2.1".
    """

    is_bullet: bool
    format: str
    before: str
    behind: str
    start: int
    shown_levels: int


class Styles:
    """The styles of a file by family and name. A style that is not there says nothing."""

    def __init__(self, parts: list[_Element]) -> None:
        """Read the styles of parts; those of the first one come first."""
        self._styles: dict[tuple[str, str], _Element] = {}
        self._lists: dict[str, dict[int, Level]] = {}
        self.outline: dict[int, Level] = {}
        for part in parts:
            for style in descendants(part, "style:style"):
                self._styles.setdefault((attribute(style, "style:family"), attribute(style, "style:name")), style)
            for style in descendants(part, "text:list-style"):
                self._lists.setdefault(attribute(style, "style:name"), _levels(style, *_LEVELS))
            for style in descendants(part, "text:outline-style"):
                self.outline = self.outline or _levels(style, "text:outline-level-style")

    def is_title(self, style: str) -> bool:
        """Return whether a paragraph of this style is the title of the text."""
        return any(attribute(found, "style:name") == "Title" for found in self._chain("paragraph", style))

    def is_hidden(self, style: str, *, family: str) -> bool:
        """Return whether text of this style is hidden."""
        return self._text_property(family, style, "text:display") == "none"

    def raised(self, style: str) -> bool | None:
        """Return whether text of this style is a superscript, None if the style does not say."""
        position = self._text_property("text", style, "style:text-position").split()
        if not position:
            return None
        height = position[0].removesuffix("%")
        return height == "super" or (not height.startswith("-") and height.strip("0.").isdigit())

    def list_style(self, paragraph: str) -> str:
        """Return the list style of a style of paragraphs, "" if it has none."""
        names = (attribute(style, "style:list-style-name") for style in self._chain("paragraph", paragraph))
        return next(filter(None, names), "")

    def level(self, list_style: str, level: int) -> Level | None:
        """Return a level of a list style, counted from 1."""
        return self._lists.get(list_style, {}).get(level)

    def _text_property(self, family: str, style: str, property: str) -> str:
        values = (attribute(child(found, "style:text-properties"), property) for found in self._chain(family, style))
        return next(filter(None, values), "")

    def _chain(self, family: str, style: str) -> list[_Element]:
        """Return a style and those on which it is based, nearest first."""
        chain: list[_Element] = []
        while (found := self._styles.get((family, style))) is not None and len(chain) < _MAX_ANCESTORS:
            chain.append(found)
            style = attribute(found, "style:parent-style-name")
        return chain


def _levels(style: _Element, *names: str) -> dict[int, Level]:
    return {
        count(level, "text:level"): Level(
            is_bullet=name(level) in _LEVELS[1:],
            format=attribute(level, "style:num-format"),
            before=attribute(level, "style:num-prefix")[:_MAX_SIGNS],
            behind=attribute(level, "style:num-suffix")[:_MAX_SIGNS],
            start=count(level, "text:start-value"),
            shown_levels=count(level, "text:display-levels"),
        )
        for level in descendants(style, *names)
    }
