"""Passages and a question to an answer that streams and ends in a checked Answer. Knows nothing of indexes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from langchain_core.language_models import BaseChatModel

from echo_index.retriever.rag.answer_prompt import Prompt, answer_prompt
from echo_index.retriever.rag.chat_model import EchoChatModel
from echo_index.retriever.rag.citations import NOT_FOUND, Answer, check_answer, may_say_not_found, visible_text
from echo_index.retriever.search.hits import Hit

WITHDRAWN = f"\n\nNo passage says so. {NOT_FOUND}"
"""What ends a text that was shown and that the passages do not support."""


class AnswerText:
    """An answer in the making: show what `add` and at last `end` return; then `answer` is there.

    What is shown never has a marker that points at no passage, and where nothing was found it says so.
    """

    def __init__(self, question: str, passages: Sequence[Hit], *, trust_citations: bool = False) -> None:
        self.question = question
        self.passages = tuple(passages)
        self._markers_believed = trust_citations
        self._text = ""
        self._shown = ""

    def add(self, piece: str) -> str:
        """Take the next piece that the model wrote; return what may be shown now."""
        self._text = (self._text + piece).lstrip()
        return (
            "" if may_say_not_found(self._text) else self._show(visible_text(self._text, passages=len(self.passages)))
        )

    def end(self) -> str:
        """Return what is left to show when the model has ended."""
        answer = self.answer
        if answer.text.startswith(self._shown):
            return self._show(answer.text)
        return "" if answer.found else WITHDRAWN

    @property
    def answer(self) -> Answer:
        """The answer that the text makes so far, checked."""
        return check_answer(self.question, self._text, self.passages, trust_citations=self._markers_believed)

    def _show(self, text: str) -> str:
        new, self._shown = text[len(self._shown) :], text
        return new


class AnswerStream:
    """An answer that a model is writing: iterate for what is to be shown; `answer` is the whole of it, checked."""

    def __init__(self, text: AnswerText, pieces: Iterator[str]) -> None:
        self._text = text
        self._pieces = pieces

    def __iter__(self) -> Iterator[str]:
        """Yield the text piece by piece."""
        for piece in self._pieces:
            if shown := self._text.add(piece):
                yield shown
        if rest := self._text.end():
            yield rest

    @property
    def answer(self) -> Answer:
        """The checked answer; what has not been written yet is written first."""
        for piece in self._pieces:
            self._text.add(piece)
        return self._text.answer


def stream_answer(question: str, passages: Sequence[Hit], *, model: BaseChatModel) -> AnswerStream:
    """Let a chat model answer from these passages, the best first; the weakest are left out where not all fit.

    Raises:
        TextError: not even one passage fits into the model's context.
    """
    prompt = answer_prompt(question, passages, model=model)
    chunks = model.stream(prompt.messages, stop=prompt.stop) if prompt.messages else iter(())
    return AnswerStream(begin_answer(prompt, model=model), (str(chunk.text) for chunk in chunks))


def begin_answer(prompt: Prompt, *, model: BaseChatModel) -> AnswerText:
    """Return the empty answer to a prompt, to which is added what the model writes.

    The markers of a model that is not ours are believed where they point at a passage; those of our small ones only
    where the passage holds the words of the answer.
    """
    return AnswerText(prompt.question, prompt.passages, trust_citations=not isinstance(model, EchoChatModel))
