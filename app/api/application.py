"""The application of all routes for programs, and the middleware around them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from echo_index.app.api.chat import chat_router
from echo_index.app.api.embeddings import embeddings_router
from echo_index.app.api.errors import (
    ApiError,
    Report,
    UnexpectedErrors,
    error_responses,
    http_error_response,
    on_api_error,
    on_validation_error,
)
from echo_index.app.api.health import READY_PATH, add_health
from echo_index.app.api.keys import KeyCheck
from echo_index.app.api.limits import BoundedBody, WorkQueue
from echo_index.app.api.metrics import CONTENT_TYPE, CountRequests, Metrics
from echo_index.app.api.model_names import models_router
from echo_index.app.api.rerank import rerank_router
from echo_index.app.api.route_names import RouteNames
from echo_index.app.api.search import search_router
from echo_index.app.services.credentials import Authenticator
from echo_index.app.services.index_service import IndexService
from echo_index.app.services.request_guard import Guard

_OPENAPI_PATH = "/openapi.json"
_DESCRIPTION = "Embeddings, answers, reranking and search over the documents of an index, on this machine."


class _Api(FastAPI):
    """An application whose OpenAPI page tells what it does: invalid requests get status 400, never 422."""

    def __init__(self, *, needs_key: bool) -> None:
        super().__init__(
            title="echo-index",
            version=version("echo-index"),
            description=_DESCRIPTION,
            docs_url=None,
            redoc_url=None,
            openapi_url=_OPENAPI_PATH,
            redirect_slashes=False,
        )
        self._needs_key = needs_key

    def openapi(self) -> dict[str, Any]:
        """Return the schema."""
        if self.openapi_schema is None:
            schema = super().openapi()
            for path, operations in schema["paths"].items():
                for operation in operations.values():
                    operation["responses"].pop("422", None)
                    if self._needs_key and path != READY_PATH:
                        operation["security"] = [{"key": []}]
            for name in ("HTTPValidationError", "ValidationError"):
                schema["components"]["schemas"].pop(name, None)
            if self._needs_key:
                schemes = {"key": {"type": "http", "scheme": "bearer", "description": "NAME:PASSWORD"}}
                schema["components"]["securitySchemes"] = schemes
        assert self.openapi_schema is not None
        return self.openapi_schema


def make_api(
    service: IndexService,
    *,
    hosts: Collection[str] | None,
    authenticator: Authenticator | None = None,
    report: Report = lambda line: None,
) -> FastAPI:
    """Return the application of the routes for programs.

    `hosts` are the accepted host names, None for any. With an authenticator, every route but /healthz needs a key.
    `report` is told what fails in the server.
    """
    searching = WorkQueue("search", running=32, size=256)
    embedding = WorkQueue("embeddings", running=64, size=4096)
    reranking = WorkQueue("rerank", running=2, size=2000)
    answering = WorkQueue("chat", running=4, size=16)
    metrics = Metrics([searching, embedding, reranking, answering])
    api = _Api(needs_key=authenticator is not None)
    add_health(api, service)
    api.include_router(embeddings_router(service, embedding, metrics, report=report))
    api.include_router(chat_router(service, answering, report=report))
    api.include_router(rerank_router(service, reranking, report=report))
    api.include_router(models_router(service))
    api.include_router(search_router(service, searching, report=report))
    api.include_router(_metrics_router(metrics))
    api.add_exception_handler(ApiError, on_api_error)
    api.add_exception_handler(HTTPException, _http_error_handler(api))
    api.add_exception_handler(RequestValidationError, on_validation_error)
    names = route_names(api)
    # Each wraps those before it.
    api.add_middleware(BoundedBody)
    if authenticator is not None:
        api.add_middleware(KeyCheck, authenticator=authenticator, open_paths=(READY_PATH,))
    api.add_middleware(Guard, hosts=hosts, reject=_forbidden)
    api.add_middleware(UnexpectedErrors, report=report)
    api.add_middleware(CountRequests, metrics=metrics, names=names)
    return api


class ApiBeforePage:
    """ASGI middleware that gives requests for the routes of an API to it, with any method, and the others to a page."""

    def __init__(self, page: ASGIApp, *, api: FastAPI) -> None:
        self._page = page
        self._api = api
        self._names = route_names(api)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        path = scope["path"] if scope["type"] == "http" else ""
        is_for_api = path.startswith("/v1/") or self._names.name_of(path) is not None
        await (self._api if is_for_api else self._page)(scope, receive, send)


def route_names(api: FastAPI) -> RouteNames:
    """Return the names of the routes of an API."""
    return RouteNames({_OPENAPI_PATH: ["get"], **api.openapi()["paths"]})


def _http_error_handler(api: FastAPI) -> Callable[[Request, Exception], Awaitable[JSONResponse]]:
    async def handle(request: Request, error: Exception) -> JSONResponse:
        response = http_error_response(error)
        if response.status_code == 405:  # the router knows only the methods of the first of several routes
            response.headers["allow"] = ", ".join(route_names(api).methods_of(request.url.path))
        return response

    return handle


def _metrics_router(metrics: Metrics) -> APIRouter:
    router = APIRouter(tags=["server"])
    content = {"text/plain": {"schema": {"type": "string"}}}

    @router.get("/metrics", response_class=Response, responses={**error_responses(), 200: {"content": content}})
    def read_metrics() -> Response:
        """Return counts and times in the text format of Prometheus."""
        return Response(metrics.exposition(), media_type=CONTENT_TYPE)

    return router


def _forbidden(reason: str) -> JSONResponse:
    return ApiError(403, reason).response()
