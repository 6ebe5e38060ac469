"""The benchmark of speed: its texts, its arithmetic, and a small run. No test depends on the speed."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from benchmarks.encode.__main__ import main
from benchmarks.encode.corpus import draw_documents, draw_sentences, guide_sentences
from benchmarks.encode.engines import PlainEngine, linear_weights
from benchmarks.encode.figures import fidelity, median_ratio, operations_per_second, share_of_peak
from benchmarks.encode.processes import RowFailed, RowProcess
from benchmarks.encode.rounds import time_rows
from benchmarks.encode.rows import Setting
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.language_model import LanguageModel

STS = "score\tsentence1\tsentence2\n5\tA fox jumps.\tThe fox jumps.\n1\tA lazy dog.\tMonday.\n3\tMy box\tA box\n"


class Script:
    """A row with scripted seconds, where None is a failure; records its calls in `turns`."""

    def __init__(self, name: str, seconds: Sequence[float | None], turns: list[str]) -> None:
        self._name = name
        self._seconds = iter(seconds)
        self._turns = turns

    def run(self, corpus: str, *, save: Path | None = None) -> float:
        """Return the next of the seconds."""
        self._turns.append(f"{self._name} {corpus}{' saved' if save else ''}")
        seconds = next(self._seconds)
        if seconds is None:
            raise RowFailed("it had enough")
        return seconds


def test_documents_are_the_same_each_time_and_within_bounds(tiny_model: LanguageModel) -> None:
    sentences = guide_sentences()
    documents = draw_documents(sentences, tiny_model.tokenizer, count=24)
    lengths = [len(encoding.ids) for encoding in tiny_model.tokenizer.encode_batch(documents)]
    assert documents == draw_documents(guide_sentences(), tiny_model.tokenizer, count=24)
    assert len(set(documents)) == 24
    assert min(lengths) >= 30
    assert max(lengths) <= 250
    assert max(lengths) > 3 * min(lengths)


def test_sentences_are_the_same_each_time_single_and_short(tiny_model: LanguageModel) -> None:
    sentences = guide_sentences()
    drawn = draw_sentences(sentences, tiny_model.tokenizer, count=40)
    assert drawn == draw_sentences(guide_sentences(), tiny_model.tokenizer, count=40)
    assert set(drawn) <= set(sentences)
    assert {5 <= len(encoding.ids) <= 25 for encoding in tiny_model.tokenizer.encode_batch(drawn)} == {True}


def test_the_sentences_of_the_guide_are_prose() -> None:
    sentences = guide_sentences()
    assert len(sentences) > 200
    assert [sentence for sentence in sentences if "\n" in sentence or sentence.startswith(("#", "|", "```"))] == []


def test_the_ratio_is_the_median_of_the_ratios_of_each_round() -> None:
    # A slow second round slows both alike: the ratio of the medians would be 3.
    assert median_ratio([4.0, 12.0, 6.0], [2.0, 6.0, 1.0]) == 2.0


def test_a_share_of_the_peak_counts_two_operations_a_weight_and_token() -> None:
    peak = operations_per_second(4000, [2.0, 1.0, 4.0])
    assert peak == 4000.0
    assert share_of_peak(tokens=10, weights=100, seconds=[1.0, 0.5, 9.0], peak=peak) == 0.5


def test_linear_weights_are_those_of_the_layers_that_are_needed(tiny_model: LanguageModel) -> None:
    layer = 32 * 32 + 2 * 32 * 16 + 32 * 32 + 3 * 32 * 64
    assert linear_weights(tiny_model.base_model, layer=3) == 3 * layer
    assert linear_weights(tiny_model.base_model, layer=None) == 4 * layer


def test_centred_cosines_show_what_a_large_common_part_hides() -> None:
    plain = np.array([[10, 1, 0], [10, -1, 0], [10, 0, 1], [10, 0, -1]], dtype=np.float32)
    swapped = plain[[1, 0, 2, 3]] * 7
    near = fidelity(swapped, plain)
    assert near.least == pytest.approx(99 / 101)
    assert near.mean == pytest.approx((99 / 101 + 1) / 2)
    assert near.centred_least == pytest.approx(-1, abs=1e-5)
    assert near.centred_mean == pytest.approx(0, abs=1e-5)


def test_fidelity_removes_each_side_s_own_mean() -> None:
    plain = np.array([[0, 1], [0, -1]], dtype=np.float32)
    moved = np.array([[1, 1], [1, -1]], dtype=np.float32)
    assert fidelity(moved, plain).least == pytest.approx(0.5**0.5)
    assert fidelity(moved, plain).centred_least == pytest.approx(1)


def test_the_plain_way_gives_our_embeddings(tiny_folder: Path, tiny_model: LanguageModel) -> None:
    texts = ["The quick brown fox " * (1 + number % 5) + str(number) for number in range(19)]  # more than a batch
    plain = PlainEngine(str(tiny_folder), tiny_folder)
    near = fidelity(plain.encode(texts), EchoEncoder(tiny_model).encode_documents(texts))
    assert near.centred_least == pytest.approx(1, abs=1e-4)


def test_rows_are_interleaved_and_only_the_first_round_is_saved(tmp_path: Path) -> None:
    turns: list[str] = []
    rows = {name: Script(name, [1.0, 2.0], turns) for name in ("a", "b")}
    seconds, failed = time_rows(rows, ["texts"], rounds=2, folder=tmp_path, say=lambda line: None)
    assert turns == ["a texts saved", "b texts saved", "b texts", "a texts"]
    assert seconds == {"a": {"texts": [1.0, 2.0]}, "b": {"texts": [1.0, 2.0]}}
    assert failed == {}


def test_a_row_that_fails_in_the_middle_loses_its_figures_and_the_rest_goes_on(tmp_path: Path) -> None:
    turns: list[str] = []
    rows = {"a": Script("a", [1.0, None], turns), "b": Script("b", [1.0, 2.0, 3.0], turns)}
    seconds, failed = time_rows(rows, ["texts"], rounds=3, folder=tmp_path, say=lambda line: None)
    assert seconds == {"b": {"texts": [1.0, 2.0, 3.0]}}
    assert failed == {"a": "it had enough"}


@pytest.mark.parametrize(
    ("python", "reason"),
    [("no-such-python", "no-such-python cannot be started"), ("false", "its process ended with code 1")],
)
def test_a_process_that_does_not_start_says_why(python: str, reason: str) -> None:
    setting = Setting("plain", "no model", "no folder", gguf=None, minilm=None, threads=1, corpora={})
    with pytest.raises(RowFailed, match=reason):
        RowProcess(setting, python=python)


def test_a_whole_run(tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text(STS, encoding="utf-8")
    written = tmp_path / "report.json"
    main(
        f"--model {tiny_folder} --rows plain,llama.cpp,peak-fp32,peak-int8 --threads 1 --rounds 2 --documents 3 "
        f"--sentences 4 --sts {pairs} --peers {sys.executable} --json {written}".split()
    )
    printed = capsys.readouterr().out
    report = json.loads(written.read_text(encoding="utf-8"))
    assert "- llama.cpp did not run: ValueError: the model did not come as a GGUF file\n" in printed
    assert printed.count("| plain |") == 3
    assert report["failed"] == {"llama.cpp": "ValueError: the model did not come as a GGUF file"}
    assert set(report["peaks"]) == {"peak-fp32", "peak-int8"}
    assert set(report["sts"]) == {"plain"}
    assert report["machine"]["threads"] == 1
    for corpus, texts in (("documents", 3), ("sentences", 4)):
        (plain,) = report["corpora"][corpus]
        assert plain["texts"] == texts == len(report["lengths"][corpus])
        assert len(plain["seconds"]) == 2
        assert plain["ratio"] == 1
        assert plain["fidelity"]["centred_least"] == pytest.approx(1, abs=1e-5)
        assert plain["tokens"] > 2 * sum(report["lengths"][corpus])
        assert plain["of_fp32_peak"] > 0
        assert plain["of_int8_peak"] is None
