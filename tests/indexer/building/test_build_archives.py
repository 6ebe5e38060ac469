"""Members of archives are documents of their own: builds, changes, removals and interruptions."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from archive_files import tar_bytes, zip_bytes
from indexer_helpers import WordEncoder, build, contents, documents, write

from echo_index.errors import SourceError
from echo_index.indexer.building import archive_sync
from echo_index.indexer.building.document_sync import BuildReport
from echo_index.indexer.building.removal import remove_documents
from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.catalog.records import SearchFilter
from echo_index.indexer.generations.manifest import read_manifest
from echo_index.indexer.generations.snapshot import open_snapshot
from echo_index.indexer.generations.source_registry import skipped_files
from echo_index.indexer.inspection.document_queries import list_documents, read_indexed_document
from echo_index.indexer.inspection.verify import verify_index
from echo_index.indexer.sandbox.document_reader import DocumentReader
from echo_index.indexer.sources.skipped_files import SkippedFiles

SEA = "# Sea\n\nWhales swim in the sea.\n"
BREAD = "# Bread\n\nBread is made of flour.\n"
STARS = "# Stars\n\nStars are far away.\n"
FILES = {"sea.md": SEA, "food/bread.md": BREAD, "in.tar.gz": tar_bytes({"stars.md": STARS})}
MEMBERS = ["a.zip!/food/bread.md", "a.zip!/in.tar.gz!/stars.md", "a.zip!/sea.md"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a file, and with an archive in which there is another archive."""
    folder = tmp_path / "docs"
    write(folder, plain="# Plain\n\nIt is a plain file.\n")
    (folder / "a.zip").write_bytes(zip_bytes(FILES))
    return folder


@pytest.fixture
def index(folder: Path) -> Path:
    return folder / ".echo-index"


def figures(report: BuildReport) -> tuple[int, int, int, int]:
    return report.added, report.changed, report.unchanged, report.removed


def put(folder: Path, **files: str) -> None:
    """Replace the archive by one with other files."""
    (folder / "a.zip").write_bytes(zip_bytes({name.replace("__", "/") + ".md": text for name, text in files.items()}))


@pytest.fixture
def nothing_is_opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    with monkeypatch.context() as patch:
        patch.setattr(archive_sync, "read_archive", lambda reader, path, **options: pytest.fail(f"{path} is opened"))
        yield patch


def test_members_are_documents_and_an_unchanged_archive_is_not_opened(
    folder: Path, index: Path, request: pytest.FixtureRequest
) -> None:
    report = build(folder, index)
    assert (figures(report), report.documents, report.failures) == ((4, 0, 0, 0), 4, [])
    assert [*documents(index)] == [*MEMBERS, "plain.md"]
    assert documents(index)["a.zip!/food/bread.md"] == ["# Bread\n\nBread is made of flour."]
    request.getfixturevalue("nothing_is_opened")
    report = build(folder, index)
    assert (figures(report), report.documents) == ((0, 0, 4, 0), 4)
    assert read_manifest(index).generation == 1
    assert not any(check.problems for check in verify_index(index))


def test_only_what_changed_in_an_archive_is_embedded(folder: Path, index: Path) -> None:
    build(folder, index)
    os.utime(folder / "a.zip", (1, 1))
    assert figures(build(folder, index)) == (0, 0, 4, 0)
    assert read_manifest(index).generation == 1
    put(folder, sea=SEA, food__bread=BREAD + "\nIt rises.\n", new="# New\n\nIt is new.\n")
    encoder = WordEncoder()
    assert figures(build(folder, index, encoder)) == (1, 1, 2, 1)
    assert sorted(encoder.embedded) == ["Bread > It rises.", "New\n# New\n\nIt is new."] or len(encoder.embedded) == 2
    assert [*documents(index)] == ["a.zip!/food/bread.md", "a.zip!/new.md", "a.zip!/sea.md", "plain.md"]
    (folder / "a.zip").unlink()
    assert figures(build(folder, index)) == (0, 0, 1, 3)
    assert [*documents(index)] == ["plain.md"]
    with closing(Catalog(index / "catalog.sqlite")) as catalog:
        assert [*catalog.current_documents()] == ["plain.md"], "nothing is left of the archive"


def test_an_archive_without_documents_is_remembered(folder: Path, index: Path, request: pytest.FixtureRequest) -> None:
    put(folder, empty="")
    report = build(folder, index)
    assert (report.documents, report.skipped) == (1, SkippedFiles(empty=1))
    request.getfixturevalue("nothing_is_opened")
    assert build(folder, index).skipped == SkippedFiles(empty=1)
    with pytest.raises(SourceError, match=r"There is no document to index in .*a\.zip\. 1 file was left out"):
        build(folder / "a.zip", index)


def test_skipped_members_are_counted_in_each_build(folder: Path, index: Path) -> None:
    (folder / "a.zip").write_bytes(
        zip_bytes({"a.md": SEA, "b.exe": b"\0\1\2" * 99, "c.exe": b"\0\1\2" * 99, "d.md": ""})
    )
    expected = SkippedFiles({".exe": 2}, empty=1)
    for _ in range(2):
        assert build(folder, index).skipped == expected
        with closing(open_snapshot(index, index_device="cpu").catalog) as catalog:
            assert skipped_files(catalog) == expected
    (folder / "a.zip").unlink()
    assert build(folder, index).skipped == SkippedFiles()


def test_patterns_apply_to_members_also_of_an_unchanged_archive(folder: Path, index: Path) -> None:
    build(folder, index)
    assert figures(build(folder, index, exclude=["food/"])) == (0, 0, 3, 1)
    assert "a.zip!/food/bread.md" not in documents(index)
    assert figures(build(folder, index, include=["bread.*"])) == (1, 0, 0, 3)
    assert [*documents(index)] == ["a.zip!/food/bread.md"]
    assert figures(build(folder, index, include=["*.zip"])) == (2, 0, 1, 0)
    assert figures(build(folder, index, exclude=["a.zip/"])) == (1, 0, 0, 3)
    assert [*documents(index)] == ["plain.md"]
    assert figures(build(folder / "*.zip", index, include=["*"])) == (3, 0, 0, 0), "a glob that names the archive"


def test_a_failed_member_is_listed_and_not_tried_again(folder: Path, index: Path) -> None:
    (folder / "a.zip").write_bytes(zip_bytes({"a.pdf": b"%PDF-1.7 broken", "b.md": SEA}))
    [(path, reason)] = build(folder, index).failures
    assert path == "a.zip!/a.pdf"
    os.utime(folder / "a.zip", (1, 1))
    report = build(folder, index)
    assert (figures(report), report.failures) == ((0, 0, 3, 0), [(path, reason)])
    put(folder, b=SEA, c=BREAD)
    assert build(folder, index).failures == []


# Damage


def test_what_stands_before_the_damage_is_indexed_and_the_archive_is_listed(folder: Path, index: Path) -> None:
    good = tar_bytes({"sea.md": SEA, "bread.md": BREAD}, compression="")
    (folder / "a.zip").unlink()
    (folder / "b.tar").write_bytes(good[:1100])
    report = build(folder, index)
    assert [*documents(index)] == ["b.tar!/sea.md", "plain.md"]
    [(path, reason)] = report.failures
    assert path == "b.tar"
    assert reason.startswith("It is damaged behind its first file, and the rest is missing: ")
    assert build(folder, index).failures == [(path, reason)]
    (folder / "b.tar").write_bytes(good)
    report = build(folder, index)
    assert (figures(report), report.failures) == ((1, 0, 2, 0), [])


def test_what_is_no_archive_is_listed_like_a_broken_file(folder: Path, index: Path) -> None:
    (folder / "a.zip").write_bytes(b"nothing")
    report = build(folder / "a.zip", index)
    assert (report.documents, report.failures) == (0, [("a.zip", "It is damaged: file is not a zip file.")])
    snapshot = open_snapshot(index, index_device="cpu")
    with closing(snapshot.catalog):
        assert [(each.path, each.failure) for each in list_documents(snapshot)] == report.failures


def test_an_archive_that_cannot_be_opened_for_a_moment_loses_nothing(folder: Path, index: Path) -> None:
    build(folder, index)
    content = (folder / "a.zip").read_bytes()
    before = contents(index)["chunks"]
    (folder / "a.zip").unlink()
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere/b.zip").write_bytes(b"")
    os.mkfifo(folder / "elsewhere/pipe")
    found = archive_sync.read_archive

    def of_a_pipe(reader: DocumentReader, path: Path, **options: Any) -> Any:
        return found(reader, folder / "elsewhere/pipe", **{**options, "real_path": ""})

    (folder / "a.zip").write_bytes(content)
    os.utime(folder / "a.zip", (1, 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archive_sync, "read_archive", of_a_pipe)
        for _ in range(2):
            report = build(folder, index)
            assert (figures(report), report.failures) == ((0, 0, 4, 0), [("a.zip", "It is not a file.")])
            assert contents(index)["chunks"] == before
    report = build(folder, index)
    assert (figures(report), report.failures) == ((0, 0, 4, 0), [])
    assert contents(index)["chunks"] == before


# Removal and names


def test_a_removed_member_stays_away_until_its_archive_is_named(
    folder: Path, index: Path, request: pytest.FixtureRequest
) -> None:
    build(folder, index)
    assert remove_documents(["a.zip!/sea.md"], index).removed == ("a.zip!/sea.md",)
    for _ in range(2):
        report = build(folder, index)
        assert (figures(report), report.left_out, report.documents) == ((0, 0, 3, 0), 1, 3)
        assert read_manifest(index).generation == 2, "there was nothing new"
    put(folder, sea=SEA + "\nChanged.\n", food__bread=BREAD)
    report = build(folder, index)
    assert (report.left_out, [*documents(index)]) == (1, ["a.zip!/food/bread.md", "plain.md"])
    assert figures(build([folder, folder / "a.zip"], index)) == (1, 0, 2, 0)
    assert build(folder, index).left_out == 0


def test_a_removed_archive_stays_away_with_all_that_is_in_it(folder: Path, index: Path) -> None:
    build(folder, index)
    removal = remove_documents(["a.zip"], index)
    assert (removal.removed, removal.documents) == (("a.zip", *MEMBERS), 1)
    put(folder, other="# Other\n\nIt came later.\n")
    report = build(folder, index)
    assert (report.left_out, [*documents(index)]) == (1, ["plain.md"])
    assert figures(build(folder / "a.zip", index)) == (1, 0, 0, 0)


def test_filters_name_archives_folders_in_them_and_globs(folder: Path, index: Path) -> None:
    write(folder, **{"a.zip!__sub__real": "# Real\n\nIt is in a real folder.\n"})
    build(folder, index)
    snapshot = open_snapshot(index, index_device="cpu")

    def found(name: str) -> list[str]:
        ids = catalog.chunk_ids(SearchFilter(paths=(name,)), generation=snapshot.manifest.generation)
        return sorted({chunk.path for chunk in catalog.chunks([*map(int, ids)]).values()})

    with closing(snapshot.catalog) as catalog:
        assert found("a.zip") == MEMBERS == found(str(folder / "a.zip")), "not the folder with almost this name"
        assert found("a.zip!/food") == ["a.zip!/food/bread.md"]
        assert found("a.zip!/in.tar.gz") == ["a.zip!/in.tar.gz!/stars.md"]
        assert found("*/stars.md") == ["a.zip!/in.tar.gz!/stars.md"]
        assert found("*.zip") == MEMBERS
        assert found("a.zip!/sub/real.md") == ["a.zip!/sub/real.md"]
        assert [each.path for each in list_documents(snapshot)] == sorted([*MEMBERS, "a.zip!/sub/real.md", "plain.md"])
        assert read_indexed_document(snapshot, "a.zip!/sea.md").text.startswith("# Sea")
    (folder / "a.zip").unlink()
    assert figures(build(folder, index)) == (0, 0, 2, 3)
    assert [*documents(index)] == ["a.zip!/sub/real.md", "plain.md"]


def test_a_file_with_the_path_of_a_member_is_reported(folder: Path, index: Path) -> None:
    write(folder, **{"a.zip!__sea": "# Real\n\nIt is in a real folder.\n"})
    for _ in range(2):
        report = build(folder, index)
        assert report.failures == [("a.zip!/sea.md", "A file in an archive and a file in a folder have this path.")]
        assert documents(index)["a.zip!/sea.md"] == ["# Sea\n\nWhales swim in the sea."]


# Interruptions


@pytest.mark.parametrize("members", range(3))
def test_a_build_that_is_stopped_in_an_archive_continues(
    folder: Path, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, members: int
) -> None:
    build(folder, index)
    before = contents(index)
    old = (folder / "a.zip").read_bytes()
    stamp = (folder / "a.zip").stat()
    put(folder, sea=SEA + "\nMore.\n", food__bread=BREAD + "\nMore.\n", new="# New\n\nIt is new.\n")
    stored = Catalog.put_document

    def put_some(self: Catalog, *arguments: Any, **options: Any) -> None:
        nonlocal members
        members -= 1
        if members < 0:
            raise KeyboardInterrupt
        stored(self, *arguments, **options)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Catalog, "put_document", put_some)
        build(folder, index)
    assert contents(index) == before
    changed = (folder / "a.zip").read_bytes()
    (folder / "a.zip").write_bytes(old)  # as it was, also its time
    os.utime(folder / "a.zip", ns=(stamp.st_mtime_ns, stamp.st_mtime_ns))
    build(folder, index)
    assert contents(index) == before
    (folder / "a.zip").write_bytes(changed)
    build(folder, index)
    shutil.copytree(folder, tmp_path / "same", ignore=shutil.ignore_patterns(".echo-index"))
    build(tmp_path / "same", tmp_path / "same/.echo-index")
    assert contents(index) == contents(tmp_path / "same/.echo-index")


def test_a_build_that_is_stopped_while_members_are_removed_continues(
    folder: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(folder, index)
    put(folder, sea=SEA)

    def interrupted(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Catalog, "touch_members", interrupted)
        build(folder, index)
    build(folder, index)
    assert [*documents(index)] == ["a.zip!/sea.md", "plain.md"]


def test_of_a_tar_with_two_versions_of_a_file_the_last_counts(folder: Path, index: Path) -> None:
    (folder / "a.zip").unlink()
    old, new = (tar_bytes({"sea.md": text}, compression="")[:1024] for text in (SEA, BREAD))
    for rest in (b"", tar_bytes({"c.md": STARS}, compression="")[:1024]):
        (folder / "b.tar").write_bytes(old + new + rest + bytes(1024))
        build(folder, index)
        assert documents(index)["b.tar!/sea.md"] == ["# Bread\n\nBread is made of flour."]
