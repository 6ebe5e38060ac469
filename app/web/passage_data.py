"""The data by which buttons, cards and points of the map name the passage that they open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Data: TypeAlias = dict[str, Any]


def passage_data(source: str, start: int, *, collection: str = "") -> Data:
    """Return the data for a passage; without a collection, which is empty, if there is only one index."""
    return {"source": source, "start": start} | ({"collection": collection} if collection else {})


@dataclass(frozen=True, slots=True)
class NamedPassage:
    """What the data of an event name: a document, the character that a passage begins with, and the collection."""

    source: str
    start: int
    collection: str

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> NamedPassage:
        """Read the data of an event, in which numbers are texts."""
        return cls(str(data["source"]), int(data["start"]), str(data.get("collection") or ""))
