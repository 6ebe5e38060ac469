"""What is told of changed files, and how long it may take."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from indexer_helpers import build, write

from echo_index.app.services.file_systems import reports_changes
from echo_index.app.services.freshness import change_lines, look_for_changes
from echo_index.indexer.inspection import changed_files
from echo_index.indexer.inspection.changed_files import FileChanges


def test_the_line_counts_files_and_names_the_command() -> None:
    changes = FileChanges(new=1200, changed=1, removed=2)
    assert change_lines(changes, Path(".echo-index")) == [
        "1,203 files changed since the last build (1,200 new, 1 changed, 2 removed): echo-index build"
    ]
    assert change_lines(FileChanges(new=1), Path("/a b")) == [
        "1 file changed since the last build (1 new): echo-index build --index '/a b'"
    ]
    assert change_lines(FileChanges(gone=(("/mnt/notes", "is missing"),)), Path("i")) == [
        "/mnt/notes is missing; its documents stay in the index."
    ]
    assert change_lines(FileChanges(), Path("i")) == change_lines(None, Path("i")) == []


def test_a_disk_that_does_not_answer_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "docs", a="Text.")
    build(tmp_path / "docs", tmp_path / "idx")
    write(tmp_path / "docs", b="Text.")
    assert look_for_changes(tmp_path / "idx", seconds=30) == FileChanges(new=1)
    monkeypatch.setattr(changed_files, "quick_changes", lambda index_dir, seconds: time.sleep(20))
    began = time.monotonic()
    assert look_for_changes(tmp_path / "idx", seconds=0.05) is None
    assert time.monotonic() - began < 10


def test_no_index_and_a_damaged_one_have_nothing_to_tell(tmp_path: Path) -> None:
    assert look_for_changes(tmp_path / "idx", seconds=30) is None
    write(tmp_path / "docs", a="Text.")
    build(tmp_path / "docs", tmp_path / "idx")
    (tmp_path / "idx" / "catalog.sqlite").write_bytes(b"damaged")
    assert look_for_changes(tmp_path / "idx", seconds=30) is None


@pytest.mark.parametrize(
    ("disks", "reports"),
    [
        ([("/", "ext4", "rw")], True),
        ([("/", "ext4", "rw"), ("/mnt", "nfs4", "rw")], False),
        ([("/mnt", "cifs", "rw"), ("/", "ext4", "rw"), ("/mnt/notes", "xfs", "rw")], True),
        ([("/", "ext4", "rw"), ("/mnt", "9p", "rw")], False),
        ([("/", "ext4", "rw"), ("/mnt", "fuse.sshfs", "rw")], False),
        ([("/", "ext4", "rw"), ("/mnt/n", "nfs", "rw")], True),
        ([("/", "NTFS", "rw,remote")], False),
        ([], True),
    ],
)
def test_file_systems_that_report_no_changes(
    disks: list[tuple[str, str, str]], reports: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    partitions: list[Any] = [SimpleNamespace(mountpoint=point, fstype=type, opts=opts) for point, type, opts in disks]
    monkeypatch.setattr("psutil.disk_partitions", lambda all: partitions)
    assert reports_changes(Path("/mnt/notes")) == reports
