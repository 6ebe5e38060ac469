"""Measure how work slows down beside other busy programs.

    python -m benchmarks.busy [--model NAME] [--precision auto] [--cores 1,2] [--busy 1,2] [--rounds 3]

Each number of cores has a process of its own, which runs on so many cores together with the busy programs: loops that
never wait. A round measures every kind of work alone and beside each number of them. The figures are medians of the
rounds, in units of work per second; in brackets, how many times as long the work takes as alone.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from statistics import median

from benchmarks.encode.corpus import GUIDE, draw_documents, draw_sentences, guide_sentences
from benchmarks.encode.machine import machine
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.generation.text_generation import generate
from echo_index.embeddings.models.bundled import DEFAULT_MODEL
from echo_index.embeddings.models.model_loading import load_model
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.sources.source import Source

_DOCUMENTS, _SENTENCES, _QUERIES, _ANSWER_TOKENS = 32, 128, 12, 40
_BUILT_PAGE = GUIDE / "searching.md"
_SETTLING = 0.5  # seconds after busy programs start or end, so that they count as such
_BUSY = "while True: pass"
_Work = Callable[[], float]
"""Does some work, and returns how many units of it."""


def main(words: Sequence[str] | None = None) -> None:
    """Print one table for each number of cores."""
    given = _arguments(words)
    if given.on is None:
        for cores in given.cores or _default_cores():
            _run_on(cores, given)
        return
    os.sched_setaffinity(0, range(given.on))  # the busy programs inherit it
    print(" | ".join(f"{name}: {value}" for name, value in machine(threads=given.on).items()))
    encoder = EchoEncoder(load_model(given.model)).with_precision(given.precision)
    print(f"{given.model}, {encoder.precision.value}, {given.on} cores, {given.rounds} rounds")
    print(f"{'work':28}{'alone':>12}" + "".join(f"{f'beside {busy}':>20}" for busy in given.busy), flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        for name, rates in _measure(_work(encoder, Path(scratch)), given.busy, rounds=given.rounds).items():
            alone, *others = (median(values) for values in rates)
            print(f"{name:28}{alone:12.1f}" + "".join(f"{f'{rate:.1f} ({alone / rate:.2f} x)':>20}" for rate in others))


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    def numbers(text: str) -> list[int]:
        return [int(part) for part in text.split(",")]

    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.busy", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--cores", type=numbers, default=[], help="default: 1, 2 and all")
    parser.add_argument("--busy", type=numbers, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--on", type=int, help=argparse.SUPPRESS)
    return parser.parse_args(words)


def _default_cores() -> list[int]:
    available = len(os.sched_getaffinity(0))
    return sorted({cores for cores in (1, 2, available) if cores <= available})


def _run_on(cores: int, given: argparse.Namespace) -> None:
    options = ["--model", given.model, "--precision", given.precision, "--rounds", str(given.rounds)]
    command = [sys.executable, "-m", "benchmarks.busy", *options, "--on", str(cores)]
    subprocess.run(
        [*command, "--busy", ",".join(map(str, given.busy))],
        env={**os.environ, "OMP_NUM_THREADS": str(cores)},
        check=True,
    )


def _work(encoder: EchoEncoder, scratch: Path) -> dict[str, _Work]:
    """Return each kind of work by what is counted."""
    tokenizer = encoder.model.tokenizer
    sentences = guide_sentences()
    documents = draw_documents(sentences, tokenizer, count=_DOCUMENTS)
    short = draw_sentences(sentences, tokenizer, count=_SENTENCES)
    numbers = count()

    def embed(texts: Sequence[str]) -> float:
        encoder.encode_documents(texts)
        return len(texts)

    def ask() -> float:
        for text in short[:_QUERIES]:
            encoder.encode_queries([text])
        return _QUERIES

    def answer() -> float:
        prompt = tokenizer.encode("\n".join([f"Part {next(numbers)}.", *sentences[:20]]))  # not in the prompt cache
        answer = generate(encoder.model, prompt, max_tokens=_ANSWER_TOKENS)
        for _ in answer:
            pass
        return answer.tokens

    def build() -> float:
        report = build_index([Source.parse(str(_BUILT_PAGE))], scratch / str(next(numbers)), encoder=encoder)
        return report.chunks

    return {
        "documents embedded": lambda: embed(documents),
        "sentences embedded": lambda: embed(short),
        "queries embedded one by one": ask,
        "tokens of an answer": answer,
        "passages of a build": build,
    }


def _measure(work: dict[str, _Work], busy: Sequence[int], *, rounds: int) -> dict[str, list[list[float]]]:
    """Return for each kind of work its rates of every round: alone, then beside each number of busy programs."""
    rates: dict[str, list[list[float]]] = {name: [[] for _ in (0, *busy)] for name in work}
    for act in work.values():
        act()
    for _ in range(rounds):
        for place, number in enumerate((0, *busy)):
            with _busy_programs(number):
                for name, act in work.items():
                    started = time.perf_counter()
                    done = act()
                    rates[name][place].append(done / (time.perf_counter() - started))
    return rates


@contextmanager
def _busy_programs(number: int) -> Iterator[None]:
    programs = [subprocess.Popen([sys.executable, "-c", _BUSY]) for _ in range(number)]
    try:
        time.sleep(_SETTLING)
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()


if __name__ == "__main__":
    main()
