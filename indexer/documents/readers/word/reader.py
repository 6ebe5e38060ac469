"""Read Word documents: what a person sees in the text of their pages. Macros are not looked at, and nothing is run."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from echo_index.errors import DocumentError
from echo_index.indexer.documents.document import Document, first_title
from echo_index.indexer.documents.readers.word.blocks import join_blocks
from echo_index.indexer.documents.readers.word.furniture import furniture
from echo_index.indexer.documents.readers.word.imports import Imports
from echo_index.indexer.documents.readers.word.markup import child, descendants, name, own_text
from echo_index.indexer.documents.readers.word.notes import Notes
from echo_index.indexer.documents.readers.word.numbering import Numbering
from echo_index.indexer.documents.readers.word.package import Package
from echo_index.indexer.documents.readers.word.stories import SharedParts, StoryReader
from echo_index.indexer.documents.readers.word.styles import Styles

if TYPE_CHECKING:
    from lxml.etree import _Element

_OLE_MARK = b"\xd0\xcf\x11\xe0"  # of .doc files and of encrypted ones
_ADVICE = re.compile(r", (?:line \d|try |use |see ).*| \(<string>.*")  # the XML parser's hints for its caller
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
    if content.startswith(_OLE_MARK):
        raise DocumentError("It is encrypted with a password, or an old Word file (.doc) under another name.")
    if depth > _MAX_IMPORT_DEPTH:
        raise DocumentError("Documents are imported into each other too deeply.")
    try:
        return _parse(content, depth=depth)
    except (DocumentError, MemoryError):
        raise
    except RecursionError as error:
        raise DocumentError("It is not a readable DOCX: its elements are nested too deeply.") from error
    except Exception as error:  # the ZIP and XML libraries raise many kinds of errors
        raise DocumentError(f"It is not a readable DOCX: {_short_reason(error)}.") from error


def _parse(content: bytes, *, depth: int) -> Document:
    package = Package(content)
    main, part = package.main_xml(), package.main_part()
    body = child(main, "w:body")
    if name(main) != "w:document" or body is None:
        raise DocumentError("It is not a readable DOCX: its main part is no Word document.")
    settings = _related_xml(package, "settings")
    shared = SharedParts(
        package,
        Styles(_related_xml(package, "styles")),
        Numbering(_related_xml(package, "numbering")),
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
    document = join_blocks(blocks)
    title = _property_title(package) or first_title(document.headings)
    return replace(document, title=title, omissions=(*package.omissions, *_objects(shared.embedded_objects)))


def _related_xml(package: Package, type: str) -> _Element | None:
    part = next(iter(package.related(package.main_part(), type)), "")
    return package.xml(part) if part else None


def _property_title(package: Package) -> str:
    part = next(iter(package.related("", "core-properties")), "docProps/core.xml")
    root = package.xml(part)
    titles = (" ".join(own_text(title).split()) for title in descendants(root, "dc:title")) if root is not None else ()
    return next(iter(titles), "")


def _objects(count: int) -> list[str]:
    return [f"{count} embedded object{'s' if count > 1 else ''}"] if count else []


def _short_reason(error: Exception) -> str:
    message = _ADVICE.sub("", " ".join(str(error).split())).rstrip(".")[:100]
    return message[:1].lower() + message[1:] if message else "its structure is broken"
