"""ask --chat: questions line by line, what they refer to, and the commands."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from example_hit import HIT
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, FakeListChatModel
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk
from rich.console import Console

from echo_index.app.cli.chat import run_chat
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.errors import IndexMissing, ModelError
from echo_index.retriever.rag.chat_model import EchoChatModel
from echo_index.retriever.search.hits import Hit

LOOM = "The loom was carved by Hanna Kvist from the wood of a pear tree in 1911."
FERRY = "The ferry to the island leaves at eight and at noon, also in winter."


def hit(text: str, name: str) -> Hit:
    """Return a hit in a document of this name."""
    return replace(HIT, text=text, source=f"{name}.md", title=name.title(), headings=(), end=HIT.start + len(text))


class Chat:
    """A conversation over standard input: what was searched for, printed and noticed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.searched: list[str] = []
        self.notices: list[str] = []
        self._out = io.StringIO()
        self._monkeypatch = monkeypatch

    def search(self, query: str) -> list[Hit]:
        self.searched.append(query)
        return [hit(LOOM, "loom")] if "loom" in query else [hit(FERRY, "ferry")]

    def run(
        self,
        model: BaseChatModel,
        *lines: str,
        question: str | None = None,
        search: Callable[[str], Sequence[Hit]] | None = None,
    ) -> str:
        self._monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
        out = Console(file=self._out, width=200)
        run_chat(question, search=search or self.search, model=model, llm=None, out=out, notice=self.notices.append)
        return self._out.getvalue()


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch) -> Chat:
    return Chat(monkeypatch)


def test_a_follow_up_refers_to_the_question_before(chat: Chat) -> None:
    model = FakeListChatModel(
        responses=["Hanna Kvist carved it [1].", "In what year was the loom carved?", "In 1911 [1]."]
    )
    printed = chat.run(model, "In what year?", "", question="Who carved the loom?")
    assert chat.searched == ["Who carved the loom?", "In what year was the loom carved?"]
    assert "Hanna Kvist carved it [1]." in printed
    assert "In 1911 [1]." in printed
    assert printed.count("loom.md") == 2, "each answer names its sources"
    assert "/sources" in chat.notices[0]


def test_a_conversation_can_begin_again(chat: Chat) -> None:
    model = FakeListChatModel(responses=["Hanna Kvist carved it [1].", "At eight and at noon [1]."])
    chat.run(model, "Who carved the loom?", "/new", "When does it leave?")
    assert chat.searched == ["Who carved the loom?", "When does it leave?"], "nothing was rewritten"


def test_commands(chat: Chat) -> None:
    model = FakeListChatModel(responses=["Hanna Kvist carved it [1]."])
    printed = chat.run(model, "/sources", "Who carved the loom?", "/sources", "/save it", "/quit", "Who else?")
    assert chat.searched == ["Who carved the loom?"], "/quit ends it"
    assert chat.notices[1:] == [
        "There is no answer yet.",
        "There is no command /save; there are /sources, /new, /quit.",
    ]
    assert LOOM in printed


def test_no_input_is_no_conversation(chat: Chat) -> None:
    assert chat.run(FakeListChatModel(responses=[]), "", "  ").strip() == ""
    assert chat.searched == []


class Failing(FakeListChatModel):
    """Raises once, where a test says so, and then answers."""

    errors: list[Any]

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        if self.errors:
            raise self.errors.pop()
        yield from super()._stream(messages, stop, run_manager, **kwargs)


@pytest.mark.parametrize(
    ("error", "notice"), [(ModelError("It broke."), "It broke."), (KeyboardInterrupt(), "Stopped.")]
)
def test_what_stops_one_answer_does_not_end_the_conversation(chat: Chat, error: BaseException, notice: str) -> None:
    model = Failing(responses=["At eight and at noon [1]."], errors=[error])
    printed = chat.run(model, "When does the ferry leave?", "When does the ferry leave?")
    assert notice in chat.notices
    assert "At eight and at noon [1]." in printed
    assert chat.searched == ["When does the ferry leave?"] * 2


def test_an_index_that_is_missing_ends_it(chat: Chat) -> None:
    def search(query: str) -> list[Hit]:
        raise IndexMissing("There is no index.")

    with pytest.raises(IndexMissing):
        chat.run(FakeListChatModel(responses=["?"]), "Who?", "Who?", search=search)


@pytest.mark.model
def test_a_real_model_answers_line_by_line(chat: Chat, gemma: LanguageModel) -> None:
    model = EchoChatModel(language_model=gemma, max_tokens=24)
    printed = chat.run(model, "Who carved the loom?", "When does the ferry leave?")
    assert "Hanna Kvist" in printed
    assert "eight" in printed
