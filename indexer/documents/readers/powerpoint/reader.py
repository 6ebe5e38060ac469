"""Read presentations of PowerPoint: what a person sees on the slides, and the notes of the speaker."""

from __future__ import annotations

from dataclasses import replace

from echo_index.errors import DocumentError
from echo_index.indexer.documents.document import Document, Place, first_title
from echo_index.indexer.documents.readers.blocks import Block, document_block, join_blocks
from echo_index.indexer.documents.readers.default_titles import is_default_title
from echo_index.indexer.documents.readers.failures import reported_as_unreadable
from echo_index.indexer.documents.readers.office.markup import attribute, child, name, number
from echo_index.indexer.documents.readers.office.package import OLE_MARK, Package
from echo_index.indexer.documents.readers.powerpoint.layouts import Layouts
from echo_index.indexer.documents.readers.powerpoint.slides import SlideReader

_FORMAT = "pptx"


def read_pptx(content: bytes) -> Document:
    """Return the slides in their order, hidden ones too, with a place for each, "slide 3", and its title as a heading.

    The title is that of the document's properties, else that of the first slide with one.

    Raises:
        DocumentError: the file is broken or encrypted.
        MemoryError: the XML parser ran out of memory.
    """
    if content.startswith(OLE_MARK):
        raise DocumentError("It is encrypted with a password, or an old PowerPoint file (.ppt) under another name.")
    with reported_as_unreadable("PPTX"):
        return _parse(content)


def _parse(content: bytes) -> Document:
    package = Package(content, format="PPTX", usual_main_part="ppt/presentation.xml")
    main, part = package.main_xml(), package.main_part()
    if name(main) != "p:presentation":
        raise DocumentError("It is not a readable PPTX: its main part is no presentation.")
    reader = SlideReader(package, Layouts(package))
    first = number(main.get("firstSlideNum", ""))
    identifiers = child(main, "p:sldIdLst")
    relations = package.relations(part)
    blocks: list[Block] = []
    missing = 0
    seen: set[str] = set()
    for position, identifier in enumerate(identifiers if identifiers is not None else ()):
        place = f"slide {position + (1 if first is None else first)}"
        relation = relations.get(attribute(identifier, "r:id"))
        target = "" if relation is None or relation.target in seen else relation.target
        slide = package.xml(target) if target else None
        if slide is None:
            missing += 1
        else:
            seen.add(target)
            document = join_blocks(reader.blocks(slide, target), format=_FORMAT)
            blocks.append(document_block(replace(document, places=(Place(0, place),))))
    document = join_blocks(blocks, format=_FORMAT)
    own_title = package.title()
    title = first_title(document.headings) if is_default_title(own_title) else own_title
    omissions = (
        *_counted(missing, "slide"),
        *package.omissions,
        *_counted(reader.embedded_objects, "embedded object"),
    )
    return replace(document, title=title, omissions=omissions, fields=package.fields())


def _counted(count: int, thing: str) -> list[str]:
    return [f"{count} {thing}{'s' if count > 1 else ''}"] if count else []
