"""What one client may ask for: sizes, counts, and a place in the queue for the model."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import anyio
import anyio.to_thread
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from echo_index.app.api.errors import ApiError

T = TypeVar("T")
MAX_BODY_BYTES = 8_000_000
BODY_SECONDS = 30.0
"""Time in which a body must arrive."""
MAX_INPUTS = 2048
"""Texts of one request for embeddings."""
MAX_TEXT_CHARACTERS = 100_000
MAX_QUERY_CHARACTERS = 10_000
MAX_INSTRUCTION_CHARACTERS = 2_000
MAX_RERANKED = 1_000
"""Documents of one request for reranking."""
MAX_MESSAGES = 200
MAX_ANSWER_TOKENS = 4_096
MAX_NAMES = 20
"""Paths, formats or collections that a search is restricted to."""
MAX_NAME_CHARACTERS = 1_000
MAX_ADDRESS_BYTES = 512 * 1024
"""The longest search, in an address where each character takes up to twelve bytes."""
MAX_HITS = 100
MAX_RERANKED_HITS = 50
MAX_DOCUMENTS = 1_000
"""Documents on one page of the list."""
_MAX_RETRY_SECONDS = 60


class WorkQueue:
    """Work that waits for the model: `running` requests at a time in threads, and others up to `size` units in all.

    A unit is a request, or one of its texts. A request that is larger than the queue is accepted if the queue is empty.
    """

    def __init__(self, name: str, *, running: int, size: int) -> None:
        self.name = name
        self.length = 0
        self._size = size
        self._threads = anyio.CapacityLimiter(running)
        self._last_seconds = 1.0

    async def run(self, act: Callable[[], T], *, units: int = 1) -> T:
        """Return `act()`, run in a thread when it is its turn.

        Raises:
            ApiError: the queue is full, status 429.
        """
        with self.place(units):
            return await self.run_admitted(act)

    async def run_admitted(self, act: Callable[[], T]) -> T:
        """Return `act()` of a request that has its place in the queue."""
        return await anyio.to_thread.run_sync(act, limiter=self._threads)

    @contextmanager
    def place(self, units: int = 1) -> Iterator[None]:
        """Hold a place in the queue.

        Raises:
            ApiError: the queue is full, status 429.
        """
        if self.length and self.length + units > self._size:
            seconds = min(_MAX_RETRY_SECONDS, max(1, math.ceil(self._last_seconds)))
            raise ApiError(
                429,
                f"The queue is full. Try again in {seconds} s.",
                code="queue_full",
                headers={"Retry-After": str(seconds)},
            )
        began = time.monotonic()
        self.length += units
        try:
            yield
        finally:
            self.length -= units
            self._last_seconds = time.monotonic() - began  # what waits now will be done after about as long


class BoundedBody:
    """ASGI middleware that reads the whole body before anything else happens, up to a size and a time.

    A client that sends slowly holds no thread and no place in a queue, and nothing of a larger body is kept.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int = MAX_BODY_BYTES, seconds: float = BODY_SECONDS) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its body, or answer 413 or 408."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            declared = Headers(scope=scope).get("content-length", "0")
            self._check_size(int(declared) if declared.isdecimal() else 0)
            with anyio.fail_after(self._seconds):
                body = await self._read(receive)
        except ApiError as error:
            await error.response()(scope, receive, send)
            return
        except TimeoutError:
            late = ApiError(408, f"The body did not arrive in {self._seconds:g} s.", headers={"Connection": "close"})
            await late.response()(scope, receive, send)
            return
        if body is None:  # the client has gone
            return
        is_read = False

        async def replay() -> Message:
            nonlocal is_read
            if is_read:
                return await receive()
            is_read = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, send)

    async def _read(self, receive: Receive) -> bytes | None:
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return None
            body += message.get("body", b"")
            self._check_size(len(body))
            if not message.get("more_body", False):
                return bytes(body)

    def _check_size(self, size: int) -> None:
        if size > self._max_bytes:
            # The rest of the body is not read, so that the connection cannot be used again.
            raise ApiError(413, f"The body may have at most {self._max_bytes} bytes.", headers={"Connection": "close"})
