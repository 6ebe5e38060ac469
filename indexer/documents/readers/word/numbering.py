"""Number lists and headings as Word shows them: "1.", "a)", "2.3"."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from echo_index.indexer.documents.readers.number_formats import format_number
from echo_index.indexer.documents.readers.office.markup import (
    attribute,
    child,
    descendants,
    name,
    number,
    switch,
    value,
)
from echo_index.indexer.documents.readers.word.styles import Style

if TYPE_CHECKING:
    from lxml.etree import _Element

_BULLET = "-"
_LEVELS = 9
_PLACE = re.compile(r"%([1-9])")
_MAX_LINKS = 10  # from a list to the style that holds its levels


@dataclass(frozen=True, slots=True)
class _Level:
    """A level of a list: its first number, format and text, and after which level it begins anew (0 for none)."""

    start: int
    format: str
    text: str
    restarts_after: int
    style_id: str
    has_digits_only: bool


@dataclass(slots=True)
class _List:
    """A list and the numbers that its levels have reached. Several numberings may continue one list."""

    levels: dict[int, _Level]
    reached: dict[int, int] = field(default_factory=dict)


class Numbering:
    """The lists of a document. Ask for the labels in the order of the paragraphs."""

    def __init__(self, root: _Element | None) -> None:
        """Read the numbering part, or nothing if there is none."""
        elements = [*root] if root is not None else []
        self._abstract = {attribute(e, "w:abstractNumId"): e for e in elements if name(e) == "w:abstractNum"}
        self._numberings = {attribute(e, "w:numId"): e for e in elements if name(e) == "w:num"}
        self._style_lists = {link: e for e in self._abstract.values() if (link := value(e, "w:styleLink"))}
        self._lists: dict[str, _List] = {}
        self._own_levels: dict[str, dict[int, _Level]] = {}
        self._begun: set[str] = set()

    def label(self, paragraph: _Element, style: Style, *, style_id: str) -> str:
        """Return the label of a paragraph, "" if it has none, and count it. All bullets are written as "-"."""
        own_id = value(paragraph, "w:pPr", "w:numPr", "w:numId")
        number_id = own_id or style.number_id
        if number_id not in self._numberings:
            return ""
        levels = self._levels(number_id)
        given = number(value(paragraph, "w:pPr", "w:numPr", "w:ilvl"))
        if given is None and not own_id:
            linked = (index for index, level in levels.items() if level.style_id == style_id)
            given = next(linked, number(style.number_level))
        index = given or 0
        if index not in levels or index >= _LEVELS:
            return ""
        reached = self._count(number_id, index, levels)
        return _label(index, levels, reached)

    def _levels(self, number_id: str) -> dict[int, _Level]:
        if number_id not in self._own_levels:
            numbering = self._numberings[number_id]
            levels = dict(self._list(number_id).levels)
            for override in descendants(numbering, "w:lvlOverride"):
                level = child(override, "w:lvl")
                index = number(attribute(override, "w:ilvl"))
                if level is not None and index is not None:
                    levels[index] = _level(level)
            self._own_levels[number_id] = levels
        return self._own_levels[number_id]

    def _list(self, number_id: str) -> _List:
        abstract_id = value(self._numberings[number_id], "w:abstractNumId")
        if abstract_id not in self._lists:
            element = self._abstract.get(abstract_id)
            for _ in range(_MAX_LINKS):
                link = value(element, "w:numStyleLink")
                element = self._style_lists.get(link, element) if link else element
            found = [*descendants(element, "w:lvl")] if element is not None else []
            self._lists[abstract_id] = _List({number(attribute(e, "w:ilvl")) or 0: _level(e) for e in found})
        return self._lists[abstract_id]

    def _count(self, number_id: str, index: int, levels: dict[int, _Level]) -> dict[int, int]:
        """Count a paragraph of a level, and return the numbers that all levels have reached."""
        reached = self._list(number_id).reached
        if number_id not in self._begun:
            self._begun.add(number_id)
            for override in descendants(self._numberings[number_id], "w:lvlOverride"):
                start = number(value(override, "w:startOverride"))
                level = number(attribute(override, "w:ilvl"))
                if start is not None and level is not None:
                    reached[level] = start - 1
        for outer in range(index):
            if outer in levels:
                reached.setdefault(outer, levels[outer].start)
        reached[index] = reached.get(index, levels[index].start - 1) + 1
        for inner in [level for level in reached if level > index]:
            if inner in levels and index < levels[inner].restarts_after:
                del reached[inner]
        return reached


def _label(index: int, levels: dict[int, _Level], reached: dict[int, int]) -> str:
    level = levels[index]
    if level.format == "bullet":
        return _BULLET if level.text.strip() else ""

    def number_of(place: re.Match[str]) -> str:
        outer = int(place[1]) - 1
        if outer not in levels or outer > index:
            return ""
        return format_number(reached[outer], "decimal" if level.has_digits_only else levels[outer].format)

    return _PLACE.sub(number_of, level.text).strip()


def _level(element: _Element) -> _Level:
    index = number(attribute(element, "w:ilvl")) or 0
    start, restarts = number(value(element, "w:start")), number(value(element, "w:lvlRestart"))
    return _Level(
        start=0 if start is None else start,
        format=value(element, "w:numFmt") or "decimal",
        text=value(element, "w:lvlText")[:100],
        restarts_after=min(index, _LEVELS) if restarts is None else restarts,
        style_id=value(element, "w:pStyle"),
        has_digits_only=bool(switch(element, "w:isLgl")),
    )
