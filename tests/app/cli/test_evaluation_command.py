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
    assert "Leave out --adapter, --no-adapter, --layer and --precision." in err


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
