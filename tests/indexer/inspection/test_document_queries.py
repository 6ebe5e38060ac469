"""Queries of documents: their list, their restored text, and a passage by its start."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from example_documents import pdf_file
from indexer_helpers import WordEncoder, build, write
from repository import ROOT

from echo_index.errors import DocumentError
from echo_index.indexer.building.removal import remove_documents
from echo_index.indexer.catalog.chunk_queries import DocumentSelection
from echo_index.indexer.catalog.records import SearchFilter
from echo_index.indexer.documents.chunking import Chunking
from echo_index.indexer.documents.formats import read_document
from echo_index.indexer.generations.snapshot import Snapshot, open_snapshot
from echo_index.indexer.inspection.document_queries import (
    ListedDocument,
    find_passage,
    list_documents,
    page_documents,
    read_indexed_document,
    texts_before,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build an index of files in several formats, one of which cannot be read."""
    folder = tmp_path_factory.mktemp("library")
    shutil.copytree(ROOT / "docs", folder / "docs", ignore=shutil.ignore_patterns("*.png"))
    shutil.copy(ROOT / "indexer/catalog/catalog.py", folder)
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "gaps.txt").write_text("\n\n  One.  Two.\n\n\n\n    Three\tfour.   \n \n Five.\n\n")
    page = "\n".join(f"Line {number} of a page. It says nothing else." for number in range(30))
    (folder / "pages.pdf").write_bytes(pdf_file([f"First\n{page}", "", f"Third\n{page}"], title="Pages"))
    (folder / "page.html").write_text(
        "<h1>Page</h1><p>Some words.</p>\n\n\n<p>And some more of them, as it were.</p>" * 9
    )
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 no more of it")
    build(folder, folder / "index", chunking=Chunking(40, 8))
    return folder


@pytest.fixture
def snapshot(folder: Path) -> Iterator[Snapshot]:
    snapshot = open_snapshot(folder / "index", index_device="cpu")
    with closing(snapshot.catalog):
        yield snapshot


def test_passages_have_the_same_offsets_as_in_the_original_text(folder: Path, snapshot: Snapshot) -> None:
    ids = snapshot.catalog.chunk_ids(SearchFilter(), generation=snapshot.manifest.generation)
    chunks = snapshot.catalog.chunks([*map(int, ids)]).values()
    documents = {path: read_indexed_document(snapshot, path) for path in {found.path for found in chunks}}
    assert {document.format for document in documents.values()} == {"markdown", "code", "text", "pdf", "html"}
    for found in chunks:
        chunk, document = found.chunk, documents[found.path]
        assert document.text[chunk.start : chunk.end] == chunk.text
        assert chunk in document.passages
    assert sum(len(document.passages) for document in documents.values()) == len(chunks)
    for path, document in documents.items():
        original = read_document(folder / path)
        assert (document.path, document.title, document.format) == (path, original.title, original.format)
        assert len(document.text) == len(original.text.rstrip())
        assert document.text.split() == original.text.split(), "nothing but white space is another"
        assert [passage.start for passage in document.passages] == sorted({p.start for p in document.passages})


def test_lines_and_indentation_of_code_are_restored(folder: Path, snapshot: Snapshot) -> None:
    assert read_indexed_document(snapshot, "catalog.py").text == (folder / "catalog.py").read_text().rstrip()
    markdown = read_indexed_document(snapshot, "docs/documents.md").text
    assert markdown == (folder / "docs/documents.md").read_text().rstrip()
    text = read_indexed_document(snapshot, "gaps.txt").text
    assert [len(line.strip()) for line in text.split("\n")] == [0, 0, 10, 0, 0, 0, 11, 0, 5]


def test_all_documents_are_listed(folder: Path, snapshot: Snapshot) -> None:
    listed = {document.path: document for document in list_documents(snapshot)}
    assert [*listed] == sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if "index" not in path.parts and path.is_file()
    )
    assert sum(document.passages for document in listed.values()) == snapshot.manifest.chunks
    size = (folder / "pages.pdf").stat().st_size
    pages = len(read_indexed_document(snapshot, "pages.pdf").passages)
    assert listed["pages.pdf"] == ListedDocument("pages.pdf", "Pages", "pdf", size, pages, None)
    broken = listed["broken.pdf"]
    assert (broken.title, broken.format, broken.passages) == ("broken.pdf", "", 0)
    assert (broken.failure or "").startswith("It is not a readable PDF")


def test_a_passage_is_found_by_its_start(snapshot: Snapshot) -> None:
    second = read_indexed_document(snapshot, "pages.pdf").passages[1]
    found = find_passage(snapshot, "pages.pdf", second.start)
    assert found is not None
    assert (found.path, found.chunk.end, found.chunk.page) == ("pages.pdf", second.end, second.page)
    first = find_passage(snapshot, "catalog.py", 0)
    assert first is not None and first.chunk.line == 1
    assert find_passage(snapshot, "pages.pdf", second.start + 1) is None
    assert find_passage(snapshot, "nowhere.md", 0) is None


def test_errors_say_why_a_document_cannot_be_shown(snapshot: Snapshot) -> None:
    with pytest.raises(DocumentError, match=r"There is no document nowhere\.md in this index"):
        read_indexed_document(snapshot, "nowhere.md")
    with pytest.raises(DocumentError, match=r"broken\.pdf could not be read: It is not a readable PDF"):
        read_indexed_document(snapshot, "broken.pdf")


def test_each_generation_has_its_own_documents(tmp_path: Path) -> None:
    crust = "## Crust\n\nThe crust of a bread that was baked for long is dark and hard.\n"
    write(tmp_path, bread=f"# Bread\n\nBread is old.\n\n{crust}", salt="# Salt\n\nSalt is white.\n")
    build(tmp_path, tmp_path / "index")
    before = open_snapshot(tmp_path / "index", index_device="cpu")
    write(tmp_path, bread=f"# Bread\n\nBread is new.\n\n{crust}", new="# New\n\nNew.\n")
    build(tmp_path, tmp_path / "index", WordEncoder())
    remove_documents(["salt.md"], tmp_path / "index")
    after = open_snapshot(tmp_path / "index", index_device="cpu")
    with closing(before.catalog), closing(after.catalog):
        assert [document.path for document in list_documents(after)] == ["bread.md", "new.md"]
        bread = read_indexed_document(after, "bread.md")
        assert bread.text.startswith("# Bread\n\nBread is new.")
        start = bread.passages[1].start
        assert texts_before(after, [("bread.md", start)], passages=9) == {("bread.md", start): bread.text[:start]}
        with pytest.raises(DocumentError):
            read_indexed_document(after, "salt.md")
        with pytest.raises(DocumentError):
            read_indexed_document(before, "new.md")
        assert find_passage(before, "new.md", 0) is None


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_pages_of_the_list_are_parts_of_it(snapshot: Snapshot, limit: int) -> None:
    whole = list_documents(snapshot)
    pages = []
    for offset in range(0, len(whole) + limit, limit):
        page, total = page_documents(snapshot, DocumentSelection(), offset=offset, limit=limit)
        assert total == len(whole) and len(page) <= limit
        pages += page
    assert pages == whole
    assert page_documents(snapshot, DocumentSelection(), offset=2**53, limit=limit) == ([], len(whole))


def test_documents_are_selected_by_path_and_title_in_any_case(tmp_path: Path) -> None:
    (tmp_path / "straße_100%.txt").write_text("A street.")
    (tmp_path / "bread.md").write_text("# ÄPFEL in dough\n\nBake them.")
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7 no more of it")
    (tmp_path / "street.txt").write_text("A street.")
    build(tmp_path, tmp_path / "index")

    snapshot = open_snapshot(tmp_path / "index", index_device="cpu")

    def selected(selection: DocumentSelection, limit: int = 9) -> tuple[list[str], int]:
        page, total = page_documents(snapshot, selection, limit=limit)
        return [document.path for document in page], total

    assert selected(DocumentSelection("STRASSE")) == (["straße_100%.txt"], 1)
    assert selected(DocumentSelection("0%")) == selected(DocumentSelection("e_1")) == (["straße_100%.txt"], 1)
    assert selected(DocumentSelection("äpfel")) == ([], 0)
    assert selected(DocumentSelection("äpfel", in_titles=True)) == (["bread.md"], 1)
    assert selected(DocumentSelection("b"), limit=1) == (["bread.md"], 2)
    assert selected(DocumentSelection(readable=True, after="bread.md")) == (["straße_100%.txt", "street.txt"], 2)
    assert selected(DocumentSelection(after="broken.pdf"), limit=1) == (["straße_100%.txt"], 2)


def test_the_text_before_a_passage_ends_where_it_begins(snapshot: Snapshot) -> None:
    document = read_indexed_document(snapshot, "docs/documents.md")
    starts = [passage.start for passage in document.passages]
    found = texts_before(snapshot, [(document.path, start) for start in starts], passages=3)
    assert [*found] == [(document.path, start) for start in starts[1:]], "nothing is before the first one"
    for number, start in enumerate(starts[1:], start=1):
        assert found[document.path, start] == document.text[starts[max(0, number - 3)] : start]
    assert texts_before(snapshot, [(document.path, starts[1] + 1), ("nowhere.md", 5)], passages=3) == {}
