"""The viewer: a side panel that shows the document of a passage, with an image of the page for PDFs."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr

from echo_index.app.services.formatting import document_name
from echo_index.app.services.index_service import IndexService
from echo_index.app.web.error_html import error_html
from echo_index.app.web.hit_cards import mark_html, unwrap
from echo_index.app.web.html import button, escape_html, notice
from echo_index.app.web.passage_data import Data, NamedPassage, passage_data
from echo_index.app.web.theme import interactive_html
from echo_index.errors import DocumentError, EchoIndexError

if TYPE_CHECKING:
    from echo_index.indexer.generations.snapshot import Snapshot
    from echo_index.indexer.inspection.document_queries import IndexedDocument

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
        for event in (self._content.open, self._content.turn):
            event(self._show, None, [panel, self._content], show_progress="hidden", api_visibility="private")

    def open_from(self, components: Sequence[gr.HTML]) -> None:
        """Open passages from the `open` events of these components."""
        for html in components:
            html.open(self._show, None, [self._panel, self._content], show_progress="hidden", api_visibility="private")

    def open_from_table(self, table: gr.Dataframe, collection: gr.Dropdown) -> None:
        """Open documents from a table of a collection with their paths in the first column."""
        table.select(
            self._show_row, collection, [self._panel, self._content], show_progress="hidden", api_visibility="private"
        )

    def _show_row(self, collection: str, event: gr.SelectData) -> tuple[Any, str]:
        return self._view(NamedPassage(str(event.row_value[0]), 0, collection), page=None, around=_CONTEXT)

    def _show(self, event: gr.EventData) -> tuple[Any, str]:
        data = event._data
        around, page = int(data.get("around") or _CONTEXT), int(data["page"]) if data.get("page") else None
        return self._view(NamedPassage.of(data), page=page, around=around)

    def _view(self, passage: NamedPassage, *, page: int | None, around: int) -> tuple[Any, str]:
        collection = self._service.shown(passage.collection)
        try:
            html = self._service.with_snapshot(
                lambda snapshot: document_html(
                    snapshot, passage.source, passage.start, page=page, around=around, collection=collection
                ),
                collection=collection,
            )
        except EchoIndexError as error:
            html = error_html(error)
        return gr.Sidebar(open=True), html


def document_html(
    snapshot: Snapshot,
    source: str,
    start: int,
    *,
    page: int | None,
    around: int = _CONTEXT,
    collection: str = "",
) -> str:
    """Return a document as HTML, with the passage at character `start` marked and `around` characters of context.

    Of a PDF, `page` (from 1) selects the page image; by default it is the page of the passage. `collection` is the name
    of the index if there are several.

    Raises:
        DocumentError: the document is not in the index.
    """
    from echo_index.indexer.inspection.document_queries import find_passage, read_indexed_document

    document = read_indexed_document(snapshot, source)
    passage = find_passage(snapshot, source, start)
    span = (passage.chunk.start, passage.chunk.end) if passage else (0, 0)
    position = passage_data(source, start, collection=collection)
    head = (
        f'<div class="document-head"><h2 dir="auto">{escape_html(document.title)}</h2>'
        f'<p class="place" dir="ltr">{escape_html(document_name(source, collection))}</p></div>'
    )
    if document.format == "pdf":
        shown_page = page or (passage.chunk.page if passage else None) or 1
        return head + _page_image(snapshot, document, shown_page, position) + _text(document, span, around, position)
    return head + _text(document, span, around, position)


def _page_image(snapshot: Snapshot, document: IndexedDocument, page: int, position: Data) -> str:
    from echo_index.indexer.inspection.page_images import render_page

    try:
        png = render_page(snapshot, document.path, page, width=_IMAGE_WIDTH)
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
    text = mark_html(unwrap(document.text, document.format), span, start=first, end=last).replace(
        "<mark>", '<mark class="here">', 1
    )
    kind = "code" if document.format == "code" else "prose-text"
    body = f'<div class="document {kind}" dir="auto" tabindex="0" role="document">{text}</div>'
    return f'{body}<p class="actions">{more}</p>'


_EMPTY = notice("No document is open.", remedy="Press “Open” on a passage to read its document.", kind="empty")
