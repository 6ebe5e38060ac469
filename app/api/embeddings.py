"""Embeddings in the form of OpenAI."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.responses import Response

from echo_index.app.api.errors import ApiError, Report, api_error, error_responses
from echo_index.app.api.fields import Positive
from echo_index.app.api.limits import MAX_INPUTS, MAX_INSTRUCTION_CHARACTERS, MAX_TEXT_CHARACTERS, WorkQueue
from echo_index.app.api.metrics import Metrics
from echo_index.app.api.model_names import DOCUMENT_MODEL, QUERY_MODEL, unknown_model
from echo_index.app.services.index_service import IndexService
from echo_index.embeddings.vectors.vector_ops import Vectors, l2_normalize
from echo_index.errors import EchoIndexError

if TYPE_CHECKING:
    from echo_index.retriever.search.retriever import Retriever

_QUERY_TYPES = ("query", "search_query")
_TOKENS = (
    "input has token ids, and this server cannot know of which tokenizer. Send texts. "
    "In LangChain: OpenAIEmbeddings(check_embedding_ctx_length=False)."
)


def _check_input(value: Any) -> Any:
    """Raise what is wrong with an input in one sentence, where the types alone would give one for each alternative."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list):
        raise ValueError("input must be a text or a list of texts.")
    if not texts:
        raise ValueError("input is an empty list.")
    if len(texts) > MAX_INPUTS:
        raise ValueError(f"input has {len(texts)} texts; send at most {MAX_INPUTS} in one request.")
    if any(isinstance(text, int) or (isinstance(text, list) and text and isinstance(text[0], int)) for text in texts):
        raise ValueError(_TOKENS)
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"input[{number}] is not a text.")
        if not text:
            raise ValueError(f"input[{number}] is empty: there is nothing to embed.")
        if len(text) > MAX_TEXT_CHARACTERS:
            raise ValueError(f"input[{number}] has {len(text)} characters; a text may have {MAX_TEXT_CHARACTERS}.")
        if not _is_unicode(text):
            raise ValueError(f"input[{number}] is not valid Unicode.")
    return value


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can escape
        return False
    return True


Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARACTERS)]


class EmbeddingRequest(BaseModel):
    """Texts to embed."""

    model_config = ConfigDict(strict=True, protected_namespaces=())

    input: Annotated[
        Text | Annotated[list[Text], Field(min_length=1, max_length=MAX_INPUTS)], BeforeValidator(_check_input)
    ]
    model: str = Field(
        examples=[DOCUMENT_MODEL, QUERY_MODEL],
        description=f"{DOCUMENT_MODEL} for texts to be found, {QUERY_MODEL} for questions",
    )
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Positive | None = Field(default=None, description="Only lengths at which the adapter was trained")
    input_type: Literal["document", "query", "search_document", "search_query", "passage"] | None = Field(
        default=None, description="What the texts are, whatever model is named"
    )
    instruction: str | None = Field(
        default=None, max_length=MAX_INSTRUCTION_CHARACTERS, description="What to find, in words; only for queries"
    )


class Embedding(BaseModel):
    """The vector of one text: numbers, or float32 in base64, little-endian."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingUsage(BaseModel):
    """Tokens of the texts as the model read them, once each."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingList(BaseModel):
    """The vectors in the order of the texts."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage


@dataclass(frozen=True)
class _Task:
    """Texts to embed as queries or as documents, and the length of the vectors, None for all of it."""

    texts: Sequence[str]
    is_query: bool
    instruction: str | None
    dimensions: int | None

    def embed(self, retriever: Retriever) -> tuple[Vectors, int]:
        """Return unit vectors and the number of tokens."""
        from echo_index.embeddings.models.lora import trained_dimensions

        encoder = retriever.encoder
        adapter = encoder.model.adapter
        self._check_dimensions(encoder.dimension, () if adapter is None else trained_dimensions(adapter))
        if self.is_query:
            tokens = encoder.query_tokens(self.texts, instruction=self.instruction)
            vectors = retriever.embed_queries(self.texts, instruction=self.instruction)
        else:
            tokens = encoder.document_tokens(self.texts)
            vectors = retriever.embed_documents(self.texts)
        if self.dimensions not in (None, encoder.dimension):
            vectors = l2_normalize(vectors[:, : self.dimensions])
        return vectors, sum(each.end - each.start for each in tokens)

    def _check_dimensions(self, dimension: int, trained: Sequence[int]) -> None:
        if self.dimensions is None or self.dimensions in (dimension, *trained):
            return
        known = ", ".join(map(str, sorted({dimension, *trained}, reverse=True)))
        reason = "" if trained else " The model was trained at no other length."
        raise ApiError(
            400, f"dimensions is {self.dimensions}; vectors have {known} dimensions.{reason}", param="dimensions"
        )


def embeddings_router(service: IndexService, queue: WorkQueue, metrics: Metrics, *, report: Report) -> APIRouter:
    """Return the route that embeds texts."""
    router = APIRouter(prefix="/v1", tags=["embeddings"])

    @router.post("/embeddings", response_model=EmbeddingList, responses=error_responses(400, 404, 429, 503))
    async def embed(request: EmbeddingRequest) -> Response:
        """Embed texts with the model of the index: unit vectors, in the order of the texts."""
        task = _task_of(request)
        return await queue.run(partial(respond, request, task), units=len(task.texts))

    def respond(request: EmbeddingRequest, task: _Task) -> Response:
        try:
            vectors, tokens = service.with_retriever(task.embed)
        except EchoIndexError as error:
            raise api_error(error, report=report) from None
        metrics.texts.labels("query" if task.is_query else "document").inc(len(task.texts))
        return Response(_body(vectors, tokens, request.encoding_format, task), media_type="application/json")

    return router


def _task_of(request: EmbeddingRequest) -> _Task:
    if request.model not in (DOCUMENT_MODEL, QUERY_MODEL):
        raise unknown_model(request.model, [DOCUMENT_MODEL, QUERY_MODEL])
    is_query = request.model == QUERY_MODEL if request.input_type is None else request.input_type in _QUERY_TYPES
    if request.instruction is not None and not is_query:
        raise ApiError(400, "Only queries have an instruction; these texts are documents.", param="instruction")
    texts = [request.input] if isinstance(request.input, str) else request.input
    return _Task(texts, is_query, request.instruction, request.dimensions)


def _body(vectors: Vectors, tokens: int, encoding: Literal["float", "base64"], task: _Task) -> bytes:
    """Return the JSON. It is written here, as to validate millions of numbers would take as long as to embed them."""
    if encoding == "base64":
        rows: list[Any] = [base64.b64encode(row.astype("<f4").tobytes()).decode() for row in vectors]
    else:
        rows = np.asarray(vectors, dtype=np.float64).tolist()
    body = {
        "object": "list",
        "data": [{"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(rows)],
        "model": QUERY_MODEL if task.is_query else DOCUMENT_MODEL,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    return json.dumps(body).encode()
