"""Answers from the documents in the form of OpenAI's chat completions."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal
from uuid import uuid4

from fastapi import APIRouter, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.responses import JSONResponse, Response, StreamingResponse

from echo_index.app.api.answer_feed import AnswerFeed
from echo_index.app.api.citation_fields import Annotation, annotation_fields
from echo_index.app.api.errors import ApiError, Report, error_responses
from echo_index.app.api.fields import Names, whole
from echo_index.app.api.limits import MAX_ANSWER_TOKENS, MAX_MESSAGES, MAX_QUERY_CHARACTERS, WorkQueue
from echo_index.app.api.model_names import ANSWER_MODEL, unknown_model, writer_names
from echo_index.app.services import answer_job
from echo_index.app.services.answer_job import Turn
from echo_index.app.services.index_service import IndexService


def _no_tools(value: Any) -> Any:
    if value:
        raise ValueError("tools cannot be called here: answers are written from the documents of the index.")
    return value


_Tokens = Annotated[int, Field(ge=1, le=MAX_ANSWER_TOKENS), BeforeValidator(whole)]


class TextPart(BaseModel):
    """A part of a message; only texts are read."""

    type: Literal["text"]
    text: str


class ChatMessage(BaseModel):
    """A message of the conversation. Messages of the system are accepted and not used."""

    model_config = ConfigDict(strict=True)

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]

    @property
    def text(self) -> str:
        """The text of all parts."""
        return self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)


class StreamOptions(BaseModel):
    """What a stream has besides the text."""

    include_usage: bool = False


class TextFormat(BaseModel):
    """The only format of an answer."""

    type: Literal["text"]


class ChatRequest(BaseModel):
    """A conversation that ends with a question."""

    model_config = ConfigDict(strict=True, protected_namespaces=())

    model: str = Field(examples=[ANSWER_MODEL])
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=MAX_MESSAGES)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: _Tokens | None = None
    max_completion_tokens: _Tokens | None = None
    temperature: float | None = Field(default=None, ge=0, le=2, allow_inf_nan=False)
    n: Annotated[Literal[1], BeforeValidator(whole)] | None = None
    tools: Annotated[list[Any], Field(max_length=0), BeforeValidator(_no_tools)] | None = None
    response_format: TextFormat | None = None
    collections: Names = Field(default=[], description="Only these collections, where there are several")


class AnswerMessage(BaseModel):
    """The answer, with its citations."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None
    annotations: list[Annotation]


class Choice(BaseModel):
    """The only choice."""

    index: Literal[0] = 0
    message: AnswerMessage
    logprobs: None = None
    finish_reason: Literal["stop", "length"]


class ChatUsage(BaseModel):
    """Tokens that the model read and wrote, also to rewrite a follow-up question."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatCompletion(BaseModel):
    """An answer; `found` says whether the documents have one."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: ChatUsage
    found: bool


_STREAM: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}}


def chat_router(service: IndexService, queue: WorkQueue, *, report: Report) -> APIRouter:
    """Return the route that answers questions."""
    router = APIRouter(prefix="/v1", tags=["chat"])

    @router.post(
        "/chat/completions",
        response_model=ChatCompletion,
        responses={**error_responses(400, 404, 429, 503), **_STREAM},
    )
    async def complete(request: ChatRequest, connection: Request) -> Response:
        """Answer the last question of a conversation from the documents, as `echo-index ask` does."""
        question = _question(request, writer_names(service))
        feed = AnswerFeed(service, question, queue, report=report)
        await feed.begin()
        reply = _Reply(request.model)
        if request.stream:
            with_usage = request.stream_options is not None and request.stream_options.include_usage
            return StreamingResponse(
                reply.events(feed, with_usage=with_usage),
                media_type="text/event-stream",
                headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
            )
        turn = await feed.last_turn(connection)
        return JSONResponse(reply.completion(turn))

    return router


def _question(request: ChatRequest, writers: dict[str, str | None]) -> answer_job.Request:
    if request.model not in writers:
        raise unknown_model(request.model, [*writers])
    spoken = [message for message in request.messages if message.role in ("user", "assistant")]
    if not spoken or spoken[-1].role != "user":
        raise ApiError(400, "The last message must be a question with the role user.", param="messages")
    asked = spoken[-1].text
    if not asked.strip():
        raise ApiError(400, "The last message is empty.", param="messages")
    if len(asked) > MAX_QUERY_CHARACTERS:
        raise ApiError(
            400, f"The question has {len(asked)} characters; it may have {MAX_QUERY_CHARACTERS}.", param="messages"
        )
    return answer_job.Request(
        asked,
        collections=tuple(request.collections),
        exchanges=_exchanges(spoken[:-1]),
        writer=writers[request.model],
        max_tokens=request.max_completion_tokens or request.max_tokens,
        temperature=request.temperature,
    )


def _exchanges(messages: Sequence[ChatMessage]) -> tuple[tuple[str, str], ...]:
    """Return the questions that were answered, each with its answer."""
    return tuple(
        (asked.text, said.text)
        for asked, said in pairwise(messages)
        if (asked.role, said.role) == ("user", "assistant")
    )


class _Reply:
    """One answer as JSON, whole or in pieces."""

    def __init__(self, model: str) -> None:
        self._head = {"id": f"chatcmpl-{uuid4().hex}", "created": int(time.time()), "model": model}

    def completion(self, turn: Turn) -> dict[str, Any]:
        """Return the whole answer."""
        assert turn.answer is not None
        message = {
            "role": "assistant",
            "content": turn.answer.text,
            "refusal": None,
            "annotations": annotation_fields(turn.answer, turn.answer.text),
        }
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish_reason(turn)}
        return {
            **self._head,
            "object": "chat.completion",
            "choices": [choice],
            "usage": _usage(turn),
            "found": turn.answer.found,
        }

    async def events(self, feed: AnswerFeed, *, with_usage: bool) -> AsyncIterator[bytes]:
        """Yield the answer as events of a stream; the citations come after the text."""
        yield self._chunk({"role": "assistant", "content": ""})
        text = ""
        try:
            async for turn in feed.turns():
                if turn.text != text:
                    yield self._chunk({"content": turn.text[len(text) :]})
                    text = turn.text
                if turn.answer is not None:
                    cited = annotation_fields(turn.answer, text)
                    if cited:
                        yield self._chunk({"annotations": cited})
                    yield self._chunk({}, finish_reason=_finish_reason(turn), found=turn.answer.found)
                    if with_usage:
                        yield self._event({"choices": [], "usage": _usage(turn)})
        except ApiError as error:
            yield _data({"error": error.detail.model_dump()})
            return
        yield b"data: [DONE]\n\n"

    def _chunk(self, delta: dict[str, Any], *, finish_reason: str | None = None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return self._event({"choices": [choice], **more})

    def _event(self, fields: dict[str, Any]) -> bytes:
        return _data({**self._head, "object": "chat.completion.chunk", **fields})


def _data(fields: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(fields)}\n\n".encode()


def _finish_reason(turn: Turn) -> str:
    is_cut = turn.usage.is_cut and turn.answer is not None and turn.answer.found  # what was withdrawn is not cut
    return "length" if is_cut else "stop"


def _usage(turn: Turn) -> dict[str, int]:
    read, written = turn.usage.prompt_tokens, turn.usage.answer_tokens
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
