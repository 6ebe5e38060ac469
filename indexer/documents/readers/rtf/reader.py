"""Read documents in Rich Text Format (RTF): what a person sees of their pages. Objects are not opened."""

from __future__ import annotations

from dataclasses import replace

from echo_index.indexer.documents.document import Document, first_title
from echo_index.indexer.documents.readers.blocks import join_blocks
from echo_index.indexer.documents.readers.failures import reported_as_unreadable
from echo_index.indexer.documents.readers.plain import read_text
from echo_index.indexer.documents.readers.rtf.body import read_body
from echo_index.indexer.documents.readers.rtf.events import RTF_MARK

_BEFORE_MARK = b"\xef\xbb\xbf\0 \t\r\n"


def read_rtf(content: bytes) -> Document:
    """Return the blocks of a document, separated by blank lines; tables have a line per row, cells joined by " | ".

    A heading is a paragraph with an outline level, its own or that of its style. The title is that of the document's
    information, else the first heading of level 0 or 1, else the first heading. What does not begin as RTF is read as
    plain text, as word processors do.

    Raises:
        DocumentError: the groups are nested too deeply, or the content is binary.
    """
    source = content.lstrip(_BEFORE_MARK)
    if not source.startswith(RTF_MARK):
        return read_text(content)
    with reported_as_unreadable("RTF"):
        body = read_body(source)
        document = join_blocks(body.blocks, format="rtf")
    count = body.embedded_objects
    objects = (f"{count} embedded object{'s' if count > 1 else ''}",) if count else ()
    return replace(document, title=body.title or first_title(document.headings), omissions=objects)
