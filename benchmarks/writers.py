"""Measure writers: seconds to the first word, tokens a second and memory, each writer in a process of its own.

    python -m benchmarks.writers [--writer NAME]... [--questions 10] [--threads 2]

The index has the guide in docs/, the questions are the first of data/guide_questions.jsonl; each is answered from
three passages of hybrid search. The first answer includes the building of the decoder. The memory is the most that the
process of the writer had resident; the passages are found before, by another process.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from statistics import median

from benchmarks.encode.corpus import GUIDE
from benchmarks.encode.machine import machine
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.bundled import DEFAULT_MODEL
from echo_index.embeddings.models.model_loading import load_model
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.sources.source import Source
from echo_index.retriever.rag.adapters import document_from_hit
from echo_index.retriever.search.retriever import Retriever

_QUESTIONS = Path(__file__).parents[1] / "data" / "guide_questions.jsonl"
_PASSAGES, _ANSWER_TOKENS = 3, 120


def main(words: Sequence[str] | None = None) -> None:
    """Print one line for each writer."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.writers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--writer", action="append")
    parser.add_argument("--questions", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=GUIDE, help="Documents; default: the guide.")
    parser.add_argument("--passages", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(words)
    if given.passages:
        print(json.dumps(_measure(given.writer[0], given.passages, threads=given.threads)))
        return
    print(" | ".join(f"{name}: {value}" for name, value in machine(threads=given.threads).items()))
    with tempfile.TemporaryDirectory() as scratch:
        passages = Path(scratch) / "passages.json"
        _find_passages(passages, Path(scratch) / "index", folder=given.folder, questions=given.questions)
        for writer in given.writer or [DEFAULT_MODEL]:
            _print_figures(writer, passages, threads=given.threads)


def _find_passages(file: Path, index: Path, *, folder: Path, questions: int) -> None:
    encoder = EchoEncoder(load_model(DEFAULT_MODEL, adapter="own")).with_precision("auto")
    build_index([Source.parse(str(folder))], index, encoder=encoder)
    lines = _QUESTIONS.read_text(encoding="utf-8").splitlines()[:questions]
    retriever = Retriever.open(index, encoder=encoder)
    found = []
    for question in (json.loads(line)["question"] for line in lines):
        hits = retriever.search(question, k=_PASSAGES, group=True)
        found.append((question, [document_from_hit(hit).model_dump(mode="json") for hit in hits]))
    file.write_text(json.dumps(found), encoding="utf-8")


def _print_figures(writer: str, passages: Path, *, threads: int) -> None:
    command = [sys.executable, "-m", "benchmarks.writers", "--writer", writer]
    command += ["--passages", str(passages), "--threads", str(threads)]
    figures = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    print(
        f"{writer}: loaded in {figures['load_seconds']:.1f} s, first word of the first answer after "
        f"{figures['cold_seconds']:.1f} s, of the others after {figures['first_word_seconds']:.1f} s "
        f"({figures['prompt_tokens']:.0f} tokens), then {figures['tokens_a_second']:.1f} tokens/s; "
        f"{figures['memory_mb']:,.0f} MB",
        flush=True,
    )


def _measure(writer: str, passages: Path, *, threads: int) -> dict[str, float]:
    import resource

    import torch
    from langchain_core.documents import Document

    from echo_index.embeddings.generation.chat_template import conversation_tokens
    from echo_index.embeddings.generation.text_generation import generate
    from echo_index.embeddings.models.model_loading import load_writer
    from echo_index.retriever.rag.adapters import hit_from_document
    from echo_index.retriever.rag.answer_prompt import answer_prompt
    from echo_index.retriever.rag.chat_model import EchoChatModel, conversation

    torch.set_num_threads(threads)
    started = time.perf_counter()
    model = load_writer(writer)
    loaded = time.perf_counter() - started
    chat = EchoChatModel(language_model=model, max_tokens=_ANSWER_TOKENS)
    firsts, sizes, tokens, seconds = [], [], 0, 0.0
    for question, documents in json.loads(passages.read_text(encoding="utf-8")):
        hits = [hit_from_document(Document.model_validate(document)) for document in documents]
        prompt = conversation_tokens(model, conversation(answer_prompt(question, hits, model=chat).messages))
        started = time.perf_counter()
        with closing(generate(model, prompt, max_tokens=_ANSWER_TOKENS)) as text:
            next(text)
            firsts.append(time.perf_counter() - started)
            before, started = text.tokens, time.perf_counter()
            for _ in text:
                pass
            tokens += text.tokens - before
            seconds += time.perf_counter() - started
        sizes.append(len(prompt.ids))
    return {
        "load_seconds": loaded,
        "cold_seconds": firsts[0],
        "first_word_seconds": median(firsts[1:]),
        "prompt_tokens": median(sizes),
        "tokens_a_second": tokens / seconds if seconds else 0.0,
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


if __name__ == "__main__":
    main()
