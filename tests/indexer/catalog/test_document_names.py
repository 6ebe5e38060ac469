"""A document is found by the name that search shows, whatever letters are in it."""

from __future__ import annotations

from pathlib import Path
from unicodedata import normalize

import pytest

from echo_index.indexer.catalog.document_names import documents_of_names, named_documents

DOCUMENTS = [
    "docs/Report [draft].md",
    "docs/Reportd.md",
    "docs [old]/a.md",
    "docs [old]/deep/b.md",
    "docs/plan (1)?.txt",
    "docs/plan (1)x.txt",
    normalize("NFD", "docs/Käse.md"),
    normalize("NFC", "docs/Größe.md"),
    "docs/two\nlines.md",
    "docs/blank .md ",
    "docs/🦊.md",
    "/elsewhere/c.md",
]
PATHS = dict.fromkeys(DOCUMENTS, "")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_each_document_is_found_by_its_own_name(tmp_path: Path, document: str) -> None:
    for name in (document, f"./{document}", normalize("NFC", document), normalize("NFD", document)):
        if not document.startswith("/") or name.startswith("/"):
            assert named_documents(name, PATHS, tmp_path / ".echo-index") == [document]
    full = str(tmp_path / document)
    assert named_documents(full, PATHS, tmp_path / ".echo-index") == [document]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("docs [old]", ["docs [old]/a.md", "docs [old]/deep/b.md"]),
        ("./docs [old]/", ["docs [old]/a.md", "docs [old]/deep/b.md"]),
        ("docs/plan (1)?.*", ["docs/plan (1)?.txt", "docs/plan (1)x.txt"]),
        ("docs/Repor[st]d.md", ["docs/Reportd.md"]),
        ("docs/Repor[^s]d.md", ["docs/Reportd.md"]),
        ("*/K?se.md", [normalize("NFD", "docs/Käse.md")]),
        ("*" + normalize("NFD", "öße.md"), ["docs/Größe.md"]),
        ("docs/REPORTD.md", []),
        ("doc", []),
        ("", []),
        ("/elsewhere", ["/elsewhere/c.md"]),
    ],
)
def test_folders_and_globs(tmp_path: Path, name: str, expected: list[str]) -> None:
    assert named_documents(name, PATHS, tmp_path / ".echo-index") == expected


def test_a_name_is_read_from_the_current_folder_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").mkdir()
    monkeypatch.chdir(tmp_path / "docs")
    assert named_documents("Report [draft].md", PATHS, tmp_path / "index") == ["docs/Report [draft].md"]
    assert len(documents_of_names(["../docs", "/elsewhere"], PATHS, tmp_path / "index")) == 10


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("docs/a.zip", ["docs/a.zip", "docs/a.zip!/b.md", "docs/a.zip!/in.tar!/c.md"]),
        ("docs/a.zip!/in.tar", ["docs/a.zip!/in.tar!/c.md"]),
        ("docs/a.zip!", ["docs/a.zip!/b.md", "docs/a.zip!/in.tar!/c.md", "docs/a.zip!/real.md"]),
        ("docs/a", []),
        ("*.zip", ["docs/a.zip", "docs/a.zip!/b.md", "docs/a.zip!/in.tar!/c.md"]),
        ("docs/c.zip", []),
    ],
)
def test_an_archive_means_all_that_is_in_it(tmp_path: Path, name: str, expected: list[str]) -> None:
    members = ("docs/a.zip!/b.md", "docs/a.zip!/in.tar!/c.md")
    paths = {
        "docs/a.zip": "",
        **dict.fromkeys(members, "docs/a.zip"),
        "docs/a.zip!/real.md": "",
        "docs/c.zip!/d.md": "",
    }
    assert named_documents(name, paths, tmp_path / ".echo-index") == expected
