"""The page behind a port: who is let in, what is served and what never is, and what programs may ask."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from repository import ROOT
from starlette.testclient import TestClient

from echo_index.app.defaults import DEFAULTS
from echo_index.app.services.build_job import BuildJob
from echo_index.app.services.credentials import Authenticator
from echo_index.app.services.encoder_factory import EncoderOptions
from echo_index.app.services.index_service import IndexService, ServiceOptions
from echo_index.app.web.page import PageOptions, make_page
from echo_index.app.web.server import READY_PATH, ServerOptions, _listen, make_app, uploads_folder
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.errors import EchoIndexError
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.sources.source import Source
from echo_index.retriever.search.retriever import Retriever

HERE = "http://127.0.0.1:7860"
ENDPOINTS = {"search", "similar", "ask", "documents", "read"}
CHANGES = {"_build", "_stop", "_remove"}
FOX = "# The fox\n\nThe quick brown fox jumps over the lazy dog.\n"


def is_marta(name: str, password: str) -> bool:
    return (name, password) == ("marta", "green door")


@pytest.fixture(scope="session", autouse=True)
def temporary_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Let what is uploaded pass through a folder of the tests' own."""
    folder = tmp_path_factory.mktemp("temporary")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder))
        yield folder


@pytest.fixture(scope="session")
def served(tiny_model: LanguageModel, tmp_path_factory: pytest.TempPathFactory) -> IndexService:
    """Return what is served: a folder with an index of two documents beside it."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "notes").mkdir()
    (folder / "notes/fox.md").write_text(FOX)
    (folder / "notes/vow.md").write_text("# Wizards\n\nSeven wizards quietly judge my vow.\n")
    build_index([Source.parse(str(folder / "notes"))], folder / "index", encoder=EchoEncoder(tiny_model))
    return IndexService(ServiceOptions(folder / "index", device="cpu", index_device="cpu"))


@pytest.fixture(scope="session")
def visitor(served: IndexService) -> Iterator[TestClient]:
    """Return a browser on this machine; the model is loaded."""
    served.warm()
    with TestClient(make_app(served, ServerOptions()), base_url=HERE, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="session")
def stranger(served: IndexService) -> Iterator[TestClient]:
    """Return a browser that nobody has let in yet."""
    options = ServerOptions(authenticator=is_marta)
    with TestClient(make_app(served, options), base_url=HERE, raise_server_exceptions=False) as client:
        yield client


def call(visitor: TestClient, endpoint: str, *arguments: Any) -> tuple[str, Any]:
    """Ask an endpoint as a program does; return how it ended, and what it said."""
    asked = visitor.post(f"/gradio_api/call/{endpoint}", json={"data": list(arguments)})
    assert asked.status_code == 200, asked.text
    told = visitor.get(f"/gradio_api/call/{endpoint}/{asked.json()['event_id']}").text
    event, data = told.strip().splitlines()[-2:]
    return event.removeprefix("event: "), json.loads(data.removeprefix("data: "))


def answer(visitor: TestClient, endpoint: str, *arguments: Any) -> Any:
    ended, data = call(visitor, endpoint, *arguments)
    assert ended == "complete", data
    [result] = data
    return result


# Who may change the library, and where it listens


@pytest.mark.parametrize(
    ("host", "gate", "read_only", "may_change"),
    [
        ("127.0.0.1", None, False, True),
        ("localhost", None, False, True),
        ("::1", None, False, True),
        ("0.0.0.0", None, False, False),
        ("::", None, False, False),
        ("192.168.0.7", None, False, False),
        ("0.0.0.0", is_marta, False, True),
        ("127.0.0.1", is_marta, False, True),
        ("127.0.0.1", None, True, False),
        ("0.0.0.0", is_marta, True, False),
    ],
)
def test_strangers_from_other_machines_never_change_the_library(
    host: str, gate: Authenticator | None, read_only: bool, may_change: bool
) -> None:
    assert ServerOptions(host=host, authenticator=gate, read_only=read_only).may_change == may_change


def test_only_this_machine_is_let_in_unless_another_address_is_named() -> None:
    assert ServerOptions().is_local and ServerOptions().host == "127.0.0.1"
    assert not ServerOptions(host="0.0.0.0").is_local and not ServerOptions(host="").is_local


def test_it_listens_at_a_free_port() -> None:
    with closing(_listen(ServerOptions(port=0))) as listening:
        host, port = listening.getsockname()
        assert host == "127.0.0.1" and port > 0


@pytest.mark.parametrize("by", ["another program", "another server that begins"])
def test_a_port_that_is_taken_is_told_with_another(by: str) -> None:
    options = ServerOptions(port=0)
    taken = _listen(options) if by == "another server that begins" else socket.create_server(("127.0.0.1", 0))
    with closing(taken):
        port = taken.getsockname()[1]
        with pytest.raises(EchoIndexError) as raised:
            _listen(ServerOptions(port=port)).close()
    assert raised.value.message == f"Port {port} of 127.0.0.1 is not available: address already in use."
    assert raised.value.remedy == f"Choose another port: --port {port + 1}"


@pytest.mark.parametrize("host", ["203.0.113.7", "no such host.invalid", "::ffff:203.0.113.7"])
def test_an_address_that_is_not_of_this_machine_is_told(host: str) -> None:
    with pytest.raises(EchoIndexError, match="is not available") as raised:
        _listen(ServerOptions(host=host, port=65535)).close()
    assert "\n" not in str(raised.value)
    assert raised.value.remedy == f"Choose another port: --port {DEFAULTS.port}", "there is no port 65536"


def test_uploads_are_kept_beside_the_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert uploads_folder(Path(".echo-index")) == tmp_path / DEFAULTS.uploads_name
    assert uploads_folder(tmp_path / "deep/index") == tmp_path / "deep" / DEFAULTS.uploads_name


# What is served


def test_it_is_ready_when_the_model_is_loaded(served: IndexService) -> None:
    waiting = IndexService(served.options)
    with TestClient(make_app(waiting, ServerOptions()), base_url=HERE) as client:
        cold = client.get(READY_PATH)
        assert (cold.status_code, cold.json()) == (503, {"status": "starting"})
        assert client.get("/").status_code == 200, "the page can be seen already"
        waiting.warm()
        warm = client.get(READY_PATH)
        assert (warm.status_code, warm.json()) == (200, {"status": "ready"})


@pytest.mark.parametrize("path", ["/", READY_PATH, "/config", "/gradio_api/info", "/theme.css", "/nothing"])
def test_everything_is_served_with_the_rules_for_a_browser(visitor: TestClient, path: str) -> None:
    told = visitor.get(path).headers
    assert "default-src 'self'" in told["content-security-policy"]
    assert told["x-content-type-options"] == "nosniff"
    assert told["referrer-policy"] == "no-referrer"


def test_other_names_and_other_sites_are_refused(visitor: TestClient, served: IndexService) -> None:
    assert visitor.get("/", headers={"host": "evil.example"}).status_code == 403
    evil = {"origin": "https://evil.example"}
    body = {"data": ["fox", 1, "lexical", "", None, None]}
    assert visitor.post("/gradio_api/call/search", json=body, headers=evil).status_code == 403
    assert visitor.post("/gradio_api/call/search", json=body, headers={"origin": HERE}).status_code == 200
    open_to_all = make_app(served, ServerOptions(host="0.0.0.0"))
    with TestClient(open_to_all, base_url="http://library.example:7860") as client:
        assert client.get("/").status_code == 200
        assert client.post("/gradio_api/call/search", json=body, headers=evil).status_code == 403


def test_no_file_is_served(
    visitor: TestClient, served: IndexService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.md").write_text("secret")
    index = served.index_dir
    files = ["/etc/passwd", index / "catalog.sqlite", index.parent / "notes/fox.md", tmp_path / "here.md", "here.md"]
    files += [__file__, ROOT / "app/web/server.py", "app/web/server.py"]
    for file in files:
        for way in ("file=", "file/"):
            got = visitor.get(f"/gradio_api/{way}{file}")
            assert got.status_code in (403, 404), f"{way}{file}"
            assert "secret" not in got.text and "fox" not in got.text.replace(str(file), "")


def test_nothing_is_fetched_from_elsewhere(visitor: TestClient) -> None:
    # Nothing answers at this port; what was asked there all the same would be told as 502.
    for path in ("file=https://1.1.1.1:1/x.png", "file/https://1.1.1.1:1/x.png", "proxy=https://1.1.1.1:1/x.png"):
        assert visitor.get(f"/gradio_api/{path}").status_code in (400, 403, 404), path


# What programs may ask


def test_the_endpoints_are_the_only_public_ones(visitor: TestClient) -> None:
    told = visitor.get("/gradio_api/info").json()
    assert {*told["named_endpoints"]} == {f"/{name}" for name in ENDPOINTS}
    assert told["unnamed_endpoints"] == {}
    dependencies = visitor.get("/config").json()["dependencies"]
    assert {found["api_name"] for found in dependencies if found["api_visibility"] == "public"} == ENDPOINTS


def test_a_program_searches(visitor: TestClient) -> None:
    [hit] = answer(visitor, "search", "lazy dog", 1, "lexical", "", None, None, 0)
    assert (hit["source"], hit["title"], hit["line"], hit["dense"]) == ("notes/fox.md", "The fox", 1, None)
    assert FOX[hit["start"] : hit["end"]] == hit["text"]
    assert len(answer(visitor, "search", "fox", 1000, "hybrid", "Find animals.", None, None, 0)) == 2
    [hit] = answer(visitor, "search", "fox", 5, "hybrid", "", ["*vow*"], ["markdown"], 0)
    assert hit["source"] == "notes/vow.md"
    assert hit["likelihood"] is None
    hits = answer(visitor, "search", "fox", 5, "dense", "", None, None, 1000)
    assert sorted(hit["likelihood"]["rank"] for hit in hits) == [1, 2]


def test_a_program_is_told_of_the_same_once(visitor: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    search = Retriever.search
    monkeypatch.setattr(Retriever, "search", lambda *given, **how: asked.append(how["group"]) or search(*given, **how))
    [hit] = answer(visitor, "search", "lazy dog", 1, "lexical", "", None, None, 0)
    assert asked == [True] and hit["alike"] == []


def test_a_program_asks_for_the_like(visitor: TestClient) -> None:
    [hit] = answer(visitor, "similar", "notes/fox.md", 0, 5)
    assert hit["source"] == "notes/vow.md"


def test_a_program_asks_for_an_answer(visitor: TestClient) -> None:
    told = answer(visitor, "ask", "Who judges my vow?", 50)
    assert {"question", "text", "found", "citations", "passages"} <= told.keys()
    assert len(told["passages"]) == 2


def test_a_program_lists_and_reads_documents(visitor: TestClient) -> None:
    assert [document["path"] for document in answer(visitor, "documents", "")] == ["notes/fox.md", "notes/vow.md"]
    assert [document["path"] for document in answer(visitor, "documents", "FOX")] == ["notes/fox.md"]
    text = FOX.strip()
    assert answer(visitor, "read", "notes/fox.md", 0, 4000) == {
        "source": "notes/fox.md",
        "title": "The fox",
        "start": 0,
        "text": text,
        "length": len(text),
    }
    assert answer(visitor, "read", "notes/fox.md", 4, 3)["text"] == "e f"
    assert answer(visitor, "read", "notes/fox.md", -7, 5)["start"] == 0
    assert answer(visitor, "read", "notes/fox.md", 9999, 5)["text"] == ""


def test_a_program_reads_no_more_than_it_may(served: IndexService, visitor: TestClient) -> None:
    assert answer(visitor, "read", "notes/fox.md", 0, -1)["text"] == ""


@pytest.mark.parametrize(
    ("endpoint", "arguments", "said"),
    [
        ("search", ("", 5, "lexical", "", None, None, 0), "The question is empty."),
        ("search", ("fox", 0, "lexical", "", None, None, 0), "k is 0; it must be at least 1."),
        ("search", ("fox", 5, "fuzzy", "", None, None, 0), "fuzzy"),
        ("search", ("fox", 5, "lexical", "", None, None, -1), "rerank is -1; it must be at least 0."),
        ("similar", ("notes/fox.md", 5, 5), "No passage begins at character 5 of notes/fox.md."),
        ("similar", ("/etc/passwd", 0, 5), "No passage begins at character 0 of /etc/passwd."),
        ("read", ("/etc/passwd", 0, 10), "There is no document /etc/passwd in this index."),
        ("read", ("../notes/fox.md", 0, 10), "There is no document ../notes/fox.md in this index."),
        ("ask", ("  ", 3), "The question is"),
    ],
)
def test_an_error_is_told_in_a_sentence(
    visitor: TestClient, endpoint: str, arguments: tuple[Any, ...], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    ended, data = call(visitor, endpoint, *arguments)
    assert ended == "error"
    assert said in data["error"] and "\n" not in data["error"]
    assert "Traceback" not in capfd.readouterr().err, "it is no fault of the server's"


def test_without_an_index_programs_are_told_how_to_begin(tmp_path: Path) -> None:
    with TestClient(
        make_app(IndexService(ServiceOptions(tmp_path / "index")), ServerOptions()), base_url=HERE
    ) as client:
        for endpoint, arguments in (("documents", ("",)), ("ask", ("Who?", 3))):
            ended, data = call(client, endpoint, *arguments)
            assert ended == "error"
            assert "There is no complete index in" in data["error"] and "echo-index build" in data["error"]


# Who is let in


def test_with_a_gate_everything_asks_for_a_login(stranger: TestClient) -> None:
    stranger.cookies.clear()
    page = stranger.get("/").text
    assert '"auth_required":true' in page.replace(" ", "") and "Library" not in page
    for path in ("config", "gradio_api/info", "gradio_api/openapi.json", "gradio_api/queue/data?session_hash=x"):
        assert stranger.get(f"/{path}").status_code == 401, path
    for path in ("file=/etc/passwd", "call/search/1"):
        assert stranger.get(f"/gradio_api/{path}").status_code == 401, path
    body = {"data": ["fox", 1, "lexical", "", None, None]}
    for endpoint in ENDPOINTS:
        for way in ("call", "call/v2", "run", "api"):
            assert stranger.post(f"/gradio_api/{way}/{endpoint}", json=body).status_code == 401, (way, endpoint)
    assert stranger.post("/gradio_api/queue/join", json={**body, "fn_index": 0}).status_code == 401
    assert stranger.post("/gradio_api/upload", files={"files": ("x.md", b"x")}).status_code == 401
    assert stranger.get(READY_PATH).status_code in (200, 503), "whoever watches over it needs no password"


def test_a_right_password_gets_in_and_a_wrong_one_does_not(stranger: TestClient) -> None:
    stranger.cookies.clear()
    for name, password in (("marta", "green"), ("nobody", ""), ("nobody", "green door")):
        assert stranger.post("/login", data={"username": name, "password": password}).status_code in (400, 422)
    assert stranger.get("/config").status_code == 401
    assert stranger.post("/login", data={"username": "marta", "password": "green door"}).status_code == 200
    assert stranger.get("/config").status_code == 200
    assert "auth_required" not in stranger.get("/").text
    [hit] = answer(stranger, "search", "lazy dog", 1, "lexical", "", None, None, 0)
    assert hit["source"] == "notes/fox.md"


@pytest.mark.parametrize(
    "options", [ServerOptions(host="0.0.0.0"), ServerOptions(read_only=True)], ids=["open to all", "read-only"]
)
def test_where_nothing_may_be_changed_nothing_can_be(
    served: IndexService, options: ServerOptions, visitor: TestClient
) -> None:
    def offered(client: TestClient) -> set[str]:
        return {found["api_name"] for found in client.get("/config").json()["dependencies"]}

    assert offered(visitor) >= CHANGES
    with TestClient(make_app(served, options), base_url=HERE, raise_server_exceptions=False) as client:
        assert offered(client) & CHANGES == set()
        assert "The library is read-only." in client.get("/config").text
        for name in CHANGES:
            for way in ("call", "run"):
                assert client.post(f"/gradio_api/{way}/{name}", json={"data": []}).status_code >= 400
        assert {"index", "notes"} == {path.name for path in served.index_dir.parent.iterdir()}


@pytest.mark.parametrize(
    "options", [ServerOptions(host="0.0.0.0"), ServerOptions(read_only=True)], ids=["open to all", "read-only"]
)
def test_where_nothing_may_be_changed_no_file_is_taken(served: IndexService, options: ServerOptions) -> None:
    with TestClient(make_app(served, options), base_url=HERE, raise_server_exceptions=False) as client:
        assert client.post("/gradio_api/upload", files={"files": ("x.md", b"x")}).status_code in (403, 404, 405, 413)


def test_a_build_is_shown_in_the_order_in_which_it_went(served: IndexService, tmp_path: Path) -> None:
    builder = BuildJob(served.index_dir, EncoderOptions())
    page = make_page(served, builder, PageOptions(uploads=tmp_path, max_upload_bytes=1))
    showing = [event for event in page.fns.values() if "progress" in {output.elem_id for output in event.outputs}]
    assert {event.name for event in showing} == {"_build", "_stop", "_tick", "_refresh"}
    assert {(event.concurrency_id, event.concurrency_limit) for event in showing} == {("library", 1)}


def test_a_file_that_is_too_large_is_not_taken(served: IndexService) -> None:
    with TestClient(make_app(served, ServerOptions(upload_megabytes=1)), base_url=HERE) as client:
        for size, status in ((900_000, 200), (1_100_000, 413)):
            sent = client.post("/gradio_api/upload", files={"files": ("x.md", b"x" * size)})
            assert sent.status_code == status


def test_assistants_are_given_the_endpoints_where_that_is_wanted(served: IndexService, visitor: TestClient) -> None:
    assert visitor.get("/gradio_api/mcp/schema").status_code == 404
    with TestClient(make_app(served, ServerOptions(mcp=True)), base_url=HERE) as client:
        tools = client.get("/gradio_api/mcp/schema").json()
        assert {tool["name"] for tool in tools} == ENDPOINTS
        assert all(len(tool["description"]) > 40 for tool in tools)
