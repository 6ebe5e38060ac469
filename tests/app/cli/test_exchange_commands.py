"""The commands `export` and `import`: what they print, and how they end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_runner import Run

from echo_index.indexer.exchange import export_index, import_index

pytest.importorskip("pyarrow", reason="exports and imports need pyarrow")


@pytest.fixture
def built(run: Run, tmp_path: Path) -> Path:
    """Return a folder with two notes and their index."""
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/fox.md").write_text("# The fox\n\nThe quick brown fox jumps over the lazy dog.\n")
    (tmp_path / "notes/vow.md").write_text("# Wizards\n\nSeven wizards quietly judge my vow.\n")
    assert run("build", "notes").code == 0
    return tmp_path


def test_an_index_leaves_and_comes_back(run: Run, built: Path) -> None:
    exported = run("export", "notes.parquet")
    assert exported.code == 0
    assert exported.out.startswith("notes.parquet holds 2 documents in 2 passages, with vectors of ")
    imported = run("import", "notes.parquet", "--index", "copy")
    assert imported.code == 0
    assert "The index in copy contains 2 documents in 2 passages, with vectors of " in imported.out
    for mode in ("dense", "lexical", "hybrid"):
        words = ("search", "the lazy dog", "--mode", mode, "--json")
        assert json.loads(run(*words, "--index", "copy").out) == json.loads(run(*words).out)
    assert "The index is intact." in run("verify", "--index", "copy").out
    assert "nothing had to be embedded" in run("build", "notes", "--index", "copy").out


def test_the_reports_can_be_read_by_programs(run: Run, built: Path) -> None:
    report = json.loads(run("export", "notes.parquet", "--json").out)
    assert (report["file"], report["index"], report["documents"], report["chunks"]) == (
        "notes.parquet",
        ".echo-index",
        2,
        2,
    )
    assert report["bytes"] == (built / "notes.parquet").stat().st_size
    assert json.loads(run("import", "notes.parquet", "--index", "copy", "--json").out) == {**report, "index": "copy"}


def test_nothing_is_replaced_unless_that_is_wanted(run: Run, built: Path) -> None:
    (built / "notes.parquet").write_text("mine")
    refused = run("export", "notes.parquet")
    assert refused.code == 1
    assert refused.err == "Error: notes.parquet exists already. Name another file, or replace it with --overwrite.\n"
    assert (built / "notes.parquet").read_text() == "mine"
    assert run("import", "notes.parquet", "--index", "copy").code == 1
    assert not (built / "copy").exists()
    assert run("export", "notes.parquet", "--overwrite").code == 0
    refused = run("import", "notes.parquet")
    assert (refused.code, refused.out) == (1, "")
    assert "There is an index in .echo-index already." in refused.err
    assert run("import", "notes.parquet", "--overwrite").code == 0
    assert "generation 2" in run("status").out


def test_normalized_vectors_are_added_where_they_are_asked_for(run: Run, built: Path) -> None:
    import pyarrow.parquet as pq

    run("export", "a.parquet")
    run("export", "b.parquet", "--normalized")
    assert [*pq.read_schema("a.parquet").names, "normalized_vector"] == pq.read_schema("b.parquet").names


@pytest.mark.parametrize("words", [("export", "b.parquet"), ("import", "a.parquet", "--index", "copy")])
def test_ctrl_c_changes_nothing_and_says_so(
    run: Run, built: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    run("export", "a.parquet")

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(export_index, "to_batch", interrupted)
    monkeypatch.setattr(import_index, "to_block", interrupted)
    before = sorted(built.iterdir())
    ended = run(*words)
    assert (ended.code, ended.out, ended.err) == (130, "", "Stopped. Nothing was changed.\n")
    assert sorted(built.iterdir()) == before


def test_an_index_that_is_not_there_cannot_leave(run: Run, tmp_path: Path) -> None:
    missing = run("export", "a.parquet", "--index", "nowhere")
    assert missing.code == 1 and "There is no complete index in nowhere." in missing.err
    assert [*tmp_path.iterdir()] == []
