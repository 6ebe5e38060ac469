"""Keys: with passwords, every route but the readiness check needs one, as a program or as curl sends it."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest
from api_server import client_of, is_marta, running
from openai import AuthenticationError, OpenAI
from starlette.testclient import TestClient

from echo_index.app.api.application import make_api
from echo_index.app.services.index_service import IndexService
from echo_index.app.services.request_guard import LOOPBACK_NAMES

KEY = "marta:grüne Tür:1"
ROUTES = [
    ("POST", "/v1/embeddings"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/rerank"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/echo-query"),
    ("GET", "/search?query=fox"),
    ("POST", "/search"),
    ("GET", "/documents"),
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
    ("GET", "/nothing"),
    ("DELETE", "/search"),
]


@pytest.fixture(scope="module")
def locked(service: IndexService) -> Iterator[TestClient]:
    """Return a client of a server that requires keys."""
    with client_of(make_api(service, hosts=LOOPBACK_NAMES, authenticator=is_marta)) as client:
        yield client


def basic(key: bytes) -> str:
    return f"Basic {base64.b64encode(key).decode()}"


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("header", [None, "Bearer", "Bearer marta:wrong"])
def test_every_route_needs_a_key(locked: TestClient, method: str, path: str, header: str | None) -> None:
    headers = {} if header is None else {"authorization": header}
    answered = locked.request(method, path, headers=headers)
    assert answered.status_code == 401
    assert answered.json()["error"]["code"] == "invalid_api_key"
    assert "Bearer" in answered.headers["www-authenticate"]


def test_readiness_needs_no_key(locked: TestClient) -> None:
    assert locked.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        "Bearer grüne Tür:1",
        "Bearer marta",
        "Bearer :grüne Tür:1",
        "Bearer marta:grüne Tür",
        "Token marta:grüne Tür:1",
        "marta:grüne Tür:1",
        "Basic marta:grüne Tür:1",
        "Basic !!!",
        basic(b"marta"),
        basic(b"\xff\xfe:\xff"),
        "Bearer " + "x" * 10_000,
    ],
)
def test_anything_else_is_refused(locked: TestClient, header: str) -> None:
    answered = locked.get("/documents", headers={"authorization": header.encode()})
    assert answered.status_code == 401
    assert header not in answered.text


@pytest.mark.parametrize("header", [f"Bearer {KEY}", f"bearer  {KEY} ", basic(KEY.encode())])
def test_the_right_key_opens(locked: TestClient, header: str) -> None:
    assert locked.get("/documents", headers={"authorization": header.encode()}).status_code == 200
    assert locked.post("/search", json={"query": "fox"}, headers={"authorization": header.encode()}).status_code == 200


def test_the_body_of_a_request_without_a_key_is_not_read(locked: TestClient) -> None:
    answered = locked.post("/v1/embeddings", content=b"x" * 9_000_000)
    assert answered.status_code == 401, "not 413"


def test_the_client_of_openai_sends_it(service: IndexService) -> None:
    def is_ann(name: str, password: str) -> bool:
        return (name, password) == ("ann", "correct horse")

    with running(make_api(service, hosts=LOOPBACK_NAMES, authenticator=is_ann)) as address:
        client = OpenAI(base_url=f"{address}/v1", api_key="ann:correct horse", max_retries=0)
        assert client.embeddings.create(model="echo-document", input="fox").data
        with pytest.raises(AuthenticationError, match="The key is missing or wrong"):
            client.with_options(api_key="ann").embeddings.create(model="echo-document", input="fox")
