"""The request guard: accepted hosts and origins, and security headers."""

from __future__ import annotations

from collections.abc import Collection

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from echo_index.app.services.request_guard import LOOPBACK_NAMES, Guard

SAFE = {"x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}


def page(request: Request) -> Response:
    return PlainTextResponse("come in", headers={"referrer-policy": "unsafe-url"})


def stream(request: Request) -> Response:
    return StreamingResponse(iter(["come ", "in"]))


def guarded(hosts: Collection[str] | None = LOOPBACK_NAMES) -> TestClient:
    methods = ["GET", "POST", "PUT", "DELETE", "OPTIONS"]
    app = Starlette(routes=[Route("/", page, methods=methods), Route("/stream", stream)])
    app.add_middleware(Guard, hosts=hosts)
    return TestClient(app, base_url="http://127.0.0.1:7860", raise_server_exceptions=False)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:7860", "localhost:7860", "LocalHost", "[::1]", "[::1]:7860", "localhost:1"]
)
def test_loopback_names_are_accepted_at_any_port(host: str) -> None:
    assert guarded().get("/", headers={"host": host}).text == "come in"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:7860",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "evil.example@127.0.0.1.evil.example",
        "[::2]:7860",
        "::1",
        "",
        "[::1",
        "[evil]",
        "127.0.0.1:7860:80@evil.example",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_foreign_host_names_are_rejected(host: str, method: str) -> None:
    answer = guarded().request(method, "/", headers={"host": host})
    assert (answer.status_code, answer.text) == (403, "This host name is not allowed.")


def test_any_name_is_accepted_without_a_list() -> None:
    assert guarded(None).get("/", headers={"host": "library.example:7860"}).status_code == 200


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:7860", "http://127.0.0.1:7860"),
        ("localhost:7860", "http://localhost:7860"),
        ("[::1]:7860", "http://[::1]:7860"),
        ("127.0.0.1:7860", ""),
    ],
)
def test_same_origin_requests_are_accepted(host: str, origin: str) -> None:
    assert guarded().post("/", headers={"host": host, "origin": origin}).text == "come in"


def test_same_origin_requests_behind_a_proxy_are_accepted() -> None:
    headers = {"host": "library.example", "origin": "https://library.example"}
    assert guarded(None).post("/", headers=headers).text == "come in"


@pytest.mark.parametrize("names", [LOOPBACK_NAMES, None])
@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://127.0.0.1:9999",
        "http://127.0.0.1",
        "http://localhost:7860",
        "http://127.0.0.1:7860.evil.example",
        "http://evil.example#127.0.0.1:7860",
        "null",
        "file://",
        "127.0.0.1:7860",
        "http://[",
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_cross_origin_requests_are_rejected(origin: str, method: str, names: Collection[str] | None) -> None:
    answer = guarded(names).request(method, "/", headers={"origin": origin})
    assert (answer.status_code, answer.text) == (403, "This request comes from another site.")


def test_links_from_other_sites_are_accepted() -> None:
    assert guarded().get("/", headers={"origin": "https://evil.example"}).status_code == 200


@pytest.mark.parametrize(
    ("path", "headers"),
    [("/", {}), ("/stream", {}), ("/nothing", {}), ("/", {"host": "evil.example"})],
)
def test_every_response_has_the_security_headers(path: str, headers: dict[str, str]) -> None:
    response_headers = guarded().get(path, headers=headers).headers
    assert {name: response_headers.get(name) for name in SAFE} == SAFE
    policy = dict(rule.split(" ", 1) for rule in response_headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'self'"
    assert policy["connect-src"] == "'self'"
    assert policy["object-src"] == policy["frame-ancestors"] == "'none'"
    assert (
        "http" not in response_headers["content-security-policy"]
        and "*" not in response_headers["content-security-policy"]
    )
