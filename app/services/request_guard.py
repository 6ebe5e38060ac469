"""Reject requests of other sites, and send the security headers that restrict what a browser does."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})

_POLICY = "; ".join(
    (
        "default-src 'self'",
        # Gradio's page contains inline scripts, and its components compile theirs at run time.
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
# Paths with which Gradio fetches files from other sites for a visitor.
_REMOTE_FILE = re.compile(r"/(?:file[=/]\w+:/|proxy=)")
_UPLOAD = re.compile(r"/upload/?$")


class Guard:
    """ASGI middleware against cross-site requests and DNS rebinding, with a content security policy on every response.

    `hosts` are the accepted host names; None accepts any. The name in a request is the one in the browser's address
    bar, so a foreign name that resolves to this machine (DNS rebinding) is rejected. `reject` returns the response with
    status 403 from the reason.
    """

    # Starlette's TrustedHostMiddleware cannot answer 403 with our headers, and its earlier releases cannot parse IPv6.

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Collection[str] | None,
        may_upload: bool = True,
        reject: Callable[[str], Response] = lambda reason: PlainTextResponse(reason, status_code=403),
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._may_upload = may_upload
        self._reject = reject

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reject a request with status 403, or pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        reason = self._check_origin(headers, str(scope["method"])) or self._check_path(str(scope["path"]))
        if reason:
            response = self._reject(reason)
            response.headers.update(_HEADERS)
            await response(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _check_origin(self, headers: Headers, method: str) -> str:
        host = headers.get("host", "")
        if self._hosts is not None and _hostname(host) not in self._hosts:
            return "This host name is not allowed."
        origin = headers.get("origin")
        if origin and method not in _SAFE_METHODS and origin.partition("://")[2] != host:
            return "This request comes from another site."
        return ""

    def _check_path(self, path: str) -> str:
        if _REMOTE_FILE.search(path):
            return "Files of other sites are not fetched."
        if _UPLOAD.search(path) and not self._may_upload:
            return "Uploads are not allowed."
        return ""


def _hostname(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:  # not a valid host
        return None
