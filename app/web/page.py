"""The page: its head, its tabs, the viewer at its side, and what is filled in when somebody comes or turns to a tab."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from echo_index.app.services.build_job import BuildJob
from echo_index.app.services.index_service import IndexService
from echo_index.app.web.api import offer_endpoints
from echo_index.app.web.tabs.ask import AskTab
from echo_index.app.web.tabs.compare import CompareTab
from echo_index.app.web.tabs.explore import ExploreTab
from echo_index.app.web.tabs.library import LibraryTab
from echo_index.app.web.tabs.search import SearchTab
from echo_index.app.web.viewer import Viewer

TITLE = "echo-index"
_SESSIONS = 300
"""Visits that are remembered; each call of a program is one, and Gradio holds about 170 kB for each."""
_HEAD = """<div class="page-head"><h1>echo-index</h1>
<p>Search your own documents, and ask them. Nothing leaves this machine{except_for}.</p></div>"""


@dataclass(frozen=True)
class PageOptions:
    """What the page may do: `uploads` is where files that are given are kept."""

    uploads: Path
    most_upload_bytes: int
    may_change: bool = True


def make_page(service: IndexService, builder: BuildJob, options: PageOptions) -> gr.Blocks:
    """Return the whole page, ready to be mounted."""
    page: gr.Blocks
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=False, delete_cache=(3600, 3600)) as page:
        sent = ", unless you choose another language model" if service.options.llms else ""
        _stay_connected(page)
        gr.HTML(_HEAD.format(except_for=sent), elem_id="head")
        with gr.Tabs():
            with gr.Tab("Search", id="search"):
                search = SearchTab(service, page)
            with gr.Tab("Ask", id="ask"):
                ask = AskTab(service)
            with gr.Tab("Compare", id="compare"):
                comparison = CompareTab(service)
            with gr.Tab("Explore", id="explore") as explore_tab:
                explore = ExploreTab(service)
            with gr.Tab("Library", id="library") as library_tab:
                library = LibraryTab(
                    service,
                    builder,
                    uploads=options.uploads,
                    most_bytes=options.most_upload_bytes,
                    may_change=options.may_change,
                )
        viewer = Viewer(service)
        viewer.opens_from([search.results, ask.passages, comparison.results, *explore.places])
        viewer.opens_rows_of(explore.documents)
        inputs, outputs = explore.opened
        explore_tab.select(explore.refresh, inputs, outputs, show_progress="minimal", api_visibility="private")
        library.fill_in(page, library_tab)
        for event in (page.load, library.held.change):
            for choices in (search.choices, ask.choices):
                event(
                    choices.refresh,
                    None,
                    [choices.folders, choices.formats],
                    show_progress="hidden",
                    api_visibility="private",
                )
        offer_endpoints(service)
    page.state_session_capacity = _SESSIONS
    return page


def _stay_connected(page: gr.Blocks) -> None:
    """Keep open the stream by which a page gets its results, for as long as it is there.

    Gradio closes the stream when nothing is on its way, and loses what is asked for in the moment before the page knows
    that: a search that never ends. So there is always something on its way.
    """
    on_their_way = page._queue.pending_event_ids_session  # of each session; there is no public way to them

    def stay(request: gr.Request) -> None:
        on_their_way.setdefault(str(request.session_hash), set()).add("stay")

    def leave(request: gr.Request) -> None:
        on_their_way.pop(str(request.session_hash), None)

    page.load(stay, None, None, show_progress="hidden", api_visibility="private")
    page.unload(leave)
