"""Serve the routes for programs to tests, with a port and without one."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI
from starlette.testclient import TestClient

from echo_index.app.api.limits import MAX_ADDRESS_BYTES

HERE = "http://127.0.0.1:7860"


def is_marta(name: str, password: str) -> bool:
    return (name, password) == ("marta", "grüne Tür:1")


@contextmanager
def running(api: FastAPI) -> Iterator[str]:
    """Serve an application on a free port; yield its address."""
    server = uvicorn.Server(
        uvicorn.Config(
            api, port=0, log_level="error", timeout_graceful_shutdown=1, h11_max_incomplete_event_size=MAX_ADDRESS_BYTES
        )
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(20)


def client_of(api: FastAPI) -> TestClient:
    return TestClient(api, base_url=HERE, raise_server_exceptions=False)
