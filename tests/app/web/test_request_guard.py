"""The guard in front of the page: which hosts and origins come in, and what every answer tells a browser."""

from __future__ import annotations

from collections.abc import Collection

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from echo_index.app.web.request_guard import LOOPBACK_NAMES, Guard

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
def test_this_machine_goes_by_its_names_at_any_port(host: str) -> None:
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
def test_a_site_that_points_its_name_at_this_machine_is_refused(host: str, method: str) -> None:
    answer = guarded().request(method, "/", headers={"host": host})
    assert (answer.status_code, answer.text) == (403, "This host name is not allowed.")


def test_other_machines_may_use_any_name() -> None:
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
def test_the_page_may_send(host: str, origin: str) -> None:
    assert guarded().post("/", headers={"host": host, "origin": origin}).text == "come in"


def test_behind_another_server_the_page_may_send() -> None:
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
def test_another_site_may_not_send(origin: str, method: str, names: Collection[str] | None) -> None:
    answer = guarded(names).request(method, "/", headers={"origin": origin})
    assert (answer.status_code, answer.text) == (403, "This request comes from another site.")


def test_another_site_may_link_here() -> None:
    assert guarded().get("/", headers={"origin": "https://evil.example"}).status_code == 200


@pytest.mark.parametrize(
    ("path", "headers"),
    [("/", {}), ("/stream", {}), ("/nothing", {}), ("/", {"host": "evil.example"})],
)
def test_every_answer_tells_the_browser_to_ask_nobody_else(path: str, headers: dict[str, str]) -> None:
    told = guarded().get(path, headers=headers).headers
    assert {name: told.get(name) for name in SAFE} == SAFE
    policy = dict(rule.split(" ", 1) for rule in told["content-security-policy"].split("; "))
    assert policy["default-src"] == "'self'"
    assert policy["connect-src"] == "'self'"
    assert policy["object-src"] == policy["frame-ancestors"] == "'none'"
    assert "http" not in told["content-security-policy"] and "*" not in told["content-security-policy"]
