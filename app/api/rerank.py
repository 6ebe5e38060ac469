"""Reranking in the form of Jina and Cohere."""

from __future__ import annotations

from functools import partial
from typing import Annotated
from uuid import uuid4

import numpy as np
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from echo_index.app.api.errors import Report, api_error, error_responses
from echo_index.app.api.fields import Positive
from echo_index.app.api.limits import MAX_QUERY_CHARACTERS, MAX_RERANKED, MAX_TEXT_CHARACTERS, WorkQueue
from echo_index.app.api.model_names import RERANK_MODEL, unknown_model
from echo_index.app.services.index_service import IndexService
from echo_index.errors import EchoIndexError

_Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARACTERS)]


class TextDocument(BaseModel):
    """A document as an object."""

    model_config = ConfigDict(strict=True)

    text: _Text


class RerankRequest(BaseModel):
    """A query and the documents to put in order."""

    model_config = ConfigDict(strict=True, protected_namespaces=())

    model: str = Field(default=RERANK_MODEL, examples=[RERANK_MODEL])
    query: Annotated[str, Field(min_length=1, max_length=MAX_QUERY_CHARACTERS)]
    documents: Annotated[list[_Text | TextDocument], Field(min_length=1, max_length=MAX_RERANKED)]
    top_n: Positive | None = Field(default=None, description="How many to return; by default all")
    return_documents: bool = Field(default=False, description="Whether the texts are in the results")


class RankedDocument(BaseModel):
    """A document by its position in the request, with its score from 0 to 1."""

    index: int
    relevance_score: float
    document: TextDocument | None = None


class RerankResult(BaseModel):
    """The documents, best first."""

    id: str
    object: str = "list"
    model: str = RERANK_MODEL
    results: list[RankedDocument]


def rerank_router(service: IndexService, queue: WorkQueue, *, report: Report) -> APIRouter:
    """Return the route that reranks documents."""
    router = APIRouter(prefix="/v1", tags=["rerank"])

    @router.post("/rerank", response_model_exclude_none=True, responses=error_responses(400, 404, 429, 503))
    async def rerank(request: RerankRequest) -> RerankResult:
        """Order documents by how likely the language model finds the query after each.

        The score is the geometric mean of the probabilities of the query's tokens (arXiv 2204.07496).
        """
        if request.model != RERANK_MODEL:
            raise unknown_model(request.model, [RERANK_MODEL])
        return await queue.run(partial(ranked, request), units=len(request.documents))

    def ranked(request: RerankRequest) -> RerankResult:
        texts = [document if isinstance(document, str) else document.text for document in request.documents]
        try:
            likelihoods = service.with_retriever(lambda retriever: retriever.score_texts(request.query, texts))
        except EchoIndexError as error:
            raise api_error(error, report=report) from None
        scores = np.exp(likelihoods.astype(np.float64))
        order = np.argsort(-scores, kind="stable")[: request.top_n]
        results = [
            RankedDocument(
                index=int(index),
                relevance_score=float(scores[index]),
                document=TextDocument(text=texts[index]) if request.return_documents else None,
            )
            for index in order
        ]
        return RerankResult(id=f"rerank-{uuid4().hex}", results=results)

    return router
