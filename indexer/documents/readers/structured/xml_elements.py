"""Find the elements of XML that have elements inside: what they are called, and what stands between them."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from echo_index.indexer.documents.readers.structured.xml_tokens import Token, plain_text, xml_tokens

_MAX_DEPTH = 30  # what is nested deeper is only content
_TITLES = ("title", "head", "info")  # elements that hold the title of the one around them, perhaps in a `title`
_TITLE_INSIDE = re.compile(r"<(?:\w+:)?title\b[^<>]*>(.*)", re.DOTALL | re.IGNORECASE)
_NAMES = ("name", "title", "key", "id", "label", "text", "about", "match")  # attributes, the best first
_NAMING_ELEMENTS = ("name", "id")
_NO_NAME = len(_NAMES)
_MAX_SOURCE = 500  # characters of a title, with tags


@dataclass(slots=True)
class Element:
    """An element with elements inside, `[start, end)`. `parent` is the index of the one around it, -1 for none.

    `title` is its own title, and `name` what it is called, as `is_id` only for programs; both may be empty. `attribute`
    is the value of its first one. `children` counts the elements in it that have elements inside. `has_content` says
    that there is something else in it, `is_mixed` that this is text, as in a paragraph.
    """

    tag: str
    start: int
    end: int
    parent: int
    title: str = ""
    name: str = ""
    is_id: bool = False
    attribute: str = ""
    children: int = 0
    has_content: bool = False
    is_mixed: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """What is next in the file: the start of the element with this index, or else some content of it at `offset`."""

    index: int
    offset: int
    is_start: bool


@dataclass(slots=True)
class _Open:
    """An element that is open. `index` is that of its Element, -1 as long as no element is inside.

    `parent` is the index of the nearest Element around it. `is_content` says that it never becomes one. `rank` says how
    good its name is, and `key` is what the last element in it said of the next one, as in property lists.
    """

    tag: Token
    parent: int
    is_content: bool
    index: int = -1
    has_text: bool = False
    rank: int = _NO_NAME
    key: str = ""


@dataclass(slots=True)
class XmlElements:
    """The elements of a file, by their starts, and the file as steps."""

    text: str
    elements: list[Element] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    _open: list[_Open] = field(default_factory=list)
    _open_tags: Counter[str] = field(default_factory=Counter)

    def read(self) -> None:
        """Find the elements. What is left open ends with the file, and end tags of nothing are ignored."""
        for token in xml_tokens(self.text):
            if token.kind == "start":
                self._start(token)
            elif token.kind == "text":
                self._add_text(token.start)
            elif self._open_tags[token.name]:
                while self._open[-1].tag.name != token.name:
                    self._close(token.start)
                self._close(token.end)
        while self._open:
            self._close(len(self.text))

    def _start(self, token: Token) -> None:
        parent = -1
        is_content = token.name.lower() in _TITLES or len(self._open) >= _MAX_DEPTH
        if self._open:
            around = self._open[-1]
            if around.index < 0 and not around.is_content:
                self._add_element(around)
            parent = around.parent if around.index < 0 else around.index
            is_content = is_content or around.is_content
        self._open.append(_Open(token, parent, is_content))
        self._open_tags[token.name] += 1

    def _add_element(self, opened: _Open) -> None:
        element = Element(opened.tag.name, opened.tag.start, 0, opened.parent, is_mixed=opened.has_text)
        element.has_content = opened.has_text
        attributes = opened.tag.attributes()
        element.attribute = next(iter(attributes.values()), "")
        opened.rank = next((rank for rank, name in enumerate(_NAMES) if attributes.get(name)), _NO_NAME)
        if opened.rank < _NO_NAME:
            element.name = attributes[_NAMES[opened.rank]]
            element.is_id = opened.rank >= _NAMES.index("id")
        elif len(self._open) > 1:
            element.name = self._open[-2].key
        if opened.parent >= 0:
            self.elements[opened.parent].children += 1
        opened.index = len(self.elements)
        self.elements.append(element)
        self.steps.append(Step(opened.index, element.start, is_start=True))

    def _add_text(self, offset: int) -> None:
        if self._open:
            around = self._open[-1]
            around.has_text = True
            if around.index >= 0:
                self.elements[around.index].is_mixed = True
                self._add_content(around.index, offset)

    def _add_content(self, index: int, offset: int) -> None:
        if index < 0:
            return
        self.elements[index].has_content = True
        if self.steps[-1].is_start or self.steps[-1].index != index:
            self.steps.append(Step(index, offset, is_start=False))

    def _close(self, end: int) -> None:
        closed = self._open.pop()
        self._open_tags[closed.tag.name] -= 1
        around = self._open[-1] if self._open else None
        if closed.index >= 0:
            self.elements[closed.index].end = end
        else:
            self._add_content(closed.parent, closed.tag.start)
            if around is not None and around.index >= 0:
                self._name(around, closed, end)
        if around is not None:
            is_key = closed.tag.name == "key" and closed.index < 0
            around.key = plain_text(self._source(closed, end)) if is_key else ""

    def _name(self, around: _Open, inside: _Open, end: int) -> None:
        """Name an element by one in it."""
        element = self.elements[around.index]
        tag = inside.tag.name.lower()
        if tag in _TITLES and not element.title:
            source = self._source(inside, end)
            title = _TITLE_INSIDE.search(source)
            source = title[1].partition("</title")[0] if title else "" if tag == "info" else source
            element.title = plain_text(source)
        elif tag in _NAMING_ELEMENTS and _NAMES.index(tag) < around.rank:
            element.name, around.rank = plain_text(self._source(inside, end)), _NAMES.index(tag)
            element.is_id = tag == "id"

    def _source(self, closed: _Open, end: int) -> str:
        return self.text[closed.tag.end : min(end, closed.tag.end + _MAX_SOURCE)]
