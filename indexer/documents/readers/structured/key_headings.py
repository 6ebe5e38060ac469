"""Make headings of keys: of objects, of lists of objects, and of the objects in them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from echo_index.indexer.documents.document import Heading, line_starts
from echo_index.indexer.documents.readers.heading_levels import last_useful_level
from echo_index.indexer.documents.readers.structured.events import Event

_MAX_LEVEL = 3
_MAX_HEADINGS = 5_000
_SECTION = 150  # characters
_MAX_TITLE = 100  # characters
_NAMES = ("name", "title", "id")  # the keys that name an object of a list, the best first
_NO_NAME = len(_NAMES)


@dataclass(slots=True)
class _Container:
    """An object or a list that is open.

    `index` is that of its heading, if it has one; `rank` says how good the name of an object of a list is.
    """

    is_mapping: bool
    start: int
    title: str = ""
    level: int = 0
    index: int | None = None
    rank: int | None = None
    key: Event | None = None
    items: int = 0


def key_headings(text: str, events: Iterable[Event]) -> tuple[Heading, ...]:
    """Return the headings of a file of keys and values, three levels at most and 5,000 in all.

    An object is named by its key. In a list, it is named by its own key "name", "title" or "id", else by its number.
    What begins and ends on one line is no heading. The offset is that of the line. Levels whose sections would be only
    a few words long are left out.
    """
    headings = [each for each in _Walk(text).headings(events) if each.title.strip()]
    deepest = last_useful_level(
        [heading.level for heading in headings], len(text), most=_MAX_HEADINGS, section=_SECTION
    )
    return tuple(heading for heading in headings if heading.level <= deepest)


class _Walk:
    def __init__(self, text: str) -> None:
        self._text = text
        self._line_starts = line_starts(text)
        self._open: list[_Container] = []
        self._headings: list[Heading] = []

    def headings(self, events: Iterable[Event]) -> Iterator[Heading]:
        for event in events:
            if event.kind == "end":
                self._close(event.offset)
            elif event.kind == "scalar":
                self._add_scalar(event)
            else:
                self._open.append(self._container(event))
        yield from self._headings

    def _container(self, event: Event) -> _Container:
        is_mapping = event.kind == "mapping"
        parent = self._open[-1] if self._open else None
        if parent is None:
            return _Container(is_mapping, event.offset)
        parent.items += 1
        if parent.is_mapping and parent.key is not None:
            key, parent.key = parent.key, None
            inside = _Container(is_mapping, key.offset, key.value, parent.level + 1)
        else:
            title = f"{parent.title[:_MAX_TITLE] or 'item'} {parent.items}"
            inside = _Container(is_mapping, event.offset, title, parent.level + 1)
            inside.rank = _NO_NAME
        if is_mapping and inside.level <= _MAX_LEVEL:
            self._add_heading(parent)
            self._add_heading(inside)
        return inside

    def _add_heading(self, container: _Container) -> None:
        """Add the heading of a container if it has none yet: that of a list waits until there is an object in it."""
        if container.index is None and 1 <= container.level <= _MAX_LEVEL:
            container.index = len(self._headings)
            line = bisect_right(self._line_starts, container.start) - 1
            title = " ".join(container.title.split())[:_MAX_TITLE]
            self._headings.append(Heading(container.level, title, self._line_starts[line]))

    def _add_scalar(self, event: Event) -> None:
        parent = self._open[-1] if self._open else None
        if parent is None:
            return
        if not parent.is_mapping:
            parent.items += 1
        elif parent.key is None:
            parent.key = event
        else:
            self._name(parent, parent.key.value, event.value)
            parent.key = None

    def _name(self, container: _Container, key: str, value: str) -> None:
        if container.rank is None or container.index is None or key not in _NAMES or not value.strip():
            return
        rank = _NAMES.index(key)
        if rank < container.rank:
            container.rank = rank
            title = " ".join(value.split())[:_MAX_TITLE]
            self._headings[container.index] = replace(self._headings[container.index], title=title)

    def _close(self, end: int) -> None:
        if not self._open:
            return
        container = self._open.pop()
        index = container.index
        if (
            index is not None
            and index == len(self._headings) - 1
            and "\n" not in self._text[container.start : end].rstrip()
        ):
            self._headings.pop()
