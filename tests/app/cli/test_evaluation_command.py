"""echo-index eval: tables, files, errors and Ctrl-C."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from evaluation_files import json_lines, write_beir, write_pairs

from echo_index.app.cli import evaluation_command, evaluation_plot
from echo_index.app.cli.main import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs a command in a folder with evaluation data; `eval` caches its work there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    write_beir(tmp_path / "small")
    write_pairs(tmp_path / "pairs.tsv")

    def run_command(*words: str) -> tuple[int, str, str]:
        more = ["--model", str(tiny_folder)]
        more += ["--work", "work"] if words[0] == "eval" else []
        monkeypatch.setattr(sys, "argv", ["echo-index", *words, *more])
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        return code, *capsys.readouterr()

    return run_command


def test_tables_and_files_of_several_inputs(run: Run, tmp_path: Path) -> None:
    files = ("--json", "all.json", "--markdown", "all.md", "--plot", "all.svg")
    code, out, err = run("eval", "small", "small", "pairs.tsv", *files, "--instruction", "Find it.")
    assert code == 0, err
    assert out.count("small: 2 questions, 4 documents in 3 passages") == 2
    assert "pairs: 4 pairs" in out
    assert "Means over 2 collections" in out
    [first, *_] = [line.split() for line in out.splitlines() if line.startswith("bm25")]
    assert first[:5] == ["bm25", "100.0", "100.0", "100.0", "100.0"]
    report = json.loads((tmp_path / "all.json").read_text())
    assert report["versions"]["ir-measures"]
    collection, _, pairs = report["collections"]
    assert collection["instruction"] == "Find it."
    assert collection["chunking"] == {"max_tokens": 200, "overlap_tokens": 30}
    assert {"query_prompt", "document_prompt", "layer", "pooling", "dtype", "weights"} <= {*collection["encoder"]}
    less = [f"echo-less-{count}" for count in (1, 2, 4, 8)]
    assert [row["row"] for row in pairs["rows"]] == ["classical", "echo", *less, "classical-raw", "echo-raw"]
    assert report["means"]["rankings"]["bm25"]["nDCG@10"] == 100
    markdown = (tmp_path / "all.md").read_text()
    assert "| row | nDCG@10 | recall@10 | recall@100 | MRR@10 | to bm25 | 95 % interval | ms |" in markdown
    assert "<svg" in (tmp_path / "all.svg").read_text()


def test_only_the_named_rows_and_the_baseline_are_evaluated(run: Run) -> None:
    code, out, _ = run("eval", "small", "--rows", "echo,hybrid", "--baseline", "classical", "--queries", "1")
    assert code == 0
    rows = [line.split()[0] for line in out.splitlines()[2:] if line.strip()]
    assert rows == ["classical", "echo", "hybrid"]
    assert "1 question," in out
    assert "to classical" in out


def test_questions_are_evaluated_with_the_encoder_of_the_index(run: Run, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "bread.md").write_text("# Bread\n\nIt is baked at five.\n")
    json_lines(tmp_path / "mine.jsonl", [{"question": "When is it baked?", "page": "notes/bread.md"}])
    assert run("build", "notes")[0] == 0
    code, out, err = run("eval", "mine.jsonl")
    assert code == 0, err
    assert "mine: 1 question, 1 document in 1 passage" in out
    code, _, err = run("eval", "mine.jsonl", "--layer", "1")
    assert code == 1
    assert "Leave out --adapter, --no-adapter, --profile, --layer and --precision." in err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("small", "--rows", "nonsense"), 2, "there is no row 'nonsense'"),
        (("small", "--baseline", "nonsense"), 2, "there is no row 'nonsense'"),
        (("nowhere",), 1, "Error: nowhere cannot be read"),
        (("small", "--plot", "all.gif"), 1, "Use a name in .svg or .png."),
        (("small", "--json", "nowhere/all.json"), 1, "the folder nowhere does not exist"),
    ],
)
def test_errors_are_reported_before_anything_is_embedded(
    run: Run, tmp_path: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    ended, out, err = run("eval", *words)
    assert (ended, out) == (code, "")
    assert said in " ".join(err.split())
    assert not (tmp_path / "work").exists()


def test_missing_matplotlib_is_reported_first(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation_plot, "find_spec", lambda name: None)
    code, _, err = run("eval", "small", "--plot", "all.svg")
    assert code == 1
    assert "pip install 'echo-index[evaluation]'" in err


def test_ctrl_c_ends_with_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*inputs: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluation_command, "evaluate", interrupted)
    code, _, err = run("eval", "small")
    assert code == 130
    assert "run the same command again" in err


# Answers


@pytest.fixture
def questions(tmp_path: Path) -> str:
    """Write questions with gold answers about the small collection; return the name of the file."""
    bread = {"question": "When is bread baked?", "answers": ["at five", "five"], "document": "bread"}
    whale = {"question": "Where does the whale sing?", "answers": ["in the north"], "document": "whales"}
    return json_lines(tmp_path / "asked.jsonl", [bread, whale]).name


def test_answers_to_questions_about_a_collection(run: Run, tmp_path: Path, tiny_folder: Path, questions: str) -> None:
    words = ("eval", "--answers", questions, "small", "--json", "all.json", "--markdown", "all.md")
    code, out, err = run(*words, "--writer", str(tiny_folder), "-k", "2")
    assert code == 0, err
    assert "asked: 2 questions, 4 documents in 3 passages" in out
    assert "Each question was answered from 2 passages by the default search." in out
    for row in ("gold answer held", "wrong", "cites the right document", "told that nothing was found"):
        assert f"\n  {row} " in out
    report = json.loads((tmp_path / "all.json").read_text())
    assert report["versions"]["torch"]
    [writer] = report["writers"]
    assert writer["writer"] == str(tiny_folder)
    assert [record["id"] for record in writer["records"]] == ["1", "2", "1", "2"]
    assert "| of all questions | (2) |" in (tmp_path / "all.md").read_text()
    [kept] = (tmp_path / "work" / "answers").glob("asked-*.jsonl")
    assert [json.loads(line) for line in kept.read_text().splitlines()] == writer["records"]
    assert str(kept.relative_to(tmp_path)) in "".join(err.split("\n"))


def test_answers_of_an_interrupted_run_are_kept(run: Run, tmp_path: Path, questions: str) -> None:
    def times() -> list[float]:
        [writer] = json.loads((tmp_path / "all.json").read_text())["writers"]
        return [record["seconds"] for record in writer["records"]]

    assert run("eval", "--answers", questions, "small", "--json", "all.json", "--queries", "1")[0] == 0
    [first, first_without] = times()
    assert run("eval", "--answers", questions, "small", "--json", "all.json")[0] == 0
    assert [times()[0], times()[2]] == [first, first_without]


def test_answers_to_questions_about_an_index(run: Run, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "bread.md").write_text("# Bread\n\nIt is baked at five.\n")
    line = {"question": "When is it baked?", "answers": "five", "document": "notes/bread.md"}
    json_lines(tmp_path / "mine.jsonl", [line])
    assert run("build", "notes")[0] == 0
    code, out, err = run("eval", "--answers", "mine.jsonl")
    assert code == 0, err
    assert "mine: 1 question, 1 document in 1 passage" in out
    code, _, err = run("eval", "--answers", "mine.jsonl", "--layer", "1")
    assert code == 1
    assert "Leave out --adapter, --no-adapter, --profile, --layer and --precision." in err
    json_lines(tmp_path / "mine.jsonl", [{**line, "document": "bread.md"}])
    code, _, err = run("eval", "--answers", "mine.jsonl")
    assert code == 1
    assert "Line 1 of mine.jsonl names 'bread.md', which is not in the index." in " ".join(err.split())


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "Name at least one INPUT, or --answers FILE."),
        (("--answers", "asked.jsonl", "small", "small"), 2, "--answers takes at most one INPUT"),
        (("--answers", "asked.jsonl", "small", "--rows", "bm25"), 2, "--plot are not for --answers"),
        (("small", "--writer", "gemma3-270m"), 2, "--writer, --plain-writer and --llm are for --answers"),
        (("small", "--plain-writer", "gemma3-270m"), 2, "--writer, --plain-writer and --llm are for --answers"),
        (("--answers", "nowhere.jsonl", "small"), 1, "Error: nowhere.jsonl cannot be read"),
        (("--answers", "asked.jsonl", "pairs.tsv"), 1, "pairs.tsv is no collection"),
        (("--answers", "asked.jsonl", "small", "--json", "nowhere/all.json"), 1, "the folder nowhere does not exist"),
        (("--answers", "asked.jsonl"), 1, "There is no complete index in .echo-index"),
    ],
)
def test_errors_about_answers_are_reported_before_anything_is_written(
    run: Run, questions: str, words: tuple[str, ...], code: int, said: str
) -> None:
    ended, out, err = run("eval", *words)
    assert (ended, out) == (code, "")
    assert said in " ".join(err.replace("│", "").split())
