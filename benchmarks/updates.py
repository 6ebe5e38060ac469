"""Measure incremental builds: a first build, then one after each kind of change.

    python -m benchmarks.updates [--files 5000] [--changed 1000] [--model NAME]

The folder is generated, with one sentence for each file, so that the first build is short.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path

from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.bundled import DEFAULT_MODEL
from echo_index.embeddings.models.model_loading import load_model
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.sources.source import Source

_WORDS = (
    "harbour lighthouse storm keeper winter ledger whale bread flour salt star light planet kite goat cider".split()
)


def main() -> None:
    """Print one row for each build."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--changed", type=int, default=1000)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    arguments = parser.parse_args()
    encoder = EchoEncoder(load_model(arguments.model))
    with tempfile.TemporaryDirectory() as name:
        folder, index = Path(name) / "documents", Path(name) / "index"
        _write(folder, arguments.files)
        files = sorted(folder.rglob("*.txt"))
        random.Random(0).shuffle(files)
        renamed, deleted = files[: arguments.changed], files[arguments.changed : 2 * arguments.changed]
        print(f"{arguments.files} files of one sentence, {arguments.changed} of them changed; {arguments.model}")
        print(f"{'build':22}{'seconds':>9}{'new':>7}{'unchanged':>11}{'removed':>9}{'embedded':>10}")
        _build("first", folder, index, encoder)
        _build("nothing changed", folder, index, encoder)
        for file in renamed:
            file.rename(file.with_name(f"renamed-{file.name}"))
        _build("renamed", folder, index, encoder)
        for file in deleted:
            file.unlink()
        _build("deleted", folder, index, encoder)


def _write(folder: Path, count: int) -> None:
    chosen = random.Random(1)
    for number in range(count):
        file = folder / f"folder{number % 50}" / f"note{number}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"Note {number}: the {' '.join(chosen.choices(_WORDS, k=5))}.\n", encoding="utf-8")


def _build(name: str, folder: Path, index: Path, encoder: EchoEncoder) -> None:
    started = time.perf_counter()
    report = build_index([Source.parse(str(folder))], index, encoder=encoder)
    seconds = time.perf_counter() - started
    counts = f"{report.added:7}{report.unchanged:11}{report.removed:9}{report.embedded:10}"
    print(f"{name:22}{seconds:9.1f}{counts}", flush=True)


if __name__ == "__main__":
    main()
