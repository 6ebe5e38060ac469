"""Search, and the list of documents, as plain JSON."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from echo_index.app.api.errors import Report, api_error, error_responses
from echo_index.app.api.fields import Names, Whole
from echo_index.app.api.limits import (
    MAX_DOCUMENTS,
    MAX_HITS,
    MAX_INSTRUCTION_CHARACTERS,
    MAX_NAME_CHARACTERS,
    MAX_QUERY_CHARACTERS,
    MAX_RERANKED_HITS,
    WorkQueue,
)
from echo_index.app.defaults import DEFAULTS
from echo_index.app.services.document_pages import page_of_collections
from echo_index.app.services.index_service import IndexService
from echo_index.app.services.json_fields import hit_fields
from echo_index.errors import EchoIndexError
from echo_index.indexer.catalog.chunk_queries import DocumentSelection
from echo_index.indexer.catalog.records import SearchFilter
from echo_index.retriever.search.hits import Hit


class SearchParameters(BaseModel):
    """A search, as parameters of the address."""

    query: Annotated[str, Field(min_length=1, max_length=MAX_QUERY_CHARACTERS, pattern=r"\S")]
    k: Whole = Field(default=DEFAULTS.results, ge=1, le=MAX_HITS, description="How many passages")
    mode: Literal["hybrid", "dense", "lexical"] = Field(
        default="hybrid", description="By meaning (dense), by words (lexical), or both"
    )
    instruction: str = Field(
        default="", max_length=MAX_INSTRUCTION_CHARACTERS, description="What to find, in words, for dense search"
    )
    paths: Names = Field(default=[], description="Only these documents or folders, or those that match these globs")
    formats: Names = Field(default=[], description="Only documents of these formats, such as markdown")
    rerank: Whole = Field(default=0, ge=0, le=MAX_RERANKED_HITS, description="How many of the best are reranked")
    exact: bool = Field(default=False, description="Only passages with the text in quotation marks word for word")
    since: str = Field(default="", max_length=MAX_NAME_CHARACTERS, description="Only files changed since this date")
    before: str = Field(default="", max_length=MAX_NAME_CHARACTERS, description="Only files changed before this date")
    where: str = Field(
        default="",
        max_length=MAX_QUERY_CHARACTERS,
        description="Only documents whose fields meet this condition, such as date >= 2024 and author = 'Ng'",
    )
    collections: Names = Field(default=[], description="Only these collections, where there are several")
    min_score: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0, description="Only passages of at least this relevance; not for lexical"
    )


class SearchRequest(SearchParameters):
    """A search, as JSON."""

    model_config = ConfigDict(strict=True)


class Score(BaseModel):
    """The rank of a passage in one of the rankings, from 1, and its score there."""

    rank: int
    score: float


class Place(BaseModel):
    """Where another passage stands that says the same."""

    model_config = ConfigDict(extra="allow")

    source: str
    start: int
    page: int | None
    line: int | None


class Passage(BaseModel):
    """A passage that was found. Page, line, place and headings are those of the sentence that answers."""

    model_config = ConfigDict(extra="allow")

    text: str
    source: str
    title: str
    headings: list[str]
    format: str
    start: int
    end: int
    page: int | None
    line: int | None
    place: str
    score: float
    dense: Score | None
    lexical: Score | None
    likelihood: Score | None
    relevance: float | None
    alike: list[Place]
    table_header: str
    sentence: Annotated[list[int], Field(min_length=2, max_length=2)] | None
    recognition: dict[str, Any] | None
    collection: str


class SearchResult(BaseModel):
    """The passages, best first."""

    query: str
    hits: list[Passage]


class DocumentFields(BaseModel):
    """A document of the index. `failure` is the reason why it could not be read."""

    model_config = ConfigDict(extra="allow")

    path: str
    collection: str
    title: str
    format: str
    size: int
    passages: int
    failure: str | None


class DocumentPage(BaseModel):
    """A page of the list; `next_offset` is where the next one begins, null for the last."""

    documents: list[DocumentFields]
    total: int
    next_offset: int | None


def search_router(service: IndexService, queue: WorkQueue, *, report: Report) -> APIRouter:
    """Return the routes that search and list documents."""
    router = APIRouter(tags=["search"])
    declared = error_responses(400, 404, 429, 503)

    @router.get("/search", response_model=SearchResult, responses=declared)
    async def search_by_address(parameters: Annotated[SearchParameters, Query()]) -> JSONResponse:
        """Find the passages that best match a query."""
        return await queue.run(partial(found, parameters))

    @router.post("/search", response_model=SearchResult, responses=declared)
    async def search(request: SearchRequest) -> JSONResponse:
        """Find the passages that best match a query."""
        return await queue.run(partial(found, request))

    @router.get("/documents", response_model=DocumentPage, responses=declared)
    async def documents(
        contains: Annotated[str, Query(max_length=MAX_NAME_CHARACTERS, description="A part of the path")] = "",
        limit: Annotated[int, Query(ge=1, le=MAX_DOCUMENTS)] = 100,
        offset: Annotated[int, Query(ge=0, le=2**53)] = 0,
        collections: Annotated[Names, Query(description="Only of these collections, where there are several")] = [],  # noqa: B006
    ) -> JSONResponse:
        """List the documents by collection and path, a page at a time."""
        return await queue.run(partial(listed, DocumentSelection(contains), limit, offset, collections))

    def found(parameters: SearchParameters) -> JSONResponse:
        try:
            hits = _search(service, parameters)
        except EchoIndexError as error:
            raise api_error(error, report=report) from None
        return JSONResponse({"query": parameters.query, "hits": [hit_fields(hit) for hit in hits]})

    def listed(selection: DocumentSelection, limit: int, offset: int, collections: list[str]) -> JSONResponse:
        try:
            page, total = page_of_collections(service, selection, collections=collections, offset=offset, limit=limit)
        except EchoIndexError as error:
            raise api_error(error, report=report) from None
        end = offset + limit
        return JSONResponse(
            {
                "documents": [{**asdict(document), "collection": name} for name, document in page],
                "total": total,
                "next_offset": end if end < total else None,
            }
        )

    return router


def _search(service: IndexService, parameters: SearchParameters) -> list[Hit]:
    where = SearchFilter.parse(
        paths=parameters.paths,
        formats=parameters.formats,
        since=parameters.since,
        before=parameters.before,
        where=parameters.where,
    )
    return service.with_searcher(
        lambda searcher: searcher.search(
            parameters.query,
            k=parameters.k,
            mode=parameters.mode,
            instruction=parameters.instruction or None,
            where=where,
            rerank=parameters.rerank,
            group=True,
            exact=parameters.exact,
            min_score=parameters.min_score or None,
        ),
        collections=parameters.collections,
    )
