"""The options --since, --before, --where and --min-score of `search` and `ask`."""

from __future__ import annotations

import json
import os
from itertools import pairwise
from pathlib import Path

import pytest
from command_runner import Ran, run_command


class Commands:
    """Runs commands in a folder with notes and their index."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def run(self, *words: str) -> Ran:
        return run_command(*words, monkeypatch=self._monkeypatch, capsys=self._capsys)

    def found(self, *options: str, query: str = "whale") -> list[str]:
        ran = self.run("search", query, "--mode", "lexical", "--json", *options)
        assert ran.code == 0, ran.err
        return sorted({Path(hit["source"]).stem for hit in json.loads(ran.out)})


@pytest.fixture
def commands(
    tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Commands:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    notes = tmp_path / "notes"
    notes.mkdir()
    for name, author, day in (("old", "Melville", 1_500_000_000), ("new", "Ada Ng", 1_700_000_000)):
        text = f"---\nauthor: {author}\ntags: [whale, {name}]\n---\n\n# Notes\n\nA whale in the {name} sea.\n"
        (notes / f"{name}.md").write_text(text)
        os.utime(notes / f"{name}.md", (day, day))
    for number in range(20):
        (notes / f"filler{number}.txt").write_text(f"Nothing of interest, number {number}.")
    commands = Commands(monkeypatch, capsys)
    assert commands.run("build", "notes", "--model", str(tiny_folder)).code == 0
    return commands


def test_filters_restrict_what_is_found(commands: Commands) -> None:
    assert commands.found() == ["new", "old"]
    assert commands.found("--since", "2020") == ["new"]
    assert commands.found("--before", "2020-01-01") == ["old"]
    assert commands.found("--where", "author contains ng and tags has whale") == ["new"]
    assert commands.found("--where", "tags has NEW or tags has old", "--since", "2017", "--before", "2018") == ["old"]
    assert commands.found("--where", "year exists") == []
    status = json.loads(commands.run("status", "--json").out)
    assert status["fields"] == {"author": 2, "tags": 2}
    assert "author (2), tags (2)" in commands.run("status").out


def test_a_field_that_no_document_has_is_named(commands: Commands) -> None:
    ran = commands.run("search", "whale", "--mode", "lexical", "--where", "autor = Ng")
    assert ran.code == 0
    assert "No document has the field autor; there are title, file.path" in ran.err
    assert "author" in ran.err


def test_bad_filters_are_bad_usage_with_the_place(commands: Commands) -> None:
    ran = commands.run("search", "whale", "--where", "author = Ada Ng")
    assert ran.code == 2
    lines = ran.err.splitlines()
    assert "at character 14" in lines[0]
    assert "quotation marks" in lines[0]
    assert lines[1:3] == ["author = Ada Ng", " " * 13 + "^"]
    for option in ("--since", "--before"):
        ran = commands.run("search", "whale", option, "soon")
        assert (ran.code, ran.out) == (2, "")
        assert "soon is no date" in ran.err
        assert "2024-05-17" in ran.err
        assert commands.run("search", "whale", option, " ").code == 2
    assert commands.run("ask", "whale?", "--where", "(").code == 2
    assert commands.run("ask", "--document", "notes/new.md", "--since", "2024").code == 2


def test_a_least_score_leaves_out_what_is_not_near(commands: Commands) -> None:
    every = json.loads(commands.run("search", "whale", "--mode", "dense", "-k", "30", "--json").out)
    shares = [hit["relevance"] for hit in every]
    assert len(shares) >= 22
    assert all(0 <= share <= 1 for share in shares)
    ordered = sorted(shares)
    gap, below = max((after - before, before) for before, after in pairwise(ordered))
    least = below + gap / 2
    some = json.loads(
        commands.run("search", "whale", "--mode", "dense", "-k", "30", "--json", "--min-score", str(least)).out
    )
    assert [hit["source"] for hit in some] == [hit["source"] for hit in every if hit["relevance"] >= least]
    hybrid = json.loads(commands.run("search", "whale", "-k", "30", "--json", "--min-score", str(least)).out)
    assert {(hit["source"], hit["start"]) for hit in hybrid} == {(hit["source"], hit["start"]) for hit in some}
    assert 0 < len(some) < len(every)
    assert " · relevance 0." in commands.run("search", "whale", "--mode", "dense").out


def test_nothing_that_reaches_the_least_score_is_an_exit_code(commands: Commands) -> None:
    for json_option in ([], ["--json"]):
        ran = commands.run("search", "whale", "--min-score", "1", *json_option)
        assert ran.code == 1
        assert "No passage reaches --min-score 1; the best one has 0." in ran.err
        assert ran.out == ("[]\n" if json_option else "")
    for words in (("--min-score", "0.5", "--mode", "lexical"), ("--min-score", "1.5"), ("--min-score", "-1")):
        assert commands.run("search", "whale", *words).code == 2
