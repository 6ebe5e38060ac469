"""What a client may send, in what time, and what it is told when the queue is full."""

from __future__ import annotations

import json
import socket
import threading
from urllib.parse import urlsplit

import anyio
import pytest
from api_server import client_of, running
from fastapi import FastAPI
from starlette.requests import Request
from starlette.testclient import TestClient

from echo_index.app.api.application import make_api
from echo_index.app.api.errors import ApiError
from echo_index.app.api.limits import MAX_BODY_BYTES, BoundedBody, WorkQueue
from echo_index.app.services.index_service import IndexService

HEAD = "POST /v1/embeddings HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


def connection(address: str) -> socket.socket:
    place = urlsplit(address)
    return socket.create_connection((place.hostname or "", place.port or 0), timeout=20)


def read_all(sock: socket.socket) -> str:
    received = b""
    while piece := sock.recv(65536):
        received += piece
    return received.decode()


def test_a_body_that_says_that_it_is_too_large_is_refused_before_it_is_sent(address: str) -> None:
    with connection(address) as sock:
        sock.sendall(f"{HEAD}Content-Length: {MAX_BODY_BYTES + 1}\r\n\r\n".encode())
        answered = read_all(sock)
    assert answered.startswith("HTTP/1.1 413 ")
    assert '"The body may have at most 8000000 bytes."' in answered
    assert "connection: close" in answered.lower()


def test_a_body_that_grows_too_large_is_refused_before_its_end(address: str) -> None:
    chunk = b"100000\r\n" + b" " * 2**20 + b"\r\n"
    with connection(address) as sock:
        sock.sendall(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode())
        try:
            for _ in range(100):
                sock.sendall(chunk)
        except OSError:
            return  # the server has closed the connection: what was sent after its answer is lost, and so may that be
        raise AssertionError("a hundred megabytes were read")


def test_the_largest_body_is_read(program: TestClient) -> None:
    body = json.dumps({"model": "echo-document", "input": "fox"}).encode()
    padded = body + b" " * (MAX_BODY_BYTES - len(body))
    headers = {"content-type": "application/json"}
    assert program.post("/v1/embeddings", content=padded, headers=headers).status_code == 200
    assert program.post("/v1/embeddings", content=padded + b" ", headers=headers).status_code == 413


def slow_app(seconds: float) -> FastAPI:
    app = FastAPI()

    @app.post("/v1/embeddings")
    async def echo(request: Request) -> int:
        return len(await request.body())

    app.add_middleware(BoundedBody, seconds=seconds)
    return app


def test_a_client_that_sends_too_slowly_is_given_up() -> None:
    with running(slow_app(0.3)) as address, connection(address) as sock:
        sock.sendall(f"{HEAD}Content-Length: 10\r\n\r\n12345".encode())
        answered = read_all(sock)
    assert answered.startswith("HTTP/1.1 408 ") and "connection: close" in answered.lower()


def test_clients_that_send_slowly_hold_no_place_in_the_queue(service: IndexService) -> None:
    with running(make_api(service, hosts=None)) as address:
        slow = [connection(address) for _ in range(80)]  # more than threads and places
        for sock in slow:
            sock.sendall(f"{HEAD}Content-Length: 100\r\n\r\n{{".encode())
        with connection(address) as sock:
            body = json.dumps({"model": "echo-document", "input": "fox"})
            sock.sendall(f"{HEAD}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
            assert read_all(sock).startswith("HTTP/1.1 200 ")
        for sock in slow:
            sock.close()


def test_a_client_that_goes_while_it_sends_does_no_harm(address: str, capfd: pytest.CaptureFixture[str]) -> None:
    with connection(address) as sock:
        sock.sendall(f"{HEAD}Content-Length: 100\r\n\r\n{{".encode())
    with connection(address) as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert read_all(sock).startswith("HTTP/1.1 200 ")
    assert "Traceback" not in capfd.readouterr().err


async def test_a_full_queue_refuses_and_says_when_to_come_again() -> None:
    queue = WorkQueue("test", running=1, size=3)
    go_on = threading.Event()
    with queue.place(2):
        assert queue.length == 2
        with pytest.raises(ApiError, match="The queue is full") as raised:
            await queue.run(lambda: None, units=2)
        assert raised.value.status == 429 and raised.value.headers == {"Retry-After": "1"}
        assert await queue.run(lambda: 5, units=1) == 5
    assert queue.length == 0
    assert await queue.run(lambda: 6, units=100) == 6, "a large request is accepted by an empty queue"

    running_now: list[int] = []

    def work() -> int:
        running_now.append(1)
        assert go_on.wait(20)
        return len(running_now)

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(queue.run, work)
        while not running_now:
            await anyio.sleep(0.01)
        await anyio.sleep(0.05)
        assert len(running_now) == 1 and queue.length == 3
        go_on.set()
    assert len(running_now) == 3 and queue.length == 0


async def test_work_that_fails_leaves_the_queue() -> None:
    queue = WorkQueue("test", running=1, size=1)

    def fail() -> None:
        raise ValueError("no")

    for _ in range(3):
        with pytest.raises(ValueError, match="no"):
            await queue.run(fail)
    assert queue.length == 0


def test_too_many_texts_at_once_get_429(service: IndexService) -> None:
    go_on, began = threading.Event(), threading.Event()

    class Slow(IndexService):
        def with_retriever(self, act):  # type: ignore[no-untyped-def]
            began.set()
            assert go_on.wait(20)
            return service.with_retriever(act)

    with client_of(make_api(Slow(service.options), hosts=None)) as program:
        many = {"model": "echo-document", "input": ["fox"] * 2048}
        threads = [threading.Thread(target=lambda: program.post("/v1/embeddings", json=many)) for _ in range(2)]
        for thread in threads:
            thread.start()
        assert began.wait(20)

        def figures() -> str:
            return program.get("/metrics").text

        while 'echo_index_queue_length{queue="embeddings"} 4096.0' not in figures():
            pass
        answered = program.post("/v1/embeddings", json={"model": "echo-document", "input": "fox"})
        assert answered.status_code == 429 and int(answered.headers["retry-after"]) >= 1
        assert answered.json()["error"] == {
            "message": "The queue is full. Try again in 1 s.",
            "type": "rate_limit_error",
            "param": None,
            "code": "queue_full",
        }
        go_on.set()
        for thread in threads:
            thread.join(60)
