"""Stream the answer to a question from a thread of its own; the answer can be stopped at any time."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextvars import copy_context
from dataclasses import dataclass, replace
from queue import SimpleQueue
from threading import Event, Thread
from typing import TYPE_CHECKING

from echo_index.app.services.external_llm import answering
from echo_index.app.services.index_service import IndexService
from echo_index.app.services.token_usage import NO_USAGE, TokenUsage

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

    from echo_index.embeddings.vectors.vector_ops import Vectors
    from echo_index.indexer.catalog.records import SearchFilter
    from echo_index.retriever.rag.citations import Answer
    from echo_index.retriever.rag.query_rewriting import Conversation
    from echo_index.retriever.search.hits import Hit
    from echo_index.retriever.search.searcher import Mode


@dataclass(frozen=True)
class Turn:
    """A question and the text written so far; `answer` and `usage` are set once the text is complete."""

    question: str
    passages: tuple[Hit, ...] = ()
    text: str = ""
    answer: Answer | None = None
    usage: TokenUsage = NO_USAGE


@dataclass(frozen=True)
class Request:
    """A question with the earlier turns of its conversation, the documents to search and the model that answers.

    `writer` is OWN_MODEL or the name of a model in `ServiceOptions`, None for the default; `passages` is how many
    passages it is given, None to let the question decide. `exchanges` are earlier questions with their answers, before
    those of `before`. `collections` are the indexes to search, none for all. `max_tokens` and `temperature` are
    settings of the model, None for its own.
    """

    question: str
    before: tuple[Turn, ...] = ()
    mode: Mode = "hybrid"
    where: SearchFilter | None = None
    collections: tuple[str, ...] = ()
    writer: str | None = None
    passages: int | None = None
    exchanges: tuple[tuple[str, str], ...] = ()
    max_tokens: int | None = None
    temperature: float | None = None


def stream_turn(service: IndexService, request: Request) -> Generator[Turn, None, None]:
    """Yield the turn each time its text grows. Closing the iterator stops the model.

    Raises:
        EchoIndexError: the question cannot be answered.
    """
    turns: SimpleQueue[Turn | BaseException | None] = SimpleQueue()
    stopped = Event()

    def write() -> None:
        try:
            for turn in _answer(service, request):
                turns.put(turn)
                if stopped.is_set():
                    return
            turns.put(None)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that reads the stream
            turns.put(error)

    Thread(target=copy_context().run, args=(write,), name="answer", daemon=True).start()
    try:
        while (turn := turns.get()) is not None:
            if isinstance(turn, BaseException):
                raise turn
            yield turn
    finally:
        stopped.set()


def _answer(service: IndexService, request: Request) -> Iterator[Turn]:
    from echo_index.app.services.usage_counter import UsageCounter
    from echo_index.app.services.writers import with_settings
    from echo_index.retriever.rag.answer_stream import answer_question
    from echo_index.retriever.rag.passage_choice import MAX_PASSAGES, choose_passages

    writer = service.default_writer if request.writer is None else request.writer
    model = service.chat_model(writer, collections=request.collections)
    model = with_settings(model, max_tokens=request.max_tokens, temperature=request.temperature)
    searched = request.passages or MAX_PASSAGES

    def search(query: str) -> list[Hit]:
        hits = service.with_searcher(
            lambda searcher: searcher.search(query, k=searched, mode=request.mode, where=request.where, group=True),
            collections=request.collections,
        )
        return choose_passages(query, hits, model=model, k=request.passages)

    def embed(sentences: list[str]) -> Vectors:
        return service.with_searcher(
            lambda searcher: searcher.embed_sentences(sentences), collections=request.collections
        )

    with answering(writer if writer in service.options.llms else None):
        counter = UsageCounter()
        config: RunnableConfig = {"callbacks": [counter]}
        stream = answer_question(_conversation(request), search=search, model=model, embed=embed, config=config)
        turn = Turn(request.question, passages=stream.passages)
        yield turn
        for text in stream:
            turn = replace(turn, text=turn.text + text)
            yield turn
        yield replace(turn, answer=stream.answer, usage=counter.usage)


def _conversation(request: Request) -> Conversation:
    from echo_index.retriever.rag.query_rewriting import Conversation

    before = [(turn.question, turn.answer.text) for turn in request.before if turn.answer]
    return Conversation.from_exchanges(request.question, [*request.exchanges, *before])
