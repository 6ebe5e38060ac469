"""Pairs from written questions: only those that find their passage, and nothing is written twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.training.pairs import TrainingPair
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.generations.snapshot import open_snapshot
from echo_index.indexer.sources.source import Source
from echo_index.retriever.evaluation.line_store import LineStore
from echo_index.retriever.search.retriever import Retriever
from echo_index.retriever.tuning import written_pairs
from echo_index.retriever.tuning.inverse_cloze import SourcePassage
from echo_index.retriever.tuning.question_writer import QuestionKind, WrittenQuestion
from echo_index.retriever.tuning.written_pairs import consistent_pairs, sample_passages

NAMES = [
    "ferry",
    "castle",
    "mill",
    "harbour",
    "bakery",
    "museum",
    "forge",
    "chapel",
    "orchard",
    "quarry",
    "pier",
    "inn",
]


@dataclass
class Writer:
    """Writes the first word of a passage as a search, and a question about nothing; notes what it was given."""

    given: list[SourcePassage] = field(default_factory=list)
    weights_hash: str = "a"

    def write(self, passages: Sequence[SourcePassage]) -> Iterator[tuple[int, list[WrittenQuestion]]]:
        for number, passage in reversed(list(enumerate(passages))):
            self.given.append(passage)
            yield (
                number,
                [
                    WrittenQuestion(QuestionKind.SEARCH, passage.text.split()[1]),
                    WrittenQuestion(QuestionKind.NEED, "zzz"),
                ],
            )


@pytest.fixture
def index(tmp_path: Path, encoder: EchoEncoder) -> Path:
    docs = tmp_path / "docs"
    docs.mkdir()
    for name in NAMES:
        (docs / f"{name}.txt").write_text(f"The {name} is open from eight to five, but not on Sundays.")
    build_index([Source.parse(str(docs))], tmp_path / "index", encoder=encoder)
    return tmp_path / "index"


def pairs_of(index: Path, encoder: EchoEncoder, writer: Writer, store: Path) -> written_pairs.WrittenPairs:
    snapshot = open_snapshot(index)
    with snapshot.reading():
        passages = sample_passages(snapshot, limit=100)
    with LineStore(store) as lines:
        return consistent_pairs(passages, Retriever.open(index, encoder=encoder), writer, lines)  # type: ignore[arg-type]


def test_questions_that_find_their_passage_become_pairs(index: Path, encoder: EchoEncoder, tmp_path: Path) -> None:
    written = pairs_of(index, encoder, Writer(), tmp_path / "questions.jsonl")
    assert (written.questions, written.passages) == (2 * len(NAMES), len(NAMES))
    searches = {pair for pair in written.pairs if pair.source == "index, search"}
    assert searches == {
        TrainingPair(name, f"The {name} is open from eight to five, but not on Sundays.", source="index, search")
        for name in NAMES
    }
    # "zzz" is nowhere: whatever the model finds near it, it cannot be near all of them
    assert len(written.pairs) - len(searches) <= 3


def test_nothing_is_written_twice(index: Path, encoder: EchoEncoder, tmp_path: Path) -> None:
    first, second, other = Writer(), Writer(), Writer(weights_hash="b")
    before = pairs_of(index, encoder, first, tmp_path / "questions.jsonl")
    assert len(first.given) == len(NAMES)
    assert pairs_of(index, encoder, second, tmp_path / "questions.jsonl") == before
    assert not second.given
    assert pairs_of(index, encoder, other, tmp_path / "questions.jsonl") == before
    assert len(other.given) == len(NAMES)  # another model writes anew


def test_interrupted_writing_goes_on_with_the_rest(
    index: Path, encoder: EchoEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(Writer):
        def write(self, passages: Sequence[SourcePassage]) -> Iterator[tuple[int, list[WrittenQuestion]]]:
            for number, questions in super().write(passages):
                if len(self.given) == 5:
                    raise KeyboardInterrupt
                yield number, questions

    monkeypatch.setattr(written_pairs, "_PASSAGES_AT_ONCE", 3)
    with pytest.raises(KeyboardInterrupt):
        pairs_of(index, encoder, Interrupted(), tmp_path / "questions.jsonl")
    rest = Writer()
    written = pairs_of(index, encoder, rest, tmp_path / "questions.jsonl")
    assert len(rest.given) == len(NAMES) - 4
    assert written.questions == 2 * len(NAMES)


def test_a_passage_among_the_first_ten_is_kept_if_reranking_raises_it() -> None:
    passage = SourcePassage((), "the right one")

    @dataclass
    class Hit:
        full_text: str

    class Searcher:
        def __init__(self, order: Sequence[str], reranked: Sequence[str]) -> None:
            self.order, self.reranked = order, reranked
            self.searches: list[int] = []

        def search(self, query: str, *, k: int, rerank: int = 0) -> list[Hit]:
            self.searches.append(rerank)
            return [Hit(text) for text in (self.reranked if rerank else self.order)[:k]]

    others = [f"other {number}" for number in range(20)]
    cases = [
        (["the right one", *others], others, True, [0]),
        ([*others[:2], "the right one"], others, True, [0]),
        ([*others[:3], "the right one"], ["the right one", *others], True, [0, 10]),
        ([*others[:3], "the right one"], [*others[:3], "the right one"], False, [0, 10]),
        ([*others[:10], "the right one"], ["the right one"], False, [0]),
    ]
    for order, reranked, is_found, searches in cases:
        searcher = Searcher(order, reranked)
        assert written_pairs._finds(searcher, "?", passage) is is_found  # type: ignore[arg-type]
        assert searcher.searches == searches


def test_a_damaged_line_has_no_questions(tmp_path: Path) -> None:
    with LineStore(tmp_path / "questions.jsonl") as store:
        store.put("a", {"questions": ["x"]})
        assert written_pairs._stored_questions(store, "a") == []
        assert written_pairs._stored_questions(store, "b") == []
