"""The server as assistants start it: a process of its own, used with the client of the SDK."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
from mcp import ClientSession, McpError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.types import CallToolResult, TextContent, TextResourceContents
from pydantic import AnyUrl

from echo_index.app.services.collections import add_collection
from echo_index.app.services.index_service import IndexService
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.errors import QuestionError
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.sources.source import Source

TOOLS = ["search", "read", "ask", "similar", "list_documents", "status"]
HOSTILE = "notes/50% #1?start=3&x, «odd» name.md"
ANSWER = "How do three hundred wizards judge?"

# The server with a model that writes forever, prints from Python and from C, and notes what it has loaded.
ENDLESS = """
import ctypes, sys, time
from echo_index.app.services import answer_job
from echo_index.app.services.answer_job import Turn

def endless(service, request):
    print("printed by Python", flush=True)
    ctypes.CDLL(None).puts(b"printed by C")
    ctypes.CDLL(None).fflush(None)
    text = ""
    try:
        while True:
            text += "word "
            yield Turn(request.question, text=text)
            time.sleep(0.01)
    finally:
        print("stopped", flush=True)

answer_job._answer = endless
from echo_index.app.cli.main import main
sys.argv = ["echo-index", "mcp", *sys.argv[1:]]
main()
"""

# The server with a bug, whose message has a key.
FAULTY = """
import os, sys
from echo_index.app.services import answer_job

def faulty(service, request):
    raise RuntimeError(f"the key {os.environ['OPENAI_API_KEY']} is wrong")

answer_job._answer = faulty
from echo_index.app.cli.main import main
sys.argv = ["echo-index", "mcp", *sys.argv[1:]]
main()
"""


@pytest.fixture(scope="module")
def folder(encoder: EchoEncoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mcp")
    (folder / "notes").mkdir()
    (folder / "notes/fox.md").write_text("# The fox\n\nThe quick brown fox jumps over the lazy dog.\n")
    (folder / "notes/vow.md").write_text("# Wizards\n\nSeven wizards quietly judge my vow.\n")
    (folder / HOSTILE).write_text("# Boxes\n\nPack my box with five dozen liquor jugs.\n")
    (folder / "notes/long.txt").write_text("".join(f"{number:05} lines.\n" for number in range(1, 10_001)))
    build(folder, encoder)
    return folder


def build(folder: Path, encoder: EchoEncoder) -> None:
    build_index([Source.parse(str(folder / "notes"))], folder / "index", encoder=encoder)


def parameters(index: Path, *, script: str = "") -> StdioServerParameters:
    start = ["-c", script] if script else ["-m", "echo_index", "mcp"]
    return StdioServerParameters(
        command=sys.executable, args=[*start, "--index", str(index), "--device", "cpu"], env=dict(os.environ)
    )


@asynccontextmanager
async def connected(index: Path, *, script: str = "") -> AsyncIterator[ClientSession]:
    async with stdio_client(parameters(index, script=script)) as streams, ClientSession(*streams) as session:
        await session.initialize()
        yield session


def text_of(result: CallToolResult) -> str:
    [content] = result.content
    assert isinstance(content, TextContent)
    return content.text


def structured(result: CallToolResult) -> dict[str, Any]:
    assert not result.isError and result.structuredContent is not None, text_of(result)
    return result.structuredContent


class Process:
    """The server as a bare process, to which a test writes what no client would."""

    def __init__(self, index: Path, *, script: str = "") -> None:
        given = parameters(index, script=script)
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([given.command, *given.args], stdin=pipe, stdout=pipe, stderr=pipe)
        self.send(
            {
                "id": 0,
                "method": "initialize",
                "params": {
                    "protocolVersion": "2025-06-18",
                    "capabilities": {},
                    "clientInfo": {"name": "test", "version": "1"},
                },
            }
        )
        assert self.receive()["id"] == 0
        self.send({"method": "notifications/initialized"})

    def send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        self.process.stdin.flush()

    def call(self, number: int, name: str, progress: bool = False, **arguments: Any) -> None:
        meta = {"_meta": {"progressToken": number}} if progress else {}
        self.send({"id": number, "method": "tools/call", "params": {"name": name, "arguments": arguments, **meta}})

    def receive(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        message: dict[str, Any] = json.loads(self.process.stdout.readline())
        return message


@pytest.fixture
def endless(folder: Path) -> Iterator[Process]:
    """Return a server that is writing an answer that never ends."""
    server = Process(folder / "index", script=ENDLESS)
    server.call(1, "ask", progress=True, question=ANSWER)
    assert server.receive()["method"] == "notifications/progress"
    yield server
    server.process.kill()
    server.process.wait()


async def test_the_tools_are_described_before_anything_is_opened(tmp_path: Path) -> None:
    async with connected(tmp_path / "nothing") as session:
        listed = (await session.list_tools()).tools
        assert [tool.name for tool in listed] == TOOLS
        for tool in listed:
            assert tool.outputSchema and tool.annotations and tool.annotations.readOnlyHint
        for name, arguments in (("search", {"question": "fox"}), ("status", {}), ("ask", {"question": "fox"})):
            result = await session.call_tool(name, arguments)
            assert result.isError
            assert "There is no complete index in" in text_of(result) and "echo-index build" in text_of(result)


async def test_assistants_are_told_what_the_collections_are_about(
    two_collections: IndexService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECHO_INDEX_DATA", str(tmp_path))
    for collection in two_collections.collections:
        add_collection(collection)
    given = parameters(Path("animals"))
    both = given.model_copy(update={"args": [*given.args, "--index", "magic"], "cwd": str(tmp_path)})
    async with stdio_client(both) as streams, ClientSession(*streams) as session:
        told = (await session.initialize()).instructions or ""
        assert "animals (Beasts of the field); magic." in told
        found = structured(
            await session.call_tool("search", {"question": "vow", "mode": "lexical", "collections": ["magic"]})
        )
        assert [passage["location"] for passage in found["passages"]] == ["magic: notes/vow.md:3"]
        listed = (await session.list_resources()).resources
        assert [resource.name for resource in listed][-1] == "magic: notes/vow.md"
        [content] = (await session.read_resource(listed[-1].uri)).contents
        assert isinstance(content, TextResourceContents) and "wizards" in content.text
    async with stdio_client(given) as streams, ClientSession(*streams) as session:
        told = (await session.initialize()).instructions or ""
        assert told.endswith("The documents are about: Beasts of the field")


def test_a_start_loads_neither_a_model_nor_numpy(tmp_path: Path) -> None:
    script = (
        "import sys, os\nfrom echo_index.app.mcp import stdio\n"
        "stdio.os._exit = lambda code: (sys.stderr.write(' '.join(sys.modules)), sys.stderr.flush(), exit_now(code))\n"
        "import ctypes\nexit_now = ctypes.CDLL(None)._exit\n"
        "from echo_index.app.cli.main import main\nsys.argv = ['echo-index', 'mcp', *sys.argv[1:]]\nmain()\n"
    )
    server = Process(tmp_path / "nothing", script=script)
    server.send({"id": 1, "method": "tools/list"})
    assert len(server.receive()["result"]["tools"]) == len(TOOLS)
    _, errors = server.process.communicate()
    loaded = set(errors.decode().split())
    assert "echo_index.app.mcp.server" in loaded
    assert (
        loaded & {"torch", "transformers", "tokenizers", "faiss", "numpy", "sqlite3", "gradio", "langchain_core"}
        == set()
    )


async def test_tools_answer_as_text_and_structured(folder: Path) -> None:
    async with connected(folder / "index") as session:
        await session.list_tools()  # from now on, the client checks results against their schemas
        found = await session.call_tool("search", {"question": "lazy dog", "k": 1, "mode": "lexical"})
        [passage] = structured(found)["passages"]
        assert passage["location"] == "notes/fox.md:3" and "notes/fox.md:3" in text_of(found)
        read = await session.call_tool("read", {"source": passage["location"]})
        assert "quick brown fox" in structured(read)["text"] and "quick brown fox" in text_of(read)
        assert structured(await session.call_tool("list_documents", {"contains": "vow"}))["total"] == 1
        assert structured(await session.call_tool("status", {}))["documents"] == 4
        similar = await session.call_tool("similar", {"source": "notes/fox.md", "start": 0, "k": 1})
        assert len(structured(similar)["passages"]) == 1
        lines = await session.call_tool("read", {"source": "notes/long.txt:9999-10000"})
        assert structured(lines)["text"] == "09999 lines.\n10000 lines."
        assert "read again with start" in text_of(await session.call_tool("read", {"source": "notes/long.txt"}))


async def test_an_answer_reports_its_progress_only_to_who_asks(folder: Path) -> None:
    reported: list[str | None] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        reported.append(message)

    async with connected(folder / "index") as session:
        answer = await session.call_tool("ask", {"question": ANSWER, "passages": 2}, progress_callback=note)
        assert structured(answer)["question"] == ANSWER and text_of(answer)
        assert reported[0] == "Found 2 passages."
        count = len(reported)
        assert structured(await session.call_tool("ask", {"question": ANSWER, "passages": 2}))
        assert len(reported) == count


async def test_errors_are_results_of_one_sentence(folder: Path) -> None:
    async with connected(folder / "index") as session:
        for name, arguments, said in (
            ("search", {}, "search needs the argument question. Its arguments are"),
            ("search", {"question": "fox", "k": 0}, "k is 0; it must be at least 1."),
            ("search", {"question": ""}, "The question is empty."),
            ("read", {"source": "../../etc/passwd"}, "There is no document ../../etc/passwd in this index."),
            ("forget", {}, "There is no tool 'forget'. The tools are search,"),
        ):
            result = await session.call_tool(name, arguments)
            assert result.isError and said in text_of(result) and "\n" not in text_of(result)
        assert structured(await session.call_tool("status", {})), "the server goes on"


async def test_hundred_calls_in_a_row_and_twenty_at_the_same_time(folder: Path) -> None:
    async with connected(folder / "index") as session:
        for number in range(100):
            page = structured(await session.call_tool("read", {"source": f"notes/long.txt:{number + 1}-{number + 1}"}))
            assert page["text"] == f"{number + 1:05} lines.\n"
        queries = [("wizards", "notes/vow.md"), ("lazy dog", "notes/fox.md"), ("liquor jugs", HOSTILE)] * 7
        calls = [session.call_tool("search", {"question": query, "k": 1, "mode": "lexical"}) for query, _ in queries]
        for (_, source), result in zip(queries, await asyncio.gather(*calls), strict=True):
            assert structured(result)["passages"][0]["source"] == source


async def test_documents_are_resources(folder: Path) -> None:
    async with connected(folder / "index") as session:
        listed = await session.list_resources()
        names = [HOSTILE, "notes/fox.md", "notes/long.txt", "notes/vow.md"]
        assert [resource.name for resource in listed.resources] == names
        for resource, said in zip(listed.resources, ("liquor", "lazy dog", "00001 lines.", "my vow"), strict=True):
            [content] = (await session.read_resource(resource.uri)).contents
            assert isinstance(content, TextResourceContents) and said in content.text
        [content] = (await session.read_resource(listed.resources[2].uri)).contents
        assert isinstance(content, TextResourceContents)
        text, _, rest = content.text.partition("\n\nThe document goes on in ")
        [more] = (await session.read_resource(AnyUrl(rest))).contents
        assert isinstance(more, TextResourceContents)
        assert (text + more.text).count("\n") == 9_999
        templates = (await session.list_resource_templates()).resourceTemplates
        assert [template.uriTemplate for template in templates] == [
            "echo-index://documents/{source}",
            "echo-index://documents/{source}{?start}",
        ]
        for uri, said in (
            ("echo-index://documents/..%2F..%2Fetc%2Fpasswd", "There is no document ../../etc/passwd in this index."),
            ("file:///etc/passwd", "file:///etc/passwd names no document."),
            ("echo-index://documents/notes%2Ffox.md?start=x", "names no document."),
        ):
            with pytest.raises(McpError, match=said):
                await session.read_resource(AnyUrl(uri))


def test_resources_come_in_pages(encoder: EchoEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from echo_index.app.mcp import resources
    from echo_index.app.services.document_tools import DocumentTools
    from echo_index.app.services.index_service import IndexService, ServiceOptions

    monkeypatch.setattr(resources, "_PAGE", 2)
    (tmp_path / "notes").mkdir()
    for number in range(5):
        (tmp_path / f"notes/{number}.md").write_text(f"# Page {number}\n\nText {number}.\n")
    (tmp_path / "notes/1b.pdf").write_text("no PDF")
    build(tmp_path, encoder)
    tools = DocumentTools(IndexService(ServiceOptions(tmp_path / "index", device="cpu", index_device="cpu")))
    names, cursor = [], None
    while True:
        page = resources.list_resources(tools, cursor)
        names.append([resource.name for resource in page.resources])
        if (cursor := page.nextCursor) is None:
            break
    assert names == [["notes/0.md", "notes/1.md"], ["notes/2.md", "notes/3.md"], ["notes/4.md"]]
    assert resources.list_resources(tools, "0:zzz").resources == []
    with pytest.raises(QuestionError, match="'zzz' is no cursor"):
        resources.list_resources(tools, "zzz")


def test_an_unexpected_error_is_logged_without_keys_and_does_not_end_the_server(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-0123456789")
    server = Process(folder / "index", script=FAULTY)
    server.call(1, "ask", question=ANSWER)
    result = server.receive()["result"]
    assert result["isError"]
    assert result["content"][0]["text"] == "The tool ask failed: RuntimeError. The log of the server has the details."
    server.send({"id": 2, "method": "ping"})
    assert server.receive()["id"] == 2
    _, errors = server.process.communicate()
    assert "RuntimeError: the key … is wrong" in errors.decode() and "sk-secret" not in errors.decode()


async def test_a_newer_generation_is_used_at_once_and_a_damaged_index_is_an_error(
    encoder: EchoEncoder, tmp_path: Path
) -> None:
    (tmp_path / "notes").mkdir()
    manifest = tmp_path / "index/manifest.json"
    async with connected(tmp_path / "index") as session:
        for number in (1, 2):
            (tmp_path / f"notes/{number}.md").write_text(f"# Page {number}\n\nText {number}.\n")
            build(tmp_path, encoder)
            assert structured(await session.call_tool("status", {}))["documents"] == number
        whole = manifest.read_text()
        manifest.write_text(whole.replace('"format_version": ', '"format_version": 9'))
        newer = await session.call_tool("search", {"question": "page"})
        assert newer.isError and "this version of echo-index reads formats up to" in text_of(newer)
        for name in ("manifest.json", "catalog.sqlite"):
            (tmp_path / "index" / name).write_bytes(b"damaged" * 1000)
        damaged = await session.call_tool("search", {"question": "page"})
        assert damaged.isError and "echo-index" in text_of(damaged)
        assert (await session.list_tools()).tools, "the server goes on"


def test_only_the_protocol_is_on_standard_output(endless: Process) -> None:
    endless.send({"id": 2, "method": "tools/list"})
    while "id" not in (message := endless.receive()):  # each line is JSON
        assert message["method"] == "notifications/progress"
    assert message["id"] == 2
    assert endless.process.stdin is not None
    endless.process.stdin.close()
    endless.process.wait(timeout=5)
    assert endless.process.stderr is not None
    errors = endless.process.stderr.read().decode()
    assert "printed by Python" in errors and "printed by C" in errors


def test_a_closed_input_ends_the_process_while_it_writes(endless: Process) -> None:
    assert endless.process.stdin is not None
    endless.process.stdin.close()
    assert endless.process.wait(timeout=5) == 0


def test_a_client_that_reads_no_longer_does_not_keep_the_process(endless: Process) -> None:
    endless.call(2, "status")
    while endless.receive().get("id") != 2:  # then the index is open
        pass
    for number in range(3, 40):  # more answers than fit into the pipe
        endless.call(number, "read", source="notes/long.txt", characters=20_000)
    time.sleep(1)
    assert endless.process.stdin is not None
    endless.process.stdin.close()
    assert endless.process.wait(timeout=5) == 0


def test_a_killed_client_leaves_no_process(folder: Path, tmp_path: Path) -> None:
    noted = tmp_path / "pid"
    client = (
        "import os, subprocess, sys, time\n"
        "server = subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "open(sys.argv[1], 'w').write(str(server.pid))\n"
        "print(server.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    given = parameters(folder / "index")
    process = subprocess.Popen(
        [sys.executable, "-c", client, str(noted), given.command, *given.args], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    server = int(process.stdout.readline())
    process.kill()
    process.wait()
    for _ in range(100):
        if not Path(f"/proc/{server}").exists() or " Z " in Path(f"/proc/{server}/stat").read_text():
            return
        time.sleep(0.05)
    os.kill(server, 9)
    pytest.fail("the server outlived its client")


def test_a_cancelled_answer_stops_and_what_is_no_message_is_passed_over(endless: Process) -> None:
    endless.send({"method": "notifications/cancelled", "params": {"requestId": 1}})
    assert endless.process.stdin is not None
    endless.process.stdin.write(b"this is no JSON\n\n{}\n\xff\xfe\n")
    endless.send({"id": 9, "method": "ping"})
    received = []
    while not received or received[-1].get("id") != 9:
        received.append(endless.receive())
    assert [message for message in received if message.get("id") == 1 and "error" in message]
    endless.send({"id": 10, "method": "ping"})
    assert endless.receive()["id"] == 10, "no progress of the cancelled answer follows"
    assert_stopped(endless)


def test_a_cancelled_answer_stops_also_if_nobody_wants_its_progress(folder: Path) -> None:
    server = Process(folder / "index", script=ENDLESS)
    server.call(1, "ask", question=ANSWER)
    assert server.process.stderr is not None
    assert server.process.stderr.readline() == b"printed by Python\n"
    server.send({"method": "notifications/cancelled", "params": {"requestId": 1}})
    assert_stopped(server)
    server.process.kill()
    server.process.wait()


def assert_stopped(server: Process) -> None:
    """Wait until the model has stopped to write."""
    assert server.process.stderr is not None
    timer = Timer(20, server.process.kill)
    timer.start()
    lines = iter(server.process.stderr.readline, b"")
    assert b"stopped\n" in lines
    timer.cancel()


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from echo_index.app.services import mcp_package
    from echo_index.errors import MissingPackage

    monkeypatch.setattr(mcp_package, "find_spec", lambda name: None)
    with pytest.raises(MissingPackage, match=r"pip install 'echo-index\[mcp\]'"):
        mcp_package.require_mcp()
