"""Publish to a store and search it from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from command_runner import Run

from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.stores.milvus import connection


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "fox.md").write_text("# The fox\n\nThe quick brown fox jumps over the lazy dog.\n")
    (folder / "vow.md").write_text("# Wizards\n\nSeven wizards quietly judge my vow.\n")
    return folder


@pytest.fixture
def needs_lite() -> None:
    pytest.importorskip("pymilvus", reason="stores need pymilvus: pip install 'echo-index[milvus]'")
    pytest.importorskip("milvus_lite", reason="milvus-lite is not installed: pip install --no-deps milvus-lite")


@pytest.mark.usefixtures("needs_lite")
def test_an_index_is_published_searched_and_updated(run: Run, notes: Path, tmp_path: Path) -> None:
    built = run("build", "notes", "--store", "milvus:store.db")
    assert built.code == 0
    assert f"Published to milvus:{tmp_path}/store.db: 2 documents with 2 passages." in built.out
    local, stored = (run("search", "lazy dog", "-k", "2", "--mode", "dense", *index) for index in ((), STORE))
    assert stored.out == local.out
    assert "notes/fox.md:3" in run("search", "lazy dog", "--mode", "lexical", *STORE).out
    (notes / "fox.md").write_text("# The fox\n\nThe fox sleeps.\n")
    changed = run("build")
    assert "Published to" in changed.out
    assert "1 document with 1 passage; 1 document removed." in changed.out
    assert "Published to" not in run("build").out
    assert "The fox sleeps." in run("read", "notes/fox.md", *STORE).out
    assert run("remove", "notes/vow.md").code == 0
    assert "vow.md" not in run("search", "wizards", "--mode", "lexical", *STORE).out
    report = json.loads(run("build", "notes", "--json").out)
    assert report["published"] is None


STORE = ("--index", "milvus:./store.db")


@pytest.mark.usefixtures("needs_lite")
def test_status_says_where_an_index_is_published(run: Run, notes: Path, tmp_path: Path) -> None:
    run("build", "notes", "--store", "milvus:store.db#notes")
    assert f"to milvus:{tmp_path}/store.db#notes, generation 1" in run("status").out
    stored = run("status", "--index", "milvus:store.db#notes").out
    assert f"Index         milvus:{tmp_path}/store.db#notes, generation 1" in stored
    assert "by the Milvus server" in stored
    assert run("build", "--store", "").code == 0
    assert "milvus" not in run("status").out
    missing = run("status", "--index", "milvus:store.db#other")
    assert missing.code == 1
    assert f"There is no index in milvus:{tmp_path}/store.db#other." in missing.err


@pytest.mark.usefixtures("needs_lite")
def test_a_store_that_cannot_be_reached_leaves_the_index_and_is_told_in_a_sentence(
    run: Run, notes: Path, tmp_path: Path
) -> None:
    failed = run("build", "notes", "--store", "milvus:http://127.0.0.1:1")
    assert failed.code == 1
    assert failed.err.splitlines()[-1] == (
        "Error: The Milvus server http://127.0.0.1:1 cannot be reached, or does not answer in time. Check the address, "
        "that it runs, and ECHO_INDEX_MILVUS_TOKEN if it asks for a token."
    )
    run("build", "notes", "--store", "milvus:store.db")
    (tmp_path / "store.db").rename(tmp_path / "moved.db")
    (tmp_path / "store.db").write_text("no folder")
    (notes / "vow.md").write_text("# Wizards\n\nNine wizards judge.\n")
    failed = run("build")
    assert failed.code == 1
    assert "The index in .echo-index is complete, but was not published: " in failed.err
    assert "The next build publishes it." in failed.err
    assert "Nine wizards" in run("search", "wizards", "--mode", "lexical").out
    assert "the next build publishes generation 2" in run("status").out
    (tmp_path / "store.db").unlink()
    (tmp_path / "moved.db").rename(tmp_path / "store.db")
    assert "Published to" in run("build").out
    assert "Nine wizards" in run("search", "wizards", "--mode", "lexical", *STORE).out


@pytest.mark.parametrize(
    ("store", "sentence"),
    [
        ("notes", "'notes' is no store."),
        ("milvus:notes", "notes is neither the URI of a Milvus server nor a .db file."),
        ("milvus:http://ada:secret@host:19530", "The URI of the Milvus server host has a user or a password in it"),
        ("milvus:http://host:19530#9", "An index in Milvus cannot be called '9'."),
        ("milvus:http://:19530", "http://:19530 is no URI of a Milvus server."),
    ],
)
def test_what_is_no_store_is_bad_usage(run: Run, notes: Path, tmp_path: Path, store: str, sentence: str) -> None:
    failed = run("build", "notes", "--store", store)
    assert failed.code == 2
    shown = " ".join(line.strip("│ ") for line in failed.err.splitlines())
    assert sentence in shown
    assert "secret" not in failed.err
    assert not (tmp_path / ".echo-index").exists()


@pytest.mark.parametrize("command", [["build", "notes"], ["remove", "a.md"], ["verify"], ["export", "out.parquet"]])
def test_commands_that_need_a_folder_say_so(run: Run, notes: Path, tmp_path: Path, command: list[str]) -> None:
    failed = run(*command, "--index", "milvus:http://host:19530")
    assert failed.code == 1
    assert "This command needs the folder of the index, and milvus:http://host:19530 is in a store." in failed.err
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


def test_a_missing_package_is_named(run: Run, notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    failed = run("search", "fox", "--index", "milvus:http://host:19530")
    assert failed.code == 1
    assert "pymilvus, which milvus:http://host:19530 needs, is not installed." in failed.err
    assert "pip install 'echo-index[milvus]'" in failed.err


@pytest.mark.usefixtures("needs_lite")
def test_a_file_that_another_process_has_open_is_told(run: Run, notes: Path, tmp_path: Path) -> None:
    run("build", "notes", "--store", "milvus:store.db")
    assert str(tmp_path / "store.db") not in connection._connections
    code = (
        "import sys, time; from echo_index.indexer.stores.location import StoreLocation as L; "
        "from echo_index.indexer.stores.milvus.connection import connect; "
        "connect(L.parse('milvus:store.db')); print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        failed = run("search", "fox", *STORE)
        assert other.stdin is not None
        other.stdin.close()
    assert failed.code == 1
    assert "store.db cannot be opened: another process has it open" in failed.err
    assert run("search", "fox", *STORE).code == 0


@pytest.mark.usefixtures("needs_lite")
def test_a_store_can_have_the_name_of_a_collection(run: Run, notes: Path, tmp_path: Path) -> None:
    run("build", "notes", "--store", "milvus:store.db#notes")
    assert run("collections", "add", "shared", "milvus:store.db#notes").code == 0
    try:
        assert "notes/fox.md:3" in run("search", "lazy dog", "--mode", "lexical", "--index", "shared").out
        assert f"milvus:{tmp_path}/store.db#notes" in run("collections", "list").out
        assert "needs the folder of the index" in run("build", "--index", "shared").err
    finally:
        run("collections", "remove", "shared")
    assert run("collections", "add", "wrong", "milvus:#").code == 1


@pytest.mark.usefixtures("needs_lite")
def test_an_exported_index_does_not_take_the_store_with_it(run: Run, notes: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    run("build", "notes", "--store", "milvus:store.db")
    assert run("export", "notes.parquet").code == 0
    assert run("import", "notes.parquet", "--index", "copy").code == 0
    catalog = Catalog(tmp_path / "copy" / "catalog.sqlite")
    assert all(catalog.setting(name) is None for name in ("store", "store owner", "store generation"))
