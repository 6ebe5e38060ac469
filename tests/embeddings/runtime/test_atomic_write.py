"""Files are replaced in one step: readers see the old content or the new."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from echo_index.embeddings.runtime.atomic_write import delete_unfinished, replace_file


@pytest.mark.parametrize("durable", [False, True])
def test_a_file_is_replaced_and_no_temporary_file_stays(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "file"
    for text in ("old", "new"):
        replace_file(path, lambda file, text=text: file.write_text(text), durable=durable)
        assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_failed_write_leaves_the_old_content(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fail(unfinished: Path) -> None:
        unfinished.write_text("ne")
        raise error

    with pytest.raises(error):
        replace_file(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_durable_write_flushes_the_file_before_the_rename_and_the_folder_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, events = tmp_path / "file", []
    monkeypatch.setattr(os, "fsync", lambda number: events.append((os.fstat(number).st_ino, path.exists())))
    replace_file(path, lambda file: file.write_text("text"), durable=True)
    assert events == [(path.stat().st_ino, False), (tmp_path.stat().st_ino, True)]
    replace_file(path, lambda file: file.write_text("text"))
    assert len(events) == 2


def test_temporary_files_of_killed_processes_are_deleted(tmp_path: Path) -> None:
    def killed(unfinished: Path) -> None:
        unfinished.write_text("half")
        os.link(unfinished, unfinished.with_name(f".other{unfinished.suffix}"))

    replace_file(tmp_path / "file", killed)
    assert len(list(tmp_path.iterdir())) == 2
    delete_unfinished(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
