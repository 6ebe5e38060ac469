"""Several indexes behind the routes for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from api_server import client_of
from starlette.testclient import TestClient

from echo_index.app.api.application import make_api
from echo_index.app.services.index_service import IndexService

ANIMALS, MAGIC = [
    {(name, f"notes/{file}.md") for file in files}
    for name, *files in (
        ("animals", "fox", "read me"),
        ("magic", "vow", "read me"),
    )
]


@pytest.fixture(scope="module")
def program(two_collections: IndexService) -> Iterator[TestClient]:
    with client_of(make_api(two_collections, hosts=None)) as client:
        yield client


def test_a_search_takes_the_collections_that_are_named(program: TestClient) -> None:
    def places(**fields: Any) -> set[tuple[str, str]]:
        body = {"query": "a fox", **fields}
        found = program.post("/search", json=body).json()["hits"]
        assert program.get("/search", params=body).json()["hits"] == found
        return {(hit["collection"], hit["source"]) for hit in found}

    assert places() == ANIMALS | MAGIC
    assert places(collections=["magic"]) == MAGIC


def test_documents_are_listed_with_their_collections(program: TestClient) -> None:
    def places(**parameters: Any) -> list[tuple[str, str]]:
        listed = program.get("/documents", params=parameters).json()["documents"]
        return [(document["collection"], document["path"]) for document in listed]

    assert places() == sorted(ANIMALS) + sorted(MAGIC)
    assert places(limit=2, offset=1) == [("animals", "notes/read me.md"), ("magic", "notes/read me.md")]
    assert places(collections=["magic"]) == sorted(MAGIC)


@pytest.mark.parametrize("collections", [["animals"], ["magic"]])
def test_an_answer_cites_only_the_collections_that_are_named(program: TestClient, collections: list[str]) -> None:
    body = {"model": "echo-answer", "messages": [{"role": "user", "content": "What is a fox?"}], "max_tokens": 2}
    answered = program.post("/v1/chat/completions", json={**body, "collections": collections})
    assert answered.status_code == 200
    cited = answered.json()["choices"][0]["message"]["annotations"]
    assert all(each["url_citation"]["url"].startswith(collections[0]) for each in cited)


@pytest.mark.parametrize("path", ["/search", "/documents", "/v1/chat/completions"])
def test_an_unknown_collection_is_one_sentence(program: TestClient, path: str) -> None:
    named = {"collections": ["work"]}
    answered = (
        program.post(path, json={"model": "echo-answer", "messages": [{"role": "user", "content": "a?"}], **named})
        if path.startswith("/v1")
        else program.get(path, params={"query": "a", **named})
    )
    assert answered.status_code == 404
    said = answered.json()["error"]["message"]
    assert said == "There is no collection 'work' here. There are animals, magic."
