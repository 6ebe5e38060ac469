"""Between the network and the page: which requests come in, and what a browser may do with what goes out."""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})

_POLICY = "; ".join(
    (
        "default-src 'self'",
        # Gradio's own page starts from a script in its text, and components compile theirs.
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
_READING = ("GET", "HEAD", "OPTIONS")
# Gradio would fetch other sites' files for a visitor.
_ELSEWHERE = re.compile(r"/(?:file[=/]\w+:/|proxy=)")
_UPLOAD = re.compile(r"/upload/?$")


class Guard:
    """Refuses what another site sends through a visitor's browser, and lets pages ask nobody but this server.

    `names` are the host names that the server goes by; None is any. A site that has its own name point at this machine
    is refused by it, since browsers tell which name they asked for.
    """

    def __init__(self, app: ASGIApp, *, names: Collection[str] | None, may_upload: bool = True) -> None:
        self._app = app
        self._names = names
        self._may_upload = may_upload

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(Headers(scope=scope), str(scope["method"])) or self._closed(str(scope["path"]))
        if refusal:
            await PlainTextResponse(refusal, status_code=403, headers=_HEADERS)(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _refusal(self, headers: Headers, method: str) -> str:
        host = headers.get("host", "")
        if self._names is not None and _hostname(host) not in self._names:
            return "This server goes by another name."
        origin = headers.get("origin")
        if origin and method not in _READING and origin.partition("://")[2] != host:
            return "This request comes from another site."
        return ""

    def _closed(self, path: str) -> str:
        if _ELSEWHERE.search(path):
            return "Nothing is fetched from other sites."
        if _UPLOAD.search(path) and not self._may_upload:
            return "Files are not taken here."
        return ""


def _hostname(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:  # an address that is none
        return None
