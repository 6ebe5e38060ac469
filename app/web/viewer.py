"""The viewer: a side panel that shows the document of a passage, with an image of the page for PDFs."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import gradio as gr

from echo_index.app.services.formatting import document_name
from echo_index.app.services.index_service import IndexService
from echo_index.app.web.error_html import error_html
from echo_index.app.web.html import button, escape_html, notice
from echo_index.app.web.passage_data import Data, NamedPassage, passage_data
from echo_index.app.web.rendering.passages import document_text_html
from echo_index.app.web.theme import interactive_html
from echo_index.errors import DocumentError, EchoIndexError

if TYPE_CHECKING:
    from echo_index.indexer.catalog.records import ChunkRow
    from echo_index.indexer.inspection.document_queries import IndexedDocument
    from echo_index.indexer.stores.index_reader import IndexReader

_CONTEXT = 6_000  # characters shown before and after the passage
_MORE_FACTOR = 8  # how much more context the button adds
_IMAGE_WIDTH = 1100  # pixels


class Viewer:
    """Side panel in which any tab can open a passage."""

    def __init__(self, service: IndexService) -> None:
        self._service = service
        with gr.Sidebar(open=False, position="right", width=600, elem_id="viewer") as panel:
            self._content = interactive_html(_EMPTY, elem_id="document", label="Document")
        self._panel = panel
        self.outputs = [panel, self._content]
        for event in (self._content.open, self._content.turn):
            event(self._show, None, self.outputs, show_progress="hidden", api_visibility="private")

    def open_from(self, components: Sequence[gr.HTML]) -> None:
        """Open passages from the `open` events of these components."""
        for html in components:
            html.open(self._show, None, self.outputs, show_progress="hidden", api_visibility="private")

    def open_from_table(self, table: gr.Dataframe, collection: gr.Dropdown) -> None:
        """Open documents from a table of a collection with their paths in the first column."""
        table.select(self._show_row, collection, self.outputs, show_progress="hidden", api_visibility="private")

    def _show_row(self, collection: str, event: gr.SelectData) -> tuple[Any, str]:
        return self.view(NamedPassage(str(event.row_value[0]), 0, collection))

    def _show(self, event: gr.EventData) -> tuple[Any, str]:
        data = event._data
        around, page = int(data.get("around") or _CONTEXT), int(data["page"]) if data.get("page") else None
        return self.view(NamedPassage.of(data), page=page, around=around)

    def view(self, passage: NamedPassage, *, page: int | None = None, around: int = _CONTEXT) -> tuple[Any, str]:
        """Return the outputs with a document, at the passage that a character of it is in, or with an error."""
        collection = self._service.shown(passage.collection)
        try:
            html = self._service.with_reader(
                lambda reader: document_html(
                    reader, passage.source, passage.start, page=page, around=around, collection=collection
                ),
                collection=collection,
            )
        except EchoIndexError as error:
            html = error_html(error)
        return gr.Sidebar(open=True), html


def document_html(
    reader: IndexReader,
    source: str,
    start: int,
    *,
    page: int | None,
    around: int = _CONTEXT,
    collection: str = "",
) -> str:
    """Return a document as HTML, with `around` characters of context about the passage, which is marked.

    That is the passage that begins at character `start`, or else the first one that this character is in.

    Of a PDF, `page` (from 1) selects the page image; by default it is the page of the passage. `collection` is the name
    of the index if there are several.

    Raises:
        DocumentError: the document is not in the index.
    """
    from echo_index.indexer.inspection.document_queries import read_indexed_document

    document = read_indexed_document(reader, source)
    passage = _passage_at(document, start)
    span = (passage.start, passage.end) if passage else (0, 0)
    position = passage_data(source, start, collection=collection)
    named = {"document": source, "start": start} | ({"collection": collection} if collection else {})
    link = button("Copy link", "link", title="Copy the address of this passage", query=urlencode(named))
    head = (
        f'<div class="document-head"><h2 dir="auto">{escape_html(document.title)}</h2>'
        f'<p class="place" dir="ltr">{escape_html(document_name(source, collection))}</p>'
        f'<p class="actions">{link}</p></div>'
    )
    if document.format == "pdf":
        shown_page = page or (passage.page if passage else None) or 1
        return head + _page_image(reader, document, shown_page, position) + _text(document, span, around, position)
    return head + _text(document, span, around, position)


def _passage_at(document: IndexedDocument, start: int) -> ChunkRow | None:
    """Return the passage at a character. After the document was indexed anew, others may begin elsewhere."""
    if not start:
        return next((passage for passage in document.passages if passage.start == start), None)
    around = [passage for passage in document.passages if passage.start <= start < passage.end]
    return next((passage for passage in around if passage.start == start), next(iter(around), None))


def _page_image(reader: IndexReader, document: IndexedDocument, page: int, position: Data) -> str:
    from echo_index.indexer.inspection.page_images import render_page

    try:
        png = render_page(reader, document.path, page, width=_IMAGE_WIDTH)
    except DocumentError as error:
        return notice(error.message, remedy=error.remedy, kind="warning")
    image = base64.b64encode(png).decode()
    return (
        f'<p class="actions">{button("‹ Previous page", "turn", page=max(1, page - 1), **position)}'
        f"<span>Page {page}</span>{button('Next page ›', 'turn', page=page + 1, **position)}</p>"
        f'<img class="pdf-page" src="data:image/png;base64,{image}"'
        f' alt="Page {page} of {escape_html(document.title)}">'
    )


def _text(document: IndexedDocument, span: tuple[int, int], around: int, position: Data) -> str:
    first, last = max(0, span[0] - around), min(len(document.text), span[1] + around)
    more = ""
    if first > 0 or last < len(document.text):
        more = button("Show more", "open", around=around * _MORE_FACTOR, **position)
    text = document_text_html(document, span, first=first, last=last)
    return f'{text}<p class="actions">{more}</p>'


_EMPTY = notice("No document is open.", remedy="Press “Open” on a passage to read its document.", kind="empty")
