"""The document around a passage, at its place: a PDF's page as a picture, and the text. One panel for all tabs."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr

from echo_index.app.services.index_service import IndexService
from echo_index.app.web.hit_cards import flowing, marked
from echo_index.app.web.html import button, escape_html, notice
from echo_index.app.web.theme import acting_html
from echo_index.errors import DocumentError, EchoIndexError

if TYPE_CHECKING:
    from echo_index.indexer.generations.snapshot import Snapshot
    from echo_index.indexer.inspection.document_queries import IndexedDocument

_AROUND = 6_000  # characters on either side of the passage
_MORE = 8  # times as much is shown at the next step
_PICTURE_WIDTH = 1100  # pixels


class Viewer:
    """A panel at the side of the page that any tab opens at a passage."""

    def __init__(self, service: IndexService) -> None:
        self._service = service
        with gr.Sidebar(open=False, position="right", width=600, elem_id="viewer") as panel:
            self._content = acting_html(_EMPTY, elem_id="document", label="Document")
        self._panel = panel
        for event in (self._content.open, self._content.turn):
            event(self._show, None, [panel, self._content], show_progress="hidden", api_visibility="private")

    def opens_from(self, places: Sequence[gr.HTML]) -> None:
        """Let the passages in these places open here."""
        for html in places:
            html.open(self._show, None, [self._panel, self._content], show_progress="hidden", api_visibility="private")

    def opens_rows_of(self, table: gr.Dataframe) -> None:
        """Let the documents in the first column of a table open here."""
        table.select(
            self._show_row, None, [self._panel, self._content], show_progress="hidden", api_visibility="private"
        )

    def _show_row(self, event: gr.SelectData) -> tuple[Any, str]:
        return self._view(str(event.row_value[0]), 0, page=None, around=_AROUND)

    def _show(self, event: gr.EventData) -> tuple[Any, str]:
        told = event._data
        around, page = int(told.get("around") or _AROUND), int(told["page"]) if told.get("page") else None
        return self._view(str(told["source"]), int(told["start"]), page=page, around=around)

    def _view(self, source: str, start: int, *, page: int | None, around: int) -> tuple[Any, str]:
        try:
            view = self._service.with_snapshot(
                lambda snapshot: document_view(snapshot, source, start, page=page, around=around)
            )
        except EchoIndexError as error:
            view = notice(error.message, remedy=error.remedy, kind="error")
        return gr.Sidebar(open=True), view


def document_view(snapshot: Snapshot, source: str, start: int, *, page: int | None, around: int = _AROUND) -> str:
    """Return a document of the index as HTML, at the passage that begins at `start`, or at another page.

    Raises:
        DocumentError: the index holds no such document.
    """
    from echo_index.indexer.inspection.document_queries import find_passage, read_indexed_document

    document = read_indexed_document(snapshot, source)
    found = find_passage(snapshot, source, start)
    spot = (found.chunk.start, found.chunk.end) if found else (0, 0)
    head = (
        f'<div class="document-head"><h2 dir="auto">{escape_html(document.title)}</h2>'
        f'<p class="place" dir="ltr">{escape_html(source)}</p></div>'
    )
    if document.format == "pdf":
        at = page or (found.chunk.page if found else None) or 1
        return head + _picture(snapshot, document, at, start) + _text(document, spot, around, start)
    return head + _text(document, spot, around, start)


def _picture(snapshot: Snapshot, document: IndexedDocument, page: int, start: int) -> str:
    from echo_index.indexer.inspection.page_images import render_page

    try:
        png = render_page(snapshot, document.path, page, width=_PICTURE_WIDTH)
    except DocumentError as error:
        return notice(error.message, remedy=error.remedy, kind="warning")
    where: dict[str, Any] = {"source": document.path, "start": start}
    picture = base64.b64encode(png).decode()
    return (
        f'<p class="actions">{button("‹ Page before", "turn", page=max(1, page - 1), **where)}'
        f"<span>Page {page}</span>{button('Next page ›', 'turn', page=page + 1, **where)}</p>"
        f'<img class="pdf-page" src="data:image/png;base64,{picture}"'
        f' alt="Page {page} of {escape_html(document.title)}">'
    )


def _text(document: IndexedDocument, spot: tuple[int, int], around: int, start: int) -> str:
    first, last = max(0, spot[0] - around), min(len(document.text), spot[1] + around)
    more = ""
    if first > 0 or last < len(document.text):
        more = button("Show more of it", "open", source=document.path, start=start, around=around * _MORE)
    text = marked(flowing(document.text, document.format), spot, start=first, end=last).replace(
        "<mark>", '<mark class="here">', 1
    )
    kind = "code" if document.format == "code" else "prose-text"
    body = f'<div class="document {kind}" dir="auto" tabindex="0" role="document">{text}</div>'
    return f'{body}<p class="actions">{more}</p>'


_EMPTY = notice(
    "No document is open.", remedy="Press “Open” at a passage to read the document around it.", kind="empty"
)
