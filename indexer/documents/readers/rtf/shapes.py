"""Know what a person sees of a shape or a picture: the words in it, and its alternative text."""

from __future__ import annotations

from dataclasses import dataclass, field

from echo_index.indexer.documents.readers.blocks import Block, paragraph_block
from echo_index.indexer.documents.readers.office.drawings import description

_WORDS = ("gtextUNICODE", "wzDescription")  # of WordArt, and the alternative text
_HIDDEN = "fHidden"
PROPERTIES = frozenset((*_WORDS, _HIDDEN))
"""The names of the properties of a shape that are looked at."""


@dataclass(slots=True)
class Shape:
    """A shape that is being read: its properties, the name of the next one, and the blocks of its text box."""

    properties: dict[str, str] = field(default_factory=dict)
    name: str = ""
    blocks: list[Block] = field(default_factory=list)

    def shown(self) -> list[Block]:
        """Return the blocks that a person sees."""
        if self.properties.get(_HIDDEN) == "1":
            return []
        words = (description(self.properties.get(name, "")) for name in _WORDS)
        return [*(paragraph_block(text) for text in words if text), *self.blocks]
