"""The OpenAPI page says what the server does: generated requests get only what it declares."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from api_server import client_of, is_marta
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from starlette.testclient import TestClient

from echo_index.app.api.application import make_api
from echo_index.app.services.index_service import IndexService

ROUTES = {
    ("get", "/healthz"),
    ("get", "/metrics"),
    ("get", "/documents"),
    ("get", "/search"),
    ("post", "/search"),
    ("get", "/v1/models"),
    ("get", "/v1/models/{model}"),
    ("post", "/v1/embeddings"),
    ("post", "/v1/chat/completions"),
    ("post", "/v1/rerank"),
}
EXAMPLES = 12
MODELS = {"/v1/embeddings": "echo-document", "/v1/rerank": "echo-rerank", "/v1/chat/completions": "echo-answer"}


def page(program: TestClient) -> dict[str, Any]:
    return dict(program.get("/openapi.json").json())


def test_it_lists_all_routes_and_the_errors_of_each(program: TestClient) -> None:
    operations = {
        (method, path): operation
        for path, of_path in page(program)["paths"].items()
        for method, operation in of_path.items()
    }
    assert operations.keys() == ROUTES
    for (method, path), operation in operations.items():
        declared = {int(status) for status in operation["responses"]}
        assert 422 not in declared
        if path == "/healthz":
            assert declared == {200, 503}
            continue
        assert declared >= {200, 401, 403, 408, 413, 500}
        assert (400 in declared) == (method == "post" or path in ("/search", "/documents"))
        assert operation.get("description") or operation.get("summary")


def test_it_says_that_a_key_is_needed_where_one_is(program: TestClient, service: IndexService) -> None:
    assert "securitySchemes" not in page(program)["components"]
    api = make_api(service, hosts=None, authenticator=is_marta)
    schema = api.openapi()
    assert schema["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    for path, of_path in schema["paths"].items():
        for operation in of_path.values():
            assert operation.get("security") == (None if path == "/healthz" else [{"key": []}])
    with client_of(api) as locked:
        assert locked.get("/openapi.json").status_code == 401


@pytest.mark.parametrize(
    ("path", "allowed"), [("/search", "GET, POST"), ("/v1/embeddings", "POST"), ("/v1/models/x", "GET")]
)
def test_a_method_that_does_not_exist_is_told_the_others(program: TestClient, path: str, allowed: str) -> None:
    answered = program.delete(path)
    assert (answered.status_code, answered.headers["allow"]) == (405, allowed)
    assert answered.json()["error"]["type"] == "invalid_request_error"


def test_generated_requests_get_only_what_is_declared(address: str) -> None:
    """Right and wrong requests are made from the page, and status, type and body of the responses are checked."""
    schemathesis = pytest.importorskip("schemathesis", reason="the extra dev installs it")
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
    called: list[tuple[str, str]] = []
    for operation in (result.ok() for result in schema.get_all_operations()):
        right, wrong = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE
        call_generated(operation.as_strategy(generation_mode=right), called, before=complete)
        with suppress(Unsatisfiable):  # nothing of a route without parameters can be wrong
            call_generated(operation.as_strategy(generation_mode=wrong), called)
    assert {*called} == ROUTES
    assert len(called) > EXAMPLES * len(ROUTES)


def call_generated(
    cases: Any, called: list[tuple[str, str]], *, before: Callable[[Any], None] = lambda case: None
) -> None:
    @given(case=cases)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def call(case: Any) -> None:
        before(case)
        case.call_and_validate()
        called.append((case.method.lower(), case.path))

    call()


def complete(case: Any) -> None:
    """Give a generated request what no schema can say: a model that exists, a question, and what counts as a letter."""
    if case.path in MODELS:
        case.body["model"] = MODELS[case.path]
    if case.path.endswith("completions"):
        case.body["messages"].append({"role": "user", "content": "Who jumps?"})
        case.body["max_tokens"] = 1
    if case.path == "/search":
        parameters = case.query if case.method == "GET" else case.body
        parameters["query"] = f"x{parameters['query'][1:]}"
        for name in ("since", "before", "where", "min_score"):  # dates, conditions, and what searches by words lack
            parameters.pop(name, None)
    if case.path == "/v1/embeddings":
        case.body.pop("dimensions", None)
        case.body.pop("instruction", None)
    if case.path == "/v1/rerank":
        case.body["query"] = f"x{case.body['query'][1:]}"
        case.body["documents"] = [
            {**text, "text": f"x{text['text'][1:]}"} if isinstance(text, dict) else f"x{text[1:]}"
            for text in case.body["documents"]
        ]
