"""Answers from the documents: what `ask` says, in the form that clients of OpenAI read."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from api_server import client_of, running
from langchain_openai import ChatOpenAI
from openai import APIError, BadRequestError, NotFoundError, OpenAI
from pydantic import SecretStr
from starlette.testclient import TestClient

from echo_index.app.api import answer_feed
from echo_index.app.api.application import make_api
from echo_index.app.services import answer_job
from echo_index.app.services.answer_job import Turn, stream_turn
from echo_index.app.services.index_service import IndexService, ServiceOptions
from echo_index.app.services.token_usage import TokenUsage
from echo_index.errors import ModelError
from echo_index.retriever.rag.citations import NOT_FOUND, Answer, Citation
from echo_index.retriever.search.hits import Hit

QUESTION = [{"role": "user", "content": "Who jumps?"}]
SAID = "The fox jumps [1]. So says nobody [2]."


@pytest.fixture
def hit(service: IndexService) -> Hit:
    """Return the passage about the fox."""
    return service.with_retriever(lambda retriever: retriever.search("lazy dog", k=1, mode="lexical")[0])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, hit: Hit) -> list[answer_job.Request]:
    """Let an answer be written that cites the fox; return the requests."""
    requests: list[answer_job.Request] = []

    def write(service: IndexService, request: answer_job.Request) -> Iterator[Turn]:
        requests.append(request)
        turn = Turn(request.question, passages=(hit,))
        yield turn
        for end in (7, 20, len(SAID)):
            yield (turn := replace(turn, text=SAID[:end]))
        answer = Answer(request.question, SAID, True, (Citation(1, hit),), (hit,))
        yield replace(turn, answer=answer, usage=TokenUsage(30, 8))

    monkeypatch.setattr(answer_job, "_answer", write)
    return requests


def complete(program: TestClient, **fields: Any) -> dict[str, Any]:
    answered = program.post("/v1/chat/completions", json={"model": "echo-answer", "messages": QUESTION, **fields})
    assert answered.status_code == 200, answered.text
    return dict(answered.json())


def test_an_answer_with_citations_for_the_client_of_openai(address: str, asked: list[answer_job.Request]) -> None:
    client = OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)
    completion = client.chat.completions.create(model="echo-answer", messages=QUESTION)  # type: ignore[arg-type]
    [choice] = completion.choices
    assert choice.message.content == SAID and choice.finish_reason == "stop"
    assert choice.message.annotations is not None
    [annotation] = choice.message.annotations
    citation = annotation.url_citation
    assert SAID[citation.start_index : citation.end_index] == "[1]"
    assert (citation.title, citation.url) == ("The fox", "notes/fox.md#line=3")
    assert annotation.passage["text"].startswith("# The fox")  # type: ignore[attr-defined]
    assert completion.usage is not None
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (30, 8)
    assert completion.found is True  # type: ignore[attr-defined]


def test_a_stream_for_the_client_of_openai(address: str, asked: list[answer_job.Request]) -> None:
    client = OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)
    stream = client.chat.completions.create(  # type: ignore[call-overload]
        model="echo-answer", messages=QUESTION, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    texts = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert "".join(text or "" for text in texts) == SAID
    assert len([text for text in texts if text]) == 3, "as it is written"
    cited = [
        chunk.choices[0].delta.annotations
        for chunk in chunks
        if chunk.choices and len(texts) and getattr(chunk.choices[0].delta, "annotations", None)
    ]
    assert [annotation["url_citation"]["url"] for annotation in cited[0]] == ["notes/fox.md#line=3"]
    assert chunks[-2].choices[0].finish_reason == "stop" and chunks[-2].found is True
    assert chunks[-1].usage.total_tokens == 38
    assert len({chunk.id for chunk in chunks}) == 1


def test_langchain(address: str, asked: list[answer_job.Request]) -> None:
    chat = ChatOpenAI(base_url=f"{address}/v1", api_key=SecretStr("none"), model="echo-answer", max_retries=0)
    answer = chat.invoke([("system", "Be brief."), ("human", "Who jumps?")])
    assert (answer.text, answer.usage_metadata and answer.usage_metadata["total_tokens"]) == (SAID, 38)
    assert "".join(str(chunk.text) for chunk in chat.stream("Who jumps?")) == SAID
    assert [request.question for request in asked] == ["Who jumps?"] * 2


def test_the_stream_ends_as_others_do(program: TestClient, asked: list[answer_job.Request]) -> None:
    body = {"model": "echo-answer", "messages": QUESTION, "stream": True}
    answered = program.post("/v1/chat/completions", json=body)
    assert answered.headers["content-type"].startswith("text/event-stream")
    *events, done = answered.text.strip().split("\n\n")
    assert done == "data: [DONE]"
    first = json.loads(events[0].removeprefix("data: "))
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert all("usage" not in json.loads(event.removeprefix("data: ")) for event in events)


def test_the_conversation_is_that_of_the_page(program: TestClient, asked: list[answer_job.Request]) -> None:
    messages = [
        {"role": "system", "content": "Be a pirate."},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "What is this?"},
        {"role": "user", "content": "Who is quick?"},
        {"role": "assistant", "content": "The fox [1]."},
        {"role": "assistant", "content": "Ask more."},
        {"role": "user", "content": [{"type": "text", "text": "And "}, {"type": "text", "text": "lazy?"}]},
    ]
    complete(program, messages=messages, max_tokens=7, temperature=0.5)
    [request] = asked
    assert (request.question, request.exchanges) == ("And lazy?", (("Who is quick?", "The fox [1]."),))
    assert (request.max_tokens, request.temperature, request.writer) == (7, 0.5, None)
    complete(program, max_completion_tokens=9)
    assert asked[1].max_tokens == 9


def test_the_model_writes_no_more_than_it_may(program: TestClient, service: IndexService) -> None:
    body = complete(program, max_tokens=5)
    assert 0 < body["usage"]["completion_tokens"] <= 5
    assert body["usage"]["prompt_tokens"] > 20
    [turn] = [turn for turn in stream_turn(service, answer_job.Request("Who jumps?", max_tokens=5)) if turn.answer]
    assert turn.answer is not None
    assert body["choices"][0]["message"]["content"] == turn.answer.text
    assert body["found"] == turn.answer.found


def test_what_the_documents_do_not_say_is_refused(program: TestClient, tmp_path: Any) -> None:
    """The tiny model writes nothing that a passage supports."""
    body = complete(program)
    [choice] = body["choices"]
    assert choice["message"]["content"] == NOT_FOUND
    assert choice["message"]["annotations"] == []
    assert (choice["finish_reason"], body["found"]) == ("stop", False)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "assistant", "content": "Hello."}]}, "The last message must be a question"),
        ({"messages": [{"role": "system", "content": "Hello."}]}, "The last message must be a question"),
        ({"messages": [{"role": "user", "content": "  "}]}, "The last message is empty."),
        ({"messages": [{"role": "user", "content": "x" * 10_001}]}, "The question has 10001 characters"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages.0.content"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ({"n": 2}, "n: "),
        ({"tools": [{"type": "function"}]}, "tools cannot be called here"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
    ],
)
def test_a_wrong_request_is_refused_in_one_sentence(program: TestClient, fields: dict[str, Any], said: str) -> None:
    body = {"model": "echo-answer", "messages": QUESTION, **fields}
    answered = program.post("/v1/chat/completions", json=body)
    assert answered.status_code == 400
    message = answered.json()["error"]["message"]
    assert said in message and "\n" not in message


def test_only_configured_models_answer(address: str) -> None:
    client = OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)
    with pytest.raises(NotFoundError, match="There is no model 'gpt-5' here"):
        client.chat.completions.create(model="gpt-5", messages=QUESTION)  # type: ignore[arg-type]
    with pytest.raises(BadRequestError, match="tools"):
        client.chat.completions.create(  # type: ignore[call-overload]
            model="echo-answer", messages=QUESTION, tools=[{"type": "function", "function": {"name": "x"}}]
        )
    assert {model.id for model in client.models.list()} == {"echo-document", "echo-query", "echo-rerank", "echo-answer"}
    assert client.models.retrieve("echo-answer").owned_by == "echo-index"
    with pytest.raises(NotFoundError):
        client.models.retrieve("nothing")


def test_a_model_elsewhere_is_named_without_its_key(service: IndexService) -> None:
    options = replace(service.options, llms=("http://ann:secret@127.0.0.1:1/v1#big",))
    with client_of(make_api(IndexService(options), hosts=None)) as program:
        names = [model["id"] for model in program.get("/v1/models").json()["data"]]
    assert names[-1].endswith("#big") and "secret" not in str(names)


def failing(monkeypatch: pytest.MonkeyPatch, *, after: int) -> None:
    def write(service: IndexService, request: answer_job.Request) -> Iterator[Turn]:
        for number in range(after):
            yield Turn("?", text="word " * number)
        raise ModelError("The language model x failed: /secret/path.")

    monkeypatch.setattr(answer_job, "_answer", write)


def test_a_model_that_fails_at_once_is_an_error_of_its_own(
    program: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, after=0)
    for stream in (False, True):
        body = {"model": "echo-answer", "messages": QUESTION, "stream": stream}
        answered = program.post("/v1/chat/completions", json=body)
        assert answered.status_code == 503 and "secret" not in answered.text


def test_a_model_that_fails_later_ends_the_stream_with_an_error(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, after=3)
    client = OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)
    with pytest.raises(APIError, match="The model cannot be used"):
        list(client.chat.completions.create(model="echo-answer", messages=QUESTION, stream=True))  # type: ignore[call-overload]


def test_without_an_index_the_remedy_is_told_but_no_folder(tmp_path: Any) -> None:
    lines: list[str] = []
    service = IndexService(ServiceOptions(tmp_path / "index"))
    with client_of(make_api(service, hosts=None, report=lines.append)) as program:
        bodies = {
            "/v1/chat/completions": {"model": "echo-answer", "messages": QUESTION},
            "/v1/embeddings": {"model": "echo-document", "input": "fox"},
            "/v1/rerank": {"query": "fox", "documents": ["fox"]},
            "/search": {"query": "fox"},
        }
        for path, body in bodies.items():
            answered = program.post(path, json=body)
            assert answered.status_code == 503, path
            error = answered.json()["error"]
            assert error["code"] == "no_index" and "echo-index build" in error["message"]
            assert str(tmp_path) not in answered.text
        assert program.get("/documents").status_code == 503
    assert len(lines) == 5 and all(str(tmp_path) in line for line in lines)


class Endless:
    """An answer that goes on until it is stopped."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.running = 0
        self.words = 0
        self.began = threading.Event()
        self.end = threading.Event()
        monkeypatch.setattr(answer_job, "_answer", self.write)

    def write(self, service: IndexService, request: answer_job.Request) -> Iterator[Turn]:
        self.running += 1
        try:
            turn = Turn(request.question)
            while not self.end.is_set():
                yield turn
                self.began.set()
                self.words += 1
                turn = replace(turn, text=turn.text + "word ")
                time.sleep(0.005)
            yield replace(turn, answer=Answer(request.question, turn.text, False, (), ()))
        finally:
            self.running -= 1


def wait_until(condition: Any) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_model_stops_when_the_reader_of_a_stream_goes(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Endless(monkeypatch)
    client = OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)
    stream = client.chat.completions.create(model="echo-answer", messages=QUESTION, stream=True)  # type: ignore[call-overload]
    for _ in range(3):
        next(stream)
    assert answer.running == 1
    stream.close()
    wait_until(lambda: answer.running == 0)


def test_the_model_stops_when_whoever_waits_for_the_whole_answer_goes(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answer_feed, "_WATCH_SECONDS", 0.02)
    answer = Endless(monkeypatch)
    client = OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0, timeout=0.5)
    with pytest.raises(APIError):
        client.chat.completions.create(model="echo-answer", messages=QUESTION)  # type: ignore[arg-type]
    wait_until(lambda: answer.running == 0)


def test_a_queue_that_is_full_is_told_and_empties(service: IndexService, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Endless(monkeypatch)
    body = {"model": "echo-answer", "messages": QUESTION}
    with running(make_api(service, hosts=None)) as address:
        client = OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)
        threads = [
            threading.Thread(target=lambda: client.post("/chat/completions", body=body, cast_to=object))
            for _ in range(16)
        ]
        for thread in threads:
            thread.start()

        def length() -> str:
            figures = client.with_options(base_url=address).get("/metrics", cast_to=str)
            return next(
                line for line in figures.splitlines() if line.startswith('echo_index_queue_length{queue="chat"')
            )

        wait_until(lambda: length().endswith(" 16.0"))
        assert answer.running == 4, "no more than four at a time"
        with pytest.raises(APIError, match="The queue is full") as raised:
            client.chat.completions.create(model="echo-answer", messages=QUESTION)  # type: ignore[arg-type]
        assert 1 <= int(raised.value.response.headers["retry-after"]) <= 60  # type: ignore[attr-defined]
        answer.end.set()
        for thread in threads:
            thread.join(20)
        assert length().endswith(" 0.0")
