"""Builds from addresses give the index of the same files on this machine, and lose nothing that cannot be reached."""

from __future__ import annotations

import shutil
import sqlite3
import threading
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from indexer_helpers import WordEncoder, documents
from indexer_helpers import build as build_files
from remote_drivers import Shelf, shelf

from echo_index.errors import DocumentError, IndexMismatch, SourceError
from echo_index.indexer.building.build_documents import index_documents
from echo_index.indexer.building.document_sync import BuildReport
from echo_index.indexer.building.removal import remove_documents
from echo_index.indexer.catalog.records import SearchFilter
from echo_index.indexer.documents.document import Document
from echo_index.indexer.generations import manifest
from echo_index.indexer.generations.manifest import FORMAT_VERSION, read_manifest
from echo_index.indexer.generations.snapshot import open_snapshot
from echo_index.indexer.generations.source_registry import read_sources
from echo_index.indexer.inspection.changed_files import find_changes, quick_changes
from echo_index.indexer.inspection.page_images import render_page
from echo_index.indexer.sources.remote import files as remote_files
from echo_index.indexer.sources.source import Source
from echo_index.retriever.search.retriever import Retriever

BOOKS = "shelf://books"


def build(sources: Sequence[str], index: Path, **options: Any) -> BuildReport:
    return build_files(sources, index, **options)  # type: ignore[arg-type]


def rows(index: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(index / "catalog.sqlite")) as catalog:
        return catalog.execute(query).fetchall()


def open_retriever(index: Path) -> Retriever:
    return Retriever.open(index, encoder=WordEncoder())  # type: ignore[arg-type]


@pytest.fixture
def books(folder: Path) -> Iterator[Shelf]:
    """Return a driver with the files of `folder` and an archive at shelf://books."""
    driver = shelf()
    (folder / "LICENSE").write_text("Everybody may read this.\n")
    (folder / "moon.bin").write_bytes(bytes(range(256)))
    with zipfile.ZipFile(folder / "mail.zip", "w") as archive:
        archive.writestr("inside/letter.md", "# Letter\n\nThe ferry leaves at noon.\n")
    for path in folder.rglob("*"):
        if path.is_file():
            driver.pipe_file(f"/books/{path.relative_to(folder).as_posix()}", path.read_bytes())
    yield driver
    Shelf.reset()


def paths(index: Path) -> list[str]:
    return [path.removeprefix(f"{BOOKS}/") for path in documents(index)]


def content(index: Path, root: str) -> list[tuple[Any, ...]]:
    """Return the rows of documents and passages without paths below `root`, times and ids."""
    described = rows(
        index, "SELECT path, hash, size, format, title, failure, omissions, archive, fields FROM documents"
    )
    chunks = rows(
        index,
        "SELECT path, chunks.text, start, hex(chunks.hash), hex(code) FROM chunks "
        "JOIN documents ON documents.id = chunks.document JOIN vector_codes ON vector_codes.chunk = chunks.id",
    )
    return sorted(tuple(str(value).removeprefix(root) for value in row) for row in (*described, *chunks))


def test_the_index_is_that_of_the_same_files_here(books: Shelf, folder: Path, tmp_path: Path) -> None:
    far = build([BOOKS], tmp_path / "far/index")
    near = build([str(folder)], tmp_path / "near/index")
    assert (far.added, far.chunks, far.skipped, far.failures) == (near.added, near.chunks, near.skipped, near.failures)
    assert far.added == 5
    assert content(tmp_path / "far/index", BOOKS) == content(tmp_path / "near/index", str(folder))
    assert read_sources(tmp_path / "far/index") == [BOOKS]
    local = build([f"file://{folder}"], tmp_path / "file/index")
    assert local.added == 5
    assert content(tmp_path / "file/index", f"file://{folder}") == content(tmp_path / "near/index", str(folder))


def test_only_what_has_changed_is_fetched(books: Shelf, tmp_path: Path) -> None:
    index = tmp_path / "index"
    build([BOOKS], index)
    assert books.fetched() == ["LICENSE", "bread.md", "mail.zip", "stars.md", "whales.md"]
    same = build([BOOKS], index)
    assert (same.unchanged, same.embedded) == (5, 0)
    assert {request for request in books.requests if request[:4] not in ("info", "find")} == {"look /books/moon.bin"}
    books.requests.clear()
    books.put(bread_md="# Bread\n\nIt is baked.\n", new_md="# New\n\nHere.\n")
    books.rm_file("/books/deep/stars.md")
    changes = find_changes(index)
    assert (changes.new, changes.changed, changes.removed, changes.gone) == (1, 1, 1, ())
    quick = quick_changes(index, seconds=60)
    assert quick is not None and quick.count == 0, "nobody is asked over the network before a search"
    books.requests.clear()
    report = build([BOOKS], index)
    assert books.fetched() == ["bread.md", "new.md"]
    assert (report.added, report.changed, report.removed, report.unchanged) == (1, 1, 1, 3)
    assert paths(index) == ["LICENSE", "bread.md", "mail.zip!/inside/letter.md", "new.md", "whales.md"]


def test_an_earlier_version_does_not_open_an_index_of_addresses(
    books: Shelf, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build([str(folder)], tmp_path / "near/index")
    assert read_manifest(tmp_path / "near/index").format_version == FORMAT_VERSION
    build([BOOKS], tmp_path / "index")
    remove_documents([f"{BOOKS}/whales.md"], tmp_path / "index")
    assert read_manifest(tmp_path / "index").format_version == 8
    named = [("https://host/page", Document("It is known by its address.", "Page", "text"))]
    index_documents(named, tmp_path / "objects", encoder=WordEncoder())  # type: ignore[arg-type]
    assert read_manifest(tmp_path / "objects").format_version == FORMAT_VERSION, "it is no file"
    monkeypatch.setattr(manifest, "NEWEST_FORMAT", 7)
    with pytest.raises(IndexMismatch, match="has format 8"):
        read_manifest(tmp_path / "index")


def test_nothing_fetched_stays_behind(books: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    build([BOOKS], tmp_path / "index")
    assert not any((tmp_path / "temporary").iterdir())


def test_addresses_and_folders_go_together(books: Shelf, folder: Path, tmp_path: Path) -> None:
    index = folder.parent / "index"
    report = build([BOOKS, str(folder / "deep"), f"{BOOKS}/deep"], index, exclude=["mail.zip"])
    assert report.added == 5
    assert "docs/deep/stars.md" in paths(index) and read_sources(index) == [
        str(folder / "deep"),
        BOOKS,
        f"{BOOKS}/deep",
    ]


@pytest.mark.parametrize("keep_gone", [False, True])
def test_a_place_that_cannot_be_reached_keeps_its_documents(books: Shelf, tmp_path: Path, keep_gone: bool) -> None:
    index = tmp_path / "index"
    build([BOOKS], index)
    Shelf.is_down = True
    before = paths(index)
    if keep_gone:
        assert build([BOOKS], index, keep_gone=True).gone == [(BOOKS, "cannot be read (no route to the shelf)")]
    else:
        with pytest.raises(SourceError, match="no route to the shelf; nothing was removed"):
            build([BOOKS], index)
    assert paths(index) == before and len(before) == 5
    assert find_changes(index).gone == ((BOOKS, "cannot be read (no route to the shelf)"),)
    assert find_changes(index).count == 0


def test_a_place_that_has_become_empty_keeps_its_documents(books: Shelf, tmp_path: Path) -> None:
    index = tmp_path / "index"
    build([BOOKS], index)
    Shelf.store.clear()
    with pytest.raises(SourceError, match="nothing was removed"):
        build([BOOKS], index)
    assert len(paths(index)) == 5


def test_a_file_that_cannot_be_fetched_stays_as_it_was(books: Shelf, tmp_path: Path) -> None:
    index = tmp_path / "index"
    build([BOOKS], index)
    books.put(whales_md="# Whales\n\nThey are gone.\n", new_md="# New\n")
    Shelf.refused |= {"whales.md": PermissionError("not for you"), "new.md": OSError("broken pipe")}
    report = build([BOOKS], index)
    assert sorted(report.failures) == [
        (f"{BOOKS}/new.md", "It cannot be fetched: broken pipe."),
        (f"{BOOKS}/whales.md", "It cannot be fetched: not for you."),
    ]
    assert "whales.md" in paths(index) and report.removed == report.changed == 0
    assert open_retriever(index).search("songs", mode="lexical")
    Shelf.refused.clear()
    again = build([BOOKS], index)
    assert again.failures == [] and again.changed == 2 and not open_retriever(index).search("songs", mode="lexical")


def test_an_archive_that_cannot_be_fetched_stays_as_it_was(books: Shelf, folder: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    build([BOOKS], index)
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("other.md", "# Other\n\nIt came later.\n")
    books.put(**{"mail.zip": packed.getvalue()})
    Shelf.refused["mail.zip"] = OSError("broken pipe")
    report = build([BOOKS], index)
    assert report.failures == [(f"{BOOKS}/mail.zip", "It cannot be fetched: broken pipe.")]
    assert "mail.zip!/inside/letter.md" in paths(index)
    Shelf.refused.clear()
    build([BOOKS], index)
    assert "mail.zip!/other.md" in paths(index) and "mail.zip!/inside/letter.md" not in paths(index)


def test_a_place_that_is_lost_during_a_build_loses_nothing(
    books: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = tmp_path / "index"
    build([BOOKS], index)
    monkeypatch.setattr(remote_files, "_MOST_FAILURES", 3)
    names = [f"new{number}" for number in range(6)]
    books.put(**{f"{name}_md": f"# {name}\n" for name in names})
    Shelf.refused |= {f"{name}.md": OSError("broken pipe") for name in names}
    with pytest.raises(SourceError, match="nor could the 2 files before it: broken pipe"):
        build([BOOKS], index)
    assert len(paths(index)) == 5
    Shelf.refused.clear()
    get_file = Shelf.get_file

    def vanish(self: Shelf, *args: Any, **options: Any) -> None:
        Shelf.store.clear()
        get_file(self, *args, **options)

    monkeypatch.setattr(Shelf, "get_file", vanish)
    with pytest.raises(SourceError, match="disappeared while it was being read"):
        build([BOOKS], index)
    assert len(paths(index)) == 5


def test_removed_documents_stay_out(books: Shelf, tmp_path: Path) -> None:
    index = tmp_path / "index"
    build([BOOKS], index)
    remove_documents([f"{BOOKS}/whales.md"], index)
    books.put(whales_md="# Whales\n\nThey are back.\n")
    books.requests.clear()
    assert build([BOOKS], index).left_out == 1 and books.fetched() == []
    assert build([f"{BOOKS}/whales.md"], index).added == 1


def test_a_source_is_forgotten_when_the_place_says_that_it_is_gone(books: Shelf, folder: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    build([BOOKS], index)
    Shelf.is_down = True
    build([str(folder)], index)
    assert read_sources(index) == [str(folder), BOOKS]
    Shelf.is_down = False
    Shelf.store.clear()
    build([str(folder)], index)
    assert read_sources(index) == [str(folder)]


def test_searches_are_limited_to_folders_at_an_address(books: Shelf, tmp_path: Path) -> None:
    index = tmp_path / "index"
    build([BOOKS], index)
    retriever = open_retriever(index)

    def found(*names: str) -> set[str]:
        hits = retriever.search("stars bread ferry", mode="lexical", where=SearchFilter.parse(paths=names))
        return {hit.source.removeprefix(f"{BOOKS}/") for hit in hits}

    assert found(f"{BOOKS}/deep") == found(f"{BOOKS}/deep/") == {"deep/stars.md"}
    assert found(f"{BOOKS}/*read.md") == {"bread.md"}
    assert found(f"{BOOKS}/mail.zip") == {"mail.zip!/inside/letter.md"}


def test_a_file_without_a_time_is_in_no_range_of_dates(
    books: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = Shelf.find

    def versions(self: Shelf, *args: Any, **options: Any) -> Any:
        found = find(self, *args, **options)
        return {name: {**info, "created": None, "blob_id": name} for name, info in found.items()}

    monkeypatch.setattr(Shelf, "find", versions)
    index = tmp_path / "index"
    build([BOOKS], index)
    assert build([BOOKS], index).unchanged == 5
    retriever = open_retriever(index)
    assert retriever.search("bread", mode="lexical")
    assert not retriever.search("bread", mode="lexical", where=SearchFilter.parse(before="2100"))
    assert not retriever.search("bread", mode="lexical", where=SearchFilter.parse(where="date < 2100"))


def test_pages_of_a_file_elsewhere_are_not_drawn(books: Shelf, tmp_path: Path) -> None:
    from example_documents import pdf_file

    books.put(**{"moon.pdf": pdf_file(["The moon is far away."])})
    build([BOOKS], tmp_path / "index")
    snapshot = open_snapshot(tmp_path / "index", index_device="cpu")
    with closing(snapshot.catalog), pytest.raises(DocumentError, match="is not on this machine"):
        render_page(snapshot, f"{BOOKS}/moon.pdf", 1, width=100)


def test_the_progress_says_what_is_waited_for_and_ctrl_c_does_not_wait(
    books: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hang = threading.Event()
    monkeypatch.setattr(Shelf, "find", lambda self, *args, **options: hang.wait(60))
    told: list[str] = []

    def tell(activity: str) -> None:
        told.append(activity)
        if activity:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build([BOOKS], tmp_path / "index", on_recognizing=tell)
    assert told[-1] == f"listing {BOOKS}"
    hang.set()


def test_an_index_inside_of_a_source_is_not_read(folder: Path) -> None:
    shutil.rmtree(folder / "deep")
    index = folder / "index"
    build([f"file://{folder}"], index)
    report = build([f"file://{folder}"], index)
    assert (report.added, report.unchanged, report.skipped.unsupported) == (0, 2, {})


def test_sources_of_an_index_are_found_again_without_asking_anybody(books: Shelf, tmp_path: Path) -> None:
    build([BOOKS], tmp_path / "index", encoder=WordEncoder())
    books.requests.clear()
    [name] = read_sources(tmp_path / "index")
    assert Source.remembered(name).covers(Source.parse(f"{BOOKS}/deep/stars.md").path) and not books.requests
