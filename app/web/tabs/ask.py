"""The tab Ask: a conversation with streamed, cited answers, and beside it the passages they come from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from echo_index.app.defaults import DEFAULTS
from echo_index.app.services.answer_job import Request, Turn, stream_turn
from echo_index.app.services.index_service import OWN_MODEL, IndexService
from echo_index.app.web.chat_messages import conversation, export_markdown
from echo_index.app.web.error_html import error_html
from echo_index.app.web.filters import FilterChoices, make_filter
from echo_index.app.web.hit_cards import hit_card
from echo_index.app.web.html import notice
from echo_index.app.web.theme import acting_html, asset
from echo_index.errors import EchoIndexError
from echo_index.retriever.search.highlight import matching_sentence

_NONE = notice(
    "The passages that an answer comes from are shown here.",
    remedy="Press a number in an answer to see its passage.",
    kind="empty",
)
_PLACEHOLDER = "**Ask your documents**\n\nThe answer is written from the passages that are found, and says from which."
_DOWNLOAD = """(text) => {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type: 'text/markdown' }));
  link.download = 'conversation.md';
  link.click();
  URL.revokeObjectURL(link.href);
}"""


class AskTab:
    """What stands in the tab; `passages` holds passages that can be opened."""

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
                with gr.Row(equal_height=True, elem_classes="ask-row"):
                    question = gr.Textbox(
                        value="",
                        label="Your question",
                        placeholder="Ask a question, or a follow-up",
                        elem_id="ask-question",
                        max_length=DEFAULTS.longest_question,
                        scale=8,
                    )
                    send = gr.Button("Ask", variant="primary", scale=1, min_width=90)
                    stop = gr.Button("Stop", variant="stop", scale=1, min_width=90, visible=False)
                with gr.Row():
                    retry = gr.Button("Ask again", size="sm", min_width=90)
                    export = gr.Button("Export as Markdown", size="sm", min_width=90)
                    clear = gr.Button("Clear", size="sm", min_width=90)
                with gr.Accordion("Options", open=False):
                    names = [(_own_name(service), OWN_MODEL), *((_name(name), name) for name in service.options.llms)]
                    llm = gr.Dropdown(names, value=OWN_MODEL, label="The model that writes", visible=len(names) > 1)
                    choices = FilterChoices(service)
            with gr.Column(scale=2, min_width=320):
                self.passages = acting_html(_NONE, elem_id="passages", label="Passages")
        cited = gr.HTML(js_on_load=asset("citations.js"), elem_classes="silent")
        exported = gr.Textbox(value="", visible=False)
        asked = [question, turns, llm, choices.folders, choices.formats]
        shown = [question, turns, chat, self.passages, send, stop]
        asking = gr.on(
            [send.click, question.submit],
            self._ask,
            asked,
            shown,
            trigger_mode="multiple",  # the one before may still be on its way to its end when it was stopped
            concurrency_limit=8,
            show_progress="hidden",
            api_visibility="private",
        )
        again = retry.click(
            self._ask_again, asked, shown, concurrency_limit=8, show_progress="hidden", api_visibility="private"
        )
        for event, act, given in (
            (stop.click, _stopped, turns),
            (clear.click, _cleared, None),
            (chat.clear, _cleared, None),
        ):
            # First the end, then what is shown: what the answer still sends on its way to its end must not come last.
            ended = event(None, cancels=[asking, again], show_progress="hidden", api_visibility="private")
            ended.then(act, given, shown, show_progress="hidden", api_visibility="private")
        cited.cite(_cite, turns, self.passages, show_progress="hidden", api_visibility="private")
        export.click(export_markdown, turns, exported, show_progress="hidden", api_visibility="private").then(
            None, exported, None, js=_DOWNLOAD
        )
        self.choices = choices

    def _ask(
        self, question: str, turns: list[Turn], llm: str, folders: list[str], formats: list[str]
    ) -> Iterator[tuple[Any, ...]]:
        if not question.strip():
            yield tuple(gr.skip() for _ in range(6))
            return
        request = Request(question, before=tuple(turns), where=make_filter(folders, formats), llm=llm)
        growing = [*turns, Turn(question)]
        yield "", growing, conversation(growing, is_running=True), _NONE, *_buttons(running=True)
        try:
            for turn in stream_turn(self._service, request):
                growing = [*turns, turn]
                yield (
                    gr.skip(),
                    growing,
                    conversation(growing, is_running=True),
                    passage_cards(turn),
                    *_buttons(running=True),
                )
        except EchoIndexError as error:
            yield question, turns, conversation(turns), error_html(error), *_buttons(running=False)
            return
        yield gr.skip(), growing, conversation(growing), passage_cards(growing[-1]), *_buttons(running=False)

    def _ask_again(
        self, question: str, turns: list[Turn], llm: str, folders: list[str], formats: list[str]
    ) -> Iterator[tuple[Any, ...]]:
        if turns:
            yield from self._ask(turns[-1].question, turns[:-1], llm, folders, formats)
        else:
            yield from self._ask(question, turns, llm, folders, formats)


def passage_cards(turn: Turn, *, cited: int | None = None) -> str:
    """Return the passages that an answer was written from; the one that was pressed comes first to the eye."""
    if not turn.passages:
        return _NONE
    used = {citation.number for citation in turn.answer.citations} if turn.answer else set()
    cards = []
    for number, hit in enumerate(turn.passages, start=1):
        mark = matching_sentence(turn.text or turn.question, hit.text) or matching_sentence(turn.question, hit.text)
        kinds = [kind for kind, is_so in (("cited", number in used), ("here", number == cited)) if is_so]
        cards.append(hit_card(hit, mark, number=number, similar=False, kinds=kinds))
    return f'<ol class="hits">{"".join(cards)}</ol>'


def _cite(turns: list[Turn], event: gr.EventData) -> str:
    turn, number = int(event._data["turn"]), int(event._data["number"])
    return passage_cards(turns[turn - 1], cited=number) if 0 < turn <= len(turns) else _NONE


def _stopped(turns: list[Turn]) -> tuple[Any, ...]:
    return gr.skip(), turns, conversation(turns), gr.skip(), *_buttons(running=False)


def _cleared() -> tuple[Any, ...]:
    return "", [], [], _NONE, *_buttons(running=False)


def _buttons(*, running: bool) -> tuple[Any, Any]:
    return gr.Button(visible=not running), gr.Button(visible=running)


def _own_name(service: IndexService) -> str:
    return f"The model of the index ({service.options.model})" if service.options.model else "The model of the index"


def _name(llm: str) -> str:
    from echo_index.app.services.external_llm import redact

    return f"{redact(llm)}: the question and the passages are sent there"
