"""What has changed since the last build: always as many files as the next build finds."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from archive_files import zip_bytes
from indexer_helpers import build, documents, make_version_2, make_version_3, make_version_7, write

from echo_index.errors import IndexMissing
from echo_index.indexer.building.removal import remove_documents
from echo_index.indexer.inspection import changed_files
from echo_index.indexer.inspection.changed_files import FileChanges, find_changes, quick_changes
from echo_index.indexer.sources.source import Source

ENOUGH = 60  # seconds


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with documents, an archive, and files that no build takes."""
    folder = tmp_path / "docs"
    write(folder, whales="# Whales\n\nThey sing.\n", bread="# Bread\n\nFlour and salt.\n", deep__stars="Old light.\n")
    (folder / "old.zip").write_bytes(zip_bytes({"a.md": b"One", "b/c.md": b"Two"}))
    (folder / ".gitignore").write_text("*.log\nout/\n")
    (folder / "run.log").write_text("ignored")
    (folder / "data.bin").write_bytes(b"\0\1\2" * 40)
    (folder / "LICENSE").write_text("Do as you like.\n")
    (folder / "empty.md").write_text("")
    (folder / "broken.docx").write_bytes(b"this is no document")
    return folder


def changes(index: Path) -> FileChanges:
    """Return the changes, which a quick look finds as well."""
    found = find_changes(index)
    assert quick_changes(index, seconds=ENOUGH) == found
    return found


def age(folder: Path) -> None:
    """Let a second pass in which nothing is changed: the date of a build has no fractions of one."""
    time.sleep(1.05)


def test_nothing_has_changed_after_a_build(folder: Path, tmp_path: Path) -> None:
    index = folder / ".echo-index"
    build(folder, index)
    assert changes(index) == FileChanges()
    (folder / "run.log").write_text("ignored, too")
    (folder / "out").mkdir()
    (folder / "out" / "page.md").write_text("ignored")
    (folder / "more.bin").write_bytes(b"\0\1\2" * 50)
    write(folder / ".hidden", note="hidden")
    assert changes(index) == FileChanges()


def test_new_changed_and_removed_files(folder: Path, tmp_path: Path) -> None:
    build(folder, tmp_path / "idx")
    write(folder, whales="# Whales\n\nThey sing songs.\n", new="New.", deep__newer="Newer.")
    (folder / "NOTICE").write_text("Plain text without a suffix.\n")
    (folder / "bread.md").unlink()
    assert changes(tmp_path / "idx") == FileChanges(new=3, changed=1, removed=1)
    report = build(folder, tmp_path / "idx")
    assert (report.added, report.changed, report.removed) == (3, 1, 1)
    assert changes(tmp_path / "idx") == FileChanges()


def test_an_archive_counts_as_one_file(folder: Path, tmp_path: Path) -> None:
    build(folder, tmp_path / "idx")
    (folder / "old.zip").write_bytes(zip_bytes({"a.md": b"One", "d.md": b"Four"}))
    (folder / "new.zip").write_bytes(zip_bytes({"e.md": b"Five"}))
    assert changes(tmp_path / "idx") == FileChanges(new=1, changed=1)
    build(folder, tmp_path / "idx")
    (folder / "old.zip").unlink()
    assert changes(tmp_path / "idx") == FileChanges(removed=1)


def test_a_changed_ignore_file_changes_what_belongs_to_a_source(folder: Path, tmp_path: Path) -> None:
    build(folder, tmp_path / "idx")
    (folder / ".gitignore").write_text("deep/\n")
    assert changes(tmp_path / "idx") == FileChanges(new=1, removed=1)


def test_patterns_of_earlier_builds_apply(folder: Path, tmp_path: Path) -> None:
    build(folder, tmp_path / "idx", include=["*.md"], exclude=["deep"])
    (folder / "notes.txt").write_text("not included")
    write(folder, deep__more="excluded")
    assert changes(tmp_path / "idx") == FileChanges()
    assert find_changes(tmp_path / "idx", [Source.parse(str(folder))]) == FileChanges()
    assert find_changes(tmp_path / "idx", [Source.parse(str(folder), include=["*"])]).new > 1


def test_documents_that_were_removed_from_the_index_are_no_new_files(folder: Path, tmp_path: Path) -> None:
    build(folder, tmp_path / "idx")
    remove_documents(["docs/whales.md"], tmp_path / "idx")
    assert changes(tmp_path / "idx") == FileChanges()
    named = [Source.parse(str(folder / "whales.md"))]
    assert find_changes(tmp_path / "idx", named) == FileChanges(new=1), "a build of the file itself takes it again"


def test_documents_of_other_sources_than_the_given_ones_are_not_removed(folder: Path, tmp_path: Path) -> None:
    build(folder, tmp_path / "idx")
    (folder / "bread.md").unlink()
    write(folder, deep__new="New.")
    assert find_changes(tmp_path / "idx", [Source.parse(str(folder / "deep"))]) == FileChanges(new=1)


def test_new_pictures_count_only_if_builds_read_them(folder: Path, tmp_path: Path) -> None:
    build(folder, tmp_path / "idx", ocr=False)
    (folder / "scan.png").write_bytes(b"\x89PNG\r\n\x1a\n\0" + bytes(40))
    assert changes(tmp_path / "idx") == FileChanges()
    build(folder, tmp_path / "idx2", ocr=True)
    (folder / "more.png").write_bytes(b"\x89PNG\r\n\x1a\n\0" + bytes(40))
    assert changes(tmp_path / "idx2").new == 1


def test_an_old_text_without_a_suffix_that_is_copied_later_is_new(folder: Path, tmp_path: Path) -> None:
    build(folder, tmp_path / "idx")
    (folder / "NOTICE").write_text("Plain text.\n")
    os.utime(folder / "NOTICE", (1_000_000, 1_000_000))
    assert changes(tmp_path / "idx") == FileChanges(new=1)


def test_single_files_and_globs(folder: Path, tmp_path: Path) -> None:
    build([folder / "whales.md", folder / "deep" / "*.md"], tmp_path / "idx")
    write(folder, whales="Changed.", bread="Not a source.", deep__new="New.")
    assert changes(tmp_path / "idx") == FileChanges(new=1, changed=1)


def test_files_inside_a_path_like_that_of_a_member_take_no_part(folder: Path, tmp_path: Path) -> None:
    folder.joinpath("old.zip!").mkdir()
    (folder / "old.zip!" / "a.md").write_text("The path of a member.")
    build(folder, tmp_path / "idx")
    assert changes(tmp_path / "idx") == FileChanges()


@pytest.mark.parametrize(
    "spoil", [lambda path: shutil.rmtree(path), lambda path: empty(path)], ids=["missing", "empty"]
)
def test_documents_of_a_vanished_source_do_not_count_as_removed(spoil: object, folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    write(other, a="Text.")
    build([folder, other, folder / "deep"], tmp_path / "idx")
    spoil(folder / "deep")  # type: ignore[operator]
    (other / "a.md").write_text("Another text.")
    (folder / "bread.md").unlink()
    found = changes(tmp_path / "idx")
    assert (found.count, found.changed, found.removed) == (2, 1, 1)
    [(name, reason)] = found.gone
    assert name == str(folder / "deep") and reason in ("is missing", "is empty")


def empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def test_a_folder_that_cannot_be_read_loses_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(folder, tmp_path / "idx")
    real_scandir = os.scandir
    locked = folder

    def scandir(path: str) -> Iterator[os.DirEntry[str]]:
        if path == str(locked):
            raise PermissionError(13, "Permission denied", path)
        return real_scandir(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert changes(tmp_path / "idx") == FileChanges(gone=((str(folder), "cannot be read (permission denied)"),))
    locked = folder / "deep"
    assert changes(tmp_path / "idx") == FileChanges()


def test_a_quick_look_ends_in_time_and_opens_no_old_file(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    age(folder)
    build(folder, tmp_path / "idx")
    opened: list[str] = []
    monkeypatch.setattr(changed_files, "is_unsupported", lambda path, ocr, remote: bool(opened.append(path)))
    assert quick_changes(tmp_path / "idx", seconds=ENOUGH) == FileChanges()
    assert opened == []
    find_changes(tmp_path / "idx")
    assert str(folder / "data.bin") in opened
    assert quick_changes(tmp_path / "idx", seconds=0) is None


def test_an_index_without_sources_has_no_changes_and_a_missing_one_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(IndexMissing):
        find_changes(tmp_path / "idx")
    assert not (tmp_path / "idx").exists()


@pytest.mark.parametrize("downgrade", [make_version_2, make_version_3, make_version_7])
def test_an_index_of_an_earlier_version_is_compared_as_it_is(downgrade: Callable[[Path], None], tmp_path: Path) -> None:
    write(tmp_path / "docs", a="Text.", b="More text.")
    build(tmp_path / "docs", tmp_path / "idx")
    downgrade(tmp_path / "idx" / "catalog.sqlite")
    assert changes(tmp_path / "idx") == FileChanges()
    (tmp_path / "docs" / "a.md").unlink()
    assert changes(tmp_path / "idx") == FileChanges(removed=1)


def test_random_changes_are_those_that_the_next_build_finds(tmp_path: Path) -> None:
    dice = random.Random(5)
    folder = tmp_path / "docs"
    names = [f"{top}{deep}{number}.md" for top in ("", "a/", "b/") for deep in ("", "c/") for number in range(6)]
    write(folder, first="There is always one.")
    for step in range(12):
        for name in dice.sample(names, k=8):
            path = folder / name
            if path.exists() and dice.random() < 0.5:
                path.unlink()
            elif dice.random() < 0.2 and path.parent.exists() and path.parent != folder:
                path.parent.rename(tmp_path / f"away{step}{dice.random()}")
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(f"Text {dice.random()} of step {step}.")
        (folder / ".gitignore").write_text(dice.choice(["", "c/\n", "a\n", "*2.md\n", "*.md\n!*3.md\n!first.md\n"]))
        found = find_changes(tmp_path / "idx") if step else FileChanges(new=0)
        report = build(folder, tmp_path / "idx")
        if step:
            assert (found.new, found.changed, found.removed) == (report.added, report.changed, report.removed)
        assert changes(tmp_path / "idx") == FileChanges()
    assert len(documents(tmp_path / "idx")) > 1
