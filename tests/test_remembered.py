"""What is remembered of an index: its sources, wherever it moves, until they are gone."""

from __future__ import annotations

from pathlib import Path

import pytest
from indexer_helpers import WordEncoder, build, documents, write

from echo_embeddings.errors import SourceError
from indexer import Source, read_sources, remove_documents


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """Where the index will lie, beside two folders."""
    write(tmp_path, docs__bread="# Bread\n\nBread is baked.\n", docs__salt="# Salt\n\nSalt is white.\n")
    write(tmp_path, notes__idea="# Idea\n\nAn idea.\n")
    return tmp_path / ".echo-index"


def test_sources_are_remembered_each_once(tmp_path: Path, index: Path) -> None:
    assert read_sources(index) == []
    docs, notes = tmp_path / "docs", tmp_path / "notes"
    build([notes, docs / "b*.md"], index)
    assert read_sources(index) == [f"{docs}/b*.md", str(notes)]
    for _ in range(2):
        build([docs, notes / "../docs"], index)
        assert read_sources(index) == [str(docs), f"{docs}/b*.md", str(notes)]
    build([Path(source) for source in read_sources(index)], index)
    assert [*documents(index)] == ["docs/bread.md", "docs/salt.md", "notes/idea.md"]


def test_the_folder_of_the_index_itself_is_a_source_like_any_other(
    tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    build(Path(), Path(".echo-index"))
    monkeypatch.chdir("/")
    assert read_sources(index) == [str(tmp_path)]


def test_sources_move_with_the_index(tmp_path: Path, index: Path) -> None:
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    write(project, docs__one="# One\n\nOne.\n")
    build([project / "docs", tmp_path / "notes"], project / "index")
    project.rename(elsewhere)
    assert read_sources(elsewhere / "index") == [str(tmp_path / "notes"), str(elsewhere / "docs")]


def test_sources_outlive_a_rebuild(tmp_path: Path, index: Path) -> None:
    build([tmp_path / "docs", tmp_path / "notes"], index)
    before = read_sources(index)
    build(tmp_path / "docs", index, WordEncoder(name="other"), rebuild=True)
    assert read_sources(index) == before


def test_a_build_that_finds_nothing_is_not_remembered(tmp_path: Path, index: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError):
        build(tmp_path / "empty", index)
    assert read_sources(index) == []


def test_a_source_that_is_gone_is_forgotten_when_what_is_left_is_built_by_name(tmp_path: Path, index: Path) -> None:
    build([tmp_path / "docs", tmp_path / "notes"], index)
    (tmp_path / "notes").rename(tmp_path / "ideas")
    with pytest.raises(SourceError, match=f"no file or folder at {tmp_path}/notes"):
        [Source.parse(text) for text in read_sources(index)]
    build([tmp_path / "docs", tmp_path / "ideas"], index)
    assert read_sources(index) == [str(tmp_path / "docs"), str(tmp_path / "ideas")]
    assert "notes/idea.md" in documents(index), "no source covers it, so it stays"


def test_a_file_that_was_a_source_and_is_removed_does_not_come_back(tmp_path: Path, index: Path) -> None:
    docs = tmp_path / "docs"
    build([docs, docs / "salt.md"], index)
    remove_documents(["docs/salt.md"], index)
    assert read_sources(index) == [str(docs)]
    build([Path(source) for source in read_sources(index)], index)
    assert [*documents(index)] == ["docs/bread.md"]


def test_a_damaged_catalog_remembers_nothing(tmp_path: Path, index: Path) -> None:
    index.mkdir()
    (index / "catalog.sqlite").write_text("garbage " * 1000)
    assert read_sources(index) == []
