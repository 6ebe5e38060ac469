"""The Search tab: a question, a task and filters, with results as cards that appear when typing pauses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gradio as gr

from echo_index.app.defaults import DEFAULTS, TASKS
from echo_index.app.services.formatting import document_name
from echo_index.app.services.index_service import IndexService
from echo_index.app.web.error_html import error_html, show_errors
from echo_index.app.web.filters import FilterInputs, make_filter, min_score_input, rerank_input
from echo_index.app.web.hit_cards import hit_cards, texts_before_hits
from echo_index.app.web.html import attributes, button, escape_html, notice
from echo_index.app.web.passage_data import NamedPassage
from echo_index.app.web.search_parameters import MAX_RESULTS, SearchParameters, question_only
from echo_index.app.web.tabs.query_row import query_row
from echo_index.app.web.theme import asset, interactive_html
from echo_index.errors import EchoIndexError
from echo_index.retriever.search.lexical import nothing_found
from echo_index.retriever.search.searcher import Searcher

_MODES = [("Meaning and words", "hybrid"), ("Meaning", "dense"), ("Words", "lexical")]
_WELCOME = notice(
    "What are you looking for?",
    remedy="Ask a question or type a few words; results appear when you pause.",
    kind="empty",
)


class SearchTab:
    """The components of the tab; passages in `results` can be opened."""

    def __init__(self, service: IndexService) -> None:
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
        with gr.Accordion("Filters", open=False) as self._filters_section:
            self.filters = FilterInputs(service)
            with gr.Row():
                count = gr.Slider(
                    1, MAX_RESULTS, value=DEFAULTS.page_results, step=1, label="Passages to show", scale=2
                )
                min_score = min_score_input()
                rerank = rerank_input()
        pause = gr.HTML(js_on_load=asset("typing.js"), elem_classes="silent")
        self.results = interactive_html(_WELCOME, elem_id="results", label="Results", script="address.js")
        filters = self.filters.inputs
        option_events = [
            *(task.input, mode.input, *self.filters.changes),
            *(count.release, min_score.release, rerank.input),
        ]
        inputs = [question, task, mode, self.filters.collections, *filters, count, min_score, rerank]
        self.outputs = [*inputs, self._filters_section, self.results]
        search_event: dict[str, Any] = {
            "fn": self._search,
            "inputs": inputs,
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

    def open(self, query: str) -> tuple[Any, ...]:
        """Return the outputs with what the query of an address asks for, and with the results.

        Without a question the results stay, since the visitor may have searched already, unless there is no index.
        """
        try:
            parameters = SearchParameters.from_query(query)
            restricted = self.filters.choose(parameters.collections, parameters.folders, parameters.formats)
        except EchoIndexError as error:
            parameters = question_only(query)
            restricted = self.filters.choose((), (), ())
            results = error_html(error)
        else:
            results = self._results(parameters)
        if parameters == SearchParameters() and results == _WELCOME:
            return tuple(gr.skip() for _ in self.outputs)
        chosen = (parameters.since, parameters.before, parameters.where)
        others = (parameters.count, parameters.min_score, parameters.rerank)
        is_filtered = replace(parameters, question="", task="", mode="hybrid") != SearchParameters(task="")
        return (
            *(parameters.question, parameters.task, parameters.mode, *restricted, *chosen, *others),
            gr.Accordion(open=True) if is_filtered else gr.skip(),
            results,
        )

    def close(self) -> tuple[Any, ...]:
        """Return the outputs as they are on a new page."""
        defaults = SearchParameters()
        restricted = self.filters.choose((), (), ())
        values = (defaults.question, defaults.task, defaults.mode, *restricted, "", "", "")
        return (*values, defaults.count, defaults.min_score, defaults.rerank, gr.skip(), _WELCOME)

    def _search(self, *values: Any) -> str:
        return self._results(SearchParameters.from_inputs(*values))

    @show_errors
    def _results(self, parameters: SearchParameters) -> str:
        question, mode = parameters.question, parameters.mode
        if not question.strip():
            return self._service.with_searcher(lambda searcher: _WELCOME, collections=parameters.collections)

        search_filter = make_filter(
            parameters.folders, parameters.formats, parameters.since, parameters.before, parameters.where
        )
        least = parameters.min_score if parameters.min_score and mode != "lexical" else None

        def find(searcher: Searcher) -> str:
            hits = searcher.search(
                question,
                k=parameters.count,
                mode=mode,
                instruction=parameters.task or None,
                where=search_filter,
                rerank=parameters.rerank,
                group=True,
                min_score=least,
            )
            if not hits and least:
                return notice(f"No passage has a relevance of {least:g} or more.", remedy="Move the slider down.")
            hits = searcher.highlight(question, hits, instruction=parameters.task or None)
            texts = texts_before_hits(self._service, hits)
            return hit_cards(hits, nothing=nothing_found(question, mode=mode), texts_before=texts)

        address = f"<div hidden {attributes(address=parameters.to_query())}></div>"
        return self._service.with_searcher(find, collections=parameters.collections) + address

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
        return head + hit_cards(hits, texts_before=texts_before_hits(self._service, hits))
