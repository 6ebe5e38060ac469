"""Search, the list of documents, reranking and metrics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from echo_index.app.api.search import DocumentFields, Passage
from echo_index.app.services.index_service import IndexService
from echo_index.app.services.json_fields import hit_fields
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.generation.query_likelihood import QueryLikelihood


def test_a_search_by_address_and_by_json_finds_what_the_library_does(
    program: TestClient, service: IndexService
) -> None:
    hits = service.with_retriever(lambda retriever: retriever.search("lazy dog", k=2, group=True))
    expected = program.get("/search", params={"query": "lazy dog", "k": 2}).json()
    assert expected["query"] == "lazy dog"
    assert (
        [hit["source"] for hit in expected["hits"]] == [hit.source for hit in hits] == ["notes/fox.md", "notes/vow.md"]
    )
    assert program.post("/search", json={"query": "lazy dog", "k": 2}).json() == expected
    first = expected["hits"][0]
    assert (first["line"], first["sentence"], first["lexical"]["rank"]) == (3, [11, 55], 1)
    assert first.keys() == hit_fields(hits[0]).keys() == Passage.model_fields.keys()


def test_all_parameters_of_a_search_count(program: TestClient) -> None:
    def sources(**fields: Any) -> list[str]:
        body = {"query": "fox", **fields}
        found = program.post("/search", json=body).json()["hits"]
        assert [hit["text"] for hit in program.get("/search", params=body).json()["hits"]] == [
            hit["text"] for hit in found
        ]
        return [hit["source"] for hit in found]

    assert sources(mode="lexical") == ["notes/fox.md"]
    assert sources(paths=["*vow*"]) == ["notes/vow.md"]
    assert sources(formats=["pdf"]) == []
    assert sources(query="seven fox", exact=True) == []
    assert len(sources(instruction="Find animals.", k=1)) == 1
    reranked = program.get("/search", params={"query": "fox", "rerank": 2}).json()["hits"]
    assert sorted(hit["likelihood"]["rank"] for hit in reranked) == [1, 2]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"query": ""}, "query"),
        ({"query": " \n"}, "query"),
        ({"query": "x" * 10_001}, "query"),
        ({"k": 0}, "k: Input should be greater than or equal to 1."),
        ({"k": -5}, "k: Input should be greater than or equal to 1."),
        ({"k": 101}, "k: Input should be less than or equal to 100."),
        ({"mode": "fuzzy"}, "mode"),
        ({"rerank": -1}, "rerank"),
        ({"rerank": 51}, "rerank"),
        ({"paths": ["x"] * 21}, "paths"),
    ],
)
def test_wrong_parameters_are_named(program: TestClient, fields: dict[str, Any], said: str) -> None:
    body = {"query": "fox", **fields}
    for answered in (program.post("/search", json=body), program.get("/search", params=body)):
        assert answered.status_code == 400
        error = answered.json()["error"]
        assert said in error["message"] and error["param"] == next(iter(fields))


def test_a_string_is_no_number_in_json(program: TestClient) -> None:
    assert program.post("/search", json={"query": "fox", "k": "2"}).status_code == 400
    assert program.get("/search", params={"query": "fox", "k": "2"}).status_code == 200


def test_documents_come_in_pages(program: TestClient) -> None:
    first = program.get("/documents", params={"limit": 1}).json()
    assert [document["path"] for document in first["documents"]] == ["notes/fox.md"]
    assert (first["total"], first["next_offset"]) == (2, 1)
    assert first["documents"][0].keys() == DocumentFields.model_fields.keys()
    second = program.get("/documents", params={"limit": 1, "offset": first["next_offset"]}).json()
    assert [document["path"] for document in second["documents"]] == ["notes/vow.md"]
    assert second["next_offset"] is None
    assert program.get("/documents", params={"contains": "VOW"}).json()["total"] == 1
    assert program.get("/documents", params={"offset": 99}).json()["documents"] == []
    for wrong in ({"limit": 0}, {"limit": 1001}, {"offset": -1}, {"limit": "x"}):
        assert program.get("/documents", params=wrong).status_code == 400


def test_reranking_orders_by_the_likelihood_of_the_query(program: TestClient, index_encoder: EchoEncoder) -> None:
    texts = ["A wizard judges.", "The quick brown fox.", "Nothing at all."]
    model = QueryLikelihood(index_encoder.model, max_tokens=index_encoder.max_tokens)
    expected = np.exp(model.score("fox", texts))
    documents = [texts[0], {"text": texts[1]}, texts[2]]
    body = {"query": "fox", "documents": documents, "model": "echo-rerank"}
    results = program.post("/v1/rerank", json=body).json()["results"]
    assert [result["index"] for result in results] == np.argsort(-expected).tolist()
    assert np.allclose([result["relevance_score"] for result in results], np.sort(expected)[::-1], rtol=1e-3)
    assert all("document" not in result and 0 < result["relevance_score"] < 1 for result in results)
    best = program.post("/v1/rerank", json={**body, "top_n": 2, "return_documents": True}).json()["results"]
    assert [result["index"] for result in best] == [result["index"] for result in results[:2]]
    assert [result["document"]["text"] for result in best] == [texts[result["index"]] for result in best]


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"query": ""}, 400, "query"),
        ({"documents": []}, 400, "documents"),
        ({"documents": ["fox", ""]}, 400, "documents.1"),
        ({"documents": [{"title": "fox"}]}, 400, "documents.0"),
        ({"documents": ["x"] * 1001}, 400, "documents"),
        ({"top_n": 0}, 400, "top_n"),
        ({"top_n": -3}, 400, "top_n"),
        ({"model": "rerank-v3"}, 404, "There is no model 'rerank-v3' here. There are echo-rerank."),
    ],
)
def test_a_wrong_request_to_rerank_is_refused(
    program: TestClient, fields: dict[str, Any], status: int, said: str
) -> None:
    answered = program.post("/v1/rerank", json={"query": "fox", "documents": ["fox"], **fields})
    assert answered.status_code == status and said in answered.json()["error"]["message"]


def test_metrics_count_by_route_and_hold_nothing_of_a_request(program: TestClient) -> None:
    def figures() -> dict[str, float]:
        answered = program.get("/metrics")
        assert answered.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert "secret" not in answered.text
        lines = [line.rpartition(" ") for line in answered.text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in lines}

    before = figures()
    program.post("/v1/embeddings", json={"model": "echo-document", "input": ["secret one", "secret two"]})
    program.post("/v1/embeddings", json={"model": "echo-query", "input": "secret"})
    program.post("/v1/embeddings", json={"model": "secret", "input": "secret"})
    program.get("/v1/models/secret")
    program.get("/secret")
    program.request("SECRET", "/search?query=secret")
    after = figures()

    def grown(name: str) -> float:
        return after[name] - before.get(name, 0)

    route = 'echo_index_requests_total{method="POST",route="/v1/embeddings",status='
    assert (grown(f'{route}"200"}}'), grown(f'{route}"404"}}')) == (2, 1)
    assert grown('echo_index_requests_total{method="GET",route="/v1/models/{model}",status="404"}') == 1
    assert grown('echo_index_requests_total{method="GET",route="other",status="404"}') == 1
    assert grown('echo_index_requests_total{method="other",route="/search",status="405"}') == 1
    assert grown('echo_index_texts_embedded_total{kind="document"}') == 2
    assert grown('echo_index_texts_embedded_total{kind="query"}') == 1
    assert grown('echo_index_request_seconds_count{route="/v1/embeddings"}') == 3
    assert after['echo_index_queue_length{queue="embeddings"}'] == 0
