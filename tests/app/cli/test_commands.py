"""The command line: output, exit codes and errors."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_runner import Run
from repository import ROOT
from rich.console import Console
from tiny_models import CHAT_TEMPLATE, llama_config, save_model

from echo_index.app.cli.output import print_report
from echo_index.app.services import writers
from echo_index.app.services.status import status_lines
from echo_index.embeddings.decoder.linear import Precision
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.indexer.building.document_sync import BuildReport
from echo_index.indexer.generations import catalog_documents
from echo_index.indexer.generations.manifest import read_manifest
from echo_index.retriever.rag.local_writer import LocalWriter


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "fox.md").write_text("# The fox\n\nThe quick brown fox jumps over the lazy dog.\n")
    (folder / "vow.md").write_text("# Wizards\n\nSeven wizards quietly judge my vow.\n")
    return folder


def test_build_reports_its_changes(run: Run, notes: Path) -> None:
    first = run("build", "notes")
    assert first.code == 0
    assert "Files: 2 new; 2 passages embedded" in first.out
    assert "The index contains 2 documents in 2 passages." in first.out
    assert "Files: 2 unchanged; nothing had to be embedded" in run("build", "notes").out
    (notes / "fox.md").write_text("# The fox\n\nThe fox sleeps.\n")
    assert "Files: 1 changed, 1 unchanged; 1 passage embedded" in run("build", "notes").out
    (notes / "vow.md").unlink()
    assert "1 removed; nothing had to be embedded" in run("build", "notes").out


def test_search_shows_title_location_and_passage(run: Run, notes: Path) -> None:
    run("build", "notes")
    found = run("search", "lazy dog", "--mode", "lexical")
    assert found.code == 0
    assert "1. The fox" in found.out
    assert "notes/fox.md:3" in found.out
    assert "quick brown fox" in found.out
    assert "words #1" in found.out
    assert run("search", "unheard", "--mode", "lexical").out == "Nothing was found.\n"


def test_what_must_stand_word_for_word_is_found_or_named(run: Run, notes: Path) -> None:
    run("build", "notes")

    def found(*words: str) -> list[str]:
        return [hit["source"] for hit in json.loads(run("search", *words, "--json").out)]

    assert found("which wizards jump over the lazy dog", "--exact") == []
    assert found('which wizards jump "over the lazy dog"', "--exact") == ["notes/fox.md"]
    assert set(found('which wizards jump "over the lazy dog"')) == {"notes/fox.md", "notes/vow.md"}
    for words in (('"lazy brown dog"',), ("lazy brown dog", "--exact"), ('a "lazy brown dog"', "--exact")):
        assert run("search", *words).out == "No passage has “lazy brown dog” word for word.\n"
    answer = json.loads(run("ask", "lazy dog", "--exact", "--json").out)
    assert [passage["source"] for passage in answer["passages"]] == ["notes/fox.md"]


def test_json_contains_the_whole_hit(run: Run, notes: Path) -> None:
    run("build", "notes")
    hits = json.loads(run("search", "wizards", "-k", "1", "--mode", "lexical", "--json").out)
    assert [(hit["source"], hit["line"], hit["dense"]) for hit in hits] == [("notes/vow.md", 3, None)]
    assert (notes / "vow.md").read_text()[hits[0]["start"] : hits[0]["end"]] == hits[0]["text"]


def test_ask_answers_or_finds_no_answer(run: Run, notes: Path) -> None:
    run("build", "notes")
    assert "do not hold an answer" in run("ask", "fox?", "--format", "pdf").out
    answer = json.loads(run("ask", "Who sleeps?", "--json").out)
    assert {"question", "text", "found", "citations", "passages", "removed_markers", "changed_files"} == set(answer)
    assert len(answer["passages"]) == 2


def test_the_embedded_writer_writes_where_nothing_else_is_asked_for(
    run: Run, notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("build", "notes")
    other = save_model(tmp_path / "other", llama_config(num_hidden_layers=3), chat_template=CHAT_TEMPLATE)
    opened: list[str] = []
    local_writer = writers.local_writer

    def opening(name: str, **named: Any) -> LocalWriter:
        opened.append(name)
        return local_writer(str(other), **named)

    monkeypatch.setattr(writers, "local_writer", opening)
    assert run("ask", "Who sleeps?").code == 0
    assert opened == [], "the model of the index was chosen by the user"
    monkeypatch.setattr(writers, "choose_writer", lambda encoder, device: writers.WriterChoice("the-best", "it fits"))
    assert run("ask", "Who sleeps?").code == 0
    assert opened == ["the-best"]
    assert run("ask", "Who sleeps?", "--no-adapter").code == 0
    assert run("ask", "Who sleeps?", "--writer", str(other)).code == 0
    assert opened == ["the-best", str(other)]


def test_another_local_model_writes_the_answer(
    run: Run, notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("build", "notes")
    other = save_model(tmp_path / "other", llama_config(num_hidden_layers=3), chat_template=CHAT_TEMPLATE)
    written_by = []
    stream = LocalWriter.stream

    def recording(self: LocalWriter, *given: Any, **named: Any) -> Iterator[str]:
        written_by.append(self.load().depth)
        return stream(self, *given, **named)

    monkeypatch.setattr(LocalWriter, "stream", recording)
    assert run("ask", "Who sleeps?").code == 0
    assert run("ask", "Who sleeps?", "--writer", str(other)).code == 0
    assert written_by == [4, 3]
    missing = run("ask", "Who sleeps?", "--writer", "nowhere.gguf")
    assert missing.code == 1
    assert "nowhere.gguf" in missing.err
    both = run("ask", "Who sleeps?", "--writer", str(other), "--llm", "openai:gpt-4o-mini")
    assert both.code == 2
    assert "--writer and --llm cannot be used together" in both.err


def test_a_whole_document_is_read(run: Run, notes: Path) -> None:
    run("build", "notes")
    read = json.loads(run("ask", "--document", "notes/vow.md", "Who judges?", "--json").out)
    assert [passage["source"] for passage in read["passages"]] == ["notes/vow.md"]
    assert run("ask", "--document", "notes/vow.md").code == 0
    unused = (
        ["--chat"], ["-k", "3"], ["--mode", "dense"], ["--instruction", "Find."], ["--path", "*.md"],
        ["--format", "markdown"], ["--since", "2024"], ["--before", "2024"], ["--where", "year > 2000"],
        ["--rerank", "5"], ["--exact"], ["--min-score", "0.5"],
    )  # fmt: skip
    for words in unused:
        refused = run("ask", "--document", "notes/vow.md", *words)
        assert refused.code == 2
        assert f"--document reads one whole document; leave out {words[0]}." in " ".join(refused.err.split())


def test_build_and_status_name_what_was_not_read(run: Run, notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.key", "b.key", "c.pages"):
        (notes / name).write_bytes(b"PK\0")
    (notes / "empty.md").touch()
    lacks = [("notes/fox.md", "no text on page 2"), ("notes/fox.md", "no text in a picture")]
    monkeypatch.setattr(catalog_documents, "text_omissions", lambda *given, **named: lacks)
    lines = (
        "3 files were left out, as no reader takes them: 2 .key, 1 .pages.\n",
        "1 file was left out, as it is empty.\n",
    )
    built, shown = run("build", "notes").out, run("status").out
    assert all(line in built and line in shown for line in lines)
    assert "Not everything was read in 1 file:\n  notes/fox.md: no text on page 2; no text in a picture\n" in shown
    expected = {"unsupported": {".key": 2, ".pages": 1}, "empty": 1, "links": 0}
    assert json.loads(run("build", "notes", "--json").out)["skipped"] == expected
    facts = json.loads(run("status", "--json").out)
    assert (facts["skipped"], facts["omissions"]) == (expected, [[*pair] for pair in lacks])


def test_a_build_shows_what_texts_lack_but_no_endless_list(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(width=100)
    print_report(console, BuildReport(omissions=[(f"{number}.pdf", "no text on page 1") for number in range(22)]))
    shown = capsys.readouterr().out
    assert "Not everything was read in 22 files:\n  0.pdf: no text on page 1\n" in shown
    assert "19.pdf" in shown and "20.pdf" not in shown
    assert shown.endswith("  and 2 more files; all of them: echo-index status --json\n")
    print_report(console, BuildReport())
    assert "Not everything" not in capsys.readouterr().out


def test_status_shows_content_and_devices(run: Run, notes: Path, tiny_folder: Path) -> None:
    (notes / "broken.pdf").write_text("this is no PDF")
    assert run("build", "notes").code == 0
    shown = run("status", "--device", "cpu").out
    for said in (
        "2 (2 markdown)",
        str(tiny_folder),
        "cpu (asked for)",
        "exact, on the cpu (fast enough",
        "notes/broken.pdf: It is not a readable PDF",
    ):
        assert said in shown
    facts = json.loads(run("status", "--json").out)
    assert (facts["documents"], facts["chunks"], facts["formats"]) == (2, 2, {"markdown": 2})
    assert facts["space_passages"] is None, "two passages are too few to estimate it"
    assert facts["space_has_drifted"] is False
    drifted = {**facts, "space_passages": 20, "space_has_drifted": True}
    assert "have changed since" in dict(status_lines(drifted))["Normalization"]
    assert facts["writer"] == {"model": str(tiny_folder), "adapter": False, "reason": "the model of the index"}
    assert f"written by {tiny_folder}" in shown
    writer = {"model": "gemma3-270m", "adapter": True, "reason": "2 GB are free"}
    both = {**facts, "writer": writer, "other_writers": ["qwen"]}
    said = "written by gemma3-270m, with its adapter for answers (2 GB are free); or --writer qwen"
    assert dict(status_lines(both))["Answers"] == said
    assert facts["failures"][0][0] == "notes/broken.pdf"
    assert facts["disk_bytes"] > 1000
    assert sum(facts["bytes_by_part"].values()) == facts["disk_bytes"]
    assert min(facts["bytes_by_part"].values()) > 0


def test_filters_and_instruction_are_applied(run: Run, notes: Path) -> None:
    run("build", "notes")
    hits = json.loads(run("search", "fox", "--path", "*vow*", "--instruction", "Find wizards.", "--json").out)
    assert [hit["source"] for hit in hits] == ["notes/vow.md"]


def test_duplicates_are_named_once(run: Run, notes: Path) -> None:
    for copy in ("copy.md", "other.md"):
        shutil.copy(notes / "fox.md", notes / copy)
    run("build", "notes")
    hits = json.loads(run("search", "fox", "--json").out)
    assert [len(hit["alike"]) for hit in hits if "fox" in hit["text"]] == [2]
    assert len(hits) == 2
    fox, *copies = sorted(["notes/copy.md:3", "notes/fox.md:3", "notes/other.md:3"])
    shown = run("search", "fox").out
    assert f"{fox} " in shown and f"the same at {', '.join(copies)}" in shown
    answer = json.loads(run("ask", "Who sleeps?", "--json").out)
    assert [len(hit["alike"]) for hit in answer["passages"] if "fox" in hit["text"]] == [2]


def test_rerank_adds_likelihoods(run: Run, notes: Path) -> None:
    run("build", "notes")
    plain, reranked = run("search", "wizards"), run("search", "wizards", "--rerank", "2")
    assert "likelihood" not in plain.out
    assert reranked.out.count("likelihood #1 (-") == reranked.out.count("likelihood #2 (-") == 1
    hits = json.loads(run("search", "wizards", "--rerank", "1", "--json").out)
    assert [hit["likelihood"] and hit["likelihood"]["rank"] for hit in hits] == [1, None]
    answer = json.loads(run("ask", "Who sleeps?", "--rerank", "2", "--json").out)
    assert sorted(hit["likelihood"]["rank"] for hit in answer["passages"]) == [1, 2]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["search", "fox", "--index", "nowhere"], "There is no complete index in nowhere. Build one: echo-index build"),
        (["status", "--index", "nowhere"], "There is no complete index in nowhere"),
        (["build", "nowhere"], "There is no file or folder at nowhere."),
        (["build", "empty"], "There is no document to index in empty."),
        (["build", "notes", "--model", "no-such-model"], "The model 'no-such-model' is not in the cache"),
        (["build", "notes", "--model", ""], "The name of the model is empty."),
        (["build", "notes", "--model", "./empty"], "The folder ./empty contains no model: config.json is missing."),
        (["build", "notes", "--model", "notes/fox.md"], "The file notes/fox.md is not a model."),
        (["build", "notes", "--device", "cuda"], "The device cuda was asked for, but"),
        (["build", "notes", "--document-prompt", "once more"], "has nothing to pool: the slot {echo} is missing"),
        (["build", "notes", "--layer", "99"], "has layers 1 to 4; there is no layer 99"),
        (["build", "notes", "--layer", "2"], "layer was 4 and is now 2. Rebuild it with --rebuild"),
        (["build", "notes", "--chunk-tokens", "100"], "chunk_tokens was 200 and is now 100"),
        (["search", ""], "The question is empty."),
        (["ask", "   "], "The question is empty."),
        (["ask", "--document", "notes/fox.md", " "], "The question is empty."),
        (["ask", "--document", "notes/*"], "notes/* matches 2 documents"),
        (["ask", "--document", "nothing.md"], "There is no document nothing.md in the index"),
        (["remove", "notes/fox.md", "notes/nothing.md"], "There is no document notes/nothing.md in the index"),
        (["remove", ""], "There is no document ''"),
        (["remove", "notes/fox.md", "--index", "nowhere"], "There is no complete index in nowhere"),
        (["search", "fox", "--index-device", "gpu"], "The index cannot be searched on a GPU:"),
    ],
)
def test_bad_input_ends_in_one_sentence_and_exit_code_1(run: Run, notes: Path, words: list[str], said: str) -> None:
    (notes.parent / "empty").mkdir()
    run("build", "notes")
    before = json.loads(run("status", "--json").out)
    ended = run(*words)
    assert ended.code == 1
    assert said in ended.err
    assert ended.err.startswith("Error: ")
    assert ended.err.count("\n") == 1
    assert ended.out == ""
    assert json.loads(run("status", "--json").out) == before, "the index has changed"


@pytest.mark.parametrize(
    "words",
    [
        ["search"],
        ["search", "fox", "-k", "0"],
        ["search", "fox", "--rerank", "-1"],
        ["search", "fox", "--mode", "fuzzy"],
        ["nonsense"],
        ["build"],
        ["remove"],
    ],
)
def test_wrong_usage_ends_with_exit_code_2(run: Run, words: list[str]) -> None:
    assert run(*words).code == 2


@pytest.mark.parametrize("command", ["search", "ask"])
def test_a_question_that_begins_with_a_dash_is_explained(run: Run, command: str) -> None:
    ended = run(command, "--no-cache")
    assert ended.code == 2
    said = " ".join(ended.err.replace("│", " ").split())
    assert "No such option: --no-cache" in said
    assert f"text that begins with a dash, write -- before it: echo-index {command} -- --no-cache" in said
    assert "begins with a dash" not in run(command, "--mode", "fuzzy", "fox").err


def test_a_folder_without_readable_files_ends_with_exit_code_1(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/broken.pdf").write_text("this is no PDF")
    ended = run("build", "bad")
    assert ended.code == 1
    assert "1 file could not be read:" in ended.out


def test_build_without_sources_uses_those_of_earlier_builds(
    run: Run, notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more/one.md").write_text("# One\n\nOne more.\n")
    run("build", "notes", "more")
    (notes / "new.md").write_text("# New\n\nA new page.\n")
    monkeypatch.chdir(notes)
    again = run("build", "--index", "../.echo-index")
    assert (again.code, again.out[:26]) == (0, "Files: 1 new, 3 unchanged;")
    assert f"Sources of earlier builds: {tmp_path}/more, {notes}" in again.err
    (tmp_path / "more").rename(tmp_path / "other")
    gone = run("build", "--index", "../.echo-index")
    assert gone.code == 1
    assert f"cannot be built again: there is no file or folder at {tmp_path}/more. Put it back, or name" in gone.err
    assert gone.err.count("\n") == 1
    assert run("build", str(notes), "--index", "../.echo-index").code == 0
    assert run("build", "--index", "../.echo-index", "--rebuild").code == 0
    assert json.loads(run("status", "--index", "../.echo-index", "--json").out)["documents"] == 3


def test_patterns_are_remembered_until_others_are_given(run: Run, notes: Path) -> None:
    first = run("build", "notes", "--exclude", "*.txt", "--exclude", "vow*")
    assert "as before" not in first.out
    document_count = json.loads(run("status", "--json").out)["documents"]
    for words in (["notes"], []):
        again = run("build", *words)
        assert "without *.txt, vow*, as before; to index all files: --include '*'" in again.out
        assert json.loads(run("status", "--json").out)["documents"] == document_count
    run("build", "--include", "*")
    assert json.loads(run("status", "--json").out)["documents"] > document_count
    assert "as before" not in run("build").out


def test_build_without_sources_and_index_is_wrong_usage(run: Run) -> None:
    ended = run("build", "--index", "nowhere")
    assert ended.code == 2
    assert "the index in nowhere has no known sources; name one." in ended.err
    assert not Path("nowhere").exists()


def test_remove_accepts_files_names_and_globs(
    run: Run, notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.md", "a[1].md", "deep/b.md", "deep/er/c.md", "deep/d.txt"):
        (notes / name).parent.mkdir(parents=True, exist_ok=True)
        (notes / name).write_text(f"Some words on {name}.\n")
    assert run("build", "notes").code == 0
    shown = run("remove", "notes/deep/*.md", "notes/a.md")
    assert shown.out == (
        "Removed notes/a.md\nRemoved notes/deep/b.md\nRemoved notes/deep/er/c.md\n"
        "The index contains 4 documents in 4 passages.\n"
    )
    monkeypatch.chdir(notes / "deep")
    removed = run("remove", "d.txt", str(notes / "fox.md"), "notes/a[1].md", "--index", "../../.echo-index", "--json")
    assert json.loads(removed.out) == {
        "removed": ["notes/a[1].md", "notes/deep/d.txt", "notes/fox.md"], "documents": 1, "chunks": 1
    }  # fmt: skip
    assert (notes / "fox.md").exists()
    monkeypatch.chdir(tmp_path)
    assert json.loads(run("search", "fox", "--mode", "lexical", "--json").out) == []


def test_removed_documents_stay_out_until_they_are_named(run: Run, notes: Path) -> None:
    run("build", "notes")
    assert run("remove", "notes/*").code == 0
    built = run("build")
    assert built.code == 0, "this is not an error"
    assert (
        "2 files skipped because they were removed from the index; to add one again: echo-index build FILE" in built.out
    )
    assert run("search", "fox", "--mode", "lexical").out == "Nothing was found.\n"
    assert run("search", "fox").out == "Nothing was found.\n"
    assert "Files: 1 new; nothing had to be embedded" in run("build", "notes/fox.md").out
    assert json.loads(run("build", "notes", "--json").out)["left_out"] == 1


def test_remove_loads_no_model(run: Run, notes: Path) -> None:
    run("build", "notes")
    command = """
import atexit, sys
atexit.register(lambda: print({"torch", "transformers"} & {*sys.modules}))
sys.argv = ["echo-index", "remove", "notes/fox.md"]
from echo_index.app.cli.main import main
main()"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    ended = subprocess.run([sys.executable, "-c", command], env=environment, capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "set()"


def test_options_of_a_failed_build_are_not_remembered(run: Run, notes: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert run("build", "empty", "--layer", "2").code == 1
    assert run("build", "notes").code == 0


def test_k_may_exceed_the_size_of_the_index(run: Run, notes: Path) -> None:
    run("build", "notes")
    assert len(json.loads(run("search", "fox", "-k", "500", "--json").out)) == 2


def test_auto_keeps_the_precision_of_an_index(run: Run, notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("build", "notes", "--precision", "int8")
    monkeypatch.setattr(EchoEncoder, "best_precision", lambda encoder: Precision.FP32)
    (notes / "new.md").write_text("# New\n\nA new page.\n")
    for options in ((), ("--precision", "auto")):
        assert run("build", *options).code == 0
        assert read_manifest(Path(".echo-index")).encoder["dtype"] == "int8"
    assert run("search", "a new page").code == 0
    other = run("build", "--precision", "fp32")
    assert other.code == 1
    assert "dtype was 'int8' and is now 'float32'" in other.err
    assert run("build", "--precision", "auto", "--rebuild").code == 0
    assert read_manifest(Path(".echo-index")).encoder["dtype"] == "float32"


def test_an_index_keeps_its_settings(run: Run, notes: Path, tiny_folder: Path) -> None:
    run("build", "notes", "--layer", "2", "--chunk-tokens", "64")
    (notes / "new.md").write_text("# New\n\nA new page.\n")
    assert "1 new" in run("build", "notes", "--model", str(tiny_folder)).out
    facts = json.loads(run("status", "--json").out)
    assert facts["encoder"]["layer"] == 2
    assert facts["chunking"]["max_tokens"] == 64


def test_rebuild_changes_the_settings(run: Run, notes: Path) -> None:
    run("build", "notes")
    assert run("build", "notes", "--layer", "2", "--rebuild").code == 0
    assert json.loads(run("status", "--json").out)["encoder"]["layer"] == 2


def test_control_characters_in_names_are_replaced(run: Run, tmp_path: Path) -> None:
    (tmp_path / "new\nline\u202e.txt").write_text("Whales live in the sea.")
    (tmp_path / "bro\nken\x1b[2J.pdf").write_bytes(b"no PDF")
    built = run("build", str(tmp_path))
    assert "  bro\ufffdken\ufffd[2J.pdf: It is not a readable PDF" in built.out
    [place] = [line for line in run("search", "whales", "--mode", "lexical").out.splitlines() if ".txt" in line]
    assert "new\ufffdline\ufffd.txt:1" in place


def test_documents_cannot_control_the_terminal(run: Run, tmp_path: Path) -> None:
    (tmp_path / "evil.txt").write_text("\x1b[2J\x1b]0;owned\x07 [bold red]markup[/] and [link=http://x]y[/link]")
    run("build", "evil.txt")
    shown = run("search", "markup").out
    assert "\x1b" not in shown and "\x07" not in shown
    assert "[bold red]markup[/]" in shown


def test_ctrl_c_keeps_finished_work_and_names_the_remedy(tmp_path: Path, tiny_folder: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    for number in range(150):
        (notes / f"{number}.md").write_text(
            f"# Page {number}\n\n" + f"The quick brown fox number {number} jumps. " * 40
        )
    command = [sys.executable, "-m", "echo_index", "build", str(notes), "--model", str(tiny_folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    started = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    catalog = tmp_path / ".echo-index/catalog.sqlite"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and _vectors_in(catalog) == 0:
        time.sleep(0.02)
    started.send_signal(signal.SIGINT)
    _, said = started.communicate(timeout=60)
    assert started.returncode == 130
    assert "Stopped. What was embedded is kept" in said
    assert "Traceback" not in said
    kept = _vectors_in(catalog)
    assert kept > 0
    again = subprocess.run(
        [*command, "--json"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    report = json.loads(again.stdout)
    assert report["documents"] == 150
    assert report["embedded"] == _vectors_in(catalog) - kept


def _vectors_in(catalog: Path) -> int:
    """Return the number of different texts that have a vector."""
    import sqlite3

    if not catalog.exists():
        return 0
    connection = sqlite3.connect(catalog)
    try:
        texts = "SELECT count(DISTINCT hash) FROM chunks WHERE id IN (SELECT chunk FROM vector_codes)"
        return int(connection.execute(texts).fetchone()[0])
    except sqlite3.OperationalError:
        return 0
    finally:
        connection.close()


@pytest.mark.model
def test_build_search_and_ask_with_the_default_model(run: Run, tmp_path: Path) -> None:
    docs = ROOT / "docs"
    (tmp_path / "docs").mkdir()
    for page in ("troubleshooting.md", "models.md"):
        shutil.copy(docs / page, tmp_path / "docs")
    assert run("build", "docs", "--model", "gemma3-270m").code == 0
    hits = json.loads(run("search", "It says that another process is building the index", "-k", "1", "--json").out)
    assert hits[0]["source"] == "docs/troubleshooting.md"
    answer = json.loads(run("ask", "Which environment variable chooses the cache folder?", "--json").out)
    assert "ECHO_INDEX_CACHE" in answer["text"]
    assert "docs/models.md" in [citation["hit"]["source"] for citation in answer["citations"]]


def test_a_search_tells_on_standard_error_what_has_changed(run: Run, notes: Path) -> None:
    run("build", "notes", "--index", "my idx")
    assert run("search", "fox", "--index", "my idx").err == ""
    (notes / "new.md").write_text("A new note.")
    (notes / "newer.md").write_text("A newer note.")
    (notes / "vow.md").unlink()
    line = "3 files changed since the last build (2 new, 1 removed): echo-index build --index 'my idx'"
    found = run("search", "fox", "--index", "my idx")
    assert found.err == f"{line}\n" and line not in found.out
    as_json = run("search", "fox", "--index", "my idx", "--json")
    assert as_json.err == f"{line}\n" and len(json.loads(as_json.out)) == 2
    asked = run("ask", "Which fox?", "--index", "my idx", "--json", "--no-adapter")
    assert asked.err.endswith(f"{line}\n")
    assert json.loads(asked.out)["changed_files"] == {"new": 2, "changed": 0, "removed": 1, "gone": []}
    run("build", "notes", "--index", "my idx")
    assert run("search", "fox", "--index", "my idx").err == ""


def test_the_default_index_needs_no_name_in_the_command(run: Run, notes: Path) -> None:
    run("build", "notes")
    (notes / "fox.md").write_text("The fox sleeps.")
    assert run("search", "fox").err == "1 file changed since the last build (1 changed): echo-index build\n"


def test_a_search_with_update_builds_first(run: Run, notes: Path, tmp_path: Path) -> None:
    run("build", "notes")
    assert run("search", "wizards", "--update", "--mode", "lexical").err == ""
    (notes / "new.md").write_text("Wizards like zebras.")
    (notes / "fox.md").unlink()
    found = run("search", "zebras", "--update", "--mode", "lexical")
    assert "notes/new.md" in found.out
    assert found.err == "Updated: 1 new, 1 unchanged, 1 removed; 1 passage embedded.\n"
    (notes / "newer.md").write_text("Zebras sleep.")
    assert "Updated: 1 new" in run("ask", "Who sleeps?", "--update", "--no-adapter").err


def test_a_source_that_is_gone_is_told_and_loses_nothing(run: Run, notes: Path, tmp_path: Path) -> None:
    run("build", "notes")
    notes.rename(tmp_path / "away")
    line = f"{notes} is missing; its documents stay in the index.\n"
    for words in ((), ("--update",)):
        found = run("search", "fox", "--mode", "lexical", *words)
        assert "notes/fox.md" in found.out and found.err == line
    missing = run("search", "fox", "--update", "--index", "nowhere")
    assert missing.code == 1 and "There is no complete index in nowhere" in missing.err


def test_a_watch_prints_no_report_as_json(run: Run, notes: Path) -> None:
    refused = run("build", "notes", "--watch", "--json")
    assert refused.code == 2 and "leave out --watch" in refused.err
    for command in (("build", "notes"), ("serve",)):
        refused = run(*command, "--watch-polling")
        assert refused.code == 2 and "add --watch" in refused.err
