"""The sources of an index and their patterns: remembered by builds, also after the folder has moved."""

from __future__ import annotations

from pathlib import Path

import pytest
from indexer_helpers import WordEncoder, build, documents, write

from echo_index.errors import SourceError
from echo_index.indexer.building.removal import remove_documents
from echo_index.indexer.generations.source_registry import read_sources
from echo_index.indexer.sources.source import Source


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """Return the path of an index beside two folders."""
    write(tmp_path, docs__bread="# Bread\n\nBread is baked.\n", docs__salt="# Salt\n\nSalt is white.\n")
    write(tmp_path, notes__idea="# Idea\n\nAn idea.\n")
    return tmp_path / ".echo-index"


def test_each_source_is_remembered_once(tmp_path: Path, index: Path) -> None:
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


def test_sources_are_remembered_after_a_rebuild(tmp_path: Path, index: Path) -> None:
    build([tmp_path / "docs", tmp_path / "notes"], index)
    before = read_sources(index)
    build(tmp_path / "docs", index, WordEncoder(name="other"), rebuild=True)
    assert read_sources(index) == before


def test_a_build_that_finds_nothing_is_not_remembered(tmp_path: Path, index: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError):
        build(tmp_path / "empty", index)
    assert read_sources(index) == []


def test_a_missing_source_is_forgotten_by_the_next_build(tmp_path: Path, index: Path) -> None:
    build([tmp_path / "docs", tmp_path / "notes"], index)
    (tmp_path / "notes").rename(tmp_path / "ideas")
    with pytest.raises(SourceError, match=f"no file or folder at {tmp_path}/notes"):
        [Source.parse(text) for text in read_sources(index)]
    build([tmp_path / "docs", tmp_path / "ideas"], index)
    assert read_sources(index) == [str(tmp_path / "docs"), str(tmp_path / "ideas")]
    assert "notes/idea.md" in documents(index), "no source covers it, so it stays"


def test_a_removed_file_is_no_longer_a_source(tmp_path: Path, index: Path) -> None:
    docs = tmp_path / "docs"
    build([docs, docs / "salt.md"], index)
    remove_documents(["docs/salt.md"], index)
    assert read_sources(index) == [str(docs)]
    build([Path(source) for source in read_sources(index)], index)
    assert [*documents(index)] == ["docs/bread.md"]


def test_patterns_are_reused_until_others_are_given(tmp_path: Path, index: Path) -> None:
    docs, notes = tmp_path / "docs", tmp_path / "notes"
    report = build(docs, index, exclude=["salt*"])
    assert report.kept_patterns == []
    report = build([docs, notes], index)
    assert report.kept_patterns == [(str(docs), (), ("salt*",))]
    assert [*documents(index)] == ["docs/bread.md", "notes/idea.md"]
    assert build(docs, index, include=["s*"]).removed == 1
    assert [*documents(index)] == ["docs/salt.md", "notes/idea.md"]
    assert build(docs, index).kept_patterns == [(str(docs), ("s*",), ())]
    build(docs, index, include=["*"])
    assert [*documents(index)] == ["docs/bread.md", "docs/salt.md", "notes/idea.md"]


def test_patterns_apply_to_one_source_only(tmp_path: Path, index: Path) -> None:
    build(tmp_path, index, include=["b*"])
    assert [*documents(index)] == ["docs/bread.md"]
    build([tmp_path, tmp_path / "notes"], index)
    assert [*documents(index)] == ["docs/bread.md", "notes/idea.md"]


def test_patterns_survive_a_rebuild_and_a_move_and_are_forgotten_with_their_source(tmp_path: Path, index: Path) -> None:
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    write(project, docs__one="# One\n\nOne.\n", docs__two="# Two\n\nTwo.\n")
    build(project / "docs", project / "index", exclude=["one*"])
    build(project / "docs", project / "index", WordEncoder(name="other"), rebuild=True)
    assert [*documents(project / "index")] == ["docs/two.md"]
    project.rename(elsewhere)
    docs, moved = elsewhere / "docs", elsewhere / "index"
    build(docs, moved, WordEncoder(name="other"))
    assert [*documents(moved)] == ["docs/two.md"]
    docs.rename(elsewhere / "gone")
    build(elsewhere / "gone", moved, WordEncoder(name="other"))  # docs is forgotten
    (elsewhere / "gone").rename(docs)
    assert build(docs, moved, WordEncoder(name="other")).kept_patterns == []


def test_a_build_that_fails_remembers_no_patterns(tmp_path: Path, index: Path) -> None:
    docs = tmp_path / "docs"
    build(docs, index)
    with pytest.raises(SourceError, match="The pattern '!' cannot be used"):
        build(docs, index, exclude=["!"])
    with pytest.raises(SourceError, match="no document to index"):
        build(docs, index, include=["nothing"])
    assert build(docs, index).kept_patterns == []


def test_a_damaged_catalog_remembers_nothing(tmp_path: Path, index: Path) -> None:
    index.mkdir()
    (index / "catalog.sqlite").write_text("garbage " * 1000)
    assert read_sources(index) == []
