"""Read the slides of an OpenDocument presentation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from echo_index.indexer.documents.readers.blocks import Block, join_blocks, paragraph_block
from echo_index.indexer.documents.readers.opendocument.markup import attribute, child, descendants, name
from echo_index.indexer.documents.readers.opendocument.paragraphs import DRAWINGS
from echo_index.indexer.documents.readers.opendocument.stories import StoryReader
from echo_index.indexer.documents.readers.positions import Box, by_position

if TYPE_CHECKING:
    from lxml.etree import _Element

_LENGTH = re.compile(r"(-?\d{1,6}(?:\.\d{1,6})?)(cm|mm|in|pt|pc|px)")
_UNITS = {"cm": 10.0, "mm": 1.0, "in": 25.4, "pt": 0.3528, "pc": 4.2333, "px": 0.2646}  # in millimetres
_REPEATED = {"date-time", "footer", "header", "page-number"}


def slide_blocks(page: _Element, reader: StoryReader) -> Iterator[Block]:
    """Yield the blocks of a slide: its title as a heading, other placeholders, the rest by position, and its notes."""
    shapes = [shape for shape in page if name(shape) in DRAWINGS]
    classes = [attribute(shape, "presentation:class") for shape in shapes]
    titles = [shape for shape, kind in zip(shapes, classes, strict=True) if kind == "title"]
    fixed = [shape for shape, kind in zip(shapes, classes, strict=True) if kind and kind not in {"title", *_REPEATED}]
    free = [(_box(shape), shape) for shape, kind in zip(shapes, classes, strict=True) if not kind]
    for title in titles:
        text = " ".join(block.text for block in reader.drawing(title))
        yield paragraph_block(text, level=1 if text.strip() else None)
    for shape in (*fixed, *by_position(free)):
        yield from reader.drawing(shape)
    yield _notes(page, reader)


def _notes(page: _Element, reader: StoryReader) -> Block:
    boxes = [
        frame
        for frame in descendants(child(page, "presentation:notes"), "draw:frame")
        if attribute(frame, "presentation:class") == "notes"
    ]
    notes = join_blocks((block for box in boxes for block in reader.drawing(box)), format="")
    return replace(paragraph_block(f"Notes: {notes.text}" if notes.text else ""), tables=())


def _box(shape: _Element) -> Box:
    return Box(_length(shape, "svg:x"), _length(shape, "svg:y"), _length(shape, "svg:height"))


def _length(shape: _Element, name: str) -> float:
    """Return a length in millimetres, 0 for anything else."""
    length = _LENGTH.fullmatch(attribute(shape, name))
    return float(length[1]) * _UNITS[length[2]] if length else 0.0
