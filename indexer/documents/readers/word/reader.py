"""Read Word documents: what a person sees in the text of their pages. Macros are not looked at, and nothing is run."""

from __future__ import annotations

from dataclasses import replace

from echo_index.errors import DocumentError
from echo_index.indexer.documents.document import Document, first_title
from echo_index.indexer.documents.readers.blocks import join_blocks
from echo_index.indexer.documents.readers.failures import reported_as_unreadable
from echo_index.indexer.documents.readers.office.markup import child, name
from echo_index.indexer.documents.readers.office.package import OLE_MARK, Package
from echo_index.indexer.documents.readers.word.furniture import furniture
from echo_index.indexer.documents.readers.word.imports import Imports
from echo_index.indexer.documents.readers.word.notes import Notes
from echo_index.indexer.documents.readers.word.numbering import Numbering
from echo_index.indexer.documents.readers.word.stories import SharedParts, StoryReader
from echo_index.indexer.documents.readers.word.styles import Styles

_MAX_IMPORT_DEPTH = 3


def read_docx(content: bytes) -> Document:
    """Return the blocks of a document, separated by blank lines; tables have a line per row, cells joined by " | ".

    A heading is a paragraph with an outline level, its own or that of its style; the style Title has level 0. The title
    is that of the document's properties, else the first heading of level 0 or 1, else the first heading.

    Raises:
        DocumentError: the file is broken or encrypted.
        MemoryError: the XML parser ran out of memory.
    """
    return _read(content, depth=0)


def _read(content: bytes, *, depth: int) -> Document:
    if content.startswith(OLE_MARK):
        raise DocumentError("It is encrypted with a password, or an old Word file (.doc) under another name.")
    if depth > _MAX_IMPORT_DEPTH:
        raise DocumentError("Documents are imported into each other too deeply.")
    with reported_as_unreadable("DOCX"):
        return _parse(content, depth=depth)


def _parse(content: bytes, *, depth: int) -> Document:
    package = Package(content, format="DOCX", usual_main_part="word/document.xml")
    main, part = package.main_xml(), package.main_part()
    body = child(main, "w:body")
    if name(main) != "w:document" or body is None:
        raise DocumentError("It is not a readable DOCX: its main part is no Word document.")
    settings = package.related_xml(part, "settings")
    shared = SharedParts(
        package,
        Styles(package.related_xml(part, "styles")),
        Numbering(package.related_xml(part, "numbering")),
        Imports(package, lambda inner: _read(inner, depth=depth + 1)),
    )
    notes = {
        kind: Notes.of(package, main, settings, kind=kind, default_format=format)
        for kind, format in (("footnote", "decimal"), ("endnote", "lowerRoman"))
    }
    blocks = [
        *furniture(main, settings, shared, kind="header"),
        *StoryReader(body, part, shared, notes=notes).blocks(),
        *furniture(main, settings, shared, kind="footer"),
    ]
    document = join_blocks(blocks, format="docx")
    title = package.title() or first_title(document.headings)
    return replace(
        document,
        title=title,
        omissions=(*package.omissions, *_objects(shared.embedded_objects)),
        fields=package.fields(),
    )


def _objects(count: int) -> list[str]:
    return [f"{count} embedded object{'s' if count > 1 else ''}"] if count else []
