"""Answers to questions about a small index, their outcomes, and the shares that are reported."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from facts import FACTS, write_facts
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from echo_index.embeddings.encoder import EchoEncoder
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.sources.source import Source
from echo_index.retriever.answer_evaluation.answer_questions import AnswerQuestion
from echo_index.retriever.answer_evaluation.answer_results import WriterResult, summarize
from echo_index.retriever.answer_evaluation.answer_runner import AnswerRecord, answer_questions
from echo_index.retriever.answer_evaluation.answer_store import AnswerStore
from echo_index.retriever.search.retriever import Retriever


class Scripted(BaseChatModel):
    """Answers the last question in a prompt by a table; counts how often it is asked."""

    texts: dict[str, str]
    asked: list[str] = []  # noqa: RUF012 - a field of a pydantic model

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _text(self, messages: list[BaseMessage]) -> str:
        self.asked.append(str(messages[-1].text))
        return next(text for question, text in self.texts.items() if question in str(messages[-1].text))

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage(self._text(messages)))])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for word in self._text(messages).split(" "):
            yield ChatGenerationChunk(message=AIMessageChunk(f"{word} "))


@pytest.fixture
def retriever(tmp_path: Path, encoder: EchoEncoder) -> Retriever:
    """Return a retriever of the facts, one page each."""
    folder = write_facts(tmp_path / "facts")
    build_index([Source.parse(str(folder))], tmp_path / "index", encoder=encoder)
    return Retriever.open(tmp_path / "index", encoder=encoder, index_device="cpu")


def question(name: str, retriever: Retriever, *, gold: str | None = None) -> AnswerQuestion:
    """Return the question about a fact, whose document is named as in the index."""
    _, text, word = FACTS[name]
    [document] = {hit.source for hit in retriever.search(text, k=9, mode="lexical") if f"{name}.md" in hit.source}
    return AnswerQuestion(name, text, (gold or word,), (document,), 1)


def run(retriever: Retriever, path: Path, texts: dict[str, str], **gold: str) -> tuple[list[AnswerRecord], Scripted]:
    """Let a scripted writer answer the question about each fact in `texts`."""
    model = Scripted(texts={FACTS[name][1]: text for name, text in texts.items()})
    questions = [question(name, retriever, gold=gold.get(name)) for name in texts]
    with AnswerStore(path) as store:
        return [*answer_questions(questions, retriever, model, passages=3, store=store)], model


def test_each_question_is_asked_with_its_document_and_then_without(retriever: Retriever, tmp_path: Path) -> None:
    [given, removed], model = run(retriever, tmp_path / "store", {"ferry": "At eight [1]."})
    assert (given.documents_removed, removed.documents_removed) == (False, True)
    assert (given.right_retrieved, removed.right_retrieved) == (True, False)
    assert given.documents[0] in {source for source, _, _ in given.passages}
    assert given.documents[0] not in {source for source, _, _ in removed.passages}
    assert removed.passages, "the others are still found"
    assert len(removed.passages) <= 3
    assert "eight and at noon" in model.asked[0]
    assert "eight and at noon" not in model.asked[1]


@pytest.mark.parametrize(
    ("text", "gold", "outcome", "holds", "written_holds", "cites_right"),
    [
        ("The ferry leaves at eight [1].", "eight", "answered", True, True, 1),
        ("The ferry leaves at noon.", "eight", "answered", False, False, 1),
        ("Not found.", "eight", "refused", False, False, 0),
        ("", "eight", "refused", False, False, 0),
        ("The ferry leaves at eight in 1917.", "eight", "withdrawn", False, True, 0),
        ("Ask Hanna Kvist.", "eight", "withdrawn", False, False, 0),
    ],
)
def test_outcomes(
    retriever: Retriever,
    tmp_path: Path,
    text: str,
    gold: str,
    outcome: str,
    holds: bool,
    written_holds: bool,
    cites_right: int,
) -> None:
    [record, _], _ = run(retriever, tmp_path / "store", {"ferry": text}, ferry=gold)
    assert record.outcome == outcome
    assert (record.holds_gold, record.written_holds_gold) == (holds, written_holds)
    assert record.cited_right == cites_right
    assert record.written.strip() == text


def test_what_was_written_is_not_written_again(retriever: Retriever, tmp_path: Path) -> None:
    texts = {"ferry": "At eight [1].", "castle": "Otto Brandt [1]."}
    first, model = run(retriever, tmp_path / "store", {"ferry": "At eight [1]."})
    assert len(model.asked) == 2
    second, model = run(retriever, tmp_path / "store", texts)
    assert len(model.asked) == 2, "only the new question"
    assert [second[0], second[2]] == first, "with the times of the first run"


def test_shares(retriever: Retriever, tmp_path: Path) -> None:
    texts = {
        "ferry": "The ferry leaves at eight [1].",
        "castle": "Not found.",
        "bridge": "The engineer built the bridge [1].",
        "archive": "The door of the archive is green in 1917.",
    }
    records, _ = run(retriever, tmp_path / "store", texts)
    result = summarize("scripted", records)
    assert shares(result, "all") == {
        "document among the passages": 100,
        "gold answer held": 25,
        "wrong": 25,
        "refused by the writer": 25,
        "withdrawn by the checks": 25,
        "… although it held the gold answer": 25,
        "exact match": 0,
        "F1": pytest.approx(100 * (2 / 6) / 4, abs=3),
    }
    assert shares(result, "answered") == {"cites the right document": 100, "citations that are right": 100}
    told = shares(result, "removed")
    assert told["told that nothing was found"] == told["… by the writer"] + told["… by the checks"]
    assert told["… by the writer"] == 25
    [held] = [measure for measure in result.measures if (measure.group, measure.name) == ("all", "gold answer held")]
    assert held.count == 4
    assert held.estimate
    assert held.estimate.low <= 25 <= held.estimate.high


def test_a_group_without_answers_has_no_estimate(retriever: Retriever, tmp_path: Path) -> None:
    records, _ = run(retriever, tmp_path / "store", {"ferry": "Not found."})
    assert shares(summarize("scripted", records), "answered") == {
        "cites the right document": None,
        "citations that are right": None,
    }


def shares(result: WriterResult, group: str) -> dict[str, float | None]:
    """Return the shares of a group by name."""
    return {
        measure.name: None if measure.estimate is None else measure.estimate.value
        for measure in result.measures
        if measure.group == group
    }
