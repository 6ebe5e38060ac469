"""Errors of the routes: their status codes and their JSON, which is that of OpenAI for every route."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from echo_index.errors import (
    CollectionError,
    EchoIndexError,
    IndexMissing,
    ModelError,
    PromptError,
    QuestionError,
    TextError,
)

Report = Callable[[str], None]
"""Tells the person who runs the server what failed."""

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_MEANINGS = {
    400: "The request is not valid.",
    401: "The key is missing or wrong.",
    403: "The host name is not allowed, or the request comes from another site.",
    404: "There is nothing of this name.",
    405: "The path has no such method.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    429: "The queue is full; the header Retry-After says how many seconds to wait.",
    500: "The server failed.",
    503: "There is no index or no model yet.",
}
_NAME = re.compile(r"[a-z_]+|[0-9]+")  # of a field, or a position in a list
_MAX_MESSAGE = 400  # characters


class ErrorDetail(BaseModel):
    """What is wrong: a sentence, a class of errors, and the parameter and the code where there is one."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorBody(BaseModel):
    """The body of every response with an error."""

    error: ErrorDetail


class ApiError(Exception):
    """An error that is sent to the client, with its HTTP status."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.detail = ErrorDetail(message=message, type=_type_of(status), param=param, code=code)
        self.headers = dict(headers or {})

    def response(self) -> JSONResponse:
        """Return the response that tells the client."""
        return JSONResponse({"error": self.detail.model_dump()}, status_code=self.status, headers=self.headers)


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what a route declares about its errors; any request can fail with the statuses that are added here."""
    every = {*statuses, 401, 403, 408, 413, 500}
    return {status: {"model": ErrorBody, "description": _MEANINGS[status]} for status in sorted(every)}


def api_error(error: EchoIndexError, *, report: Report) -> ApiError:
    """Return what a client is told of an error. What it need not know, such as a folder, is only reported."""
    match error:
        case QuestionError():  # its remedy is for the command line
            return ApiError(400, error.message)
        case CollectionError():
            return ApiError(404, str(error))
        case TextError() | PromptError():
            return ApiError(400, str(error))
    report(str(error))
    match error:
        case IndexMissing(collection=name) if name:
            return ApiError(503, f"The collection {name} has no index. The server says more.", code="no_index")
        case IndexMissing():
            return ApiError(503, "There is no index yet. Build it on the server: echo-index build.", code="no_index")
        case ModelError():
            return ApiError(503, "The model cannot be used. The server says why.", code="model_unavailable")
    return ApiError(500, "The index cannot be used. The server says why.")


def validation_error(errors: Sequence[Any]) -> ApiError:
    """Return the first of pydantic's errors in one sentence, without the value that was sent."""
    first = errors[0]
    # The first says whether it is in the body or in the address; some are names of types that a value may have.
    names = (str(part) for part in first["loc"][1:] if part != "str")
    place = [name for name in names if _NAME.fullmatch(name)]
    if first["type"] == "json_invalid":
        return ApiError(400, "The body is not valid JSON.")
    if not place:
        return ApiError(400, "The body must be a JSON object, with the header Content-Type: application/json.")
    reason = str(first["msg"]).removeprefix("Value error, ")[:_MAX_MESSAGE]
    sentence = reason if first["type"] == "value_error" else f"{'.'.join(place)[:80]}: {reason}."
    return ApiError(400, sentence, param=place[0])


async def on_api_error(request: Request, error: Exception) -> JSONResponse:
    """Send an ApiError."""
    assert isinstance(error, ApiError)
    return error.response()


def http_error_response(error: Exception) -> JSONResponse:
    """Return the response to an error of the router: no such path or method, or a body that cannot be parsed."""
    assert isinstance(error, HTTPException)
    message = _MEANINGS.get(error.status_code, "The request failed.")
    return ApiError(error.status_code, message, headers=error.headers).response()


async def on_validation_error(request: Request, error: Exception) -> JSONResponse:
    """Send an error of the parameters or of the body."""
    assert isinstance(error, RequestValidationError)
    return validation_error(error.errors()).response()


class UnexpectedErrors:
    """ASGI middleware that sends status 500 for a defect, and reports where it is, but no text of the request."""

    def __init__(self, app: ASGIApp, *, report: Report) -> None:
        self._app = app
        self._report = report

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        has_started = False

        async def watched(message: Message) -> None:
            nonlocal has_started
            has_started = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except OSError:  # the client has gone while the response was sent
            return
        except Exception as error:  # noqa: BLE001 - a traceback would be logged, with texts in its messages
            trace = error.__traceback__
            while trace is not None and trace.tb_next is not None:
                trace = trace.tb_next
            where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "an unknown place"
            self._report(f"A request failed: {type(error).__name__} at {where}.")
            if not has_started:
                await ApiError(500, _MEANINGS[500]).response()(scope, receive, send)


def _type_of(status: int) -> str:
    return _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
