"""Nothing is passed over silently: files without a reader are counted, and what a text lacks is stored with it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from indexer_helpers import WordEncoder, build, make_version_2, write

from echo_index.errors import SourceError
from echo_index.indexer.building import build_files
from echo_index.indexer.building.build_documents import index_documents
from echo_index.indexer.building.removal import remove_documents
from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.catalog.generation_summary import text_omissions
from echo_index.indexer.documents.document import Document
from echo_index.indexer.generations.snapshot import open_snapshot
from echo_index.indexer.generations.source_registry import skipped_files
from echo_index.indexer.sandbox.document_reader import DocumentReader, ReadFile
from echo_index.indexer.sources.skipped_files import SkippedFiles

LACKS = ("no text on pages 2 to 4", "no text in a picture")


@pytest.fixture
def index(tmp_path: Path) -> Path:
    return tmp_path / "index"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "docs"


def binary(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"PK\0\1")


def in_status(index: Path) -> SkippedFiles:
    snapshot = open_snapshot(index, index_device="cpu")
    with closing(snapshot.catalog) as catalog:
        return skipped_files(catalog)


def omissions(index: Path) -> list[tuple[str, str]]:
    snapshot = open_snapshot(index, index_device="cpu")
    with closing(snapshot.catalog) as catalog:
        return text_omissions(catalog, generation=snapshot.manifest.generation)


# Files that no reader takes


def test_files_without_a_reader_are_counted_by_suffix(folder: Path, index: Path) -> None:
    write(folder, a="one", sub__b="two")
    binary(folder, "x.KEY", "sub/y.key", "z.pages", "core", "n.txt.gz", "e.odd name", ".hidden.mp3", "ignored.mp3")
    (folder / ".gitignore").write_text("ignored.*\n")
    (folder / "empty.md").touch()
    (folder / "outside").symlink_to(folder.parent)
    (folder / "inside").symlink_to(folder / "sub")
    (folder / "outside.md").symlink_to(folder.parent / "index")
    expected = SkippedFiles({".key": 2, "": 2, ".gz": 1, ".pages": 1}, empty=1, links=2)
    assert build(folder, index).skipped == expected == in_status(index)
    assert build([folder, folder / "sub"], index).skipped == expected == in_status(index), "each is counted once"


def test_the_newest_build_of_each_source_counts(tmp_path: Path, index: Path) -> None:
    for name in ("one", "two"):
        write(tmp_path / name, a=f"text of {name}")
        binary(tmp_path / name, "a.mp3", "sub/b.mp3")
        build(tmp_path / name, index)
    assert in_status(index).unsupported == {".mp3": 4}
    (tmp_path / "one/a.mp3").unlink()
    write(tmp_path / "one/sub", c="more")
    assert build(tmp_path / "one/sub", index).skipped.unsupported == {".mp3": 1}
    assert in_status(index).unsupported == {".mp3": 4}, "a folder inside another source is counted with it"
    assert build(tmp_path / "one", index).skipped.unsupported == {".mp3": 1}
    assert in_status(index).unsupported == {".mp3": 3}
    build(tmp_path / "two", index, rebuild=True)
    assert in_status(index).unsupported == {".mp3": 3}, "a rebuild of one source keeps the others"
    build(tmp_path / "two", index, exclude=["*.mp3"])
    assert in_status(index).unsupported == {".mp3": 1}


def test_the_counts_survive_a_removal(folder: Path, index: Path) -> None:
    write(folder, a="one", b="two")
    binary(folder, "c.doc")
    build([folder / "a.md", folder], index)
    remove_documents(["docs/a.md"], index)
    assert in_status(index).unsupported == {".doc": 1}


def test_the_error_of_a_folder_without_documents_names_its_files(folder: Path, index: Path) -> None:
    binary(folder, "a.key", "b.key", "c.doc")
    with pytest.raises(SourceError) as caught:
        build(folder, index)
    assert caught.value.message == (
        f"There is no document to index in {folder}. 3 files were left out, as no reader takes them: 2 .key, 1 .doc."
    )
    assert "another format" in caught.value.remedy
    with pytest.raises(SourceError, match=r"matches no file that can be indexed. 1 file was left out, .*: 1 \.doc\."):
        build(folder / "*.doc", index)
    (folder / "a.key").write_bytes(b"")
    with pytest.raises(SourceError, match=r"1 file was left out, as it is empty\."):
        build(folder, index, include=["a.*"])


def test_an_index_without_counts_shows_none(folder: Path, index: Path) -> None:
    write(folder, a="one")
    build(folder, index)
    assert in_status(index) == SkippedFiles()
    with closing(Catalog(index / "catalog.sqlite")) as catalog:
        assert catalog.setting("skipped") is None, "a build that finds nothing writes nothing"


# What texts lack


class LackingReader(DocumentReader):
    """Reads every file whose name begins with "half" as a text that lacks something."""

    def read(self, path: Path, *, real_path: str = "", known_hash: str = "") -> ReadFile:
        result = super().read(path, real_path=real_path, known_hash=known_hash)
        if result.document and path.name.startswith("half"):
            return replace(result, document=replace(result.document, omissions=LACKS))
        return result


@pytest.fixture
def lacking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_files, "DocumentReader", LackingReader)


@pytest.mark.usefixtures("lacking")
def test_what_a_text_lacks_is_reported_when_it_is_read_and_stored(folder: Path, index: Path) -> None:
    write(folder, half="one", whole="two")
    expected = [("docs/half.md", phrase) for phrase in LACKS]
    assert build(folder, index).omissions == expected == omissions(index)
    write(folder, half2="three")
    assert build(folder, index).omissions == [("docs/half2.md", phrase) for phrase in LACKS], "the others were not read"
    assert omissions(index) == [*expected, *(("docs/half2.md", phrase) for phrase in LACKS)]
    (folder / "half.md").touch()
    assert build(folder, index).omissions == []
    (folder / "half2.md").unlink()
    build(folder, index)
    assert omissions(index) == expected
    with closing(Catalog(index / "catalog.sqlite")) as catalog:
        assert catalog.current_documents()["docs/half.md"].omissions == LACKS


@pytest.mark.usefixtures("lacking")
def test_an_older_catalog_is_open_for_reading_and_says_nothing(folder: Path, index: Path) -> None:
    write(folder, half="one")
    build(folder, index)
    make_version_2(index / "catalog.sqlite")
    assert omissions(index) == []
    write(folder, half="one more")
    build(folder, index)
    assert omissions(index) == [("docs/half.md", phrase) for phrase in LACKS]


@pytest.mark.parametrize("lacks", [LACKS, ()])
def test_given_documents_may_lack_something(index: Path, lacks: Sequence[str]) -> None:
    document = Document("A text.", "Title", "text", omissions=tuple(lacks))
    expected = [("a", phrase) for phrase in lacks]
    assert index_documents([("a", document)], index, encoder=WordEncoder()).omissions == expected  # type: ignore[arg-type]
    assert omissions(index) == expected
    assert index_documents([("a", document)], index, encoder=WordEncoder()).omissions == []  # type: ignore[arg-type]
