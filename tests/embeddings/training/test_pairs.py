"""Training pairs: from files and indexes, and with hard negatives."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.training.pairs import TrainingPair
from echo_index.embeddings.vectors.vector_ops import center
from echo_index.errors import SourceError
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.generations.snapshot import open_snapshot
from echo_index.indexer.sources.source import Source
from echo_index.retriever.tuning.hard_negatives import add_hard_negatives
from echo_index.retriever.tuning.index_pairs import pairs_from_index
from echo_index.retriever.tuning.pair_files import read_pairs

LINES = [
    {"query": "how to leave files out", "positive": "Write them in .echoignore."},
    {"query": "what is a chunk", "positive": "A passage.", "negative": "A folder.", "source": "glossary"},
    {"query": "what is a page", "positive": "A leaf.", "negatives": ["A folder.", "A file."], "source": "glossary"},
    {"query": "retry", "positive": "def retry(): ...", "instruction": "Find code that does this."},
    {"query": "Seite", "positive": "Ein Blatt.", "teacher_query": "page", "teacher_positive": "A leaf."},
]
PAIRS = [
    TrainingPair("how to leave files out", "Write them in .echoignore.", source="mine"),
    TrainingPair("what is a chunk", "A passage.", ("A folder.",), "glossary"),
    TrainingPair("what is a page", "A leaf.", ("A folder.", "A file."), "glossary"),
    TrainingPair("retry", "def retry(): ...", source="mine", instruction="Find code that does this."),
    TrainingPair("Seite", "Ein Blatt.", source="mine", teacher_query="page", teacher_positive="A leaf."),
]


def test_jsonl_files_are_read(tmp_path: Path) -> None:
    text = "\n".join(map(json.dumps, LINES))
    (tmp_path / "mine.jsonl").write_text(text, encoding="utf-8")
    assert read_pairs(tmp_path / "mine.jsonl") == PAIRS
    with gzip.open(tmp_path / "mine.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write(text)
    assert read_pairs(tmp_path / "mine.jsonl.gz") == PAIRS


def test_tsv_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.tsv"
    path.write_text(
        "positive\tquery\tnegative\nA passage.\twhat is a chunk\tA folder.\nA leaf.\tpage\n", encoding="utf-8"
    )
    assert read_pairs(path) == [
        TrainingPair("what is a chunk", "A passage.", ("A folder.",), "mine"),
        TrainingPair("page", "A leaf.", (), "mine"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("pairs.txt", b"", "is not a file of pairs. Use .jsonl, .tsv"),
        ("pairs.jsonl", b"", "has no pairs"),
        (
            "pairs.jsonl",
            b'{"query": "a", "positive": "b"}\n{"query": "a"}',
            'Line 2 of .* has no text under "positive"',
        ),
        ("pairs.jsonl", b'{"query": "a", "positive": "b", "negatives": "c"}', 'something other than texts under "nega'),
        ("pairs.tsv", b"query\tanswer\na\tb", "does not name the column 'positive'"),
        ("pairs.jsonl.gz", b"no gzip", "cannot be read"),
        ("pairs.jsonl.gz", gzip.compress(b'{"query": "a", "positive": "b"}\n' * 99, mtime=0)[:-20], "cannot be read"),
        ("gone.jsonl", None, "cannot be read: No such file"),
    ],
)
def test_an_invalid_file_of_pairs_is_refused(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=message):
        read_pairs(tmp_path / name)


def test_pairs_are_made_from_an_index(tiny_model: LanguageModel, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    for number in range(6):
        text = (
            f"# Guide number {number} of all\n\nThe fox jumps over box {number} here. The dog sleeps in box {number}."
        )
        (tmp_path / "docs" / f"{number}.md").write_text(text, encoding="utf-8")
    build_index([Source.parse(str(tmp_path / "docs"))], tmp_path / "index", encoder=EchoEncoder(tiny_model))
    snapshot = open_snapshot(tmp_path / "index", index_device="cpu")
    pairs = pairs_from_index(snapshot, limit=5)
    assert len(pairs) == 5
    assert {pair.source for pair in pairs} == {"index"}
    for pair in pairs:
        assert pair.query not in pair.positive
        [number] = {letter for letter in pair.query if letter.isdigit()}
        assert number in pair.positive
    assert pairs_from_index(snapshot, limit=5) == pairs


def test_hard_negatives_are_the_nearest_documents_that_are_wrong(tiny_model: LanguageModel) -> None:
    encoder = EchoEncoder(tiny_model)
    texts = [f"the {word} jumps over box {number}" for number, word in enumerate("fox dog wizard jug vow box".split())]
    pairs = [TrainingPair(text.split()[1], text, source="a") for text in texts]
    pairs.append(TrainingPair("fox", "a second text that is right for it", source="a"))
    pairs.append(TrainingPair("fox", "the fox of another source", ("known",), source="b"))
    progress: list[tuple[int, int]] = []
    found = add_hard_negatives(pairs, encoder, count=2, progress=lambda done, total: progress.append((done, total)))
    assert progress[-1] == (16, 16)
    queries, documents = (
        center(vectors, vectors.mean(axis=0))
        for vectors in (
            encoder.encode_queries([pair.query for pair in pairs[:7]]),
            encoder.encode_documents([pair.positive for pair in pairs[:7]]),
        )
    )
    cosines = queries @ documents.T
    for number, pair in enumerate(found[:7]):
        assert (pair.query, pair.positive, pair.source) == (pairs[number].query, pairs[number].positive, "a")
        right = {other.positive for other in pairs[:7] if other.query == pair.query}
        allowed = [
            pairs[place].positive
            for place in np.argsort(-cosines[number], kind="stable")
            if pairs[place].positive not in right and cosines[number, place] < 0.95 * cosines[number, number]
        ]
        assert list(pair.negatives) == allowed[:2]
    assert any(pair.negatives for pair in found[:7])
    assert found[7].negatives == ("known",)


def test_hard_negatives_are_found_with_the_instruction_of_the_pair(
    tiny_model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = EchoEncoder(tiny_model)
    calls: list[tuple[str | None, list[str]]] = []
    encode = EchoEncoder.encode_queries

    def watched(self: EchoEncoder, texts: list[str], *, instruction: str | None = None) -> np.ndarray:
        calls.append((instruction, texts))
        return encode(self, texts, instruction=instruction)

    monkeypatch.setattr(EchoEncoder, "encode_queries", watched)
    pairs = [TrainingPair(word, f"the {word} in a box", source="a") for word in ("fox", "dog", "jug", "vow")]
    pairs[1:3] = [replace(pair, instruction="Find it.") for pair in pairs[1:3]]
    found = add_hard_negatives(pairs, encoder)
    assert calls == [(None, ["fox", "vow"]), ("Find it.", ["dog", "jug"])]
    assert [pair.instruction for pair in found] == [None, "Find it.", "Find it.", None]
    assert {text for pair in found for text in pair.negatives} <= {pair.positive for pair in pairs}
