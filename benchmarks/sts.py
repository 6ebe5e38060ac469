"""How close are echo and classical similarities to human judgement? Spearman's correlation x100 on an STS file.

    python -m benchmarks.sts FILE.tsv [--model NAME] [--pairs N] [--json OUT.json]

The file has a header and the columns score, sentence1, sentence2, separated by tabs.
"""

from __future__ import annotations

import argparse
import csv
import json
import platform
import time
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr

from echo_embeddings import CLASSICAL, DEFAULT_MODEL, EchoEncoder, Vectors, load_model


def main() -> None:
    """Print one row an embedding, with its mean kept and removed, and write them as JSON where asked."""
    arguments = _arguments()
    pairs = read_pairs(arguments.file)[: arguments.pairs]
    scores = [float(pair["score"]) for pair in pairs]
    texts = [pair["sentence1"] for pair in pairs] + [pair["sentence2"] for pair in pairs]
    model = load_model(arguments.model, notice=print)
    encoders = {
        "echo": EchoEncoder(model),
        "classical": EchoEncoder(model, document_prompt=CLASSICAL),
        "classical, last layer": EchoEncoder(
            model, document_prompt=CLASSICAL, layer=model.reader.config.num_hidden_layers
        ),
    }
    print(
        f"{arguments.file.name}: {len(pairs)} pairs; {arguments.model}; {torch.get_num_threads()} threads of "
        f"{platform.processor() or platform.machine()}; Spearman x100"
    )
    print(f"{'embedding':24} {'layer':>5} {'raw':>6} {'centred':>8} {'seconds':>8}")
    rows = []
    for name, encoder in encoders.items():
        started = time.perf_counter()
        vectors = encoder.encode_documents(texts)
        row = {
            "embedding": name,
            "layer": encoder.layer,
            "raw": correlation(vectors, scores),
            "centred": correlation(vectors - vectors.mean(axis=0), scores),
            "seconds": round(time.perf_counter() - started, 1),
        }
        rows.append(row)
        print(f"{name:24} {row['layer']:5} {row['raw']:6.1f} {row['centred']:8.1f} {row['seconds']:8.1f}", flush=True)
    if arguments.json:
        report = {"file": arguments.file.name, "pairs": len(pairs), "model": arguments.model, "rows": rows}
        arguments.json.write_text(json.dumps(report, indent=1), encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--pairs", type=int, help="only the first so many")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def read_pairs(path: Path) -> list[dict[str, str]]:
    """Return the rows of an STS file: score, sentence1, sentence2."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def correlation(vectors: Vectors, scores: list[float]) -> float:
    """Return Spearman's correlation x100 of scores and cosines; `vectors` are all first sentences, then all second."""
    first, second = np.split(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), 2)
    return 100 * float(spearmanr((first * second).sum(axis=1), scores).statistic)


if __name__ == "__main__":
    main()
