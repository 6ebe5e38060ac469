"""Make headings of the elements of XML: of sections with titles, and of the elements that data consists of."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from echo_index.indexer.documents.document import Heading
from echo_index.indexer.documents.readers.heading_levels import last_useful_level
from echo_index.indexer.documents.readers.structured.xml_elements import Element, XmlElements

_MAX_LEVEL = 5
_MAX_HEADINGS = 50_000
_MAX_TAGS = 2_000_000  # a file with more is only text
_MAX_TITLE = 100  # characters
_SECTION = 300  # characters that a section has in the mean
_LINE = 400  # characters; a shorter element on one line is no heading
_ASIDE = 1_000  # characters; a shorter element has no heading if the text around it goes on
_MIXED_IN_PROSE = 0.1  # of the elements with elements inside have text beside them


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an element is the innermost heading from `offset` on: its start, or behind another one inside of it."""

    index: int
    level: int
    offset: int


def xml_headings(text: str) -> tuple[Heading, ...]:
    """Return the headings of XML, five levels at most and 50,000 in all.

    A heading is an element with elements inside. It is called by its element `title` or `head`, else by its tag and its
    attribute or element `name`, `key` or `id` and the like. Without a name, it must be the only one of its kind, and in
    prose it is no heading. Where an element goes on behind a long one in it, its heading is repeated. Levels whose
    sections would be only a few words long are left out.
    """
    if text.count("<") > _MAX_TAGS:
        return ()
    found = XmlElements(text)
    found.read()
    _name_by_only_element(found.elements)
    places = _Walk(found).places()
    deepest = last_useful_level([place.level for place in places], len(text), most=_MAX_HEADINGS, section=_SECTION)
    places = [place for place in places if place.level <= deepest]
    return tuple(
        Heading(place.level, _title(found.elements[place.index]), _line_start(text, place.offset))
        for before, place in zip([None, *places], places, strict=False)
        if before is None or before.index != place.index
    )


def _name_by_only_element(elements: list[Element]) -> None:
    """Give an element that has nothing but one other in it the name of that one."""
    for element, inside in zip(elements[-2::-1], elements[:0:-1], strict=True):
        if element.children == 1 and not element.has_content and not element.title and not element.name:
            element.title, element.name, element.is_id = inside.title, inside.name, inside.is_id


class _Walk:
    """Goes through a file and notes which elements are headings where."""

    def __init__(self, found: XmlElements) -> None:
        self._found = found
        self._places: list[_Place] = []
        self._first: dict[int, int] = {}  # where in `_places` each heading is first
        self._headings: list[int] = []  # for each element the innermost heading, -1 for none
        self._levels: dict[int, int] = {-1: 0}
        self._siblings = Counter((element.parent, element.tag) for element in found.elements)
        mixed = sum(element.is_mixed for element in found.elements)
        self._is_prose = mixed > 0 and mixed >= _MIXED_IN_PROSE * len(found.elements)

    def places(self) -> list[_Place]:
        for step in self._found.steps:
            if step.is_start:
                self._add_element(step.index)
            else:
                self._go_on(self._headings[step.index], step.offset)
        return self._places

    def _add_element(self, index: int) -> None:
        element = self._found.elements[index]
        around = -1 if element.parent < 0 else self._headings[element.parent]
        level = self._levels[around] + 1
        if level <= _MAX_LEVEL and self._is_heading(element):
            self._headings.append(index)
            self._levels[index] = level
            self._first[index] = len(self._places)
            self._places.append(_Place(index, level, element.start))
        else:
            self._headings.append(around)
            self._go_on(around, element.start)

    def _is_heading(self, element: Element) -> bool:
        around = self._found.elements[element.parent] if element.parent >= 0 else None
        if around is not None and around.children == 1 and not around.has_content:
            return False
        if not element.title and (element.is_mixed or not self._is_known(element)):
            return False
        is_long = element.end - element.start >= _LINE
        return is_long or "\n" in self._found.text[element.start : element.end]

    def _is_known(self, element: Element) -> bool:
        """Return whether the element is named, or needs no name."""
        if self._is_prose:
            return bool(element.name) and not element.is_id
        if not element.name and self._siblings[element.parent, element.tag] > 1:
            element.name = element.attribute
            return bool(element.name)
        return True

    def _go_on(self, index: int, offset: int) -> None:
        """Note that content of a heading is at `offset`, perhaps behind another heading inside of it."""
        if index < 0 or self._places[-1].index == index:
            return
        level = self._levels[index]
        inside = next(place.index for place in reversed(self._places) if place.level == level + 1)
        element = self._found.elements[inside]
        if element.end - element.start < _ASIDE:
            offset = element.start
            del self._places[self._first[inside] :]
        if self._places[-1].index != index:
            self._places.append(_Place(index, level, offset))


def _title(element: Element) -> str:
    if element.title:
        return element.title[:_MAX_TITLE]
    return element.tag if element.name == element.tag else f"{element.tag} {element.name}".strip()[:_MAX_TITLE]


def _line_start(text: str, offset: int) -> int:
    """Return the start of a line if only white space is between it and `offset`, else `offset`."""
    start = text.rfind("\n", max(0, offset - _LINE), offset) + 1
    is_first = start > 0 or offset <= _LINE
    return start if is_first and not text[start:offset].strip() else offset
