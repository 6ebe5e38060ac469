"""Streamed answers: they grow, are checked at the end, and stop when the stream is closed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from facts import FACTS, write_facts
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk
from tiny_models import CHAT_TEMPLATE, llama_config, save_model

from echo_index.app.services.answer_job import Request, Turn, stream_turn
from echo_index.app.services.index_service import IndexService, ServiceOptions
from echo_index.app.services.writers import with_settings
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.models.model_loading import load_model
from echo_index.errors import EchoIndexError, IndexMissing, ModelError, QuestionError
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.catalog.records import SearchFilter
from echo_index.indexer.sources.source import Source
from echo_index.retriever.rag.chat_model import EchoChatModel
from echo_index.retriever.rag.citations import Answer
from echo_index.retriever.search.hits import Hit
from echo_index.retriever.search.retriever import Retriever

QUESTION = FACTS["ferry"][1]
PATIENCE = 20  # seconds


@pytest.fixture(scope="module")
def facts(gemma: LanguageModel, tmp_path_factory: pytest.TempPathFactory) -> IndexService:
    """Return a service for an index with one document per fact, with the default model."""
    folder = write_facts(tmp_path_factory.mktemp("facts") / "facts")
    index_dir = tmp_path_factory.mktemp("index")
    build_index([Source.parse(str(folder))], index_dir, encoder=EchoEncoder(gemma))
    return IndexService(ServiceOptions(index_dir, device="cpu", index_device="cpu"))


@pytest.fixture(scope="module")
def tiny(tiny_model: LanguageModel, tmp_path_factory: pytest.TempPathFactory) -> IndexService:
    """Return a service with a random model, whose answers have no end."""
    folder = write_facts(tmp_path_factory.mktemp("facts") / "facts")
    index_dir = tmp_path_factory.mktemp("index")
    build_index([Source.parse(str(folder))], index_dir, encoder=EchoEncoder(tiny_model))
    service = IndexService(ServiceOptions(index_dir, device="cpu", index_device="cpu", llms=("openai:gpt-4o-mini",)))
    service.warm()
    return service


def writing_threads() -> list[threading.Thread]:
    """Return the threads that write answers."""
    return [thread for thread in threading.enumerate() if thread.name == "answer"]


def wait_until(condition: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    return condition()


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Check after each test that no answer is being written."""
    yield
    assert wait_until(lambda: not writing_threads())


@pytest.mark.model
def test_a_turn_grows_until_its_answer_is_complete(facts: IndexService, monkeypatch: pytest.MonkeyPatch) -> None:
    grouped: list[bool] = []
    search = Retriever.search
    monkeypatch.setattr(
        Retriever, "search", lambda *given, **how: grouped.append(how["group"]) or search(*given, **how)
    )
    turns = list(stream_turn(facts, Request(QUESTION)))
    assert grouped == [True], "duplicates are grouped"
    first, last = turns[0], turns[-1]
    assert first.passages and first.text == "" and first.answer is None, "the passages come first"
    assert all(turn.question == QUESTION and turn.passages == first.passages for turn in turns)
    assert all(isinstance(hit, Hit) for hit in first.passages) and len(first.passages) == 3
    for before, after in pairwise(turns):
        assert after.text.startswith(before.text)
    assert len({turn.text for turn in turns}) > 2, "piece by piece"
    assert all(turn.answer is None for turn in turns[:-1])
    answer = last.answer
    assert isinstance(answer, Answer) and answer.found
    assert "eight" in answer.text == last.text
    assert answer.citations and answer.passages == last.passages
    for citation in answer.citations:
        assert citation.hit.at(None) == last.passages[citation.number - 1].at(None)
    assert Path(answer.citations[0].hit.source).name == "ferry.md"


@pytest.mark.model
def test_a_follow_up_is_rewritten_from_earlier_turns(facts: IndexService) -> None:
    turns = [Turn("An unfinished question")]
    turns.append([*stream_turn(facts, Request(FACTS["castle"][1]))][-1])
    follow_up = "And the bridge?"
    alone = [*stream_turn(facts, Request(follow_up))][-1].answer
    after = [*stream_turn(facts, Request(follow_up, before=tuple(turns)))][-1]
    assert after.question == follow_up, "the question is shown as it was asked"
    assert alone is not None and alone.question == follow_up
    assert after.answer is not None and after.answer.question != follow_up
    assert "bridge" in after.answer.question.lower()
    exchange = (turns[1].question, turns[1].answer.text) if turns[1].answer else ("", "")
    told = [*stream_turn(facts, Request(follow_up, exchanges=(exchange,)))][-1].answer
    assert told == after.answer, "earlier questions with their answers are as good as turns"


@pytest.mark.model
def test_a_question_without_an_answer_in_the_documents_is_not_found(facts: IndexService) -> None:
    answer = [*stream_turn(facts, Request("Which wines go with roast goose?"))][-1].answer
    assert answer is not None
    assert not answer.found and answer.citations == ()


def test_the_tokens_of_an_answer_are_counted_and_limited(tiny: IndexService) -> None:
    [*_, last] = stream_turn(tiny, Request("door", max_tokens=7))
    assert last.usage.answer_tokens == 7 and last.usage.is_cut
    assert last.usage.prompt_tokens > 30
    [*_, longer] = stream_turn(tiny, Request("door", max_tokens=9))
    assert longer.usage.answer_tokens == 9
    assert longer.usage.prompt_tokens == last.usage.prompt_tokens


def test_settings_of_a_request_leave_the_shared_model_as_it_is(tiny: IndexService) -> None:
    model = tiny.chat_model()
    assert isinstance(model, EchoChatModel)
    changed = with_settings(model, max_tokens=3, temperature=0.5)
    assert isinstance(changed, EchoChatModel)
    assert (changed.max_tokens, changed.temperature) == (3, 0.5)
    assert changed.load() is model.load()
    assert (model.max_tokens, model.temperature) == (120, 0.0)
    assert with_settings(model, max_tokens=None, temperature=None) is model
    other = GenericFakeChatModel(messages=iter(()))
    assert with_settings(other, max_tokens=3, temperature=None) is other, "it has no such setting"


def test_number_filter_and_mode_of_a_request_are_applied(tiny: IndexService) -> None:
    def passages(request: Request) -> list[Hit]:
        stream = stream_turn(tiny, request)
        try:
            return [*next(stream).passages]
        finally:
            stream.close()

    assert len(passages(Request("door", passages=2))) == 2
    only = passages(Request("ferry", where=SearchFilter(paths=("*/bridge.md",))))
    assert [Path(hit.source).name for hit in only] == ["bridge.md"]
    assert passages(Request("ferry", where=SearchFilter(formats=("pdf",)))) == []
    words = passages(Request("ferry", mode="lexical"))
    assert [(Path(hit.source).name, hit.dense) for hit in words] == [("ferry.md", None)]


def started_stream(service: IndexService) -> Iterator[Turn]:
    """Return a stream whose answer is still being written."""
    stream = stream_turn(service, Request(QUESTION))
    for turn in stream:
        if turn.text:
            break
    assert writing_threads()
    return stream


@pytest.mark.model
@pytest.mark.parametrize("how", ["close", "delete"])
def test_the_model_stops_when_the_stream_is_closed_or_deleted(facts: IndexService, how: str) -> None:
    writer = facts.chat_model()
    assert isinstance(writer, EchoChatModel)
    began = time.monotonic()
    whole = [*stream_turn(facts, Request(QUESTION))]
    took = time.monotonic() - began
    stream = started_stream(facts)
    if how == "close":
        stream.close()  # type: ignore[attr-defined]
    else:
        del stream
    began = time.monotonic()
    assert wait_until(lambda: not writing_threads(), 2.0), "the model did not stop"
    assert time.monotonic() - began < took
    free = threading.Thread(target=writer.invoke, args=["Hello"], kwargs={"max_tokens": 1})
    free.start()
    free.join(PATIENCE)
    assert not free.is_alive(), "the model is blocked"
    assert [*stream_turn(facts, Request(QUESTION))][-1] == whole[-1]


class Endless(GenericFakeChatModel):
    """Writes for ten seconds unless it is stopped."""

    def _stream(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        for number in range(1000):
            yield ChatGenerationChunk(message=AIMessageChunk(f"word{number} "))
            time.sleep(0.01)


def test_a_stopped_answer_is_not_completed(tiny: IndexService) -> None:
    service = IndexService(replace(tiny.options, llms=("endless",)))
    service._chat_models["endless"] = Endless(messages=iter(()))
    stream = stream_turn(service, Request(QUESTION, writer="endless"))
    for turn in stream:
        if turn.text.count("word") >= 3:
            break
    assert writing_threads()
    stream.close()  # type: ignore[attr-defined]
    assert wait_until(lambda: not writing_threads(), 3.0)


def test_an_unread_stream_starts_no_thread(tiny: IndexService) -> None:
    stream = stream_turn(tiny, Request(QUESTION))
    assert not writing_threads()
    stream.close()  # type: ignore[attr-defined]
    assert not writing_threads()


@pytest.mark.parametrize("question", ["", "   \n"])
def test_an_empty_question_raises(tiny: IndexService, question: str) -> None:
    with pytest.raises(QuestionError):
        list(stream_turn(tiny, Request(question)))


def test_errors_are_raised_by_the_stream(tiny: IndexService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(IndexMissing):
        next(stream_turn(IndexService(ServiceOptions(tmp_path / "nowhere")), Request(QUESTION)))
    with pytest.raises(ModelError, match="is not one of the configured models"):
        next(stream_turn(tiny, Request(QUESTION, writer="openai:gpt-4o")))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ModelError, match="needs a key") as raised:
        next(stream_turn(tiny, Request(QUESTION, writer="openai:gpt-4o-mini")))
    assert isinstance(raised.value, EchoIndexError) and raised.value.remedy


def test_an_index_that_was_rebuilt_with_another_model_is_opened_again_once(
    tmp_path: Path, tiny_model: LanguageModel
) -> None:
    folder = write_facts(tmp_path / "facts")
    build_index([Source.parse(str(folder))], tmp_path / "index", encoder=EchoEncoder(tiny_model))
    service = IndexService(ServiceOptions(tmp_path / "index", device="cpu", index_device="cpu"))
    service.warm()
    config = llama_config(num_hidden_layers=3)
    other = load_model(str(save_model(tmp_path / "other", config, seed=7, chat_template=CHAT_TEMPLATE)), device="cpu")
    build_index([Source.parse(str(folder))], tmp_path / "index", encoder=EchoEncoder(other), rebuild=True)
    assert [*stream_turn(service, Request(QUESTION))][-1].answer is not None
    used = service.with_retriever(lambda retriever: retriever.encoder.model.name)
    assert used == other.name, "the next question opens the index again"


def test_concurrent_answers_do_not_mix(tiny: IndexService) -> None:
    from concurrent.futures import ThreadPoolExecutor

    questions = [question for _, question, _ in FACTS.values()]
    with ThreadPoolExecutor(4) as pool:
        ends = pool.map(lambda question: [*stream_turn(tiny, Request(question))][-1], questions)
        assert [end.question for end in ends] == questions
