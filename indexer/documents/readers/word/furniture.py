"""Read the headers and footers that Word shows, each text once, without the numbers of pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from echo_index.indexer.documents.readers.blocks import Block
from echo_index.indexer.documents.readers.office.markup import attribute, descendants, name, switch
from echo_index.indexer.documents.readers.page_numbers import without_page_numbers
from echo_index.indexer.documents.readers.word.stories import SharedParts, StoryReader

if TYPE_CHECKING:
    from lxml.etree import _Element


def furniture(main: _Element, settings: _Element | None, shared: SharedParts, *, kind: str) -> Iterator[Block]:
    """Yield the distinct texts of all headers or footers, by their `kind`, in the order of the sections."""
    relations = shared.package.relations(shared.package.main_part())
    parts: dict[str, None] = {}
    for section in descendants(main, "w:sectPr"):
        shown = {
            "default": True,
            "first": switch(section, "w:titlePg"),
            "even": switch(settings, "w:evenAndOddHeaders"),
        }
        for reference in section:
            is_shown = name(reference) == f"w:{kind}Reference" and shown.get(
                attribute(reference, "w:type") or "default"
            )
            relation = relations.get(attribute(reference, "r:id")) if is_shown else None
            if relation is not None and not relation.is_external:
                parts[relation.target] = None
    seen: set[str] = set()
    for part in parts:
        root = shared.package.xml(part, content=f"a {kind}")
        for block in StoryReader(root, part, shared, hides_page_numbers=True).blocks() if root is not None else ():
            text = without_page_numbers(block.text)
            if text.strip() and text not in seen:
                seen.add(text)
                yield Block(text)
