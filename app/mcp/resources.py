"""Documents as resources: `echo-index://documents/NAME`, and the rest of a long one from a character on."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, unquote, urlsplit

from mcp import types
from pydantic import AnyUrl

from echo_index.app.services.document_tools import DocumentTools
from echo_index.app.services.formatting import pluralize
from echo_index.errors import IndexMissing, QuestionError

if TYPE_CHECKING:
    from echo_index.indexer.inspection.document_queries import ListedDocument

TEMPLATES = [
    types.ResourceTemplate(
        uriTemplate="echo-index://documents/{source}",
        name="document",
        title="A document",
        description="The text of an indexed document. A part of it is source, too: notes.md:7 or report.pdf, page 3.",
        mimeType="text/plain",
    ),
    types.ResourceTemplate(
        uriTemplate="echo-index://documents/{source}{?start}",
        name="rest of a document",
        title="The rest of a document",
        description="The text of an indexed document from the character start on.",
        mimeType="text/plain",
    ),
]
_PREFIX = "echo-index://documents/"
_CURSOR = re.compile(r"(\d{1,4}):(.*)", re.DOTALL)
_PAGE = 200  # resources of a list
_PARTS = 5  # that a tool call reads, in one resource


def document_uri(source: str, start: int | None = None) -> str:
    """Return the URI of a document. All of its name is one segment, so that nothing resolves dots in it."""
    return f"{_PREFIX}{quote(source, safe='')}" + ("" if start is None else f"?start={start}")


def list_resources(tools: DocumentTools, cursor: str | None) -> types.ListResourcesResult:
    """Return one page of the documents that could be read; a cursor names the last document of the page before.

    It is the number of its collection and its path. Documents of several collections are called "work: notes.md".

    Those of a collection without an index are left out.

    Raises:
        QuestionError: the cursor is none of an earlier page.
        IndexMissing: there is only one index, and it is missing.
    """
    from echo_index.indexer.catalog.chunk_queries import DocumentSelection
    from echo_index.indexer.inspection.document_queries import page_documents

    service = tools.service
    cursor = cursor or "0:"
    place = _CURSOR.fullmatch(cursor)
    if place is None:
        raise QuestionError(f"{cursor[:200]!r} is no cursor of a list of documents.", remedy="Begin without one.")
    first, after = int(place[1]), place[2]
    found: list[tuple[int, ListedDocument]] = []
    for number, collection in [*enumerate(service.collections)][first:]:
        selection = DocumentSelection(after=after if number == first else "", readable=True)
        try:
            page, _ = service.with_reader(
                partial(page_documents, selection=selection, limit=_PAGE + 1 - len(found)), collection=collection.name
            )
        except IndexMissing:
            if service.has_several:
                continue  # `status` says what is missing
            raise
        found += [(number, document) for document in page]
    names = [f"{collection.name}: " if service.has_several else "" for collection in service.collections]
    return types.ListResourcesResult(
        resources=[_resource(document, collection=names[number]) for number, document in found[:_PAGE]],
        nextCursor=f"{found[_PAGE - 1][0]}:{found[_PAGE - 1][1].path}" if len(found) > _PAGE else None,
    )


def read_resource(tools: DocumentTools, uri: str) -> types.ReadResourceResult:
    """Return the text of a document, up to 100,000 characters; at its end, a long one says how to read on.

    Raises:
        QuestionError: this is no URI of a document.
        DocumentError: there is no such document.
    """
    source, start = _parse(uri)
    texts: list[str] = []
    for _ in range(_PARTS):
        part = tools.read(source, start=start, characters=20_000)
        texts.append(part.text)
        start = part.next_start
        if start is None:
            break
    if start is not None:
        texts.append(f"\n\nThe document goes on in {document_uri(source, start)}")
    content = types.TextResourceContents(uri=AnyUrl(uri), mimeType="text/plain", text="".join(texts))
    return types.ReadResourceResult(contents=[content])


def _resource(document: ListedDocument, *, collection: str) -> types.Resource:
    name = f"{collection}{document.path}"
    return types.Resource(
        uri=AnyUrl(document_uri(name)),
        name=name,
        title=document.title or name,
        description=f"{document.format}, {pluralize(document.passages, 'passage')}",
        mimeType="text/plain",
    )


def _parse(uri: str) -> tuple[str, int | None]:
    parts = urlsplit(uri)
    start = parse_qs(parts.query).get("start", [None])[-1]
    if not uri.startswith(_PREFIX) or (start is not None and not start.isdecimal()):
        raise QuestionError(
            f"{uri[:200]} names no document.", remedy=f"Write {_PREFIX}NAME, with the name percent-encoded."
        )
    return unquote(parts.path.removeprefix("/")), None if start is None else int(start)
