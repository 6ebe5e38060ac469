"""build --context: what is said, kept, shown and refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_runner import Run

from echo_index.indexer.building import build_files
from echo_index.indexer.building.document_sync import BuildReport

MUSEUM = "Notes of a museum"


@pytest.fixture
def run(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs a command beside the folder "notes" with two notes."""
    monkeypatch.setenv("ECHO_INDEX_DATA", str(tmp_path / "data"))
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/ferry.md").write_text("# Ferry\n\nIt leaves at eight.\n")
    (tmp_path / "notes/loom.md").write_text("# Loom\n\nHanna Kvist carved it.\n")
    return run


def built(run: Run, *words: str) -> tuple[int, str]:
    """Build, and return the number of embedded passages and what was said about the context."""
    ran = run("build", "notes", "--json", "--precision", "fp32", *words)
    assert ran.code == 0, ran.err
    return json.loads(ran.out)["embedded"], "".join(line for line in ran.err.splitlines() if "context" in line)


def status(run: Run) -> Any:
    return json.loads(run("status", "--json").out)["context"]


def test_a_change_is_announced_and_shown(run: Run) -> None:
    assert built(run) == (2, "")
    assert status(run) == "" and "Context" not in run("status").out
    assert built(run, "--context", MUSEUM) == (2, f"The context is now “{MUSEUM}”: all 2 passages are embedded again.")
    assert status(run) == MUSEUM and f"Context       {MUSEUM}\n" in run("status").out
    assert built(run) == built(run, "--context", MUSEUM) == (0, "")
    assert built(run, "--context", "Toys")[1] == (
        f"The context was “{MUSEUM}” and is now “Toys”: all 2 passages are embedded again."
    )
    assert built(run, "--context", "", "--rebuild") == (2, "")
    assert status(run) == ""


def test_nothing_is_announced_where_there_are_no_passages(run: Run, tmp_path: Path) -> None:
    for note in (tmp_path / "notes").iterdir():
        note.unlink()
    (tmp_path / "notes/broken.pdf").write_text("no PDF")
    for words in ((), ("--context", MUSEUM)):
        assert "again" not in run("build", "notes", *words).err
    assert status(run) == MUSEUM


def test_it_is_taken_back(run: Run, tmp_path: Path) -> None:
    (tmp_path / "notes/loom.md").unlink()
    assert built(run, "--context", MUSEUM) == (1, "")
    said = f"The context “{MUSEUM}” is taken back: the only passage is embedded again."
    assert built(run, "--context", "") == (1, said)


@pytest.mark.parametrize(
    ("line", "said"),
    [("two\nlines", "has the character U+000A. Write it as one line"), ("x" * 201, "has 201 characters; at most 200")],
)
def test_a_line_that_cannot_be_one_is_wrong_usage(run: Run, tmp_path: Path, line: str, said: str) -> None:
    ran = run("build", "notes", "--context", line)
    assert (ran.code, said in " ".join(ran.err.replace("│", " ").split())) == (2, True), ran.err
    assert not (tmp_path / ".echo-index").exists()


def test_a_collection_is_about_the_context_of_its_index(run: Run) -> None:
    built(run, "--context", MUSEUM)
    run("collections", "add", "museum", ".echo-index")
    run("collections", "add", "other", ".echo-index", "--about", "Looms")
    listed = json.loads(run("collections", "list", "--json").out)
    assert [each["about"] for each in listed] == [MUSEUM, "Looms"]
    assert f" ({MUSEUM})\n" in run("collections", "list").out
    built(run, "--context", "Toys")
    assert " (Toys)\n" in run("collections", "list").out


def test_a_collection_whose_index_is_gone_is_listed_without(run: Run, tmp_path: Path) -> None:
    built(run, "--context", MUSEUM)
    run("collections", "add", "museum", ".echo-index")
    (tmp_path / ".echo-index").rename(tmp_path / "moved")
    ran = run("collections", "list")
    assert (ran.code, MUSEUM in ran.out) == (0, False)


def test_a_watch_gives_the_context_to_its_first_build_only(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that it does not undo what another build changes meanwhile."""
    given: list[str | None] = []

    def record(*_: object, context: str | None, **options: object) -> BuildReport:
        given.append(context)
        return BuildReport()

    def watch_once(*_: object, first: Any, again: Any, **options: object) -> None:
        first()
        again()

    monkeypatch.setattr(build_files, "build_index", record)
    monkeypatch.setattr("echo_index.app.cli.watch.watch_sources", watch_once)
    assert run("build", "notes", "--watch", "--context", MUSEUM).code == 0
    assert given == [MUSEUM, None]


def test_a_line_of_too_many_tokens_is_refused_before_anything_is_announced(run: Run) -> None:
    built(run)
    ran = run("build", "notes", "--context", "測試" * 90)
    assert (ran.code, "tokens, but only 56 have room before a passage of 200" in ran.err) == (1, True), ran.err
    assert "embedded again" not in ran.err
    assert built(run) == (0, "")
