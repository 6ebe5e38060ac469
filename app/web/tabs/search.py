"""The tab Search: a question, a task, filters; cards. Results come while typing has stopped."""

from __future__ import annotations

from typing import Any

import gradio as gr

from echo_index.app.defaults import DEFAULTS, TASKS
from echo_index.app.services.index_service import IndexService
from echo_index.app.web.error_html import show_errors
from echo_index.app.web.filters import FilterChoices, make_filter, rerank_choice
from echo_index.app.web.hit_cards import hit_cards
from echo_index.app.web.html import button, escape_html, notice
from echo_index.app.web.theme import acting_html, asset
from echo_index.retriever.search.retriever import Mode, Retriever

_MODES = [("Meaning and words", "hybrid"), ("Meaning", "dense"), ("Words", "lexical")]
_WELCOME = notice(
    "What are you looking for?",
    remedy="Ask in your own words, or type a few words: results come when you pause.",
    kind="empty",
)


class SearchTab:
    """What stands in the tab; `results` holds passages that can be opened."""

    def __init__(self, service: IndexService, page: gr.Blocks) -> None:
        self._service = service
        with gr.Row(equal_height=True, elem_classes="ask-row"):
            question = gr.Textbox(
                value="",
                label="Question",
                placeholder="For example: What happens to my work when the power fails?",
                elem_id="question",
                max_length=DEFAULTS.longest_question,
                autofocus=True,
                scale=8,
            )
            go = gr.Button("Search", variant="primary", scale=1, min_width=110)
        with gr.Row(elem_id="options-row"):
            task = gr.Dropdown(
                [*TASKS.items()],
                value=TASKS["Question answering"],
                label="Task (choose, or write your own)",
                allow_custom_value=True,
                scale=3,
            )
            mode = gr.Radio(_MODES, value="hybrid", label="Search by", scale=3)
        with gr.Accordion("Filters", open=False):
            choices = FilterChoices(service)
            with gr.Row():
                amount = gr.Slider(1, 50, value=DEFAULTS.page_results, step=1, label="Passages to show", scale=2)
                rerank = rerank_choice()
        pause = gr.HTML(js_on_load=asset("typing.js"), elem_classes="silent")
        self.results = acting_html(_WELCOME, elem_id="results", label="Results")
        asked = [question, task, mode, choices.folders, choices.formats, amount, rerank]
        filters = [choices.folders.input, choices.formats.input, amount.release, rerank.input]
        changed = [task.input, mode.input, *filters]
        searching: dict[str, Any] = {
            "fn": self._search,
            "inputs": asked,
            "outputs": self.results,
            "trigger_mode": "always_last",
            "concurrency_limit": 8,
            "concurrency_id": "search",
            "show_progress": "minimal",
            "api_visibility": "private",
        }
        gr.on([go.click, question.submit, *changed], **searching)
        pause.pause(**searching)
        self.results.back(**searching)
        self.results.similar(
            self._similar, [choices.folders, choices.formats, amount], self.results, api_visibility="private"
        )
        page.load(
            self._arrive,
            None,
            [question, self.results],
            show_progress="hidden",
            api_visibility="private",
        )
        self.choices = choices

    @show_errors
    def _search(
        self, question: str, task: str, mode: Mode, folders: list[str], formats: list[str], amount: int, rerank: int
    ) -> str:
        if not question.strip():
            return self._service.with_snapshot(lambda snapshot: _WELCOME)

        def find(retriever: Retriever) -> str:
            hits = retriever.search(
                question,
                k=int(amount),
                mode=mode,
                instruction=task or None,
                where=make_filter(folders, formats),
                rerank=rerank,
                group=True,
            )
            return hit_cards(hits, retriever.highlight(question, hits, instruction=task or None))

        return self._service.with_retriever(find)

    def _arrive(self, request: gr.Request) -> tuple[Any, Any]:
        """Search for the question in the page's address, `?q=…`, so that a search can be bookmarked.

        Without one the results are left alone, for somebody may have searched already, unless there is no index.
        """
        asked = str(request.query_params.get("q", ""))[: DEFAULTS.longest_question]
        found = self._search(asked, TASKS["Question answering"], "hybrid", [], [], DEFAULTS.page_results, 0)
        return (asked, found) if asked else (gr.skip(), gr.skip() if found == _WELCOME else found)

    @show_errors
    def _similar(self, folders: list[str], formats: list[str], amount: int, event: gr.EventData) -> str:
        source, start = str(event._data["source"]), int(event._data["start"])
        hits = self._service.with_retriever(
            lambda retriever: retriever.similar(source, start, k=int(amount), where=make_filter(folders, formats))
        )
        back = button("Back to the results", "back")
        head = f'<p class="head">Passages like one of <b>{escape_html(source)}</b> {back}</p>'
        return head + hit_cards(hits, [None] * len(hits))
