"""Count requests, times, texts and queues for Prometheus. No label has anything of a request but its route."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from echo_index.app.api.limits import WorkQueue
from echo_index.app.api.route_names import RouteNames

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER = "other"


class Metrics:
    """The counters of one server."""

    def __init__(self, queues: Sequence[WorkQueue]) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "echo_index_requests", "Requests", ["route", "method", "status"], registry=self._registry
        )
        self.seconds = Histogram(
            "echo_index_request_seconds",
            "Seconds from the first byte of a request to the last of its response",
            ["route"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self.texts = Counter("echo_index_texts_embedded", "Texts embedded", ["kind"], registry=self._registry)
        length = Gauge("echo_index_queue_length", "Requests or texts in a queue", ["queue"], registry=self._registry)
        for queue in queues:
            length.labels(queue.name).set_function(partial(_length, queue))

    def exposition(self) -> bytes:
        """Return all figures in the text format of Prometheus."""
        return generate_latest(self._registry)


def _length(queue: WorkQueue) -> float:
    return queue.length


class CountRequests:
    """ASGI middleware that counts each request by its route, method and status."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, names: RouteNames) -> None:
        self._app = app
        self._metrics = metrics
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 499  # of a client that has gone before it was answered

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            route = self._names.name_of(scope["path"]) or _OTHER
            method = scope["method"] if scope["method"] in _METHODS else _OTHER
            self._metrics.requests.labels(route, method, str(status)).inc()
            self._metrics.seconds.labels(route).observe(time.monotonic() - began)
