"""Open what the address of the page asks for: a search, a question for the Ask tab, a document."""

from __future__ import annotations

import re
from typing import Any

import gradio as gr

from echo_index.app.web.error_html import error_html
from echo_index.app.web.passage_data import NamedPassage
from echo_index.app.web.search_parameters import query_values, question_only
from echo_index.app.web.tabs.ask import AskTab
from echo_index.app.web.tabs.search import SearchTab
from echo_index.app.web.viewer import Viewer
from echo_index.errors import QuestionError

_ASK = "ask"
_OFFSET = re.compile(r"\d{1,12}", re.ASCII)


class Address:
    """Opens an address when the page is loaded, and when the visitor goes back to it."""

    def __init__(self, page: gr.Blocks, tabs: gr.Tabs, search: SearchTab, ask: AskTab, viewer: Viewer) -> None:
        self._search = search
        self._ask = ask
        self._viewer = viewer
        outputs = [tabs, ask.question, *viewer.outputs, *search.outputs]
        page.load(self._open_first, None, outputs, show_progress="hidden", api_visibility="private")
        search.results.visit(self._open_again, None, outputs, show_progress="hidden", api_visibility="private")

    def _open_first(self, request: gr.Request) -> tuple[Any, ...]:
        return self._open(str(request.query_params))

    def _open_again(self, event: gr.EventData) -> tuple[Any, ...]:
        query = str(event._data["query"])
        opened = self._open(query)
        has_search = bool(question_only(query).question)
        return opened if has_search else (*opened[: -len(self._search.outputs)], *self._search.close())

    def _open(self, query: str) -> tuple[Any, ...]:
        values = query_values(query)
        if values.get("tab", [""])[-1] == _ASK:  # an answer takes too long to be written unasked
            asked = (gr.Tabs(selected=_ASK), question_only(query).question)
            searched: tuple[Any, ...] = tuple(gr.skip() for _ in self._search.outputs)
        else:
            asked = (gr.skip(), gr.skip())
            searched = self._search.open(query)
        return (*asked, *self._viewed(values), *searched)

    def _viewed(self, values: dict[str, list[str]]) -> tuple[Any, Any]:
        """Return the outputs of the viewer; they stay as they are if the address names no document."""
        if "document" not in values:
            return gr.skip(), gr.skip()
        start = values.get("start", ["0"])[-1]
        if not _OFFSET.fullmatch(start):
            error = QuestionError(
                f"The address has start={start[:80]!r}.",
                remedy="Use the number of a character of the document, from 0.",
            )
            return gr.Sidebar(open=True), error_html(error)
        collection = values.get("collection", [""])[-1]
        return self._viewer.view(NamedPassage(values["document"][-1], int(start), collection))
