"""Answers by another model, behind a real server, and errors of models and servers."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import pytest
from langchain_core.messages import convert_to_messages
from repository import ROOT

from echo_index.app.cli.main import main
from echo_index.app.services.external_llm import URL_KEY, open_llm, redact, translate_llm_errors
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.errors import MissingPackage, ModelError, TextError
from echo_index.retriever.rag.chat_model import EchoChatModel

QUESTION = "When does the ferry to the island leave?"
URL_SECRET = "url-secret-3f9a1c77"
OPENAI_SECRET = "sk-openai-secret-81b2d0"


class Received(NamedTuple):
    """A request that a server received."""

    path: str
    headers: dict[str, str]
    body: str


class ModelServer(ThreadingHTTPServer):
    """OpenAI-compatible server with a real model that records its requests; `refusal` is a fixed status and body."""

    daemon_threads = True

    def __init__(self, model: LanguageModel | None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.model = model
        self.names = ["smollm2", "another"]
        self.refusal: tuple[int, str] | None = None
        self.received: list[Received] = []
        self.url = f"http://127.0.0.1:{self.server_port}/v1"

    @property
    def chat_requests(self) -> list[dict[str, Any]]:
        """The bodies of the chat requests."""
        return [json.loads(got.body) for got in self.received if got.path == "/v1/chat/completions"]


class Handler(BaseHTTPRequestHandler):
    """Request handler of a ModelServer."""

    server: ModelServer

    def handle_any(self) -> None:
        """Record and answer a request."""
        body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode("utf-8", errors="replace")
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.received.append(Received(self.path, headers, body))
        if self.server.refusal is not None:
            self.reply(*self.server.refusal)
        elif self.path == "/v1/models":
            names = [{"id": name, "object": "model", "created": 0, "owned_by": "us"} for name in self.server.names]
            self.reply(200, json.dumps({"object": "list", "data": names}))
        elif self.path == "/v1/chat/completions":
            self.write_answer(json.loads(body))
        else:
            self.reply(404, "{}")

    do_GET = do_POST = do_PATCH = handle_any

    def write_answer(self, request: dict[str, Any]) -> None:
        """Generate an answer, streamed or whole."""
        chat = EchoChatModel(language_model=self.server.model, max_tokens=40)
        messages = convert_to_messages(request["messages"])
        answer = {"id": "1", "created": 0, "model": request["model"]}
        if not request.get("stream"):
            message = {"role": "assistant", "content": str(chat.invoke(messages).text)}
            choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
            self.reply(200, json.dumps({**answer, "object": "chat.completion", "choices": choices}))
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for chunk in chat.stream(messages):
            choices = [{"index": 0, "delta": {"content": str(chunk.text)}, "finish_reason": None}]
            event = {**answer, "object": "chat.completion.chunk", "choices": choices}
            self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
            self.wfile.flush()
        self.wfile.write(b"data: [DONE]\n\n")

    def reply(self, status: int, body: str) -> None:
        """Send a response."""
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if body.startswith("{") else "text/event-stream")
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""


def serve(model: LanguageModel | None) -> Iterator[ModelServer]:
    """Run a server for the duration of a test."""
    server = ModelServer(model)
    Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def server(smollm: LanguageModel) -> Iterator[ModelServer]:
    """Return a server with the chat model."""
    yield from serve(smollm)


@pytest.fixture
def recorder() -> Iterator[ModelServer]:
    """Return a server without a model that only records requests."""
    yield from serve(None)


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove keys, hosts, proxies and tracing settings from the environment."""
    for name in tuple(os.environ):
        if name.startswith(("OPENAI_", "LANGSMITH_", "LANGCHAIN_", "OLLAMA_", URL_KEY)) or "_proxy" in name.lower():
            monkeypatch.delenv(name)


class Ran(NamedTuple):
    """Exit code and output of a command."""

    code: int
    out: str
    err: str

    def failed_with(self, text: str) -> bool:
        """Return whether the command ended with a one-line error that contains a text, after at most one notice."""
        *before, error, _ = self.err.split("\n") if "\n" in self.err else ("", "", "")
        return self.code == 1 and error.startswith("Error: ") and text in error and len(before) <= 1

    def __contains__(self, text: object) -> bool:
        return str(text) in self.out or str(text) in self.err


Ask = Callable[..., Ran]


def run_main(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Run a command and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["echo-index", *words])
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:
    """Return a folder with an index of two notes and the copy of the tiny model it was built with."""
    folder = tmp_path_factory.mktemp("ask")
    shutil.copytree(tiny_folder, folder / "model")
    (folder / "notes").mkdir()
    (folder / "notes/ferry.md").write_text("# The ferry\n\nThe ferry to the island leaves at eight and at noon.\n")
    (folder / "notes/ticket.md").write_text("# Tickets\n\nA ticket for the ferry costs eleven euros.\n")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        assert run_main(patched, "build", "notes", "--model", "./model") == 0
    return folder


@pytest.fixture
def ask(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Return a function that asks a question, with lexical search by default."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "200")

    def run_command(*words: str, question: str = QUESTION) -> Ran:
        capsys.readouterr()
        code = run_main(monkeypatch, "ask", question, "--mode", "lexical", *words)
        return Ran(code, *capsys.readouterr())

    return run_command


@pytest.fixture
def closed_port() -> int:
    """Return an unused port."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@pytest.mark.model
def test_a_model_behind_a_url_answers_and_the_answer_is_cited(ask: Ask, server: ModelServer) -> None:
    answered = ask("--llm", f"{server.url}#another")
    assert answered.code == 0, answered.err
    text, _, cited = answered.out.partition("\n\n")
    assert "eight" in text
    assert "The ferry  notes/ferry.md:3" in cited
    assert answered.err == f"The question and the passages that are found are sent to {server.url}#another.\n"
    [request] = server.chat_requests
    assert (request["model"], request["stream"]) == ("another", True)
    assert QUESTION in request["messages"][-1]["content"]
    assert "A ticket for the ferry costs eleven euros." in request["messages"][-1]["content"]
    assert [got.path for got in server.received] == ["/v1/chat/completions"]


@pytest.mark.model
def test_without_a_name_the_first_model_of_the_server_answers(ask: Ask, server: ModelServer) -> None:
    answered = ask("--llm", server.url, "--json")
    answer = json.loads(answered.out)
    assert (answered.code, answer["question"], answer["found"]) == (0, QUESTION, True)
    assert "notes/ferry.md" in [citation["hit"]["source"] for citation in answer["citations"]]
    assert [request["model"] for request in server.chat_requests] == ["smollm2"]


@pytest.mark.model
def test_a_model_behind_a_url_answers_without_streaming(server: ModelServer) -> None:
    assert "Paris" in str(open_llm(f"{server.url}#any").invoke("What is the capital of France?").text)
    assert not server.chat_requests[0].get("stream")


def test_no_question_is_sent_to_a_server_without_models(ask: Ask, recorder: ModelServer) -> None:
    recorder.names = []
    assert ask("--llm", recorder.url).failed_with(
        f"The server at {recorder.url} lists no models. Name one: {recorder.url}#MODEL"
    )
    assert [got.path for got in recorder.received] == ["/v1/models"]


@pytest.mark.model
def test_a_url_receives_its_own_key_and_no_openai_settings(
    ask: Ask, server: ModelServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(URL_KEY, URL_SECRET)
    meant_for_openai = {
        "OPENAI_API_KEY": OPENAI_SECRET,
        "OPENAI_ORG_ID": "org-of-ours",
        "OPENAI_PROJECT_ID": "project-of-ours",
        "OPENAI_CUSTOM_HEADERS": "Authorization: Bearer custom-secret\nX-Gateway: gateway-secret",
    }
    for name, value in meant_for_openai.items():
        monkeypatch.setenv(name, value)
    answered = ask("--llm", server.url)
    assert answered.code == 0, answered.err
    assert [got.headers["authorization"] for got in server.received] == [f"Bearer {URL_SECRET}"] * 2
    sent = str(server.received)
    for secret in (OPENAI_SECRET, "org-of-ours", "project-of-ours", "custom-secret", "gateway-secret"):
        assert secret not in sent
    written = [file.read_bytes() for file in (folder / ".echo-index").rglob("*") if file.is_file()]
    assert len(written) > 2
    for secret in (OPENAI_SECRET, URL_SECRET):
        assert secret not in answered
        assert not any(secret.encode() in content for content in written)
    assert {name: os.environ[name] for name in meant_for_openai} == meant_for_openai


@pytest.mark.model
def test_a_password_in_a_url_is_sent_and_never_shown(ask: Ask, server: ModelServer) -> None:
    with_password = server.url.replace("//", "//someone:pass-word@")
    answered = ask("--llm", with_password)
    assert answered.code == 0
    assert all(got.headers["authorization"].startswith("Basic ") for got in server.received)
    assert f"are sent to {server.url}." in answered.err
    server.refusal = (400, json.dumps({"error": {"message": f"{with_password}/chat?token=abcdef is no good"}}))
    refused = ask("--llm", with_password)
    assert refused.failed_with(
        f"The language model {server.url} failed: Error code: 400 - {server.url}/chat is no good."
    )
    assert "pass-word" not in refused and "someone" not in refused


@pytest.mark.parametrize("name", ["{url}", "{url}#any"])
def test_a_key_that_a_server_sends_back_is_not_shown(
    ask: Ask, recorder: ModelServer, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(URL_KEY, URL_SECRET)
    monkeypatch.setenv("OPENAI_API_KEY", OPENAI_SECRET)
    message = f"Incorrect API key: {URL_SECRET} (url-s*****1c77). It is not {OPENAI_SECRET}.\nSecond line."
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": "invalid_api_key"}
    recorder.refusal = (401, json.dumps({"error": error}))
    refused = ask("--llm", name.format(url=recorder.url))
    assert refused.failed_with("failed: Error code: 401 - Incorrect API key: … (…). It is not ….")
    for shown_of_it in (URL_SECRET, OPENAI_SECRET, "url-s", "1c77", "Second line", "Traceback"):
        assert shown_of_it not in refused
    assert refused.out == ""


def test_an_invalid_stream_is_reported_in_one_sentence(ask: Ask, recorder: ModelServer) -> None:
    for body in ("data: {nonsense\n\n", "<html>Welcome!</html>", 'data: {"error": {"message": "out of memory"}}\n\n'):
        recorder.refusal = (200, body)
        assert ask("--llm", f"{recorder.url}#any").failed_with(f"The language model {recorder.url}#any failed: "), body


def test_an_unreachable_server_is_reported_quickly_in_one_sentence(
    ask: Ask, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = time.monotonic()
    monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{closed_port}")
    for name in (f"http://127.0.0.1:{closed_port}/v1", f"http://127.0.0.1:{closed_port}/v1#any", "ollama:any"):
        ended = ask("--llm", name)
        assert ended.failed_with(f"The language model {name} failed: ")
        assert "Connection refused" in ended.err
        assert ended.out == ""
    assert time.monotonic() - started < 8


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "The name '' is not the name of a language model. Name it as PROVIDER:MODEL, such as openai:gpt-4o-mini"),
        ("gpt-4o", "The name 'gpt-4o' is not the name of a language model. Name it as PROVIDER:MODEL"),
        ("openai:", "The name 'openai:' is not the name of a language model."),
        (":gpt-4o", "The name ':gpt-4o' is not the name of a language model."),
        ("nobody:gpt-4o", "There is no provider 'nobody' of language models. Name it as PROVIDER:MODEL"),
        ("claude:gpt-4o", "There is no provider 'claude' of language models."),
        ("http://", "http:// is not the URL of a language model. Name it as PROVIDER:MODEL"),
        ("http://host/v1?key=hidden", "http://host/v1 is not the URL of a language model."),
        ("http://[::1/v1", "The language model http://[::1/v1 failed: Invalid IPv6 URL."),
        ("openai:gpt-4o-mini", "openai:gpt-4o-mini needs a key. Set the environment variable OPENAI_API_KEY."),
        ("azure_openai:any", "azure_openai:any needs a key. Set the environment variable AZURE_OPENAI_API_KEY."),
        ("nvidia:any", "needs the package langchain-nvidia-ai-endpoints. Install it: pip install langchain-nvidia-ai"),
    ],
)
def test_an_invalid_name_is_rejected_before_the_index_is_opened(ask: Ask, name: str, said: str) -> None:
    refused = ask("--llm", name, "--index", "nowhere")
    assert refused.failed_with(said)
    assert "sent to" not in refused.err
    assert "hidden" not in refused


def test_the_accepted_formats_are_named(ask: Ask) -> None:
    assert all(
        form in ask("--llm", "gpt-4o").err for form in ("ollama:llama3.2", "http://127.0.0.1:8080/v1", "/v1#MODEL")
    )


@pytest.mark.parametrize(
    ("missing", "name", "said"),
    [
        ("langchain", "openai:any", "langchain"),
        ("langchain", "http://127.0.0.1:9/v1#any", "langchain"),
        ("langchain_openai", "openai:any", "langchain-openai"),
        ("langchain_openai", "http://127.0.0.1:9/v1#any", "langchain-openai"),
        ("langchain_ollama langchain_community", "ollama:any", "langchain-ollama"),
    ],
)
def test_a_missing_package_is_named_with_the_command_that_installs_it(missing: str, name: str, said: str) -> None:
    script = (
        "import sys\nsys.modules.update(dict.fromkeys(sys.argv[1].split()))\n"
        "from echo_index.app.services.external_llm import MissingPackage, open_llm\n"
        "try: open_llm(sys.argv[2])\nexcept MissingPackage as error: print(error)"
    )
    command = [sys.executable, "-c", script, missing, name]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout == f"The option --llm needs the package {said}. Install it: pip install 'echo-index[llm]'\n"


def test_without_passages_nothing_is_sent(ask: Ask, recorder: ModelServer) -> None:
    assert "do not hold an answer" in ask("--llm", f"{recorder.url}#any", question="Unheard?").out
    assert recorder.received == []


@pytest.mark.model
def test_lexical_search_with_another_model_needs_no_embedding_model(
    ask: Ask, server: ModelServer, folder: Path
) -> None:
    there, gone = folder / "model", folder / "gone"
    there.rename(gone)
    try:
        by_words = ask("--llm", f"{server.url}#any")
        by_meaning = ask("--llm", f"{server.url}#any", "--mode", "dense")
    finally:
        gone.rename(there)
    assert by_words.code == 0
    assert by_meaning.failed_with("There is no model")
    assert len(server.chat_requests) == 1


@pytest.mark.model
@pytest.mark.parametrize("another", [True, False])
def test_no_trace_is_sent_whatever_the_environment_says(
    folder: Path, server: ModelServer, recorder: ModelServer, another: bool
) -> None:
    tracing = {
        "LANGSMITH_TRACING": "true",
        "LANGCHAIN_TRACING": "true",
        "LANGSMITH_ENDPOINT": recorder.url,
        "LANGSMITH_API_KEY": "lsv2-any",
    }
    # In its own process: langsmith reads the environment once and sends traces when the process ends.
    command = [sys.executable, "-m", "echo_index", "ask", QUESTION, "--mode", "lexical"]
    ran = subprocess.run(
        [*command, "--llm", f"{server.url}#any"] if another else command,
        cwd=folder,
        env={**os.environ, **tracing, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert recorder.received == []
    assert len(server.chat_requests) == another


def test_own_errors_and_ctrl_c_are_not_translated() -> None:
    for error in (TextError("Too long."), MissingPackage("Not there."), KeyboardInterrupt()):
        with pytest.raises(type(error)) as raised, translate_llm_errors("openai:any"):
            raise error
        assert raised.value is error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "[Errno 111] Connection refused."),
        (ValueError(), "ValueError."),
        (ValueError("\n\nFirst:\nsecond"), "First."),
        (ValueError("x" * 100_000), f"{'x' * 300}."),
    ],
)
def test_only_the_first_line_of_an_error_is_shown(error: Exception, said: str) -> None:
    with pytest.raises(ModelError) as raised, translate_llm_errors("openai:any"):
        raise error
    assert str(raised.value) == f"The language model openai:any failed: {said}"
    assert raised.value.__cause__ is None and raised.value.__suppress_context__


def test_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "abcdef")
    monkeypatch.setenv("SOME_TOKEN", "abcdef-and-more\n")
    monkeypatch.setenv("SOME_SECRET", "short")
    assert redact("abcdef-and-more, abcdef, short") == "…, …, short"
    assert redact("It is sk-ab****yz or sk-...wxyz, **bold** and so on...") == "It is … or …, **bold** and so on..."
    assert redact("http://me:my@word@host/v1?key=1#m and mail me@home") == "http://host/v1#m and mail me@home"
