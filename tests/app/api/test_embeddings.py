"""Embeddings: the vectors of the library, for clients of OpenAI and LangChain."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from api_server import client_of
from langchain_openai import OpenAIEmbeddings
from openai import BadRequestError, NotFoundError, OpenAI
from starlette.testclient import TestClient

from echo_index.app.api.application import make_api
from echo_index.app.api.limits import MAX_INPUTS, MAX_TEXT_CHARACTERS
from echo_index.app.services.index_service import IndexService, ServiceOptions
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.lora import trained_dimensions, write_encoder_settings
from echo_index.embeddings.models.model_loading import load_model
from echo_index.embeddings.vectors.vector_ops import Vectors
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.sources.source import Source
from echo_index.retriever.search.retriever import Retriever

TEXTS = ["The fox jumps.", "Seven wizards judge.", "ein Füchslein 🦊"]


def embed(program: TestClient, **fields: Any) -> dict[str, Any]:
    answered = program.post("/v1/embeddings", json={"model": "echo-document", **fields})
    assert answered.status_code == 200, answered.text
    return dict(answered.json())


def vectors(body: dict[str, Any]) -> Vectors:
    return np.array([item["embedding"] for item in body["data"]], dtype=np.float32)


def refusal(program: TestClient, **fields: Any) -> str:
    answered = program.post("/v1/embeddings", json={"model": "echo-document", **fields})
    assert answered.status_code == 400
    return str(answered.json()["error"]["message"])


def test_the_vectors_are_those_of_the_library(program: TestClient, index_encoder: EchoEncoder) -> None:
    documents = vectors(embed(program, input=TEXTS))
    assert np.allclose(documents, index_encoder.encode_documents(TEXTS), atol=1e-5)
    queries = index_encoder.encode_queries(TEXTS)
    assert np.allclose(vectors(embed(program, input=TEXTS, model="echo-query")), queries, atol=1e-5)
    told = index_encoder.encode_queries(TEXTS, instruction="Find animals.")
    found = vectors(embed(program, input=TEXTS, model="echo-query", instruction="Find animals."))
    assert np.allclose(found, told, atol=1e-5)
    assert not np.allclose(told, queries, atol=1e-3)
    assert np.allclose(np.linalg.norm(documents, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "input_type", "used"),
    [
        ("echo-document", None, "echo-document"),
        ("echo-document", "query", "echo-query"),
        ("echo-document", "search_query", "echo-query"),
        ("echo-query", "document", "echo-document"),
        ("echo-query", "passage", "echo-document"),
    ],
)
def test_the_type_of_the_texts_goes_before_the_name_of_the_model(
    program: TestClient, model: str, input_type: str | None, used: str
) -> None:
    body = embed(program, input="fox", model=model, input_type=input_type)
    assert body["model"] == used
    assert np.allclose(vectors(body), vectors(embed(program, input="fox", model=used)), atol=1e-5)


def test_base64_has_the_same_numbers(program: TestClient) -> None:
    [item, _, _] = embed(program, input=TEXTS, encoding_format="base64")["data"]
    decoded = np.frombuffer(base64.b64decode(item["embedding"]), dtype="<f4")
    assert np.allclose(decoded, vectors(embed(program, input=TEXTS))[0], atol=1e-6)


def test_usage_counts_the_tokens_of_the_texts_once(program: TestClient, index_encoder: EchoEncoder) -> None:
    tokenizer = index_encoder.model.tokenizer
    count = sum(len(tokenizer.encode(text)) for text in TEXTS)
    assert embed(program, input=TEXTS)["usage"] == {"prompt_tokens": count, "total_tokens": count}
    cut = embed(program, input="fox " * 5000)["usage"]["prompt_tokens"]
    assert cut == index_encoder.max_tokens, "tokens that the model does not read do not count"


def test_the_client_of_openai(address: str, index_encoder: EchoEncoder) -> None:
    client = OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)
    found = client.embeddings.create(model="echo-document", input=TEXTS)
    assert [item.index for item in found.data] == [0, 1, 2]
    expected = index_encoder.encode_documents(TEXTS)
    assert np.allclose([item.embedding for item in found.data], expected, atol=1e-5)
    assert found.usage.total_tokens > 3
    floats = client.embeddings.create(model="echo-query", input="fox", encoding_format="float")
    assert np.allclose(floats.data[0].embedding, index_encoder.encode_queries(["fox"])[0], atol=1e-5)
    asked = client.embeddings.create(model="echo-document", input="fox", extra_body={"input_type": "query"})
    assert np.allclose(asked.data[0].embedding, floats.data[0].embedding, atol=1e-5)
    with pytest.raises(NotFoundError, match="There is no model 'text-embedding-3-small' here"):
        client.embeddings.create(model="text-embedding-3-small", input="fox")
    with pytest.raises(BadRequestError, match="check_embedding_ctx_length=False"):
        client.embeddings.create(model="echo-document", input=[[791, 39935], [15]])


def test_langchain(address: str, index_encoder: EchoEncoder) -> None:
    embeddings = OpenAIEmbeddings(
        base_url=f"{address}/v1", api_key="none", model="echo-document", check_embedding_ctx_length=False
    )
    assert np.allclose(embeddings.embed_documents(TEXTS), index_encoder.encode_documents(TEXTS), atol=1e-5)
    questions = OpenAIEmbeddings(
        base_url=f"{address}/v1", api_key="none", model="echo-query", check_embedding_ctx_length=False
    )
    assert np.allclose(questions.embed_query("fox"), index_encoder.encode_queries(["fox"])[0], atol=1e-5)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"input": [1, 2]}, "token ids"),
        ({"input": [[1, 2]]}, "token ids"),
        ({"input": ""}, "input[0] is empty"),
        ({"input": ["fox", ""]}, "input[1] is empty"),
        ({"input": []}, "input is an empty list."),
        ({"input": {"text": "fox"}}, "input must be a text or a list of texts."),
        ({"input": ["fox", None]}, "input[1] is not a text."),
        ({"input": ["x"] * (MAX_INPUTS + 1)}, "input has 2049 texts; send at most 2048"),
        ({"input": ["x" * (MAX_TEXT_CHARACTERS + 1)]}, "input[0] has 100001 characters"),
        ({"input": "fox", "encoding_format": "hex"}, "encoding_format: Input should be 'float' or 'base64'."),
        ({"input": "fox", "input_type": "classification"}, "input_type"),
        ({"input": "fox", "instruction": "Find it."}, "Only queries have an instruction"),
        ({"input": "fox", "dimensions": 0}, "dimensions"),
        ({"input": "fox", "dimensions": 16}, "dimensions is 16; vectors have 32 dimensions. The model was trained at"),
        ({"input": "fox", "dimensions": "32"}, "dimensions"),
        ({}, "input: Field required."),
    ],
)
def test_a_wrong_request_is_refused_in_one_sentence(program: TestClient, fields: dict[str, Any], said: str) -> None:
    message = refusal(program, **fields)
    assert said in message and "\n" not in message


def test_shorter_vectors_are_given_where_the_adapter_was_trained_for_them(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from echo_index.embeddings.models.linear_head import LinearHead

    plain = load_model(str(tiny_folder), device="cpu")
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    matrices = np.stack([np.eye(plain.dimension, dtype=np.float32)])
    LinearHead(matrices).save(adapter)
    write_encoder_settings(adapter, EchoEncoder(plain).config(), dimensions=(16, 8))
    assert trained_dimensions(adapter) == (16, 8)
    encoder = EchoEncoder(load_model(str(tiny_folder), adapter=adapter, device="cpu"))
    (tmp_path / "fox.md").write_text("The fox.")
    build_index([Source.parse(str(tmp_path / "fox.md"))], tmp_path / "index", encoder=encoder)
    service = IndexService(ServiceOptions(tmp_path / "index", device="cpu", index_device="cpu"))
    with client_of(make_api(service, hosts=None)) as program:
        whole = encoder.encode_documents(TEXTS)
        assert np.allclose(vectors(embed(program, input=TEXTS, dimensions=32)), whole, atol=1e-5)
        short = vectors(embed(program, input=TEXTS, dimensions=8))
        assert np.allclose(short, whole[:, :8] / np.linalg.norm(whole[:, :8], axis=1, keepdims=True), atol=1e-5)
        assert refusal(program, input="fox", dimensions=9) == "dimensions is 9; vectors have 32, 16, 8 dimensions."


def test_texts_of_clients_that_wait_are_embedded_together(
    service: IndexService, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[Sequence[str]] = []
    go_on, began = threading.Event(), threading.Event()
    encode = EchoEncoder.encode_documents

    def watched(self: EchoEncoder, texts: Sequence[str], **how: Any) -> Vectors:
        batches.append(texts)
        began.set()
        assert go_on.wait(20)
        return encode(self, texts, **how)

    monkeypatch.setattr(EchoEncoder, "encode_documents", watched)
    client = OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)
    found: dict[str, list[float]] = {}

    def ask(text: str) -> None:
        found[text] = client.embeddings.create(model="echo-document", input=text).data[0].embedding

    threads = [threading.Thread(target=ask, args=(f"fox {number}",)) for number in range(6)]
    threads[0].start()
    assert began.wait(20)
    for thread in threads[1:]:
        thread.start()
    waiting = service.with_retriever(lambda retriever: retriever)
    while len(waiting._documents._waiting) < 5:
        pass
    go_on.set()
    for thread in threads:
        thread.join(20)
    assert [len(batch) for batch in batches] == [1, 5]
    monkeypatch.undo()
    encoder = waiting.encoder
    for text, vector in found.items():
        assert np.allclose(vector, encoder.encode_documents([text])[0], atol=1e-5)


def test_half_a_character_is_refused(program: TestClient) -> None:
    body = json.dumps({"model": "echo-document", "input": ["fox", "\ud800"]})
    answered = program.post("/v1/embeddings", content=body, headers={"content-type": "application/json"})
    assert answered.status_code == 400 and "input[1] is not valid Unicode." in answered.text


def test_a_defect_is_answered_without_its_message(
    program: TestClient, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*given: Any) -> Vectors:
        raise RuntimeError("secret text")

    monkeypatch.setattr(Retriever, "embed_documents", fail)
    answered = program.post("/v1/embeddings", json={"model": "echo-document", "input": "secret text"})
    assert answered.status_code == 500
    assert answered.json()["error"]["message"] == "The server failed."
    shown = capfd.readouterr()
    assert "secret" not in answered.text + shown.out + shown.err
