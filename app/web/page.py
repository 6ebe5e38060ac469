"""Assemble the page: header, tabs, the document viewer, and the events that fill them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from echo_index.app.services.build_job import BuildJob
from echo_index.app.services.index_service import IndexService
from echo_index.app.web.address import Address
from echo_index.app.web.api import add_endpoints
from echo_index.app.web.change_notice import ChangeNotice
from echo_index.app.web.tabs.ask import AskTab
from echo_index.app.web.tabs.compare import CompareTab
from echo_index.app.web.tabs.explore import ExploreTab
from echo_index.app.web.tabs.library import LibraryTab
from echo_index.app.web.tabs.search import SearchTab
from echo_index.app.web.viewer import Viewer

TITLE = "echo-index"
_MAX_SESSIONS = 300
"""Sessions kept in RAM, about 170 kB each in Gradio; each API call is a session, too."""
_HEAD = """<div class="page-head"><h1>echo-index</h1>
<p>Search your own documents, and ask questions about them. Your data stays on this machine{except_for}.</p></div>"""


@dataclass(frozen=True)
class PageOptions:
    """Options of the page; `uploads` are the folders to store uploaded files in, by the names of the indexes.

    An index that `is_watched` is built by itself whenever its files change.
    """

    uploads: Mapping[str, Path]
    max_upload_bytes: int
    may_change: bool = True
    is_watched: bool = False


def make_page(service: IndexService, build_jobs: Mapping[str, BuildJob], options: PageOptions) -> gr.Blocks:
    """Return the page, ready to be mounted; `build_jobs` are those of the indexes by their names."""
    page: gr.Blocks
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=False, delete_cache=(3600, 3600)) as page:
        exception = ", unless you choose another language model" if service.options.llms else ""
        _keep_connection_open(page)
        gr.HTML(_HEAD.format(except_for=exception), elem_id="head")
        changes = ChangeNotice(build_jobs, may_change=options.may_change, is_watched=options.is_watched)
        with gr.Tabs() as tabs:
            with gr.Tab("Search", id="search"):
                search = SearchTab(service)
            with gr.Tab("Ask", id="ask"):
                ask = AskTab(service)
            with gr.Tab("Compare", id="compare"):
                compare = CompareTab(service)
            with gr.Tab("Explore", id="explore") as explore_tab:
                explore = ExploreTab(service)
            with gr.Tab("Library", id="library") as library_tab:
                library = LibraryTab(
                    service,
                    build_jobs,
                    uploads=options.uploads,
                    max_bytes=options.max_upload_bytes,
                    may_change=options.may_change,
                )
        viewer = Viewer(service)
        Address(page, tabs, search, ask, viewer)
        viewer.open_from([search.results, ask.passages, compare.results, *explore.panels])
        viewer.open_from_table(explore.documents, explore.collection)
        inputs, outputs = explore.refresh_event
        explore_tab.select(explore.refresh, inputs, outputs, show_progress="minimal", api_visibility="private")
        library.connect(page, library_tab)
        changes.connect(page)
        for event in (page.load, library.contents.change):
            for filters in (search.filters, ask.filters, compare.filters):
                filters.refresh_after(event)
        add_endpoints(service)
    page.state_session_capacity = _MAX_SESSIONS
    return page


def _keep_connection_open(page: gr.Blocks) -> None:
    """Keep the stream of results open for as long as the page is.

    Gradio closes the stream when no event is pending. An event that is sent before the page has noticed is lost, and
    its search never ends. A permanently pending event prevents that.
    """
    pending = page._queue.pending_event_ids_session  # by session; Gradio has no public access to them

    def connect(request: gr.Request) -> None:
        pending.setdefault(str(request.session_hash), set()).add("keep-open")

    def disconnect(request: gr.Request) -> None:
        pending.pop(str(request.session_hash), None)

    page.load(connect, None, None, show_progress="hidden", api_visibility="private")
    page.unload(disconnect)
