"""Know what styles say about text: headings, captions, hidden text, superscripts, symbol fonts, and numbers."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from echo_index.indexer.documents.readers.office.markup import (
    attribute,
    child,
    descendants,
    name,
    number,
    switch,
    value,
)
from echo_index.indexer.documents.readers.office.symbols import is_symbol_font

if TYPE_CHECKING:
    from lxml.etree import _Element

_BODY_TEXT_LEVEL = 9
_MAX_ANCESTORS = 50
_NAMED_HEADING = re.compile(r"heading ?([1-9])", re.IGNORECASE)
_HEADING_ID = re.compile(r"Heading([1-9])")

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class RunFormat:
    """How a piece of text is shown: hidden, raised as a superscript, and in which font ("" for that of the page)."""

    is_hidden: bool = False
    is_raised: bool = False
    font: str = ""


@dataclass(frozen=True, slots=True)
class Style:
    """What a style with its base styles says. None and "" mean that it says nothing."""

    level: int | None = None
    is_caption: bool = False
    is_hidden: bool | None = None
    is_raised: bool | None = None
    font: str = ""
    number_id: str = ""
    number_level: str = ""


class Styles:
    """The styles of a document by their identifiers. A style that is not there says nothing."""

    def __init__(self, root: _Element | None) -> None:
        """Read the styles part, or nothing if there is none."""
        styles = [*descendants(root, "w:style")] if root is not None else []
        self._elements = {attribute(style, "w:styleId"): style for style in styles}
        self._styles: dict[str, Style] = {}
        self._default = ""
        for style in styles:
            if attribute(style, "w:type") == "paragraph" and attribute(style, "w:default") in {"1", "true", "on"}:
                self._default = attribute(style, "w:styleId")

    def paragraph_style(self, paragraph: _Element) -> Style:
        """Return the style of a paragraph."""
        return self._style(value(paragraph, "w:pPr", "w:pStyle") or self._default)

    def paragraph_style_id(self, paragraph: _Element) -> str:
        """Return the identifier of the style of a paragraph."""
        return value(paragraph, "w:pPr", "w:pStyle") or self._default

    def heading_level(self, paragraph: _Element) -> int | None:
        """Return the level of a heading, 0 for a title, None if the paragraph is no heading."""
        own_level = _outline_level(paragraph)
        return self.paragraph_style(paragraph).level if own_level is None else own_level

    def run_format(self, properties: _Element | None, paragraph: Style) -> RunFormat:
        """Return how text is shown, by the properties of its run and the style of its paragraph."""
        own = _direct(properties)
        character = self._style(value(properties, "w:rStyle")) if properties is not None else _NOTHING
        # In styles, hiding is a switch: hidden text in a style that hides is shown.
        is_hidden = bool(character.is_hidden) != bool(paragraph.is_hidden) if own.is_hidden is None else own.is_hidden
        raised = (style.is_raised for style in (own, character, paragraph) if style.is_raised is not None)
        return RunFormat(
            is_hidden=is_hidden,
            is_raised=next(raised, False),
            font=own.font or character.font or paragraph.font,
        )

    def _style(self, style_id: str) -> Style:
        if style_id not in self._styles:
            self._styles[style_id] = self._resolved(style_id) if style_id in self._elements else _NOTHING
        return self._styles[style_id]

    def _resolved(self, style_id: str) -> Style:
        chain: list[_Element] = []
        seen = set[str]()
        while style_id in self._elements and style_id not in seen and len(chain) < _MAX_ANCESTORS:
            seen.add(style_id)
            chain.append(self._elements[style_id])
            style_id = value(self._elements[style_id], "w:basedOn")
        direct = [_direct(child(style, "w:rPr")) for style in chain]
        return Style(
            level=_first(chain, _style_level),
            is_caption=any(value(style, "w:name").lower() == "caption" for style in chain),
            is_hidden=next((style.is_hidden for style in direct if style.is_hidden is not None), None),
            is_raised=next((style.is_raised for style in direct if style.is_raised is not None), None),
            font=next((style.font for style in direct if style.font), ""),
            number_id=next(filter(None, (value(style, "w:pPr", "w:numPr", "w:numId") for style in chain)), ""),
            number_level=next(filter(None, (value(style, "w:pPr", "w:numPr", "w:ilvl") for style in chain)), ""),
        )


_NOTHING = Style()


def _first(chain: list[_Element], said: Callable[[_Element], Found | None]) -> Found | None:
    return next((found for style in chain if (found := said(style)) is not None), None)


def _direct(properties: _Element | None) -> Style:
    """Return what run properties say themselves."""
    if properties is None:
        return _NOTHING
    fonts, raised = child(properties, "w:rFonts"), value(properties, "w:vertAlign")
    named = [attribute(fonts, kind) for kind in ("w:ascii", "w:hAnsi")] if fonts is not None else []
    font = next(filter(is_symbol_font, named), next(filter(None, named), ""))
    return Style(
        is_hidden=switch(properties, "w:vanish"),
        is_raised=raised == "superscript" if raised else None,
        font=font,
    )


def _style_level(style: _Element) -> int | None:
    """Return the heading level of a style: by its name, else by its outline level.

    Some programs translate names and identifiers of styles; the outline level is the same in all languages.
    """
    if name(style) != "w:style" or attribute(style, "w:type") not in {"paragraph", ""}:
        return None
    style_name, style_id = value(style, "w:name"), attribute(style, "w:styleId")
    if "title" in {style_name.lower(), style_id.lower()}:
        return 0
    heading = _NAMED_HEADING.fullmatch(style_name) or _HEADING_ID.fullmatch(style_id)
    return int(heading[1]) if heading else _outline_level(style)


def _outline_level(element: _Element) -> int | None:
    level = number(value(element, "w:pPr", "w:outlineLvl"))
    return level + 1 if level is not None and level < _BODY_TEXT_LEVEL else None
