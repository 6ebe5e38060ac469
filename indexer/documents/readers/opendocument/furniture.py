"""Read the headers and footers of a text, each once, without the numbers of pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from echo_index.indexer.documents.readers.blocks import Block
from echo_index.indexer.documents.readers.opendocument.markup import attribute, descendants
from echo_index.indexer.documents.readers.opendocument.source import Source
from echo_index.indexer.documents.readers.opendocument.stories import StoryReader
from echo_index.indexer.documents.readers.page_numbers import without_page_numbers

if TYPE_CHECKING:
    from lxml.etree import _Element

_PAGES = ("", "-left", "-first")
_DEFAULT_MASTER = "Standard"


def furniture(source: Source, reader: StoryReader, *, kind: str) -> Iterator[Block]:
    """Yield the distinct texts of all headers or footers, by their `kind`, of the pages that the text uses."""
    seen: set[str] = set()
    for master in _used_masters(source):
        for element in descendants(master, *(f"style:{kind}{pages}" for pages in _PAGES)):
            shown = reader.blocks(element) if attribute(element, "style:display") != "false" else ()
            for block in shown:
                text = without_page_numbers(block.text)
                if text.strip() and text not in seen:
                    seen.add(text)
                    yield Block(text)


def _used_masters(source: Source) -> list[_Element]:
    masters = {attribute(m, "style:name"): m for part in source.styles for m in descendants(part, "style:master-page")}
    used = {_DEFAULT_MASTER}
    for part in source.styles:
        used.update(attribute(style, "style:master-page-name") for style in descendants(part, "style:style"))
    for _ in masters:  # pages that follow used ones are used
        following = {attribute(masters[name], "style:next-style-name") for name in used if name in masters}
        if following <= used:
            break
        used |= following
    return [master for name, master in masters.items() if name in used]
