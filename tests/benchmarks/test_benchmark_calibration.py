"""The benchmark of calibration: its choice compared with the choice by labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from evaluation_files import json_lines

from benchmarks import calibration
from benchmarks.calibration import of_halves

WORDS = "harbour lighthouse storm keeper winter ledger whale bread flour salt star planet kite goat cider oven".split()


def write_collection(folder: Path, count: int) -> Path:
    """Write documents of twelve words, and for each a query with six of them."""
    (folder / "qrels").mkdir(parents=True)
    texts = [" ".join(np.random.default_rng(number).choice(WORDS, 12)) + f". Note {number}." for number in range(count)]
    corpus = [{"_id": f"d{number}", "title": "", "text": text} for number, text in enumerate(texts)]
    queries = [{"_id": f"q{number}", "text": " ".join(text.split()[:6])} for number, text in enumerate(texts)]
    judged = [f"q{number}\td{number}\t1" for number in range(count)]
    json_lines(folder / "corpus.jsonl", corpus)
    json_lines(folder / "queries.jsonl", queries)
    (folder / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "\n".join(judged) + "\n", encoding="utf-8")
    return folder


def test_labels_that_know_no_better_than_chance_win_nothing_on_the_other_half() -> None:
    scores = np.random.default_rng(0).normal(50, 30, (20, 40))
    best = scores.mean(axis=1).max()
    assert best - scores[0].mean() > 5  # on these very questions
    assert abs(of_halves(scores, scores[0]) - (scores.mean() - scores[0].mean())) < 5


def test_what_is_better_by_labels_on_all_questions_is_so_on_the_other_half() -> None:
    calibrated = np.random.default_rng(0).normal(50, 30, 40)
    assert of_halves(np.stack([calibrated, calibrated + 7, calibrated - 1]), calibrated) == pytest.approx(7)
    assert of_halves(np.stack([calibrated, calibrated - 1]), calibrated) == 0


def test_a_row_has_the_choices_and_vectors_are_cached(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, work = write_collection(tmp_path / "small", 40), tmp_path / "work"
    words = [str(folder), "--model", str(tiny_folder), "--work", str(work), "--questions", "20"]
    calibration.main(words)
    printed = capsys.readouterr().out
    name, asked, tried, *_, of_all, of_halves = printed.splitlines()[2].split()
    assert (name, asked) == ("small", "40")
    assert int(tried) > 4
    assert float(of_all) >= 0
    assert float(of_halves) <= float(of_all) + 5
    written = {path: path.stat().st_mtime_ns for path in work.iterdir()}
    assert len(written) == 3
    calibration.main(words)
    assert capsys.readouterr().out == printed
    assert {path: path.stat().st_mtime_ns for path in work.iterdir()} == written
