"""Reranking: which hits move, which do not, and that the likelihood decides."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from indexer_helpers import write
from passes import recorded_passes
from threads import run_together
from tiny_models import ARCHITECTURES, save_model

from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.generation.query_likelihood import QueryLikelihood
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.models.model_loading import load_model
from echo_index.errors import QuestionError
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.documents.chunking import embedded_text
from echo_index.indexer.sources.source import Source
from echo_index.retriever.rag.adapters import EchoRetriever
from echo_index.retriever.search.hits import Hit, RankedScore
from echo_index.retriever.search.reranking import reorder
from echo_index.retriever.search.retriever import Retriever
from echo_index.retriever.search.searcher import Mode

QUESTION = "Which wizards pack a box of jugs?"
SUBJECTS = ("fox", "dog", "wizards", "jugs", "box", "vow", "kite", "goat")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, tiny_model: LanguageModel) -> Path:
    """Return an index of eight documents with one chunk each."""
    folder = tmp_path_factory.mktemp("reranking")
    write(folder / "docs", **{name: f"# About {name}\n\nThe quick {name}.\n" for name in SUBJECTS})
    build_index([Source.parse(str(folder / "docs"))], folder / "index", encoder=EchoEncoder(tiny_model))
    return folder / "index"


@pytest.fixture(scope="module")
def retriever(index: Path) -> Retriever:
    return Retriever.open(index, device="cpu")


def hit(source: str, score: float) -> Hit:
    return Hit(source, source, source, (), "text", 0, len(source), None, None, score, None, None)


def sources(hits: list[Hit]) -> list[str]:
    return [each.source for each in hits]


def test_hits_are_ordered_by_both_as_standard_scores() -> None:
    hits = [hit("a", 0.9), hit("b", 0.8), hit("c", 0.1), hit("d", 0.05)]
    found = reorder(hits, [-4.0, -2.0, -3.0])
    assert sources(found) == ["b", "a", "c", "d"]
    assert [each.likelihood for each in found] == [
        RankedScore(1, -2.0),
        RankedScore(3, -4.0),
        RankedScore(2, -3.0),
        None,
    ]
    scores, likely = np.array([0.9, 0.8, 0.1]), np.array([-4.0, -2.0, -3.0])
    sums = (scores - scores.mean()) / scores.std() + (likely - likely.mean()) / likely.std()
    assert [each.score for each in found] == pytest.approx([*(0.1 + np.sort(sums - sums.min())[::-1]), 0.05])


def test_scores_go_on_falling_below_and_equal_ones_keep_their_order() -> None:
    hits = [hit("a", -0.2), hit("b", -0.2), hit("c", -0.3)]
    assert reorder(hits, [-1.0, -1.0]) == [
        *(
            Hit(**{**_fields(each), "likelihood": RankedScore(rank, -1.0)})
            for rank, each in enumerate(hits[:2], start=1)
        ),
        hits[2],
    ]
    assert reorder(hits, []) == hits
    assert reorder([], []) == []


def _fields(each: Hit) -> dict[str, Any]:
    return {name: getattr(each, name) for name in Hit.__dataclass_fields__}


@pytest.mark.parametrize("mode", ["hybrid", "dense", "lexical"])
def test_the_best_are_reordered_by_what_the_model_says_and_the_others_left(
    retriever: Retriever, tiny_model: LanguageModel, mode: Mode
) -> None:
    question = "quick fox dog goat about"
    plain = retriever.search(question, k=8, mode=mode)
    found = retriever.search(question, k=8, mode=mode, rerank=5)
    assert len(plain) == 8
    assert found[5:] == plain[5:]
    assert {*sources(found[:5])} == {*sources(plain[:5])}
    likelihood = QueryLikelihood(tiny_model, max_tokens=retriever.encoder.max_tokens)
    texts = [embedded_text(each.title, each.headings, each.text) for each in plain[:5]]
    expected = reorder(plain, likelihood.score(question, texts).tolist())
    assert sources(found) == sources(expected) != sources(plain)
    told = [each.likelihood.score if each.likelihood else None for each in found]
    assert told[:5] == pytest.approx([each.likelihood.score for each in expected[:5] if each.likelihood], abs=1e-4)
    assert told[5:] == [None] * 3
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)


def test_a_passage_is_read_with_its_title_and_headings(tiny_model: LanguageModel, tmp_path: Path) -> None:
    long = "The keeper counts ships and writes down the weather of the day. " * 20  # its second passage has no heading
    write(tmp_path / "docs", tower=f"# The tower of Norvik\n\n{long}\n")
    encoder = EchoEncoder(tiny_model)
    build_index([Source.parse(str(tmp_path / "docs"))], tmp_path / "index", encoder=encoder)
    found = Retriever.open(tmp_path / "index", encoder=encoder).search(QUESTION, mode="dense", rerank=50)
    assert any("Norvik" not in each.text for each in found)
    texts = [embedded_text(each.title, each.headings, each.text) for each in found]
    expected = QueryLikelihood(tiny_model, max_tokens=encoder.max_tokens).score(QUESTION, texts)
    told = [each.likelihood.score for each in found if each.likelihood]
    assert told == pytest.approx(expected.tolist(), abs=1e-4)


def test_what_stood_below_k_may_rise(retriever: Retriever) -> None:
    for mode in ("hybrid", "dense"):
        everything = retriever.search(QUESTION, k=8, mode=mode, rerank=8)
        assert [each.likelihood.rank for each in everything if each.likelihood] != list(range(1, 9))
        assert sorted(each.likelihood.rank for each in everything if each.likelihood) == list(range(1, 9))
        assert retriever.search(QUESTION, k=2, mode=mode, rerank=8) == everything[:2]
        assert retriever.search(QUESTION, k=2, mode=mode, rerank=500) == everything[:2]


def test_none_is_the_same_as_before_and_less_is_refused(retriever: Retriever) -> None:
    with recorded_passes() as passes:
        retriever.search("not asked before", k=3, rerank=0)
    assert len(passes) <= 2, "the question's prefix, and the question"
    assert retriever.search("unheard of", mode="lexical", rerank=10) == []
    with pytest.raises(QuestionError, match="rerank is -1; it must be at least 0"):
        retriever.search(QUESTION, rerank=-1)


def test_what_was_read_for_a_question_is_not_read_again(retriever: Retriever) -> None:
    few = retriever.search("Who keeps a goat?", k=8, rerank=3)
    with recorded_passes() as passes:
        assert retriever.search("Who keeps a goat?", k=8, rerank=3) == few
        assert passes == []
        retriever.search("Who keeps a goat?", k=8, rerank=4)
        assert len(passes) == 1


def test_a_model_that_transformers_runs_reranks_too(tmp_path: Path) -> None:
    encoder = EchoEncoder(load_model(str(save_model(tmp_path / "gpt2", ARCHITECTURES["gpt2"]())), device="cpu"))
    write(tmp_path / "docs", **{name: f"# About {name}\n\nThe quick {name}.\n" for name in SUBJECTS[:3]})
    build_index([Source.parse(str(tmp_path / "docs"))], tmp_path / "index", encoder=encoder)
    found = Retriever.open(tmp_path / "index", encoder=encoder).search(QUESTION, rerank=2)
    assert [each.likelihood is not None for each in found] == [True, True, False]


def test_searches_that_rerank_stand_beside_others(retriever: Retriever) -> None:
    questions = [f"Which {name} is quick today?" for name in SUBJECTS[:4]]
    alone = Retriever.open(retriever.index_dir, device="cpu")
    expected = [alone.search(question, k=8, rerank=6) for question in questions]
    vectors = retriever.encoder.encode_queries(questions)
    wrong: list[str] = []

    def search(number: int) -> None:
        if sources(retriever.search(questions[number], k=8, rerank=6)) != sources(expected[number]):
            wrong.append(questions[number])

    def encode() -> None:
        for _ in range(10):
            if not np.array_equal(retriever.encoder.encode_queries(questions), vectors):
                wrong.append("vectors")

    run_together([*(partial(search, number) for number in range(4)), *[encode] * 2])
    assert wrong == []


def test_the_retriever_of_langchain_reranks(index: Path, retriever: Retriever) -> None:
    documents = EchoRetriever(index_dir=index, k=3, rerank=8, device="cpu").invoke(QUESTION)
    assert [each.metadata["source"] for each in documents] == sources(retriever.search(QUESTION, k=3, rerank=8))
    assert all(each.metadata["likelihood"]["rank"] for each in documents)


@pytest.mark.model
def test_the_default_model_moves_the_passage_that_answers_up(gemma: LanguageModel, tmp_path: Path) -> None:
    write(
        tmp_path / "docs",
        timetable="The ferry office and the ferry bar: who pays for the ferry.\n",
        crossing="The crossing takes forty minutes by ferry in fair weather, and an hour in a storm.\n",
        harbour="The ferry, the old ferry and the new ferry lie in the harbour.\n",
        goat="A goat once ate the ropes of the ferry.\n",
        bread="Flour, water and salt are kneaded.\n",
        moon="Neil Armstrong stepped out of the lunar module.\n",
    )
    build_index([Source.parse(str(tmp_path / "docs"))], tmp_path / "index", encoder=EchoEncoder(gemma))
    retriever = Retriever.open(tmp_path / "index", encoder=EchoEncoder(gemma))
    question = "When it is calm, how long does a trip by ferry last?"
    plain = sources(retriever.search(question, mode="lexical"))
    found = retriever.search(question, mode="lexical", rerank=6)
    assert (plain.index("docs/crossing.md"), sources(found).index("docs/crossing.md")) == (3, 1)
    assert [each.source for each in found if each.likelihood and each.likelihood.rank == 1] == ["docs/crossing.md"]
