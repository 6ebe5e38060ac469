"""The server: address, login, files, security and API endpoints."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from repository import ROOT
from starlette.testclient import TestClient

from echo_index.app.api.health import READY_PATH
from echo_index.app.defaults import DEFAULTS
from echo_index.app.mcp.tool_schema import TOOL_TITLES, describe_tool
from echo_index.app.services.build_job import BuildJob
from echo_index.app.services.credentials import Authenticator
from echo_index.app.services.encoder_factory import EncoderOptions
from echo_index.app.services.index_service import IndexService, ServiceOptions
from echo_index.app.services.uploads import uploads_folder
from echo_index.app.web.page import PageOptions, make_page
from echo_index.app.web.server import ServerOptions, _addresses, _listen, make_app
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.errors import EchoIndexError
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.sources.source import Source
from echo_index.retriever.search.retriever import Retriever

HERE = "http://127.0.0.1:7860"
UNFILTERED = ("", "", "", 0, None)
"""No dates, no condition, no least relevance and no choice of collections."""
ENDPOINTS = {"search", "similar", "ask", "list_documents", "read", "status"}
CHANGES = {"_build", "_stop", "_remove"}
FOX = "# The fox\n\nThe quick brown fox jumps over the lazy dog.\n"


def is_marta(name: str, password: str) -> bool:
    return (name, password) == ("marta", "green door")


@pytest.fixture(scope="session", autouse=True)
def temporary_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Store uploads of the tests in a temporary folder."""
    folder = tmp_path_factory.mktemp("temporary")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder))
        yield folder


@pytest.fixture(scope="session")
def served(tiny_model: LanguageModel, tmp_path_factory: pytest.TempPathFactory) -> IndexService:
    """Return a service for an index of two documents."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "notes").mkdir()
    (folder / "notes/fox.md").write_text(FOX)
    (folder / "notes/vow.md").write_text("# Wizards\n\nSeven wizards quietly judge my vow.\n")
    build_index([Source.parse(str(folder / "notes"))], folder / "index", encoder=EchoEncoder(tiny_model))
    return IndexService(ServiceOptions(folder / "index", device="cpu", index_device="cpu"))


@pytest.fixture(scope="session")
def visitor(served: IndexService) -> Iterator[TestClient]:
    """Return a client on this machine; the model is loaded."""
    served.warm()
    with TestClient(make_app(served, ServerOptions()), base_url=HERE, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="session")
def stranger(served: IndexService) -> Iterator[TestClient]:
    """Return a client of a server that requires a login."""
    options = ServerOptions(authenticator=is_marta)
    with TestClient(make_app(served, options), base_url=HERE, raise_server_exceptions=False) as client:
        yield client


def call(visitor: TestClient, endpoint: str, *arguments: Any) -> tuple[str, Any]:
    """Call an endpoint as a program does, and return the last event and its data."""
    accepted = visitor.post(f"/gradio_api/call/{endpoint}", json={"data": list(arguments)})
    assert accepted.status_code == 200, accepted.text
    stream = visitor.get(f"/gradio_api/call/{endpoint}/{accepted.json()['event_id']}").text
    event, data = stream.strip().splitlines()[-2:]
    return event.removeprefix("event: "), json.loads(data.removeprefix("data: "))


def answer(visitor: TestClient, endpoint: str, *arguments: Any) -> Any:
    ended, data = call(visitor, endpoint, *arguments)
    assert ended == "complete", data
    [result] = data
    return result


# Address and permissions


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
def test_visitors_without_a_login_from_other_machines_cannot_change_the_library(
    host: str, gate: Authenticator | None, read_only: bool, may_change: bool
) -> None:
    assert ServerOptions(host=host, authenticator=gate, read_only=read_only).may_change == may_change


def test_the_default_address_is_local() -> None:
    assert ServerOptions().is_local and ServerOptions().host == "127.0.0.1"
    assert not ServerOptions(host="0.0.0.0").is_local and not ServerOptions(host="").is_local


def test_port_0_chooses_a_free_port() -> None:
    with closing(_listen(ServerOptions(port=0))) as listening:
        host, port = listening.getsockname()
        assert host == "127.0.0.1" and port > 0


@pytest.mark.parametrize("by", ["another program", "another server that begins"])
def test_a_port_in_use_is_reported_with_another_one(by: str) -> None:
    options = ServerOptions(port=0)
    taken = _listen(options) if by == "another server that begins" else socket.create_server(("127.0.0.1", 0))
    with closing(taken):
        port = taken.getsockname()[1]
        with pytest.raises(EchoIndexError) as raised:
            _listen(ServerOptions(port=port)).close()
    assert raised.value.message == f"Port {port} of 127.0.0.1 is not available: address already in use."
    assert raised.value.remedy == f"Choose another port: --port {port + 1}"


@pytest.mark.parametrize("host", ["203.0.113.7", "no such host.invalid", "::ffff:203.0.113.7"])
def test_an_address_of_another_machine_is_reported(host: str) -> None:
    with pytest.raises(EchoIndexError, match="is not available") as raised:
        _listen(ServerOptions(host=host, port=65535)).close()
    assert "\n" not in str(raised.value)
    assert raised.value.remedy == f"Choose another port: --port {DEFAULTS.port}", "65536 is not a port"


def test_uploads_are_stored_beside_the_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert uploads_folder(Path(".echo-index")) == tmp_path / DEFAULTS.uploads_name
    assert uploads_folder(tmp_path / "deep/index") == tmp_path / "deep" / DEFAULTS.uploads_name


# Pages and files


def test_it_is_ready_when_the_model_is_loaded(served: IndexService) -> None:
    waiting = IndexService(served.options)
    with TestClient(make_app(waiting, ServerOptions()), base_url=HERE) as client:
        cold = client.get(READY_PATH)
        assert (cold.status_code, cold.json()) == (503, {"status": "starting"})
        assert client.get("/").status_code == 200, "the page is available"
        waiting.warm()
        warm = client.get(READY_PATH)
        assert (warm.status_code, warm.json()) == (200, {"status": "ready"})


@pytest.mark.parametrize("path", ["/", READY_PATH, "/config", "/gradio_api/info", "/theme.css", "/nothing"])
def test_every_path_has_the_security_headers(visitor: TestClient, path: str) -> None:
    headers = visitor.get(path).headers
    assert "default-src 'self'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


def test_foreign_hosts_and_origins_are_rejected(visitor: TestClient, served: IndexService) -> None:
    assert visitor.get("/", headers={"host": "evil.example"}).status_code == 403
    evil = {"origin": "https://evil.example"}
    body = {"data": ["fox", 1, "lexical", "", None, None, 0, 0, *UNFILTERED]}
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


def test_no_file_of_another_site_is_fetched(visitor: TestClient) -> None:
    # This address does not answer: an attempt to fetch would end with status 502.
    for path in ("file=https://1.1.1.1:1/x.png", "file/https://1.1.1.1:1/x.png", "proxy=https://1.1.1.1:1/x.png"):
        assert visitor.get(f"/gradio_api/{path}").status_code in (400, 403, 404), path


# API endpoints


def test_the_endpoints_are_the_only_public_ones(visitor: TestClient) -> None:
    info = visitor.get("/gradio_api/info").json()
    assert {*info["named_endpoints"]} == {f"/{name}" for name in ENDPOINTS}
    assert info["unnamed_endpoints"] == {}
    dependencies = visitor.get("/config").json()["dependencies"]
    assert {found["api_name"] for found in dependencies if found["api_visibility"] == "public"} == ENDPOINTS


def test_the_search_endpoint(visitor: TestClient) -> None:
    result = answer(visitor, "search", "lazy dog", 1, "lexical", "", None, None, 0, 0, *UNFILTERED)
    [passage] = result["passages"]
    assert (passage["source"], passage["title"], passage["line"]) == ("notes/fox.md", "The fox", 3)
    assert FOX[passage["start"] : passage["end"]] == passage["text"]
    assert (result["offset"], result["next_offset"], result["note"]) == (0, None, "")
    result = answer(visitor, "search", "fox", 1000, "hybrid", "Find animals.", None, None, 0, 0, *UNFILTERED)
    assert len(result["passages"]) == 2
    result = answer(visitor, "search", "fox", 5, "hybrid", "", ["*vow*"], ["markdown"], 0, 0, *UNFILTERED)
    [passage] = result["passages"]
    assert passage["source"] == "notes/vow.md"
    assert len(answer(visitor, "search", "fox", 5, "dense", "", None, None, 1000, 1, *UNFILTERED)["passages"]) == 1


def test_the_endpoints_take_dates_conditions_and_a_least_relevance(visitor: TestClient) -> None:
    def found(*filters: Any) -> list[str]:
        passages = answer(visitor, "search", "fox", 5, "lexical", "", None, None, 0, 0, *filters, None)["passages"]
        return [passage["source"] for passage in passages]

    assert found("", "2000", "", 0) == []
    assert found("1 day", "", "title contains fox", 0) == ["notes/fox.md"]
    event, data = call(visitor, "search", "fox", 5, "lexical", "", None, None, 0, 0, "", "", "title =", 0, None)
    assert (event, "at character 8" in json.dumps(data)) == ("error", True)
    event, data = call(visitor, "search", "fox", 5, "lexical", "", None, None, 0, 0, "", "", "", 0.5, None)
    assert (event, "no score that could be compared" in json.dumps(data)) == ("error", True)
    assert answer(visitor, "ask", "Who judges my vow?", 5, None, None, "", "2000", "", None)["citations"] == []


def test_the_search_endpoint_groups_duplicates(visitor: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    grouped: list[bool] = []
    search = Retriever.search
    monkeypatch.setattr(
        Retriever, "search", lambda *given, **how: grouped.append(how["group"]) or search(*given, **how)
    )
    [passage] = answer(visitor, "search", "lazy dog", 1, "lexical", "", None, None, 0, 0, *UNFILTERED)["passages"]
    assert grouped == [True] and passage["alike"] == []


def test_the_similar_endpoint(visitor: TestClient) -> None:
    [passage] = answer(visitor, "similar", "notes/fox.md", 0, 5, None, None, "", "", "", "")["passages"]
    assert passage["source"] == "notes/vow.md"
    filtered = answer(visitor, "similar", "notes/fox.md", 0, 5, ["notes"], ["markdown"], "1 day", "2000", "", "")
    assert filtered["passages"] == []


def test_the_ask_endpoint(visitor: TestClient) -> None:
    result = answer(visitor, "ask", "Who judges my vow?", 50, None, None, "", "", "", None)
    assert result.keys() == {"question", "text", "found", "citations"}


def test_the_endpoints_for_documents(visitor: TestClient) -> None:
    def listed(contains: str) -> list[str]:
        return [found["source"] for found in answer(visitor, "list_documents", contains, 0, 100, None)["documents"]]

    assert listed("") == ["notes/fox.md", "notes/vow.md"]
    assert listed("FOX") == ["notes/fox.md"]
    text = FOX.strip()
    read = answer(visitor, "read", "notes/fox.md", None, 4000, "")
    assert (read["text"], read["start"], read["length"], read["next_start"]) == (text, 0, len(text), None)
    assert answer(visitor, "read", "notes/fox.md", 4, 3, "")["text"] == "e f"
    assert answer(visitor, "read", "notes/fox.md:3-3", None, 4000, "")["text"] == text[11:]
    assert answer(visitor, "status")["documents"] == 2


@pytest.mark.parametrize(
    ("endpoint", "arguments", "said"),
    [
        ("search", ("", 5, "lexical", "", None, None, 0, 0, *UNFILTERED), "The question is empty."),
        ("search", ("fox", 0, "lexical", "", None, None, 0, 0, *UNFILTERED), "k is 0; it must be at least 1."),
        ("search", ("fox", 5, "fuzzy", "", None, None, 0, 0, *UNFILTERED), "fuzzy"),
        ("search", ("fox", 5, "lexical", "", None, None, -1, 0, *UNFILTERED), "rerank is -1; it must be at least 0."),
        (
            "similar",
            ("notes/fox.md", 5, 5, None, None, "", "", "", ""),
            "No passage begins at character 5 of notes/fox.md.",
        ),
        ("similar", ("/etc/passwd", 0, 5, None, None, "", "", "", ""), "No passage begins at character 0 of /etc/pa"),
        ("read", ("/etc/passwd", 0, 10, ""), "There is no document /etc/passwd in this index."),
        ("read", ("../notes/fox.md", 0, 10, ""), "There is no document ../notes/fox.md in this index."),
        ("read", ("notes/fox.md", -7, 10, ""), "notes/fox.md has no character -7."),
        ("read", ("notes/fox.md", 0, -1, ""), "characters is -1; it must be at least 1."),
        ("ask", ("  ", 3, None, None, "", "", "", None), "The question is"),
    ],
)
def test_errors_are_returned_as_one_sentence(
    visitor: TestClient, endpoint: str, arguments: tuple[Any, ...], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    ended, data = call(visitor, endpoint, *arguments)
    assert ended == "error"
    assert said in data["error"] and "\n" not in data["error"]
    assert "Traceback" not in capfd.readouterr().err, "expected errors are not logged"


def test_without_an_index_endpoints_return_the_remedy(tmp_path: Path) -> None:
    with TestClient(
        make_app(IndexService(ServiceOptions(tmp_path / "index")), ServerOptions()), base_url=HERE
    ) as client:
        for endpoint, arguments in (
            ("list_documents", ("", 0, 10, None)),
            ("ask", ("Who?", 3, None, None, "", "", "", None)),
        ):
            ended, data = call(client, endpoint, *arguments)
            assert ended == "error"
            assert "There is no complete index in" in data["error"] and "echo-index build" in data["error"]


# Login


def test_everything_requires_a_login(stranger: TestClient) -> None:
    stranger.cookies.clear()
    page = stranger.get("/").text
    assert '"auth_required":true' in page.replace(" ", "") and "Library" not in page
    for path in ("config", "gradio_api/info", "gradio_api/openapi.json", "gradio_api/queue/data?session_hash=x"):
        assert stranger.get(f"/{path}").status_code == 401, path
    for path in ("file=/etc/passwd", "call/search/1"):
        assert stranger.get(f"/gradio_api/{path}").status_code == 401, path
    body = {"data": ["fox", 1, "lexical", "", None, None, 0, 0, *UNFILTERED]}
    for endpoint in ENDPOINTS:
        for way in ("call", "call/v2", "run", "api"):
            assert stranger.post(f"/gradio_api/{way}/{endpoint}", json=body).status_code == 401, (way, endpoint)
    assert stranger.post("/gradio_api/queue/join", json={**body, "fn_index": 0}).status_code == 401
    assert stranger.post("/gradio_api/upload", files={"files": ("x.md", b"x")}).status_code == 401
    assert stranger.get(READY_PATH).status_code in (200, 503), "monitoring needs no password"


def test_only_the_right_password_logs_in(stranger: TestClient) -> None:
    stranger.cookies.clear()
    for name, password in (("marta", "green"), ("nobody", ""), ("nobody", "green door")):
        assert stranger.post("/login", data={"username": name, "password": password}).status_code in (400, 422)
    assert stranger.get("/config").status_code == 401
    assert stranger.post("/login", data={"username": "marta", "password": "green door"}).status_code == 200
    assert stranger.get("/config").status_code == 200
    assert "auth_required" not in stranger.get("/").text
    [passage] = answer(stranger, "search", "lazy dog", 1, "lexical", "", None, None, 0, 0, *UNFILTERED)["passages"]
    assert passage["source"] == "notes/fox.md"


@pytest.mark.parametrize(
    "options", [ServerOptions(host="0.0.0.0"), ServerOptions(read_only=True)], ids=["open to all", "read-only"]
)
def test_a_read_only_server_has_no_events_that_change_the_library(
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
def test_a_read_only_server_accepts_no_uploads(served: IndexService, options: ServerOptions) -> None:
    with TestClient(make_app(served, options), base_url=HERE, raise_server_exceptions=False) as client:
        assert client.post("/gradio_api/upload", files={"files": ("x.md", b"x")}).status_code in (403, 404, 405, 413)


def test_events_of_the_library_run_sequentially(served: IndexService, tmp_path: Path) -> None:
    builder = BuildJob(served.index_dir, EncoderOptions())
    page = make_page(served, {"": builder}, PageOptions(uploads={"": tmp_path}, max_upload_bytes=1))
    showing = [event for event in page.fns.values() if "progress" in {output.elem_id for output in event.outputs}]
    assert {event.name for event in showing} == {"_build", "_stop", "_choose", "_tick", "_refresh"}
    assert {(event.concurrency_id, event.concurrency_limit) for event in showing} == {("library", 1)}


def test_an_upload_that_is_too_large_is_rejected(served: IndexService) -> None:
    with TestClient(make_app(served, ServerOptions(upload_megabytes=1)), base_url=HERE) as client:
        for size, status in ((900_000, 200), (1_100_000, 413)):
            sent = client.post("/gradio_api/upload", files={"files": ("x.md", b"x" * size)})
            assert sent.status_code == status


def test_mcp_offers_the_endpoints_as_tools(served: IndexService, visitor: TestClient) -> None:
    assert visitor.get("/gradio_api/mcp/schema").status_code == 404
    with TestClient(make_app(served, ServerOptions(mcp=True)), base_url=HERE) as client:
        tools = client.get("/gradio_api/mcp/schema").json()
        assert {tool["name"] for tool in tools} == ENDPOINTS == {*TOOL_TITLES}
        for tool in tools:
            properties = tool["inputSchema"]["properties"]
            known = describe_tool(tool["name"]).arguments.model_json_schema()["properties"]
            assert tool["description"].startswith(describe_tool(tool["name"]).description.partition("\n")[0])
            assert {name: found["description"] for name, found in properties.items()} == {
                name: found["description"] for name, found in known.items()
            }


# Programs


def test_the_routes_for_programs_stand_beside_the_page(served: IndexService) -> None:
    app = make_app(served, ServerOptions(api=True))
    with TestClient(app, base_url=HERE, raise_server_exceptions=False) as client:
        assert client.get("/search", params={"query": "lazy dog"}).json()["hits"][0]["source"] == "notes/fox.md"
        assert client.get("/v1/embeddings").status_code == 405, "the page does not answer for them"
        assert client.get("/v1/nothing").json()["error"]["type"] == "invalid_request_error"
        assert "/v1/embeddings" in client.get("/openapi.json").json()["paths"]
        assert "Library" in client.get("/config").text
        assert answer(client, "search", "lazy dog", 1, "lexical", "", None, None, 0, 0, *UNFILTERED)
        evil = {"host": "evil.example"}
        assert client.get("/", headers=evil).status_code == client.get("/v1/models", headers=evil).status_code == 403
        assert client.get("/healthz").json() == {"status": "ready"}


def test_without_api_there_are_no_routes_for_programs(visitor: TestClient) -> None:
    for path in ("/v1/models", "/search", "/documents", "/metrics"):
        assert visitor.get(path, params={"query": "fox"}).status_code == 404, path


def test_programs_need_the_passwords_of_the_page(served: IndexService) -> None:
    app = make_app(served, ServerOptions(api=True, authenticator=is_marta))
    with TestClient(app, base_url=HERE, raise_server_exceptions=False) as client:
        client.post("/login", data={"username": "marta", "password": "green door"})
        assert client.get("/config").status_code == 200
        assert client.get("/documents").status_code == 401, "a cookie, which a browser sends unasked, is no key"
        key = {"authorization": "Bearer marta:green door"}
        assert client.get("/documents", headers=key).status_code == 200


def test_programs_alone_are_served_without_gradio(served: IndexService) -> None:
    code = (
        "from pathlib import Path\n"
        "from echo_index.app.services.index_service import IndexService, ServiceOptions\n"
        "from echo_index.app.web.server import ServerOptions, make_app\n"
        f"service = IndexService(ServiceOptions(Path({str(served.index_dir)!r})))\n"
        "make_app(service, ServerOptions(api=True, page=False))\n"
        "import sys\n"
        "print([name for name in ('gradio', 'torch', 'transformers', 'uvicorn') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
    with TestClient(make_app(served, ServerOptions(page=False)), base_url=HERE) as client:
        assert client.get("/documents").json()["total"] == 2
        assert client.get("/").status_code == 404


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (ServerOptions(), ["The page is at http://x"]),
        (ServerOptions(api=True), ["The page is at http://x", "Programs use http://x (/v1"]),
        (ServerOptions(page=False), ["Programs use http://x (/v1"]),
    ],
)
def test_what_is_served_is_told(options: ServerOptions, said: list[str]) -> None:
    lines = [*_addresses(options, "http://x")]
    assert len(lines) == len(said) and all(line.startswith(begin) for line, begin in zip(lines, said, strict=True))
    assert sum("Ctrl-C" in line for line in lines) == 1
