"""rag_chain: LangChain's own parts from a question to a streamed, cited answer. Composes, knows no details."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from operator import itemgetter
from typing import Any, TypedDict, cast

from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import convert_to_messages
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda, RunnablePassthrough
from langchain_core.runnables.config import run_in_executor
from langchain_core.runnables.utils import AddableDict

from echo_index.errors import QuestionError
from echo_index.retriever.rag.adapters import hit_from_document
from echo_index.retriever.rag.answer_prompt import Prompt, answer_prompt
from echo_index.retriever.rag.answer_stream import begin_answer
from echo_index.retriever.rag.citations import Answer
from echo_index.retriever.rag.query_rewriting import Asked, follow_up, standalone_query


class RagOutput(TypedDict):
    """What the chain gives; streamed, the parts come in this order and `text` piece by piece."""

    question: str
    """The question that was searched for: that of the user, or a follow-up made to stand alone."""
    passages: list[Document]
    """All that the retriever gave, best first."""
    text: str
    """The answer as it was written."""
    answer: Answer
    """The answer, checked, with its citations."""


def rag_chain(retriever: BaseRetriever, chat_model: BaseChatModel) -> Runnable[str | dict[str, Any], RagOutput]:
    """Return a chain: question → passages → streamed answer with numbered citations → Answer.

    Its input is a question, or `{"question": …, "chat_history": […]}` with LangChain messages, oldest first. Any
    retriever and any chat model of LangChain's will do.

    Raises (when it runs):
        QuestionError: the question is empty, or the input is neither of the two forms.
    """

    def write(found: dict[str, Any], config: RunnableConfig) -> Iterator[AddableDict]:
        prompt = _prompt(found)
        text = begin_answer(prompt, model=chat_model)
        yield AddableDict(question=found["question"], passages=found["passages"])
        if prompt.messages:
            for chunk in chat_model.stream(prompt.messages, config, stop=prompt.stop):
                if shown := text.add(str(chunk.text)):
                    yield AddableDict(text=shown)
        yield AddableDict(text=text.end(), answer=text.answer)

    async def awrite(found: dict[str, Any], config: RunnableConfig) -> AsyncIterator[AddableDict]:
        prompt = await run_in_executor(config, _prompt, found)
        text = begin_answer(prompt, model=chat_model)
        yield AddableDict(question=found["question"], passages=found["passages"])
        if prompt.messages:
            async for chunk in chat_model.astream(prompt.messages, config, stop=prompt.stop):
                if shown := text.add(str(chunk.text)):
                    yield AddableDict(text=shown)
        yield AddableDict(text=text.end(), answer=text.answer)

    def _prompt(found: dict[str, Any]) -> Prompt:
        passages = [hit_from_document(document) for document in found["passages"]]
        return answer_prompt(found["question"], passages, model=chat_model, follow_up=found["follow_up"])

    chain = (
        RunnableLambda(_asked)
        | {"question": standalone_query(chat_model), "follow_up": RunnableLambda(follow_up)}
        | RunnablePassthrough.assign(passages=itemgetter("question") | retriever)
        | RunnableLambda(write, afunc=awrite, name="write_answer")  # type: ignore[arg-type]  # it knows no async generators
    )
    return cast("Runnable[str | dict[str, Any], RagOutput]", chain.with_config(run_name="rag_chain"))


def _asked(given: str | dict[str, Any]) -> Asked:
    question = given if isinstance(given, str) else given.get("question")
    if not isinstance(question, str) or not question.strip():
        raise QuestionError(
            f"The question is {question!r}.", remedy='Give a text, or {"question": …, "chat_history": […]}.'
        )
    history = [] if isinstance(given, str) else convert_to_messages(given.get("chat_history") or [])
    return {"question": question, "chat_history": history}
