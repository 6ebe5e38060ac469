"""Measure embedding speed and fidelity to the reference implementation; one table for each corpus.

    python -m benchmarks.encode [--model NAME] [--threads N] [--rows plain,ours-int8] [--sts FILE.tsv] [--json OUT.json]

There are two corpora from the guide in docs/: documents of 30 to 250 tokens, and single sentences. Each row runs in a
process of its own, and the rows are interleaved. Rows of other packages (see peers.py) run in the interpreter of
--peers; if a package is missing, the row is skipped with a message. The columns are explained below the tables.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from benchmarks.encode import table
from benchmarks.encode.machine import machine
from benchmarks.encode.measure import Report, measure
from benchmarks.encode.processes import RowFailed, RowProcess
from benchmarks.encode.rows import ROWS, Setting
from benchmarks.encode.subject import Subject, load_subject
from echo_index.embeddings.models.bundled import DEFAULT_MODEL
from echo_index.retriever.evaluation.dataset_loader import read_evaluation_input
from echo_index.retriever.evaluation.datasets import SentencePairs


def main(words: Sequence[str] | None = None) -> None:
    """Measure, print the tables, and write JSON if requested."""
    given = _arguments(words)
    started_on = machine(threads=given.threads)
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as running:
        folder = Path(scratch)
        pairs = _pairs(given.sts, limit=given.pairs) if given.sts else None
        subject = load_subject(
            given.model, documents=given.documents, sentences=given.sentences, pairs=pairs, folder=folder
        )
        processes: dict[str, RowProcess] = {}
        failed: dict[str, str] = {}
        for name in given.rows:
            try:
                process = RowProcess(
                    _setting(name, subject, given), python=given.peers if ROWS[name].is_peer else sys.executable
                )
            except RowFailed as reason:
                failed[name] = str(reason)
                continue
            running.callback(process.close)
            processes[name] = process
            _say(f"{name} is loaded")
        scores = pairs.scores if pairs else ()
        report = measure(processes, subject, failed, rounds=given.rounds, scores=scores, folder=folder, say=_say)
    command = shlex.join(["python", "-m", "benchmarks.encode", *(sys.argv[1:] if words is None else words)])
    state = {**started_on, "command": command}
    _print(report, subject, state)
    if given.json:
        given.json.write_text(json.dumps({"machine": state, **asdict(report)}, indent=1), encoding="utf-8")


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.encode", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--threads", type=int, default=2, help="threads of each process; one runs at a time")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=_rows, default=list(ROWS), help=f"any of {','.join(ROWS)}")
    parser.add_argument("--documents", type=int, default=32, help="number of documents of 30 to 250 tokens")
    parser.add_argument("--sentences", type=int, default=96, help="number of sentences")
    parser.add_argument("--sts", type=Path, help="an STS file as for echo-index eval, to correlate each row with")
    parser.add_argument("--pairs", type=int, default=500, help="only the first so many of the STS file")
    parser.add_argument("--peers", default=sys.executable, help="the interpreter that has the other packages")
    parser.add_argument("--minilm", type=Path, help="the folder of all-MiniLM-L6-v2, if no package carries it")
    parser.add_argument("--json", type=Path)
    return parser.parse_args(words)


def _pairs(path: Path, *, limit: int) -> SentencePairs:
    pairs = read_evaluation_input(path, limit=limit)
    if not isinstance(pairs, SentencePairs):
        raise SystemExit(f"{path} has no pairs of sentences")
    return pairs


def _rows(names: str) -> list[str]:
    for name in names.split(","):
        if name not in ROWS:
            raise argparse.ArgumentTypeError(f"there is no row {name!r}; there are {', '.join(ROWS)}")
    return [name for name in ROWS if name in names.split(",")]


def _setting(row: str, subject: Subject, given: argparse.Namespace) -> Setting:
    return Setting(
        row=row,
        model=given.model,
        folder=str(subject.folder),
        gguf=None if subject.gguf is None else str(subject.gguf),
        minilm=None if given.minilm is None else str(given.minilm),
        threads=given.threads,
        corpora=subject.corpora,
    )


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _print(report: Report, subject: Subject, state: dict[str, str | int | float]) -> None:
    print(f"- model {report.model}, layer {report.layer}, {report.linear_weights:,} weights of linear layers up to it")
    for name, value in state.items():
        print(f"- {name}: {value}")
    for name, rate in report.peaks.items():
        print(f"- {name}: {rate / 1e9:,.0f} billion operations a second")
    for corpus, figures in report.corpora.items():
        print(f"\n### {corpus}: {subject.describe(corpus)}\n\n{table.corpus_table(figures)}")
    if report.sts:
        print(f"\n### Spearman x100, {len(subject.corpora['sts']) // 2} pairs\n\n{table.sts_table(report.sts)}")
    if report.failed:
        print(f"\n{table.failures(report.failed)}")
    print(f"\n{table.NOTES}")


if __name__ == "__main__":
    main()
