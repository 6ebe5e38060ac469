"""Commands with sources at addresses: what is printed and found, and what is said where something cannot be had."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_runner import Run
from remote_drivers import Shelf, shelf

from echo_index.app.services.build_sources import listed_sources
from echo_index.app.services.freshness import watched_sources
from echo_index.app.web.filters import _count_folders
from echo_index.app.web.map_svg import _group_names
from echo_index.indexer.generations.snapshot import open_snapshot
from echo_index.indexer.inspection.document_queries import list_documents
from echo_index.indexer.sources.source import Source


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Shelf]:
    """Return a driver with two files at shelf://books; a third one is in the folder `notes`."""
    driver = shelf()
    driver.put(fox_md="# The fox\n\nThe quick brown fox.\n", deep__vow_md="# A vow\n\nSeven wizards.\n")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/owl.md").write_text("# The owl\n\nIt sleeps.\n")
    yield driver
    Shelf.reset()


def test_an_index_of_an_address_is_searched_read_updated_and_emptied(run: Run, books: Shelf) -> None:
    built = run("build", "shelf://books/", "notes")
    assert built.code == 0 and "Files: 3 new" in built.out
    found = run("search", "wizards", "--mode", "lexical", "--path", "shelf://books/deep")
    assert "shelf://books/deep/vow.md" in found.out and "changed since" not in found.err
    assert run("search", "fox", "--mode", "lexical", "--path", "shelf://books/*.md").code == 0
    assert "Seven wizards." in run("read", "shelf://books/deep/vow.md").out
    books.put(new_md="# New\n\nA badger.\n")
    assert "shelf://books/new.md" in run("search", "badger", "--mode", "lexical", "--update").out
    assert "Removed shelf://books/deep/vow.md" in run("remove", "shelf://books/deep").out
    again = run("build")
    assert "shelf://books" in again.err and "3 unchanged" in again.out


def test_an_address_that_cannot_be_reached_is_said_in_one_sentence(run: Run, books: Shelf) -> None:
    run("build", "shelf://books")
    Shelf.is_down = True
    failed = run("build")
    assert failed.code == 1 and "Traceback" not in failed.err
    assert "shelf://books cannot be read: no route to the shelf; nothing was removed from the index." in failed.err
    updated = run("search", "fox", "--mode", "lexical", "--update")
    assert updated.code == 0 and "shelf://books/fox.md" in updated.out
    assert "its documents stay in the index" in updated.err


def test_a_password_in_an_address_is_neither_shown_nor_stored(run: Run, books: Shelf, tmp_path: Path) -> None:
    for words in (("shelf://key:hush@books",), ("-",)):
        refused = run("build", *words, given=b"s3://key:hush@bucket/docs\n")
        assert refused.code == 1 and "may hold a password" in refused.err
        assert "hush" not in refused.err + refused.out
    assert not any(b"hush" in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


def test_a_missing_driver_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    refused = run("build", "s3://bucket/docs")
    assert refused.code == 1 and "pip install s3fs" in refused.err


def test_nobody_can_watch_an_address(run: Run, books: Shelf) -> None:
    refused = run("build", "shelf://books", "--watch")
    assert refused.code == 1 and "shelf://books cannot be watched" in refused.err
    told: list[str] = []
    sources = [Source.parse("shelf://books"), Source.parse("notes")]
    assert watched_sources(sources, told.append) == sources[1:]
    assert told == ["shelf://books is not watched; echo-index build looks for changes there."]


def test_a_list_of_paths_may_name_addresses(books: Shelf, tmp_path: Path) -> None:
    sources = listed_sources(["shelf://books/fox.md"], tmp_path / "index", include=(), exclude=(), notice=pytest.fail)
    assert [source.name for source in sources] == ["shelf://books/fox.md"]


def test_the_page_offers_the_folders_of_an_address(run: Run, books: Shelf) -> None:
    run("build", "shelf://books", "notes")
    with_paths = list_documents(open_snapshot(Path(".echo-index"), index_device="cpu"))
    assert _count_folders(with_paths) == [("notes", 1), ("shelf://books", 2), ("shelf://books/deep", 1)]
    assert _group_names([]) == []
