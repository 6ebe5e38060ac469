"""LangChain chain from a question to a streamed answer with citations, on the functions of `answer_stream`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, TypedDict, cast

from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import convert_to_messages
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
from langchain_core.runnables.config import run_in_executor
from langchain_core.runnables.utils import AddableDict

from echo_index.errors import QuestionError
from echo_index.retriever.rag.adapters import EchoRetriever, hit_from_document
from echo_index.retriever.rag.answer_prompt import Prompt, answer_prompt
from echo_index.retriever.rag.answer_stream import answer_question, begin_answer, rewriting_config
from echo_index.retriever.rag.citations import Answer
from echo_index.retriever.rag.query_rewriting import Conversation, follow_up, rewriting_messages, standalone_query
from echo_index.retriever.search.hits import Hit


class RagOutput(TypedDict):
    """Output of the chain. A stream yields the keys in this order, `text` piece by piece."""

    question: str
    """The query that was searched for: the user's question, or a follow-up rewritten to stand alone."""
    passages: list[Document]
    """All documents that the retriever returned, best first."""
    text: str
    """The answer as it was shown."""
    answer: Answer
    """The checked answer with its citations."""


def rag_chain(retriever: BaseRetriever, chat_model: BaseChatModel) -> Runnable[str | dict[str, Any], RagOutput]:
    """Return a chain: question → passages → streamed answer with numbered citations → Answer.

    The input is a question, or `{"question": …, "chat_history": […]}` with LangChain messages, oldest first. Any
    LangChain retriever and chat model can be used. With an `EchoRetriever`, sentences of an answer are also compared
    with passages in another language.

    Raises (when it runs):
        QuestionError: the question is empty, or the input has neither of the two forms.
    """
    embed = retriever.embed_sentences if isinstance(retriever, EchoRetriever) else None

    def stream(given: str | dict[str, Any], config: RunnableConfig) -> Iterator[AddableDict]:
        found = AddableDict()

        def search(query: str) -> list[Hit]:
            documents = retriever.invoke(query, config)
            found.update(question=query, passages=documents)
            return [hit_from_document(document) for document in documents]

        answer = answer_question(_conversation(given), search=search, model=chat_model, embed=embed, config=config)
        yield found
        for text in answer:
            yield AddableDict(text=text)
        yield AddableDict(text="", answer=answer.answer)

    async def astream(given: str | dict[str, Any], config: RunnableConfig) -> AsyncIterator[AddableDict]:
        conversation = _conversation(given)
        messages = await run_in_executor(config, rewriting_messages, conversation, chat_model)
        rewritten = str((await chat_model.ainvoke(messages, rewriting_config(config))).text) if messages else ""
        query = standalone_query(conversation, rewritten)
        documents = await retriever.ainvoke(query, config)

        def prompt_for_passages() -> Prompt:
            passages = [hit_from_document(document) for document in documents]
            return answer_prompt(query, passages, model=chat_model, follow_up=follow_up(conversation))

        prompt = await run_in_executor(config, prompt_for_passages)
        answer = begin_answer(prompt, model=chat_model, embed=embed)
        yield AddableDict(question=query, passages=documents)
        if prompt.turns:
            async for chunk in prompt.bind(chat_model).astream(prompt.messages, config):
                if text := answer.add(str(chunk.text)):
                    yield AddableDict(text=text)
        if rest := answer.end():
            yield AddableDict(text=rest)
        yield AddableDict(text="", answer=answer.answer)

    chain = RunnableLambda(stream, afunc=astream, name="rag_chain")  # type: ignore[arg-type]  # async generators work
    return cast("Runnable[str | dict[str, Any], RagOutput]", chain)


def _conversation(given: str | dict[str, Any]) -> Conversation:
    question = given if isinstance(given, str) else given.get("question")
    if not isinstance(question, str) or not question.strip():
        raise QuestionError(
            f"The question is {question!r}.", remedy='Pass a text, or {"question": …, "chat_history": […]}.'
        )
    history = [] if isinstance(given, str) else convert_to_messages(given.get("chat_history") or [])
    return Conversation(question, tuple(history))
