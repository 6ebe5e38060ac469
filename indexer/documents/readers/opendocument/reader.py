"""Read texts and presentations in OpenDocument, as LibreOffice writes them: what a person sees of them."""

from __future__ import annotations

from dataclasses import replace

from echo_index.indexer.documents.document import Document, Place, first_title
from echo_index.indexer.documents.readers.blocks import Block, document_block, join_blocks
from echo_index.indexer.documents.readers.default_titles import is_default_title
from echo_index.indexer.documents.readers.failures import reported_as_unreadable
from echo_index.indexer.documents.readers.opendocument.furniture import furniture
from echo_index.indexer.documents.readers.opendocument.markup import descendants
from echo_index.indexer.documents.readers.opendocument.slides import slide_blocks
from echo_index.indexer.documents.readers.opendocument.source import Source, open_source
from echo_index.indexer.documents.readers.opendocument.stories import StoryReader
from echo_index.indexer.documents.readers.opendocument.styles import Styles


def read_odt(content: bytes) -> Document:
    """Return the blocks of a text, separated by blank lines; tables have a line per row, cells joined by " | ".

    The title is that of the document's properties, else the first heading of level 0 or 1, else the first heading.

    Raises:
        DocumentError: the file is broken or encrypted.
        MemoryError: the XML parser ran out of memory.
    """
    with reported_as_unreadable("ODT"):
        source = open_source(content, format="ODT", kind="office:text")
        reader = StoryReader(Styles(source.styles), source.archive)
        blocks = [
            *furniture(source, reader, kind="header"),
            *reader.blocks(source.body),
            *furniture(source, reader, kind="footer"),
        ]
        return _document(blocks, source, reader, format="odt")


def read_odp(content: bytes) -> Document:
    """Return the slides in their order, hidden ones too, with a place for each, "slide 3", and its title as a heading.

    The title is that of the document's properties, else that of the first slide with one.

    Raises:
        DocumentError: the file is broken or encrypted.
        MemoryError: the XML parser ran out of memory.
    """
    with reported_as_unreadable("ODP"):
        source = open_source(content, format="ODP", kind="office:presentation")
        reader = StoryReader(Styles(source.styles), source.archive)
        blocks: list[Block] = []
        for number, page in enumerate(descendants(source.body, "draw:page"), 1):
            slide = join_blocks(slide_blocks(page, reader), format="odp")
            blocks.append(document_block(replace(slide, places=(Place(0, f"slide {number}"),))))
        return _document(blocks, source, reader, format="odp")


def _document(blocks: list[Block], source: Source, reader: StoryReader, *, format: str) -> Document:
    document = join_blocks(blocks, format=format)
    objects = reader.embedded_objects
    omissions = [f"{objects} embedded object{'s' if objects > 1 else ''}"] if objects else []
    title = first_title(document.headings) if is_default_title(source.title) else source.title
    return replace(document, title=title, omissions=tuple(omissions), fields=source.fields)
