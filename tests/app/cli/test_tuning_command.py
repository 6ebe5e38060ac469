"""echo-index tune: training an adapter from pairs, building with it, and errors."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from evaluation_files import json_lines
from facts import FACTS, write_facts
from repository import ROOT
from safetensors.numpy import load_file
from typer.testing import CliRunner
from word_pairs import word_pairs

from echo_index.app.cli.main import app
from echo_index.embeddings.training.step_log import TUNING_LOG
from echo_index.errors import EchoIndexError
from echo_index.retriever.tuning.pair_files import read_pairs

RUNNER = CliRunner()


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "words.jsonl"
    lines = [json.dumps({"query": pair.query, "positive": pair.positive}) for pair in word_pairs()]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def run(*words: str | Path, code: int = 0) -> str:
    """Run the command line and return its output."""
    result = RUNNER.invoke(app, [*map(str, words)])
    if isinstance(result.exception, EchoIndexError):
        assert code == 1
        return str(result.exception)
    assert result.exit_code == code, result.output
    return result.output


def test_a_tuned_model_builds_an_index(tiny_folder: Path, pairs: Path, tmp_path: Path) -> None:
    adapter, docs, index = tmp_path / "adapter", tmp_path / "docs", tmp_path / "index"
    options = ("--steps", "6", "--batch", "50", "--held-out", "10", "--evaluate-every", "3", "--rank", "2")
    options = (*options, "--learning-rate", "0.1")  # so that it gets better in every number format
    output = run("tune", "--pairs", pairs, "--model", tiny_folder, "--layer", "3", "--out", adapter, *options)
    assert "60 pairs from 1 source." in output
    assert "Step 3: loss" in output
    assert f"echo-index build --rebuild --adapter {adapter}" in output.replace("\n", "")
    assert "6 steps; best at step" in output
    assert "Before: held-out MRR" in output
    assert len((adapter / TUNING_LOG).read_text(encoding="utf-8").splitlines()) == 7
    assert b"<svg" in (adapter / "log.svg").read_bytes()
    docs.mkdir()
    (docs / "a.txt").write_text("The quick brown fox jumps over the lazy dog.", encoding="utf-8")
    run("build", docs, "--model", tiny_folder, "--adapter", adapter, "--index", index)
    built = json.loads(run("status", "--index", index, "--json"))
    assert built["encoder"]["adapter"] == str(adapter)
    assert built["encoder"]["layer"] == 3
    again = run("tune", "--pairs", pairs, "--model", tiny_folder, "--layer", "3", "--out", adapter, *options)
    assert "The training was already complete." in again


@pytest.mark.parametrize("kind", [("--rank", "2"), ("--head",)])
def test_held_out_pairs_can_come_from_a_file(
    tiny_folder: Path, pairs: Path, tmp_path: Path, kind: tuple[str, ...]
) -> None:
    lines = pairs.read_text(encoding="utf-8").splitlines()
    (tmp_path / "apart.jsonl").write_text(lines[7], encoding="utf-8")  # a single pair is always ranked first
    options = ("--steps", "2", "--batch", "4", "--model", tiny_folder, "--out", tmp_path / "adapter", *kind)
    output = run("tune", "--pairs", pairs, "--held-out-pairs", tmp_path / "apart.jsonl", *options)
    assert "Before: held-out MRR 100.0." in output
    measured = [json.loads(line)["held_out"] for line in (tmp_path / "adapter" / TUNING_LOG).read_text().splitlines()]
    assert measured == [100.0, None, 100.0]


def test_a_head_builds_an_index(tiny_folder: Path, pairs: Path, tmp_path: Path) -> None:
    adapter, docs, index = tmp_path / "adapter", tmp_path / "docs", tmp_path / "index"
    options = ("--steps", "6", "--batch", "8", "--evaluate-every", "3", "--layer", "echo:4+0.5*text:3")
    output = run("tune", "--head", "--pairs", pairs, "--model", tiny_folder, "--out", adapter, *options)
    assert "6 steps" in output
    docs.mkdir()
    (docs / "a.txt").write_text("The quick brown fox jumps over the lazy dog.", encoding="utf-8")
    run("build", docs, "--adapter", adapter, "--model", tiny_folder, "--index", index)
    assert json.loads(run("status", "--index", index, "--json"))["encoder"]["layer"] == "echo:4+0.5*text:3"
    assert "a.txt" in run("search", "fox", "--index", index)


def test_pairs_can_come_from_an_index(tiny_folder: Path, tmp_path: Path) -> None:
    docs, index = tmp_path / "docs", tmp_path / "index"
    docs.mkdir()
    for number in range(30):
        text = f"The fox number {number} jumps over the box. The dog number {number} sleeps in it."
        (docs / f"{number}.txt").write_text(text, encoding="utf-8")
    run("build", docs, "--model", tiny_folder, "--index", index)
    options = ("--steps", "2", "--batch", "4", "--held-out", "5", "--model", tiny_folder, "--out", tmp_path / "adapter")
    assert "30 pairs from 1 source." in run("tune", "--from-index", index, *options)


@pytest.mark.model
def test_a_model_writes_questions_for_an_index(tiny_folder: Path, tmp_path: Path) -> None:
    docs, index, adapter, collection = (tmp_path / name for name in ("docs", "index", "adapter", "collection"))
    docs.mkdir()
    for name, place in zip(("castle", "mill", "museum", "bakery", "harbour", "forge"), "ABCDEF", strict=True):
        text = f"The {name} in street {place} is open from eight to five. Tickets for the {name} are sold at the gate."
        (docs / f"{name}.txt").write_text(text, encoding="utf-8")
    run("build", docs, "--model", tiny_folder, "--index", index)
    options = ("--steps", "1", "--batch", "2", "--held-out", "0", "--model", tiny_folder, "--out", adapter)
    write = ("--from-index", index, "--writer", "smollm2-135m-instruct", "--passages", "5")
    output = run("tune", *options, *write)
    written = re.search(r"(\d+) questions for 5 passages; a search finds the passage for (\d+)", output)
    assert written is not None
    questions, found = map(int, written.groups())
    assert 5 <= questions <= 20 and 2 <= found <= questions
    pairs = read_pairs(adapter / "pairs.jsonl")
    assert len(pairs) == found
    assert all(pair.positive in [path.read_text(encoding="utf-8") for path in docs.iterdir()] for pair in pairs)
    assert {pair.source for pair in pairs} <= {f"index, {kind}" for kind in ("question", "need", "search", "statement")}

    stored = (adapter / "questions.jsonl").read_bytes()
    (collection / "qrels").mkdir(parents=True)
    (collection / "corpus.jsonl").write_text(json.dumps({"_id": "1", "title": "", "text": pairs[0].positive}))
    (collection / "queries.jsonl").write_text(json.dumps({"_id": "1", "text": "open today"}))
    other = tmp_path / "other"
    shutil.copytree(adapter, other, ignore=lambda folder, names: [name for name in names if "questions" not in name])
    output = run("tune", *options[:-1], other, *write, "--apart-from", collection)
    of_that_passage = sum(pair.positive == pairs[0].positive for pair in pairs)
    assert f"{of_that_passage} pair" in output and "left out: ten words in a row" in output
    assert (other / "questions.jsonl").read_bytes().split() == stored.split()  # nothing was written again


def test_several_processes_do_not_write_the_same_questions(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    output = run("tune", "--from-index", tmp_path, "--writer", "smollm2-135m-instruct", "--out", tmp_path, code=1)
    assert "Questions cannot be written by several processes." in output
    assert f"--pairs {tmp_path}/pairs.jsonl" in output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--writer", "smollm2-135m-instruct"], "--writer needs the passages of an index: --from-index."),
        (["--passages", "5"], "--passages needs a model that writes: --writer."),
    ],
)
def test_a_writer_and_an_index_belong_together(options: list[str], message: str, pairs: Path) -> None:
    output = run("tune", "--pairs", pairs, *options, code=2)
    assert message in " ".join(re.sub("[│╭╮╰╯─]", " ", output).split())


def test_an_adapter_can_be_trained_further(tiny_folder: Path, pairs: Path, tmp_path: Path) -> None:
    options = ("--steps", "2", "--batch", "8", "--held-out", "0", "--model", tiny_folder, "--pairs", pairs)
    run("tune", *options, "--rank", "2", "--out", tmp_path / "first")
    further = (*options, "--adapter", tmp_path / "first", "--out", tmp_path / "second")
    output = run("tune", *further, "--rank", "4", code=1)
    assert "cannot be changed. Train a new adapter: --no-adapter" in output
    assert "2 steps, loss" in run("tune", *further)
    first, second = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("first", "second"))
    assert first.keys() == second.keys()
    assert any(not np.array_equal(first[name], second[name]) for name in first)
    assert all(
        np.allclose(first[name], second[name], atol=2e-3) for name in first
    )  # training started from the first adapter


def test_two_processes_train_what_one_trains(tiny_folder: Path, pairs: Path, tmp_path: Path) -> None:
    # more tokens than fit into one pass, so that both processes have a share
    options = ["--steps", "5", "--batch", "50", "--held-out", "10", "--evaluate-every", "5", "--rank", "2"]
    options += ["--learning-rate", "0.1"]  # so that it gets better in every number format
    words = ["tune", "--pairs", str(pairs), "--model", str(tiny_folder), "--device", "cpu", *options, "--out"]
    # on a CPU, torch.distributed.run does what accelerate does on several GPUs
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "echo_index"]
    both = subprocess.run(
        [sys.executable, *launch, *words, str(tmp_path / "two")], capture_output=True, text=True, cwd=ROOT, timeout=300
    )
    assert both.returncode == 0, both.stderr
    assert both.stderr.count("60 pairs from 1 source.") == 2
    assert both.stdout.count("5 steps") == 1
    run(*words, str(tmp_path / "one"))
    one, two = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("one", "two"))
    assert one.keys() == two.keys()
    assert all(np.allclose(one[name], two[name], atol=1e-4) for name in one)
    assert any(np.abs(one[name]).max() > 1e-3 for name in one if "lora_B" in name)
    assert len((tmp_path / "two" / TUNING_LOG).read_text(encoding="utf-8").splitlines()) == 6


@pytest.mark.parametrize(
    ("words", "code", "output"),
    [
        (
            ("--pairs", "{pairs}", "--model", "{tiny}", "--learning-rate", "0"),
            0,
            "without improvement",
        ),
        ((), 1, "There are no pairs to train on. Name a file (--pairs) or an index (--from-index)."),
        (("--pairs", "{pairs}", "--held-out-pairs", "apart.tsv"), 1, "apart.tsv cannot be read: No such file"),
        (("--pairs", "gone.jsonl"), 1, "gone.jsonl cannot be read: No such file or directory."),
        (("--pairs", "{pairs}", "--dimensions", "64,x"), 2, "is not a list of lengths"),
        (("--pairs", "{pairs}", "--head", "--rank", "4"), 2, "cannot be used with a head"),
        (("--pairs", "{pairs}", "--model", "{tiny}", "--first-layer", "9"), 1, "No layer from 9 on can be tuned"),
        (("--pairs", "{pairs}", "--model", "{tiny}", "--teacher", "no/such"), 1, "no/such"),
    ],
)
def test_impossible_options_are_reported(
    words: tuple[str, ...], code: int, output: str, tiny_folder: Path, pairs: Path, tmp_path: Path
) -> None:
    given = [word.format(pairs=pairs, tiny=tiny_folder) for word in (*words, "--steps", "2")]
    assert output in run("tune", *given, "--out", tmp_path / "adapter", code=code)


@pytest.mark.parametrize("option", [("--alike", "2"), ("--teacher-share", "0.25"), ("--dimensions", "8,4")])
def test_options_of_the_training_are_accepted(
    option: tuple[str, str], tiny_folder: Path, pairs: Path, tmp_path: Path
) -> None:
    words = ("--pairs", pairs, "--model", tiny_folder, "--steps", "1", "--batch", "4", "--held-out", "0", *option)
    assert "1 step, loss" in run("tune", *words, "--out", tmp_path / "adapter")


def test_a_model_learns_to_answer(tiny_folder: Path, tmp_path: Path) -> None:
    docs, index, adapter = write_facts(tmp_path / "facts"), tmp_path / "index", tmp_path / "adapter"
    run("build", docs, "--model", tiny_folder, "--index", index)
    questions = json_lines(
        tmp_path / "questions.jsonl",
        [
            {"question": question, "answers": answer, "document": f"facts/{name}.md"}
            for name, (_, question, answer) in FACTS.items()
        ],
    )
    options = ("--steps", "80", "--batch", "8", "--learning-rate", "0.02", "--rank", "8", "--held-out", "0")
    words = (
        "tune-answers",
        questions,
        "--index",
        index,
        "--writer",
        tiny_folder,
        "--out",
        adapter,
        "-k",
        "1",  # so that each question is trained with what is found for it, which this model learns by heart
        *options,
    )
    output = run(*words)
    assert "examples from 4 questions." in output
    assert f"echo-index ask --writer {adapter} QUESTION" in output.replace("\n", "")
    assert (adapter / "adapter_model.safetensors").exists()
    assert "The training was already complete." in run(*words)
    asked = ("ask", FACTS["castle"][1], "--index", index, "-k", "1", "--json", "--writer", adapter)
    answer = json.loads(run(*asked))
    assert answer["text"].startswith("Brandt [")
    assert "castle.md" in answer["citations"][0]["hit"]["source"]
    assert json.loads(run(*asked, "--no-adapter"))["text"] != answer["text"]
    measured = ("eval", "--answers", questions, "--index", index, "--work", tmp_path / "work", "-k", "1")
    run(*measured, "--writer", adapter, "--plain-writer", adapter, "--json", tmp_path / "all.json")
    writers = json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))["writers"]
    held = [writer["measures"][1]["estimate"]["value"] for writer in writers]
    assert held[0] >= 75.0, "all but one that this model does not find at once"
    assert held[1] < 75.0
