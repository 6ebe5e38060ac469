"""Removal: documents disappear from the index and stay excluded; nothing is embedded and no file deleted."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import pytest
from indexer_helpers import WordEncoder, build, contents, documents, write

from echo_index.errors import IndexBusy, IndexDamaged, IndexMissing, QuestionError
from echo_index.indexer.building import removal
from echo_index.indexer.building.removal import RemovalReport, remove_documents
from echo_index.indexer.catalog.records import LexicalQuery, SearchFilter
from echo_index.indexer.generations.manifest import read_manifest
from echo_index.indexer.generations.snapshot import open_snapshot
from echo_index.indexer.storage.writer_lock import writer_lock
from echo_index.indexer.vectors.normalization import VectorNormalization


@pytest.fixture
def index(folder: Path) -> Path:
    """Build an index and return its folder."""
    build(folder, folder / ".echo-index")
    return folder / ".echo-index"


def interrupt(folder: Path, index: Path, *, after: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        build(folder, index, WordEncoder(patience=after))


def test_a_removal_gives_the_index_of_the_other_documents(tmp_path: Path, folder: Path, index: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.rglob("*.md")}
    assert remove_documents(["bread.md", "deep/stars.md", "bread.md"], index) == RemovalReport(
        ("bread.md", "deep/stars.md"), documents=1, chunks=2
    )
    assert {path.name: path.read_bytes() for path in folder.rglob("*.md")} == before
    manifest = read_manifest(index)
    assert (manifest.generation, manifest.documents, manifest.chunks) == (2, 1, 2)
    (tmp_path / "alone").mkdir()
    shutil.copy2(folder / "whales.md", tmp_path / "alone")
    build(tmp_path / "alone", tmp_path / "alone/index")
    assert contents(index) == contents(tmp_path / "alone/index")


def test_readers_of_the_previous_generation_still_see_removed_documents(index: Path) -> None:
    reader = open_snapshot(index, index_device="cpu")
    remove_documents(["bread.md"], index)
    with closing(reader.catalog):
        [vector] = WordEncoder().encode_documents(["bread"])
        query = reader.normalization.normalize_query(vector)
        found = reader.catalog.chunks([key for key, _ in reader.nearest(query, k=99, where=SearchFilter())])
        assert {chunk.path for chunk in found.values()} == {"bread.md", "deep/stars.md", "whales.md"}


def test_builds_skip_removed_files_until_they_are_named(folder: Path, index: Path) -> None:
    before = contents(index)
    remove_documents(["bread.md"], index)
    write(folder, bread="# Bread\n\nA new version.\n")
    for sources in (folder, [folder / "whales.md", folder], folder / "*.md"):
        report = build(sources, index)
        assert (report.left_out, report.added, report.removed, report.documents) == (1, 0, 0, 2)
    assert read_manifest(index).generation == 2, "there was nothing new"

    report = build([folder, folder / "bread.md"], index)
    assert (report.left_out, report.added, report.documents) == (0, 1, 3)
    assert documents(index)["bread.md"] == ["# Bread\n\nA new version."]
    assert build(folder, index).left_out == 0, "it is forgotten that it was removed"
    assert contents(index)["counts"].documents == before["counts"].documents


def test_a_named_file_that_a_pattern_excludes_is_still_skipped(folder: Path, index: Path) -> None:
    remove_documents(["bread.md"], index)
    build([folder, folder / "bread.md"], index, exclude=["bread*"])
    assert build(folder, index, include=["*"]).left_out == 1


def test_a_rebuild_skips_files_that_were_removed_after_it_was_started(folder: Path, index: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        build(folder, index, WordEncoder(patience=0), rebuild=True)
    remove_documents(["bread.md"], index)
    report = build(folder, index, rebuild=True)
    assert (report.left_out, report.documents) == (1, 2)
    assert build(folder, index).left_out == 1


def test_all_documents_can_be_removed(folder: Path, index: Path) -> None:
    assert remove_documents([*documents(index)], index) == RemovalReport(
        ("bread.md", "deep/stars.md", "whales.md"), documents=0, chunks=0
    )
    snapshot = open_snapshot(index, index_device="cpu")
    with closing(snapshot.catalog):
        [vector] = WordEncoder().encode_queries(["bread"])
        query = snapshot.normalization.normalize_query(vector)
        assert snapshot.nearest(query, k=5, where=SearchFilter()) == []
        assert snapshot.matching(LexicalQuery(("bread",)), k=5, where=SearchFilter()) == []
    report = build(folder, index)
    assert (report.left_out, report.documents) == (3, 0)
    assert build(folder / "bread.md", index).documents == 1


def test_a_document_that_could_not_be_read_can_be_removed(folder: Path, index: Path) -> None:
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 no more of it")
    assert [path for path, _ in build(folder, index).failures] == ["broken.pdf"]
    assert remove_documents(["broken.pdf"], index).documents == 3
    report = build(folder, index)
    assert (report.failures, report.left_out) == ([], 1)


def test_an_unknown_document_prevents_the_whole_removal(index: Path) -> None:
    before = contents(index)
    with pytest.raises(QuestionError, match=r"There is no document nowhere\.md in the index") as caught:
        remove_documents(["bread.md", "nowhere.md"], index)
    assert "echo-index status" in caught.value.remedy
    assert remove_documents([], index) == RemovalReport((), documents=3, chunks=7)
    assert (contents(index), read_manifest(index).generation) == (before, 1)


def test_a_removal_fails_while_another_process_writes_and_creates_no_index(tmp_path: Path, index: Path) -> None:
    with writer_lock(index), pytest.raises(IndexBusy):
        remove_documents(["bread.md"], index)
    with pytest.raises(IndexMissing):
        remove_documents(["bread.md"], tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()
    (index / "catalog.sqlite").unlink()
    with pytest.raises(IndexDamaged):
        remove_documents(["bread.md"], index)


def test_a_removal_reuses_the_normalization_if_enough_chunks_remain(tmp_path: Path) -> None:
    for number in range(20):
        write(tmp_path, **{f"note{number}": f"# Note {number}\n\nWhales number {number} swim in the sea.\n"})
    index = tmp_path / "index"
    build(tmp_path, index)
    before = read_manifest(index)
    assert not before.normalizations.echo.is_identity
    remove_documents(["note1.md", "note2.md"], index)
    after = read_manifest(index)
    assert (after.normalizations, after.canaries, after.fingerprint) == (
        before.normalizations,
        before.canaries,
        before.fingerprint,
    )
    remove_documents([f"note{number}.md" for number in range(3, 10)], index)
    assert read_manifest(index).normalizations.echo == VectorNormalization.identity(32, passages=11)
    write(tmp_path, more="# More\n\nMore of it.\n")
    build(tmp_path, index)
    assert read_manifest(index).normalizations.echo.is_identity


# With an unfinished build


def test_the_work_of_an_interrupted_build_is_reused_after_a_removal(tmp_path: Path, folder: Path, index: Path) -> None:
    write(
        folder,
        bread="# Bread\n\nBread is older than salt.\n",
        **{f"new{n}": f"# New {n}\n\nIt is {n}.\n" for n in range(20)},
    )
    (folder / "deep/stars.md").unlink()
    interrupt(folder, index, after=8)
    before = documents(index)
    with pytest.raises(QuestionError):
        remove_documents(["new1.md"], index)
    assert remove_documents(["bread.md", "deep/stars.md"], index).documents == 1
    assert documents(index) == {"whales.md": before["whales.md"]}

    encoder = WordEncoder()
    report = build(folder, index, encoder)
    assert len(encoder.embedded) == 12, "eight were embedded before the interruption"
    assert (report.left_out, report.documents) == (1, 21)
    (folder / "bread.md").unlink()
    shutil.copytree(folder, tmp_path / "same", ignore=shutil.ignore_patterns(".echo-index"))
    build(tmp_path / "same", tmp_path / "same/index")
    assert contents(index) == contents(tmp_path / "same/index")


@pytest.mark.parametrize("build_before", [False, True])
def test_a_killed_removal_is_completed_by_the_next_build(
    folder: Path, index: Path, monkeypatch: pytest.MonkeyPatch, build_before: bool
) -> None:
    before = contents(index)
    if build_before:
        write(folder, bread="# Bread\n\nBread is older than salt.\n", new="# New\n\nIt is new.\n")
        interrupt(folder, index, after=0)

    def killed(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(removal, "commit_generation", killed)
        with pytest.raises(KeyboardInterrupt):
            remove_documents(["bread.md"], index)
    assert contents(index) == before
    report = build(folder, index)
    assert report.left_out == 1
    assert [*documents(index)] == ["deep/stars.md", *(["new.md"] if build_before else []), "whales.md"]
    assert read_manifest(index).generation == 2


def test_a_removal_covers_the_changes_of_an_interrupted_build(folder: Path, index: Path) -> None:
    for number in (1, 2):
        write(folder, bread=f"# Bread\n\nVersion {number}.\n")
        interrupt(folder, index, after=0)
    remove_documents(["bread.md"], index)
    build(folder, index)
    assert read_manifest(index).generation == 2, "there was nothing new"
