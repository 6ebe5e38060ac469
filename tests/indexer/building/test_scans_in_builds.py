"""Builds read pictures of text if they may, say so, and remember whether they may."""

from __future__ import annotations

from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import pytest
from indexer_helpers import WordEncoder, build, write
from scan_files import page_picture, picture_file, scanned

from echo_index.app.services.status import ocr_facts
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.building.document_sync import BuildReport
from echo_index.indexer.generations.snapshot import open_snapshot
from echo_index.indexer.inspection.document_queries import list_documents
from echo_index.indexer.sources.source import Source


def listed(index: Path) -> dict[str, str | None]:
    snapshot = open_snapshot(index, index_device="cpu")
    with closing(snapshot.catalog):
        return {document.path: document.failure for document in list_documents(snapshot)}


def facts(index: Path) -> dict[str, object]:
    snapshot = open_snapshot(index, index_device="cpu")
    with closing(snapshot.catalog):
        return ocr_facts(snapshot.documents)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a note and the scan of another."""
    folder = tmp_path / "docs"
    write(folder, whales="Whales live in the deep sea.")
    page = scanned(page_picture("The ferry leaves at noon.", size=(3, 1.2)))
    (folder / "scan.pdf").write_bytes(picture_file(page, format="PDF"))
    (folder / "scan.png").write_bytes(picture_file(page))
    return folder


@pytest.mark.skipif(not find_spec("rapidocr"), reason='RapidOCR is not installed: pip install "echo-index[ocr]"')
def test_whether_pictures_are_read_is_remembered_until_the_other_is_said(folder: Path) -> None:
    index = folder / ".echo-index"

    def build_again(ocr: bool | None, *, rebuild: bool = False) -> BuildReport:
        source = Source(name="docs", path=folder)
        return build_index([source], index, encoder=WordEncoder(), ocr=ocr, rebuild=rebuild)

    report = build_again(False)
    assert report.skipped.unsupported == {".png": 1}
    assert report.recognitions == []
    assert report.ocr_hint == "OCR would read the scanned pages and pictures: echo-index build --ocr"
    assert "pictures of text" in (listed(index)["scan.pdf"] or "")
    assert build_again(None).skipped.unsupported == {".png": 1}
    assert build_again(None, rebuild=True).skipped.unsupported == {".png": 1}, "a rebuild remembers it"
    assert facts(index)["on"] is False

    report = build_again(True)
    assert (report.added, report.changed, report.ocr_hint) == (1, 1, "")
    assert [path for path, _ in report.recognitions] == ["scan.pdf", "scan.png"]
    assert report.recognitions[0][1].startswith("page 1 read by OCR, confidence 9")
    assert set(listed(index).values()) == {None}
    assert str(facts(index)["engine"]).startswith("rapidocr ")
    assert build_again(None).unchanged == 3, "nothing is read twice"


def test_without_an_engine_the_package_is_named(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("formats", "recognition"):
        monkeypatch.setattr(f"echo_index.indexer.documents.{module}.installed_engine", lambda: None)
    (folder / "scan.pdf").unlink()
    report = build(folder, tmp_path / "index")
    assert report.skipped.unsupported == {".png": 1}
    assert report.ocr_hint == 'OCR would read the pictures: pip install "echo-index[ocr]"'
