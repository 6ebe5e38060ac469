"""Several indexes on the command line, and the names of indexes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_runner import Run


@pytest.fixture
def run(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs a command beside the indexes "work" and "home", which have names."""
    monkeypatch.setenv("ECHO_INDEX_DATA", str(tmp_path / "data"))
    for name, text in (("work", "The fox jumps over the fence."), ("home", "A fox sleeps in the garden.")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "fox.md").write_text(f"# Fox\n\n{text}\n")
        index = str(tmp_path / f"{name}-index")
        ran = run("build", name, "--index", index, "--precision", "fp32")
        assert ran.code == 0, ran.err
        assert run("collections", "add", name, index).code == 0
    return run


def test_a_search_of_two_indexes_names_them(run: Run) -> None:
    ran = run("search", "fox", "--mode", "lexical", "--index", "work", "--index", "home", "--json")
    assert {(hit["collection"], hit["source"]) for hit in json.loads(ran.out)} == {
        ("work", "work/fox.md"),
        ("home", "home/fox.md"),
    }
    printed = run("search", "garden", "-k", "1", "--index", "work", "--index", "home")
    assert "home: home/fox.md:3" in printed.out
    alone = run("search", "garden", "-k", "1", "--index", "home", "--json")
    assert [hit["collection"] for hit in json.loads(alone.out)] == [""]


def test_filters_and_changes_are_told_for_all_indexes(run: Run, tmp_path: Path) -> None:
    both = ("--index", "work", "--index", "home")
    (tmp_path / "home" / "owl.md").write_text("An owl.\n")
    ran = run("search", "fox", "--path", "home/*", *both)
    assert "No document matches" not in ran.err, "one of the indexes has such documents"
    assert "1 file changed since the last build (1 new)" in ran.err
    assert f"--index {tmp_path / 'home-index'}" in ran.err
    assert "No document matches --path nowhere/*" in run("search", "fox", "--path", "nowhere/*", *both).err
    updated = run("search", "owl", "-k", "1", "--mode", "lexical", "--update", "--json", *both)
    assert [hit["source"] for hit in json.loads(updated.out)] == ["home/owl.md"]


def test_an_answer_cites_the_index(run: Run) -> None:
    ran = run("ask", "Where does the fox sleep?", "--index", "work", "--index", "home", "--no-adapter", "--json")
    assert ran.code == 0, ran.err
    assert {hit["collection"] for hit in json.loads(ran.out)["passages"]} == {"work", "home"}
    refused = run("ask", "--document", "fox.md", "--index", "work", "--index", "home")
    assert (refused.code, "name only one --index" in refused.err) == (2, True)


def test_every_command_takes_the_name_of_an_index(run: Run) -> None:
    assert "1 (1 markdown)" in run("status", "--index", "work").out
    assert "sleeps in the garden" in run("read", "home/fox.md", "--index", "home").out
    missing = run("status", "--index", "school")
    assert (missing.code, "no complete index in school" in missing.err) == (1, True)


def test_indexes_of_different_encoders_are_not_served_together(run: Run) -> None:
    assert run("build", "home", "--index", "home-index", "--precision", "fp32", "--layer", "2", "--rebuild").code == 0
    refused = run("serve", "--index", "work", "--index", "home", "--port", "0")
    assert (refused.code, "work and home were built with different encoders (layer" in refused.err) == (1, True)


def test_names_are_listed_and_removed(run: Run, tmp_path: Path) -> None:
    work = tmp_path / "work-index"
    assert run("collections", "add", "work", str(work), "--about", "Fences").out == f"work is the index in {work}.\n"
    assert f"work: {work} (Fences)\n" in run("collections", "list").out
    listed = json.loads(run("collections", "list", "--json").out)
    assert [(each["name"], each["about"]) for each in listed] == [("home", ""), ("work", "Fences")]
    assert run("collections", "remove", "work").code == run("collections", "remove", "home").code == 0
    assert "There are no collections" in run("collections", "list").out
    assert json.loads(run("collections", "list", "--json").out) == []
    refused = run("collections", "add", "-x", str(work))
    assert refused.code == 2
    refused = run("collections", "add", "a b", str(work))
    assert (refused.code, "cannot be the name of a collection" in refused.err) == (1, True)
