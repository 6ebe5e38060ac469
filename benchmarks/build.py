"""Measure index builds: time, its share for each stage, and memory.

    python -m benchmarks.build [FOLDER...] [--cases 300x1,30x10,3x100] [--model NAME] [--precision auto]

Without a folder, folders of Markdown are generated: `100x10` is 100 files of 10 sections each; a section has about 110
words of the guide. Each build runs in a process of its own, and the model is loaded before the clock starts. "reading"
is the share of the time until all files were read, while the first passages were already embedded; "model" is the share
spent waiting for embeddings; "peak" is the peak memory of the process, and "more" the part of it that was added after
the model had embedded one text.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Literal

from benchmarks.encode.corpus import guide_sentences
from benchmarks.encode.machine import machine
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.bundled import DEFAULT_MODEL
from echo_index.embeddings.models.model_loading import load_model
from echo_index.embeddings.vectors.paired_embeddings import EmbeddingPair
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.sources.source import Source

_SENTENCES = 6  # in a section


def main(words: Sequence[str] | None = None) -> None:
    """Print one row for each build."""
    given = _arguments(words)
    if given.into:  # this is the process of one build
        print(json.dumps(_build(given.folders[0], given.into, given)))
        return
    print(" | ".join(f"{name}: {value}" for name, value in machine(threads=given.threads).items()))
    print(f"{given.model}, {given.precision}")
    print(f"{'folder':24}{'files':>7}{'KB':>9}{'passages':>10}{'seconds':>9}{'passages/s':>12}", end="")
    print(f"{'reading':>9}{'embedding':>11}{'normalizing':>12}{'indexing':>10}{'model':>8}{'peak MB':>9}{'more':>7}")
    with tempfile.TemporaryDirectory() as scratch:
        cases = [(folder.name, folder) for folder in given.folders] or _generated(given.cases, Path(scratch))
        for number, (name, folder) in enumerate(cases):
            files = [path for path in folder.rglob("*") if path.is_file()]
            kilobytes = sum(path.stat().st_size for path in files) / 1024
            row = _build_in_subprocess(folder, Path(scratch) / f"index{number}", given)
            parts = "".join(
                f"{row[stage] / row['seconds']:{width}.1%}"
                for stage, width in (
                    ("reading", 9),
                    ("embedding", 11),
                    ("normalizing", 12),
                    ("indexing", 10),
                    ("model", 8),
                )
            )
            print(
                f"{name[:23]:24}{len(files):7}{kilobytes:9.0f}{row['passages']:10.0f}{row['seconds']:9.1f}"
                f"{row['passages'] / row['seconds']:12.1f}{parts}{row['peak']:9.0f}{row['more']:7.0f}",
                flush=True,
            )


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.build", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--cases", type=lambda names: names.split(","), default=["300x1", "1000x1", "30x10", "3x100"])
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(words)


def _generated(cases: Sequence[str], scratch: Path) -> Iterator[tuple[str, Path]]:
    for case in cases:
        files, sections = map(int, case.split("x"))
        yield case, _write(scratch / case, files=files, sections=sections)


def _write(folder: Path, *, files: int, sections: int) -> Path:
    folder.mkdir()
    sentences = cycle(guide_sentences())
    for file in range(files):
        text = f"# Note {file}\n"
        for section in range(sections):
            words = " ".join(islice(sentences, _SENTENCES))
            text += f"\n## Section {section} of note {file}\n\n{words}\n"  # the number makes each passage unique
        (folder / f"note{file}.md").write_text(text, encoding="utf-8")
    return folder


def _build_in_subprocess(folder: Path, index: Path, given: argparse.Namespace) -> dict[str, float]:
    run = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.build", folder, "--into", index),
            *("--model", given.model, "--precision", given.precision, "--threads", str(given.threads)),
        ],
        capture_output=True,
        text=True,
    )
    if run.returncode:
        sys.exit(f"The build of {folder} failed: {run.stderr.strip().splitlines()[-1]}")
    row: dict[str, float] = json.loads(run.stdout)
    return row


class _TimedEncoder(EchoEncoder):
    """Sums the seconds that callers wait for embeddings."""

    seconds = 0.0

    def encode_document_pairs(self, texts: Sequence[str]) -> Iterator[tuple[list[int], EmbeddingPair]]:
        batches = super().encode_document_pairs(texts)
        while True:
            started = time.perf_counter()
            batch = next(batches, None)
            self.seconds += time.perf_counter() - started
            if batch is None:
                return
            yield batch


def _build(folder: Path, index: Path, given: argparse.Namespace) -> dict[str, float]:
    import torch

    torch.set_num_threads(given.threads)
    model = load_model(given.model)
    encoder = _TimedEncoder(model, precision=EchoEncoder(model).with_precision(given.precision).precision)
    encoder.encode_documents(["The layers are prepared with the first text."])
    before = _peak()
    stages = {"reading": 0.0, "embedding": 0.0, "normalizing": 0.0, "indexing": 0.0}
    started = last = time.perf_counter()

    def progress(
        stage: Literal["reading", "embedding", "normalizing", "indexing"], done: int, total: int | None
    ) -> None:
        """Add the time since the last report to the stage of this one."""
        nonlocal last
        now = time.perf_counter()
        stages[stage] += now - last
        last = now

    report = build_index([Source.parse(str(folder))], index, encoder=encoder, progress=progress)
    progress("indexing", report.chunks, report.chunks)  # the stage reports only its start
    return {
        "seconds": last - started,
        "passages": report.chunks,
        "model": encoder.seconds,
        **stages,
        "peak": _peak(),
        "more": _peak() - before,
    }


def _peak() -> float:
    """Return the peak memory of this process in megabytes."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / (1024 * 1024 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
