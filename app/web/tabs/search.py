"""The Search tab: a question, a task and filters, with results as cards that appear when typing pauses."""

from __future__ import annotations

from typing import Any

import gradio as gr

from echo_index.app.defaults import DEFAULTS, TASKS
from echo_index.app.services.formatting import document_name
from echo_index.app.services.index_service import IndexService
from echo_index.app.web.error_html import show_errors
from echo_index.app.web.filters import FilterInputs, make_filter, min_score_input, rerank_input
from echo_index.app.web.hit_cards import hit_cards
from echo_index.app.web.html import button, escape_html, notice
from echo_index.app.web.passage_data import NamedPassage
from echo_index.app.web.tabs.query_row import query_row
from echo_index.app.web.theme import asset, interactive_html
from echo_index.retriever.search.lexical import nothing_found
from echo_index.retriever.search.searcher import Mode, Searcher

_MODES = [("Meaning and words", "hybrid"), ("Meaning", "dense"), ("Words", "lexical")]
_WELCOME = notice(
    "What are you looking for?",
    remedy="Ask a question or type a few words; results appear when you pause.",
    kind="empty",
)


class SearchTab:
    """The components of the tab; passages in `results` can be opened."""

    def __init__(self, service: IndexService, page: gr.Blocks) -> None:
        self._service = service
        question, go = query_row(
            "Search",
            elem_id="question",
            placeholder="For example: What happens to my work when the power fails?",
            autofocus=True,
        )
        with gr.Row(elem_id="options-row"):
            task = gr.Dropdown(
                [*TASKS.items()],
                value=TASKS["Question answering"],
                label="Task (choose one or write your own)",
                allow_custom_value=True,
                scale=3,
            )
            mode = gr.Radio(_MODES, value="hybrid", label="Search by", scale=3)
        with gr.Accordion("Filters", open=False):
            self.filters = FilterInputs(service)
            with gr.Row():
                count = gr.Slider(1, 50, value=DEFAULTS.page_results, step=1, label="Passages to show", scale=2)
                min_score = min_score_input()
                rerank = rerank_input()
        pause = gr.HTML(js_on_load=asset("typing.js"), elem_classes="silent")
        self.results = interactive_html(_WELCOME, elem_id="results", label="Results")
        filters = self.filters.inputs
        option_events = [
            *(task.input, mode.input, *self.filters.changes),
            *(count.release, min_score.release, rerank.input),
        ]
        search_event: dict[str, Any] = {
            "fn": self._search,
            "inputs": [question, task, mode, self.filters.collections, *filters, count, min_score, rerank],
            "outputs": self.results,
            "trigger_mode": "always_last",
            "concurrency_limit": 8,
            "concurrency_id": "search",
            "show_progress": "minimal",
            "api_visibility": "private",
        }
        gr.on([go.click, question.submit, *option_events], **search_event)
        pause.pause(**search_event)
        self.results.back(**search_event)
        self.filters.chosen.then(**search_event)
        self.results.similar(self._similar, [*filters, count], self.results, api_visibility="private")
        page.load(
            self._search_from_address,
            None,
            [question, self.results],
            show_progress="hidden",
            api_visibility="private",
        )

    @show_errors
    def _search(
        self,
        question: str,
        task: str,
        mode: Mode,
        collections: list[str] | None,
        folders: list[str],
        formats: list[str],
        since: str,
        before: str,
        where: str,
        count: int,
        min_score: float,
        rerank: int,
    ) -> str:
        if not question.strip():
            return self._service.with_searcher(lambda searcher: _WELCOME, collections=collections or ())

        search_filter = make_filter(folders, formats, since, before, where)
        least = min_score if min_score and mode != "lexical" else None

        def find(searcher: Searcher) -> str:
            hits = searcher.search(
                question,
                k=int(count),
                mode=mode,
                instruction=task or None,
                where=search_filter,
                rerank=rerank,
                group=True,
                min_score=least,
            )
            if not hits and least:
                return notice(f"No passage has a relevance of {least:g} or more.", remedy="Move the slider down.")
            hits = searcher.highlight(question, hits, instruction=task or None)
            return hit_cards(hits, nothing=nothing_found(question, mode=mode))

        return self._service.with_searcher(find, collections=collections or ())

    def _search_from_address(self, request: gr.Request) -> tuple[Any, Any]:
        """Search for the question in the address, `?q=…`, so that a search can be bookmarked.

        Without a question the results stay, since the visitor may have searched already, unless there is no index.
        """
        question = str(request.query_params.get("q", ""))[: DEFAULTS.longest_question]
        html = self._search(
            question, TASKS["Question answering"], "hybrid", [], [], [], "", "", "", DEFAULTS.page_results, 0, 0
        )
        return (question, html) if question else (gr.skip(), gr.skip() if html == _WELCOME else html)

    @show_errors
    def _similar(
        self,
        folders: list[str],
        formats: list[str],
        since: str,
        before: str,
        where: str,
        count: int,
        event: gr.EventData,
    ) -> str:
        search_filter = make_filter(folders, formats, since, before, where)
        passage = NamedPassage.of(event._data)
        hits = self._service.similar(
            passage.source, passage.start, collection=passage.collection, k=int(count), where=search_filter
        )
        name = document_name(passage.source, passage.collection)
        back = button("Back to the results", "back")
        head = f'<p class="head">Passages similar to one of <b>{escape_html(name)}</b> {back}</p>'
        return head + hit_cards(hits)
