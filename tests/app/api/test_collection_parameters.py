"""Several indexes behind the routes for programs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from api_server import client_of
from several_indexes import several_indexes
from starlette.testclient import TestClient

from echo_index.app.api.application import make_api
from echo_index.app.services.index_service import IndexService
from echo_index.embeddings.encoder import EchoEncoder

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


def test_a_collection_that_has_gone_is_named_and_the_other_is_searched(encoder: EchoEncoder, tmp_path: Path) -> None:
    service = several_indexes(tmp_path, encoder)
    shutil.rmtree(tmp_path / "recipes/index")
    told: list[str] = []
    with client_of(make_api(service, hosts=None, report=told.append)) as program:
        answered = program.get("/search", params={"query": "trips"})
        assert (answered.status_code, answered.json()["error"]["code"]) == (503, "no_index")
        assert answered.json()["error"]["message"] == "The collection recipes has no index. The server says more."
        assert program.get("/search", params={"query": "trips", "collections": ["work"]}).json()["hits"]
    assert str(tmp_path) in told[0] and str(tmp_path) not in answered.text
