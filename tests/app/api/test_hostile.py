"""Hostile requests: a status of its own for each, one sentence, and nothing of the server or the request in it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.testclient import TestClient

from echo_index.app.services.index_service import IndexService

JSON = {"content-type": "application/json"}
POSTS = ["/v1/embeddings", "/v1/chat/completions", "/v1/rerank", "/search"]
BODIES = {
    "nothing": b"",
    "no JSON": b"fox",
    "half of it": b'{"model": "echo-document", "input": "fo',
    "no UTF-8": b'{"model": "echo-document", "input": "\xff\xfe"}',
    "deep lists": b"[" * 200_000,
    "deep objects": b'{"input":' * 100_000,
    "a deep input": b'{"model":"echo-document","query":'
    + b"[" * 90
    + b"]" * 90
    + b',"input":'
    + b"[" * 900
    + b"1"
    + b"]" * 900
    + b"}",
    "a list": b"[]",
    "a text": b'"fox"',
    "null": b"null",
    "not a number": b'{"model": NaN, "input": NaN, "query": NaN, "documents": NaN, "messages": NaN}',
    "infinity": b'{"model": "echo-answer", "messages": [{"role": "user", "content": "x"}], "temperature": Infinity}',
    "a huge number": b'{"model": "echo-document", "input": "x", "query": "x", "k": ' + b"9" * 5000 + b"}",
    "half a character": b'{"model": "echo-document", "input": "\\ud800", "query": "\\udfff", "documents": ["\\ud800"],'
    b' "messages": [{"role": "user", "content": "\\ud800"}]}',
    "the same key often": b'{"input": 1, "input": 2, "input": [], "query": []}',
    "a form": b"input=fox&model=echo-document",
}


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("body", BODIES)
def test_what_is_not_a_request_gets_400(
    program: TestClient, service: IndexService, capfd: pytest.CaptureFixture[str], path: str, body: str
) -> None:
    answered = program.post(path, content=BODIES[body], headers=JSON)
    assert answered.status_code in (400, 404), answered.text[:500]
    error = answered.json()["error"]
    assert error["type"] == "invalid_request_error" and len(error["message"]) < 600
    for hidden in ("Traceback", "pydantic", ".py", str(service.index_dir.parent), "9" * 100):
        assert hidden not in answered.text
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("content_type", ["text/plain", "multipart/form-data; boundary=x", "", "x" * 1000])
def test_only_json_is_read(program: TestClient, content_type: str) -> None:
    body = b'{"model": "echo-document", "input": "fox"}'
    answered = program.post("/v1/embeddings", content=body, headers={"content-type": content_type})
    assert answered.status_code == 400 and "Content-Type: application/json" in answered.json()["error"]["message"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/../etc/passwd", 404),
        ("GET", "/v1/models/..%2f..%2fetc%2fpasswd", 404),
        ("GET", "/v1/models/%00", 404),
        ("GET", "/v1/models/" + "x" * 5000, 404),
        ("GET", "/search?query=%ff%fe", 200),
        ("GET", "/search?query=%00", 200),
        ("GET", "/search?query=a%00b", 200),
        ("GET", "/search?query=x&k=1e3", 400),
        ("GET", "/search?query=x&k=nan", 400),
        ("GET", "/search?query=x&k=" + "9" * 5000, 400),
        ("GET", "/search", 400),
        ("GET", "/search?query=x&paths=../../*", 200),
        ("GET", "/search?query=x&paths=%00&formats=%00", 200),
        ("GET", "/search?query=%22%22%22+OR+NEAR(a+b)+*", 200),
        ("GET", "/documents?contains=%27;DROP+TABLE+documents", 200),
        ("GET", "/documents?offset=9007199254740993", 400),
        ("GET", "/documents?offset=-1", 400),
        ("TRACE", "/search", 405),
        ("POST", "/documents", 405),
        ("GET", "//search", 404),
        ("GET", "/SEARCH", 404),
        ("GET", "/search/", 404),
        ("GET", "/docs", 404),
    ],
)
def test_strange_addresses(
    program: TestClient, capfd: pytest.CaptureFixture[str], method: str, path: str, status: int
) -> None:
    answered = program.request(method, path)
    assert answered.status_code == status, answered.text[:300]
    assert "root:" not in answered.text and "Traceback" not in capfd.readouterr().err
    if status != 200:
        assert set(answered.json()) == {"error"}


@pytest.mark.parametrize("path", [*POSTS, "/v1/models", "/documents", "/metrics", "/healthz", "/nothing"])
def test_foreign_hosts_and_sites_are_refused_in_the_shape_of_the_api(program: TestClient, path: str) -> None:
    method = "POST" if path in POSTS else "GET"
    answered = program.request(method, path, headers={"host": "evil.example"})
    assert answered.status_code == 403 and answered.json()["error"]["type"] == "permission_error"
    assert "default-src 'self'" in answered.headers["content-security-policy"]
    if method == "POST":
        answered = program.post(path, headers={"origin": "https://evil.example"})
        assert answered.status_code == 403


def test_every_answer_has_the_security_headers_and_no_other_site_may_read_it(program: TestClient) -> None:
    for path in ("/search?query=fox", "/v1/models", "/nothing", "/metrics"):
        headers = program.get(path, headers={"origin": "https://evil.example"}).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers


def test_unknown_fields_are_ignored_and_never_repeated(program: TestClient) -> None:
    body: dict[str, Any] = {"model": "echo-document", "input": "fox", "secret": "hidden", "user": "ann"}
    answered = program.post("/v1/embeddings", json=body)
    assert answered.status_code == 200 and not re.search("secret|hidden|ann", answered.text)
