"""Answer a question from passages of an index: rewrite it, search, prompt a chat model, stream the checked answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from echo_index.retriever.rag.answer_prompt import Prompt, answer_prompt
from echo_index.retriever.rag.citations import NOT_FOUND, Answer, AnswerChecker, may_say_not_found
from echo_index.retriever.rag.local_writer import LocalWriter, local_writer_of
from echo_index.retriever.rag.query_rewriting import Conversation, follow_up, rewriting_messages, standalone_query
from echo_index.retriever.rag.sentence_meaning import Embed
from echo_index.retriever.search.hits import Hit

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.runnables import RunnableConfig

WITHDRAWN = f"\n\nNo passage says so. {NOT_FOUND}"
"""Appended to a text that was already shown and that no passage supports."""


class AnswerText:
    """The text of an answer while it is written: show what `add` and finally `end` return, then read `answer`.

    A sentence is shown while it is written, its citations when it is complete. If nothing was found, the text says so.
    """

    def __init__(
        self,
        question: str,
        passages: Sequence[Hit],
        *,
        trust_citations: bool = False,
        all_relevant: bool = False,
        embed: Embed | None = None,
    ) -> None:
        self.question = question
        self.passages = tuple(passages)
        self._checker = AnswerChecker(
            question, passages, trust_citations=trust_citations, all_relevant=all_relevant, embed=embed
        )
        self._text = ""
        self._shown = ""

    def add(self, piece: str) -> str:
        """Append what the model wrote next; return the text that can be shown now."""
        self._text = (self._text + piece).lstrip()
        return "" if may_say_not_found(self._text) else self._show(self._checker.visible_text(self._text))

    def end(self) -> str:
        """Return the rest of the text to show when the model has finished."""
        answer = self.answer
        if answer.text.startswith(self._shown):
            return self._show(answer.text)
        return "" if answer.found else WITHDRAWN

    @property
    def answer(self) -> Answer:
        """The checked answer that the text so far makes."""
        return self._checker.check(self._text)

    def _show(self, text: str) -> str:
        new, self._shown = text[len(self._shown) :], text
        return new


class AnswerStream:
    """An answer that a model is writing: iterate over the text to show; `answer` is the complete, checked answer.

    `passages` are all that the search returned, best first; `answer.passages` those that fit into the prompt.
    """

    def __init__(self, text: AnswerText, pieces: Iterator[str], *, passages: Sequence[Hit] | None = None) -> None:
        self.passages = text.passages if passages is None else tuple(passages)
        self._text = text
        self._pieces = pieces

    def __iter__(self) -> Iterator[str]:
        """Yield the text piece by piece."""
        for piece in self._pieces:
            if visible := self._text.add(piece):
                yield visible
        if rest := self._text.end():
            yield rest

    @property
    def answer(self) -> Answer:
        """The checked answer; the model writes the rest of it first."""
        for piece in self._pieces:
            self._text.add(piece)
        return self._text.answer


def answer_question(
    conversation: Conversation,
    *,
    search: Callable[[str], Sequence[Hit]],
    model: BaseChatModel,
    embed: Embed | None = None,
    config: RunnableConfig | None = None,
) -> AnswerStream:
    """Answer the question of a conversation: rewrite it to stand alone, search for it, and let the model write.

    The search is done when this returns; the model writes while the stream is read. With `embed`, sentences are
    also compared with passages in another language (`AnswerChecker`). `config` is LangChain's, with the callbacks of
    the model.

    Raises:
        TextError: not even one passage fits into the model's context.
    """
    messages = rewriting_messages(conversation, model)
    rewritten = str(model.invoke(messages, rewriting_config(config)).text) if messages else ""
    query = standalone_query(conversation, rewritten)
    return _stream(query, search(query), model=model, conversation=conversation, embed=embed, config=config)


def stream_answer(
    question: str, passages: Sequence[Hit], *, model: BaseChatModel | LocalWriter, embed: Embed | None = None
) -> AnswerStream:
    """Let a chat model answer from these passages, best first; the last ones are left out if not all fit.

    With `embed`, sentences are also compared with passages in another language (`AnswerChecker`).

    Raises:
        TextError: not even one passage fits into the model's context.
    """
    conversation = Conversation(question)
    return _stream(question, passages, model=model, conversation=conversation, embed=embed, config=None)


def begin_answer(prompt: Prompt, *, model: BaseChatModel | LocalWriter, embed: Embed | None = None) -> AnswerText:
    """Return the empty answer to a prompt.

    Citations of other models are trusted if they name a passage; those of our small ones are checked against it.
    """
    trusted = local_writer_of(model) is None
    return AnswerText(prompt.question, prompt.passages, trust_citations=trusted, embed=embed)


def rewriting_config(config: RunnableConfig | None) -> RunnableConfig:
    """Return the config of the run that rewrites a question, under a name of its own in traces."""
    return {**(config or {}), "run_name": "rewrite_follow_up"}


def _stream(
    query: str,
    passages: Sequence[Hit],
    *,
    model: BaseChatModel | LocalWriter,
    conversation: Conversation,
    embed: Embed | None,
    config: RunnableConfig | None,
) -> AnswerStream:
    prompt = answer_prompt(query, passages, model=model, follow_up=follow_up(conversation))
    text = begin_answer(prompt, model=model, embed=embed)
    return AnswerStream(text, prompt.stream(model, config), passages=passages)
