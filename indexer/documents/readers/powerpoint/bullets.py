"""Know the bullets and numbers of paragraphs, as PowerPoint takes them from a shape, its layout and its master."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from echo_index.indexer.documents.readers.number_formats import format_number
from echo_index.indexer.documents.readers.office.markup import child, name, number

if TYPE_CHECKING:
    from lxml.etree import _Element

_LEVELS = 9
_MAX_NUMBER = 32767
_BULLETS = {"a:buChar", "a:buBlip", "a:buAutoNum", "a:buNone"}
_FORMATS = {
    "arabic": "decimal",
    "alphaLc": "lowerLetter",
    "alphaUc": "upperLetter",
    "romanLc": "lowerRoman",
    "romanUc": "upperRoman",
}
_SIGNS = {"Period": ("", "."), "ParenR": ("", ")"), "ParenBoth": ("(", ")"), "Plain": ("", "")}


def paragraph_level(paragraph: _Element) -> int:
    """Return the level of a paragraph in its list, from 0."""
    properties = child(paragraph, "a:pPr")
    level = number(properties.get("lvl", "")) if properties is not None else None
    return min(level or 0, _LEVELS - 1)


@dataclass(slots=True)
class Bullets:
    """The bullets of the paragraphs of one text. Ask for them in the order of the paragraphs.

    `styles` are the list styles that hold for the text, the nearest first.
    """

    styles: list[_Element]
    _reached: dict[int, tuple[str, int]] = field(default_factory=dict)

    def label(self, paragraph: _Element) -> str:
        """Return "- " for any bullet, "2. " for a number, both indented by level, "" for a paragraph without them."""
        level = paragraph_level(paragraph)
        bullet = self._bullet(paragraph, level)
        kind = name(bullet) if bullet is not None else ""
        for deeper in [reached for reached in self._reached if reached > level]:
            del self._reached[deeper]
        if bullet is None or kind != "a:buAutoNum":
            self._reached.pop(level, None)
            return "" if kind in {"", "a:buNone"} or not _is_drawn(bullet) else f"{'  ' * level}- "
        return f"{'  ' * level}{self._number(bullet, level)} "

    def _bullet(self, paragraph: _Element, level: int) -> _Element | None:
        step = f"a:lvl{level + 1}pPr"
        for properties in (child(paragraph, "a:pPr"), *(child(style, step) for style in self.styles)):
            for element in properties if properties is not None else ():
                if name(element) in _BULLETS:
                    return element
        return None

    def _number(self, bullet: _Element, level: int) -> str:
        type, start = bullet.get("type", ""), number(bullet.get("startAt", "")) or 1
        kind = f"{type} {start}"
        before, last = self._reached.get(level, ("", 0))
        reached = last + 1 if before == kind else min(start, _MAX_NUMBER)
        self._reached[level] = (kind, reached)
        sign = next((sign for sign in _SIGNS if type.endswith(sign)), "Period")
        format = _FORMATS.get(type.removesuffix(sign), "decimal")
        opening, closing = _SIGNS[sign]
        return f"{opening}{format_number(reached, format)}{closing}"


def _is_drawn(bullet: _Element | None) -> bool:
    return bullet is not None and (name(bullet) == "a:buBlip" or bool(bullet.get("char", "").strip()))
