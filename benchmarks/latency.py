"""Measure latency: new processes, queries with a loaded model, searches of a large index, and answers.

    python -m benchmarks.latency [--model NAME] [--passages 100000] [--threads 2] [--indexes FOLDER]

The small index has the guide in docs/, the questions are those of data/guide_questions.jsonl. The large index has
generated passages of 120 words, drawn by Zipf's law, with random vectors; its queries are 12 consecutive words of a
passage. Building both takes minutes: with --indexes they are kept in a folder, and used again if they are there. Times
are medians, with the minimum in brackets.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import get_args

from benchmarks.encode.corpus import GUIDE
from benchmarks.encode.machine import machine
from benchmarks.generated_index import write_random_index
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.generation.chat_template import conversation_tokens
from echo_index.embeddings.generation.text_generation import generate
from echo_index.embeddings.models.bundled import DEFAULT_MODEL
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.models.model_loading import load_model
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.catalog.records import SearchFilter
from echo_index.indexer.generations.manifest import MANIFEST, read_manifest
from echo_index.indexer.sources.source import Source
from echo_index.retriever.rag.answer_prompt import answer_prompt
from echo_index.retriever.rag.chat_model import EchoChatModel, conversation
from echo_index.retriever.search.retriever import Retriever
from echo_index.retriever.search.searcher import Mode

_QUESTIONS = Path(__file__).parents[1] / "data" / "guide_questions.jsonl"
_COMMAND = Path(sys.executable).with_name("echo-index")
_PROCESSES = 5
_WORDS, _QUERY_WORDS = 120, 12
_LARGE_QUERIES = 60
_ANSWER_TOKENS = 60
_MODE_SUFFIXES = {"dense": ".", "hybrid": "?", "lexical": ""}


def main(words: Sequence[str] | None = None) -> None:
    """Print one line for each measurement."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.latency", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--indexes", type=Path, metavar="FOLDER", help="Keep the indexes in this folder.")
    given = parser.parse_args(words)
    import torch

    torch.set_num_threads(given.threads)
    print(" | ".join(f"{name}: {value}" for name, value in machine(threads=given.threads).items()))
    model = load_model(given.model)
    encoder = EchoEncoder(model).with_precision("auto")
    print(f"{given.model}, layer {encoder.layer}, {encoder.precision.value}")
    questions = [json.loads(line)["question"] for line in _QUESTIONS.read_text(encoding="utf-8").splitlines()]
    with tempfile.TemporaryDirectory() as scratch:
        indexes = given.indexes or Path(scratch)
        guide, large = indexes / "guide", indexes / f"large-{given.passages}"
        if not (guide / MANIFEST).exists():
            build_index([Source.parse(str(GUIDE))], guide, encoder=encoder)
        _time_new_processes(guide, questions)
        _time_questions(encoder, questions)
        _time_answers(Retriever.open(guide, encoder=encoder), model, questions[:8])
        if not (large / MANIFEST).exists():
            write_random_index(large, read_manifest(guide), given.passages, words=_WORDS)
        retriever = Retriever.open(large, encoder=encoder)
        _time_searches(retriever, _large_queries(retriever))


def _time_new_processes(index: Path, questions: Sequence[str]) -> None:
    for name, command in (
        ("echo-index --help", lambda question: ["--help"]),
        ("echo-index search", lambda question: ["search", question, "--index", str(index)]),
        ("echo-index ask", lambda question: ["ask", question, "--index", str(index)]),
    ):
        first, whole = zip(*(_run(command(question)) for question in questions[:_PROCESSES]), strict=True)
        _print_times(f"{name}, new process, first words", first, "s")
        _print_times(f"{name}, new process, whole", whole, "s")


def _run(arguments: Sequence[str]) -> tuple[float, float]:
    """Return the seconds until the first byte of the output and until the end."""
    started = time.perf_counter()
    process = subprocess.Popen([_COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.read(1)
    first = time.perf_counter() - started
    _, errors = process.communicate()
    if process.returncode:
        sys.exit(f"echo-index {' '.join(arguments)} failed: {errors.decode().strip().splitlines()[-1]}")
    return first, time.perf_counter() - started


def _time_questions(encoder: EchoEncoder, questions: Sequence[str]) -> None:
    encoder.encode_queries(questions[:1])
    _print_times("a question's embedding", _times(lambda question: encoder.encode_queries([question]), questions), "ms")
    twelve = [" ".join((question.split() * _QUERY_WORDS)[:_QUERY_WORDS]) for question in questions]
    _print_times(
        f"that of {_QUERY_WORDS} words", _times(lambda question: encoder.encode_queries([question]), twelve), "ms"
    )


def _time_answers(retriever: Retriever, model: LanguageModel, questions: Sequence[str]) -> None:
    chat = EchoChatModel(language_model=model)
    first, rates, sizes = [], [], []
    for question in questions:
        prompt = answer_prompt(question, retriever.search(question, k=5), model=chat)
        tokens = conversation_tokens(model, conversation(prompt.messages))
        started = time.perf_counter()
        text = generate(model, tokens, max_tokens=_ANSWER_TOKENS)
        next(text)
        began, read = time.perf_counter(), text.tokens
        for _ in text:
            pass
        first.append(began - started)
        rates.append((text.tokens - read) / (time.perf_counter() - began))
        sizes.append(len(tokens.ids))
    _print_times(f"an answer's first word, prompts of {median(sizes):.0f} tokens", first, "s")
    print(f"{'an answer goes on':55}{median(rates):8.1f} tokens/s ({max(rates):.1f})", flush=True)


def _time_searches(retriever: Retriever, queries: Sequence[str]) -> None:
    passages = retriever.snapshot.manifest.chunks
    retriever.search("Is everything in memory?")
    for mode in sorted(get_args(Mode)):
        # Query vectors are cached: another suffix makes each mode embed its queries again.
        times = _times(
            lambda question, mode=mode: retriever.search(f"{question}{_MODE_SUFFIXES[mode]}", mode=mode), queries
        )
        _print_times(f"{mode} search among {passages:,} passages", times, "ms")


def _times(act: Callable[[str], object], questions: Sequence[str]) -> list[float]:
    seconds = []
    for question in questions:
        started = time.perf_counter()
        act(question)
        seconds.append(time.perf_counter() - started)
    return seconds


def _print_times(label: str, seconds: Sequence[float], unit: str) -> None:
    factor = 1000 if unit == "ms" else 1
    print(f"{label:55}{factor * median(seconds):8.2f} {unit} ({factor * min(seconds):.2f})", flush=True)


def _large_queries(retriever: Retriever) -> list[str]:
    """Return the first words of passages that are evenly spread over the index of generated passages."""
    snapshot = retriever.snapshot
    generation, every = snapshot.manifest.generation, max(1, snapshot.manifest.chunks // _LARGE_QUERIES)
    ids = snapshot.catalog.chunk_ids(SearchFilter(), generation=generation)[::every]
    passages = snapshot.catalog.chunks(ids.tolist()).values()
    return [" ".join(passage.chunk.text.split()[:_QUERY_WORDS]) for passage in passages]


if __name__ == "__main__":
    main()
