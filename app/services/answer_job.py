"""A question to a streamed answer that can be stopped, in a thread of its own. Knows chains, nothing of pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from contextvars import copy_context
from dataclasses import dataclass, replace
from queue import SimpleQueue
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from echo_index.app.defaults import DEFAULTS
from echo_index.app.services.external_llm import translate_llm_errors, untraced
from echo_index.app.services.index_service import OWN_MODEL, IndexService

if TYPE_CHECKING:
    from echo_index.indexer.catalog.records import SearchFilter
    from echo_index.retriever.rag.citations import Answer
    from echo_index.retriever.search.hits import Hit
    from echo_index.retriever.search.retriever import Mode


@dataclass(frozen=True)
class Turn:
    """A question and what has been written in answer to it so far; `answer` is there when it is complete."""

    question: str
    passages: tuple[Hit, ...] = ()
    text: str = ""
    answer: Answer | None = None


@dataclass(frozen=True)
class Request:
    """What is asked, after which turns, of which documents and which model."""

    question: str
    before: tuple[Turn, ...] = ()
    mode: Mode = "hybrid"
    where: SearchFilter | None = None
    llm: str = OWN_MODEL
    passages: int = DEFAULTS.passages


def stream_turn(service: IndexService, request: Request) -> Iterator[Turn]:
    """Yield the turn as it grows. The model stops where the iterator is closed.

    Raises:
        EchoIndexError: the question cannot be answered; what it says is for people.
    """
    pieces: SimpleQueue[dict[str, Any] | BaseException | None] = SimpleQueue()
    stopped = Event()

    def write() -> None:
        try:
            for piece in _chain_pieces(service, request):
                pieces.put(piece)
                if stopped.is_set():
                    return
            pieces.put(None)
        except BaseException as error:  # noqa: BLE001 - raised again where somebody waits for it
            pieces.put(error)

    Thread(target=copy_context().run, args=(write,), name="answer", daemon=True).start()
    turn = Turn(request.question)
    try:
        while (piece := pieces.get()) is not None:
            if isinstance(piece, BaseException):
                raise piece
            turn = _grown(turn, piece)
            yield turn
    finally:
        stopped.set()


def _chain_pieces(service: IndexService, request: Request) -> Iterator[dict[str, Any]]:
    from echo_index.retriever.rag.adapters import EchoRetriever
    from echo_index.retriever.rag.rag_chain import rag_chain

    writer = service.chat_model(request.llm)
    where = request.where
    documents = service.with_retriever(
        lambda opened: EchoRetriever(
            retriever=opened,
            k=request.passages,
            mode=request.mode,
            group=True,
            paths=where.paths if where else (),
            formats=where.formats if where else (),
        )
    )
    asked = {"question": request.question, "chat_history": _history(request.before)}
    with translate_llm_errors(request.llm) if request.llm else nullcontext(), untraced():
        yield from rag_chain(documents, writer).stream(asked)  # type: ignore[misc]


def _history(turns: Sequence[Turn]) -> list[tuple[str, str]]:
    return [said for turn in turns if turn.answer for said in (("human", turn.question), ("ai", turn.answer.text))]


def _grown(turn: Turn, piece: dict[str, Any]) -> Turn:
    from echo_index.retriever.rag.adapters import hit_from_document

    if "passages" in piece:
        turn = replace(turn, passages=tuple(hit_from_document(document) for document in piece["passages"]))
    return replace(turn, text=turn.text + piece.get("text", ""), answer=piece.get("answer", turn.answer))
