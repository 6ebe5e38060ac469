"""Publish to a real Milvus server, that of the package `milvus` 2.3.5, which is killed and started again.

The package has 58 MB and unpacks 250 MB; the server starts in about 10 seconds.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from indexer_helpers import WordEncoder, build, write
from store_helpers import NOTHING_LEFT, found, leftovers, open_retriever, places, seen

from echo_index.errors import EchoIndexError, QuestionError, StoreError
from echo_index.indexer.catalog.records import SearchFilter
from echo_index.indexer.stores.location import StoreLocation
from echo_index.indexer.stores.milvus import connection as connections
from echo_index.indexer.stores.milvus.connection import MilvusConnection, connect, disconnect
from echo_index.retriever.search.retriever import Retriever

pytest.importorskip("pymilvus", reason="stores need pymilvus: pip install 'echo-index[milvus]'")
milvus = pytest.importorskip(
    "milvus", reason="the package milvus is not installed: pip install --no-deps milvus==2.3.5"
)


_START_SECONDS = 60
_FIXED_PORTS = (2380, 9091)


class Server:
    """A Milvus server that keeps its data in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._server: Any = None

    def start(self) -> None:
        config = milvus.MilvusServerConfig(data_dir=str(self.folder), proxy_port=self.port)
        config.try_bind_port = _bound
        self._server = milvus.MilvusServer(config, wait_for_started=False)
        self._server.start()
        for _ in range(_START_SECONDS):
            time.sleep(1)
            with suppress(EchoIndexError):
                disconnect_all(self("any"))
                connect(StoreLocation.parse(self("any"))).names()
                return
            assert self._server.server_proc.poll() is None, "the server has ended; see its logs"
        pytest.fail(f"the server does not answer after {_START_SECONDS} seconds")

    def kill(self) -> None:
        self._server.server_proc.kill()
        self._server.server_proc.wait()

    def stop(self) -> None:
        self._server.stop()

    def __call__(self, name: str) -> str:
        return f"milvus:http://127.0.0.1:{self.port}#{name}"


def _bound(port: int) -> socket.socket | None:
    """Bind a port, also one whose connections have just been closed, unlike the package."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(("127.0.0.1", port))
    except OSError:
        bound.close()
        return None
    return bound


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    for port in _FIXED_PORTS:
        with socket.socket() as probe:
            if not probe.connect_ex(("127.0.0.1", port)):
                pytest.skip(f"another server, maybe of Milvus, has port {port}")
    started = Server(tmp_path_factory.mktemp("milvus"))
    started.start()
    yield started
    started.stop()


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    texts = {
        f"note{number:02}": f"# Note {number}\n\n"
        + " ".join(f"whale {number} sea {number * word}" for word in range(20))
        for number in range(30)
    }
    write(folder, **texts)
    return folder


def test_a_server_without_bm25_finds_the_same_by_meaning(server: Server, notes: Path, tmp_path: Path) -> None:
    build(notes, tmp_path / "index", store=server("meaning"))
    local = open_retriever(tmp_path / "index")
    notices: list[str] = []
    stored = Retriever.open(server("meaning"), encoder=WordEncoder(), notice=notices.append)  # type: ignore[arg-type]
    for number in range(5):
        query = f"whale {number} sea {number * 3}"
        for where in (None, SearchFilter.parse(paths=["*1*"]), SearchFilter.parse(where="title contains 2")):
            expected = local.search(query, k=10, mode="dense", where=where)
            assert places(stored.search(query, k=10, mode="dense", where=where)) == places(expected)
            assert places(stored.search(query, k=10, mode="hybrid", where=where)) == places(expected)
    [notice] = notices
    assert "cannot search by words, which needs version 2.5: hybrid search goes by meaning alone." in notice
    with pytest.raises(QuestionError, match=r"cannot search by words: Milvus ranks by BM25 from version 2\.5 on"):
        stored.search("whale", mode="lexical")
    assert seen(server("meaning")) == seen(tmp_path / "index")


def test_changes_and_rebuilds_are_published(server: Server, notes: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    build(notes, index, store=server("changes"))
    reader = open_retriever(server("changes"))
    write(notes, note01="# Note 1\n\nSomething else.", added="# Added\n\nNew.")
    (notes / "note02.md").rename(notes / "renamed.md")
    build(notes, index)
    assert found(reader) == found(open_retriever(index))
    build(notes, index, rebuild=True)
    assert found(reader) == found(open_retriever(index))
    (notes / "added.md").unlink()
    build(notes, index)
    write(notes, last="# Last\n\nThe last one.")
    build(notes, index)
    assert found(reader) == found(open_retriever(index))
    assert leftovers(server("changes")) == NOTHING_LEFT


def test_a_server_that_is_killed_while_a_build_publishes_gets_the_rest_from_the_next(
    server: Server, notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("echo_index.indexer.stores.milvus.publication._GROUP", 40)
    monkeypatch.setattr("echo_index.indexer.stores.milvus.publication._ROWS", 10)
    index, store = tmp_path / "index", server("killed")
    write(notes, first="# First\n\nThe first one.")
    build(notes, index, store=store, include=["first.md"])
    before = found(open_retriever(store))
    original = MilvusConnection.insert
    left = 8
    monkeypatch.setattr(connections, "_SECONDS", 3)

    def insert(self: MilvusConnection, *arguments: Any, **options: Any) -> None:
        nonlocal left
        left -= 1
        if not left:
            server.kill()
        original(self, *arguments, **options)

    monkeypatch.setattr(MilvusConnection, "insert", insert)
    with pytest.raises(StoreError, match=r"is complete, but was not published: The Milvus server .* cannot be reached"):
        build(notes, index, include=["*"])
    monkeypatch.undo()
    assert len(found(open_retriever(index))) > 100
    server.start()
    assert found(open_retriever(store)) == before
    report = build(notes, index)
    assert report.published is not None
    assert report.embedded == 0
    assert found(open_retriever(store)) == found(open_retriever(index))
    assert leftovers(store) == NOTHING_LEFT


def disconnect_all(store: str) -> None:
    """Close the connections of this process to a server, as a new process would have none."""
    location = StoreLocation.parse(store)
    while location.uri in connections._connections:
        disconnect(location)
