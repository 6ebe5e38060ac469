"""Let in only clients with a key: a line of the passwords, which `serve --auth` names."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from echo_index.app.api.errors import ApiError
from echo_index.app.services.credentials import Authenticator

_REALM = 'Basic realm="echo-index", Bearer'


class KeyCheck:
    """ASGI middleware that answers 401 unless `Authorization` has the right NAME:PASSWORD, as Bearer or as Basic."""

    def __init__(self, app: ASGIApp, *, authenticator: Authenticator, open_paths: Collection[str]) -> None:
        self._app = app
        self._authenticator = authenticator
        self._open_paths = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or reject it before its body is read."""
        if scope["type"] == "http" and scope["path"] not in self._open_paths:
            name, _, password = _key_of(Headers(scope=scope)).partition(":")
            if not self._authenticator(name, password):
                error = ApiError(
                    401,
                    "The key is missing or wrong. Send Authorization: Bearer NAME:PASSWORD.",
                    code="invalid_api_key",
                    headers={"WWW-Authenticate": _REALM},
                )
                await error.response()(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _key_of(headers: Headers) -> str:
    """Return the key in a request, or ''."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    sent = value.strip().encode("latin-1")  # as it came: headers are bytes
    if scheme.lower() == "basic":
        try:
            sent = base64.b64decode(sent, validate=True)
        except (binascii.Error, ValueError):
            return ""
    elif scheme.lower() != "bearer":
        return ""
    return sent.decode("utf-8", errors="replace")
