"""Read one slide after the other: title, shapes, and the notes of the speaker."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from echo_index.indexer.documents.readers.blocks import Block, paragraph_block
from echo_index.indexer.documents.readers.office.drawings import DRAWN_PARTS, description, words_of_part
from echo_index.indexer.documents.readers.office.markup import attribute, child, descendants, name, outermost
from echo_index.indexer.documents.readers.office.package import Package
from echo_index.indexer.documents.readers.powerpoint.layouts import Layouts
from echo_index.indexer.documents.readers.powerpoint.paragraphs import text_of
from echo_index.indexer.documents.readers.powerpoint.reading_order import (
    TITLES,
    alternative_text,
    placeholder_type,
    shapes_in_order,
)
from echo_index.indexer.documents.readers.powerpoint.tables import table_of

if TYPE_CHECKING:
    from lxml.etree import _Element

_REPEATED = {"dt", "ftr", "hdr"}  # what stands on all slides: read once


@dataclass(slots=True)
class SlideReader:
    """Reads the slides of a presentation. `embedded_objects` counts those of which no word is known."""

    package: Package
    layouts: Layouts
    embedded_objects: int = 0
    _repeated: set[str] = field(default_factory=set)
    _drawn: set[str] = field(default_factory=set)
    _notes: set[str] = field(default_factory=set)

    def blocks(self, slide: _Element, part: str) -> Iterator[Block]:
        """Yield the blocks of the slide in a part, its notes last."""
        tree = child(slide, "p:cSld", "p:spTree")
        if tree is not None:
            yield from self._shapes(tree, part)
        for notes in self.package.related(part, "notesSlide"):
            yield from self._notes_of(notes)

    def _shapes(self, tree: _Element, part: str) -> Iterator[Block]:
        for shape in shapes_in_order(tree):
            blocks = [block for block in self._shape(shape, part) if block.text.strip()]
            yield from blocks or [paragraph_block(description(alternative_text(shape)))]

    def _shape(self, shape: _Element, part: str) -> Iterator[Block]:
        kind, type = name(shape), placeholder_type(shape)
        if type == "sldNum":
            return
        if kind == "p:grpSp":
            yield from self._shapes(shape, part)
        elif kind == "p:graphicFrame":
            yield from self._frame(shape, part)
        else:
            text = text_of(child(shape, "p:txBody"), self.layouts.list_styles(shape, slide=part))
            if type in _REPEATED:
                text = "" if text in self._repeated else text
                self._repeated.add(text)
            yield paragraph_block(text, level=1 if type in TITLES and text else None)

    def _frame(self, frame: _Element, part: str) -> Iterator[Block]:
        has_object = False
        words: list[str] = []
        for element in outermost(frame, "a:tbl", *DRAWN_PARTS, "p:oleObj"):
            kind = name(element)
            if kind == "a:tbl":
                yield table_of(element)
            elif kind == "p:oleObj":
                has_object = True
            else:
                words += self._drawn_words(element, part)
        yield paragraph_block("\n".join(dict.fromkeys(filter(None, map(str.strip, words)))))
        self.embedded_objects += has_object and not description(alternative_text(frame))

    def _drawn_words(self, element: _Element, part: str) -> list[str]:
        """Return the words of a chart or diagram, if they were not read before."""
        relation = self.package.relations(part).get(attribute(element, "r:dm") or attribute(element, "r:id"))
        if relation is None or relation.target in self._drawn:
            return []
        self._drawn.add(relation.target)
        return words_of_part(element, self.package, part=part)

    def _notes_of(self, part: str) -> Iterator[Block]:
        if part in self._notes:
            return
        self._notes.add(part)
        root = self.package.xml(part, content="notes")
        for shape in descendants(root, "p:sp") if root is not None else ():
            if placeholder_type(shape) == "body":
                text = text_of(child(shape, "p:txBody"), self.layouts.list_styles(shape, slide=part))
                yield paragraph_block(f"Notes: {text}" if text else "")
