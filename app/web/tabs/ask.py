"""The Ask tab: a conversation with streamed, cited answers, and the passages that they cite."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import gradio as gr

from echo_index.app.services.answer_job import Request, Turn, stream_turn
from echo_index.app.services.index_service import OWN_MODEL, IndexService
from echo_index.app.web.chat_messages import conversation, export_markdown
from echo_index.app.web.error_html import error_html
from echo_index.app.web.filters import FilterInputs, make_filter
from echo_index.app.web.hit_cards import Place, hit_card, texts_before_hits
from echo_index.app.web.html import notice
from echo_index.app.web.tabs.query_row import ROW_CLASS, query_inputs
from echo_index.app.web.theme import asset, interactive_html
from echo_index.errors import EchoIndexError, FilterError
from echo_index.retriever.search.highlight import matching_sentence

_NO_PASSAGES = notice(
    "The passages behind an answer appear here.",
    remedy="Press a number in an answer to see its passage.",
    kind="empty",
)
_PLACEHOLDER = "**Ask your documents**\n\nThe answer is written from passages of your documents and cites them."
_DOWNLOAD = """(text) => {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type: 'text/markdown' }));
  link.download = 'conversation.md';
  link.click();
  URL.revokeObjectURL(link.href);
}"""


class AskTab:
    """The components of the tab; those in `passages` can be opened."""

    def __init__(self, service: IndexService) -> None:
        self._service = service
        turns = gr.State([])
        with gr.Row():
            with gr.Column(scale=3, min_width=320):
                chat = gr.Chatbot(
                    label="Conversation",
                    elem_id="conversation",
                    height="56vh",
                    placeholder=_PLACEHOLDER,
                    latex_delimiters=[],
                    buttons=["copy_all"],
                    feedback_options=None,
                    layout="bubble",
                )
                with gr.Row(equal_height=True, elem_classes=ROW_CLASS):
                    question, send = query_inputs(
                        "Ask",
                        elem_id="ask-question",
                        placeholder="Ask a question, or a follow-up",
                        label="Your question",
                        button_width=90,
                    )
                    stop = gr.Button("Stop", variant="stop", scale=1, min_width=90, visible=False)
                with gr.Row():
                    retry = gr.Button("Ask again", size="sm", min_width=90)
                    export = gr.Button("Export as Markdown", size="sm", min_width=90)
                    clear = gr.Button("Clear", size="sm", min_width=90)
                with gr.Accordion("Options", open=False):
                    writer = _writer_input(service)
                    self.filters = FilterInputs(service)
            with gr.Column(scale=2, min_width=320):
                self.passages = interactive_html(_NO_PASSAGES, elem_id="passages", label="Passages")
        self.question = question
        citation_links = gr.HTML(js_on_load=asset("citations.js"), elem_classes="silent")
        exported = gr.Textbox(value="", visible=False)
        inputs = [question, turns, writer, self.filters.collections, *self.filters.inputs]
        outputs = [question, turns, chat, self.passages, send, stop]
        ask_event = gr.on(
            [send.click, question.submit],
            self._ask,
            inputs,
            outputs,
            trigger_mode="multiple",  # an answer that was stopped may not have ended yet
            concurrency_limit=8,
            show_progress="hidden",
            api_visibility="private",
        )
        retry_event = retry.click(
            self._ask_again, inputs, outputs, concurrency_limit=8, show_progress="hidden", api_visibility="private"
        )
        for event, show, arguments in (
            (stop.click, _show_stopped, turns),
            (clear.click, _show_cleared, None),
            (chat.clear, _show_cleared, None),
        ):
            # Show the new state only after the answer was cancelled: its last update must not come later.
            cancelled = event(None, cancels=[ask_event, retry_event], show_progress="hidden", api_visibility="private")
            cancelled.then(show, arguments, outputs, show_progress="hidden", api_visibility="private")
        citation_links.cite(self._show_citation, turns, self.passages, show_progress="hidden", api_visibility="private")
        export.click(export_markdown, turns, exported, show_progress="hidden", api_visibility="private").then(
            None, exported, None, js=_DOWNLOAD
        )

    def _ask(
        self,
        question: str,
        turns: list[Turn],
        writer: str,
        collections: list[str] | None,
        folders: list[str],
        formats: list[str],
        since: str,
        before: str,
        where: str,
    ) -> Iterator[tuple[Any, ...]]:
        if not question.strip():
            yield tuple(gr.skip() for _ in range(6))
            return
        try:
            search_filter = make_filter(folders, formats, since, before, where)
        except FilterError as error:
            yield question, turns, conversation(turns), error_html(error), *_buttons(running=False)
            return
        request = Request(
            question,
            before=tuple(turns),
            where=search_filter,
            collections=tuple(collections or ()),
            writer=writer,
        )
        updated = [*turns, Turn(question)]
        yield "", updated, conversation(updated, is_running=True), _NO_PASSAGES, *_buttons(running=True)
        try:
            for turn in stream_turn(self._service, request):
                updated = [*turns, turn]
                yield (
                    gr.skip(),
                    updated,
                    conversation(updated, is_running=True),
                    self._passage_cards(turn),
                    *_buttons(running=True),
                )
        except EchoIndexError as error:
            yield question, turns, conversation(turns), error_html(error), *_buttons(running=False)
            return
        yield gr.skip(), updated, conversation(updated), self._passage_cards(updated[-1]), *_buttons(running=False)

    def _show_citation(self, turns: list[Turn], event: gr.EventData) -> str:
        turn, number = int(event._data["turn"]), int(event._data["number"])
        return self._passage_cards(turns[turn - 1], cited=number) if 0 < turn <= len(turns) else _NO_PASSAGES

    def _passage_cards(self, turn: Turn, *, cited: int | None = None) -> str:
        try:
            texts = texts_before_hits(self._service, turn.passages)
        except EchoIndexError:  # the index may have been removed since the passages were found
            texts = {}
        return passage_cards(turn, cited=cited, texts_before=texts)

    def _ask_again(self, question: str, turns: list[Turn], writer: str, *filters: Any) -> Iterator[tuple[Any, ...]]:
        if turns:
            yield from self._ask(turns[-1].question, turns[:-1], writer, *filters)
        else:
            yield from self._ask(question, turns, writer, *filters)


def passage_cards(
    turn: Turn, *, cited: int | None = None, texts_before: Mapping[Place, str] = MappingProxyType({})
) -> str:
    """Return the passages of an answer as cards; `cited` is the number of the one to highlight.

    `texts_before` are texts of documents that end where the passages begin, as far as they are known.
    """
    if not turn.passages:
        return _NO_PASSAGES
    cited_numbers = {citation.number for citation in turn.answer.citations} if turn.answer else set()
    cards = []
    for number, hit in enumerate(turn.passages, start=1):
        mark = matching_sentence(turn.text or turn.question, hit.text) or matching_sentence(turn.question, hit.text)
        kinds = [kind for kind, applies in (("cited", number in cited_numbers), ("here", number == cited)) if applies]
        text_before = texts_before.get((hit.collection, hit.source, hit.start), "")
        cards.append(hit_card(hit.at(mark), number=number, similar=False, kinds=kinds, text_before=text_before))
    return f'<ol class="hits">{"".join(cards)}</ol>'


def _show_stopped(turns: list[Turn]) -> tuple[Any, ...]:
    return gr.skip(), turns, conversation(turns), gr.skip(), *_buttons(running=False)


def _show_cleared() -> tuple[Any, ...]:
    return "", [], [], _NO_PASSAGES, *_buttons(running=False)


def _buttons(*, running: bool) -> tuple[Any, Any]:
    return gr.Button(visible=not running), gr.Button(visible=running)


def _writer_input(service: IndexService) -> gr.Dropdown:
    """Return the dropdown for the model that writes the answers."""
    models = [
        *((_own_model_label(service) if name == OWN_MODEL else _writer_label(name), name) for name in service.writers),
        *((_llm_label(name), name) for name in service.options.llms),
    ]
    return gr.Dropdown(
        models, value=service.default_writer, label="Model that writes the answer", visible=len(models) > 1
    )


def _own_model_label(service: IndexService) -> str:
    return f"The model of the index ({service.options.model})" if service.options.model else "The model of the index"


def _writer_label(writer: str) -> str:
    return f"{writer}, on this machine"


def _llm_label(llm: str) -> str:
    from echo_index.app.services.external_llm import redact

    return f"{redact(llm)}: the question and the passages are sent there"
