"""Small evaluation datasets for tests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

CORPUS = {
    "whales": ("Whales", "The whale sings in the north. Its songs are long."),
    "bread": ("", "Bread is baked at five in the morning."),
    "kites": ("Kites", "A kite flies over the hill when the wind is strong."),
    "empty": ("", ""),
}
QUERIES = {"q1": "Where does the whale sing?", "q2": "When is bread baked?", "unjudged": "kite"}
JUDGEMENTS = (("q1", "whales", 1), ("q2", "bread", 2), ("q2", "kites", 0))
PAIRS = (
    (5.0, "A man plays a guitar.", "A man is playing a guitar."),
    (3.0, "A dog runs over grass.", "An animal runs."),
    (0.5, "A woman cuts an onion.", "The stock market fell."),
    (4.0, "The train is late.", "The train has a delay."),
)


def json_lines(path: Path, lines: Sequence[Mapping[str, object]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def write_beir(folder: Path) -> Path:
    (folder / "qrels").mkdir(parents=True)
    documents = [{"_id": name, "title": title, "text": text} for name, (title, text) in CORPUS.items()]
    json_lines(folder / "corpus.jsonl", documents)
    json_lines(folder / "queries.jsonl", [{"_id": name, "text": text} for name, text in QUERIES.items()])
    rows = ["query-id\tcorpus-id\tscore", *("\t".join(map(str, line)) for line in JUDGEMENTS)]
    (folder / "qrels" / "test.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def write_pairs(path: Path) -> Path:
    rows = ["score\tsentence1\tsentence2", *("\t".join(map(str, line)) for line in PAIRS)]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path
