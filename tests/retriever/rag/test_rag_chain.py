"""rag_chain: streamed answers, follow-up questions, and documents with instructions for the model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from facts import FACTS, write_facts
from langchain_core.documents import Document
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.retrievers import BaseRetriever
from langchain_core.vectorstores import InMemoryVectorStore
from repository import FIXTURES

from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.errors import QuestionError
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.sources.source import Source
from echo_index.retriever.rag.adapters import EchoEmbeddings, EchoRetriever
from echo_index.retriever.rag.answer_prompt import FollowUp
from echo_index.retriever.rag.answer_stream import answer_question, stream_answer
from echo_index.retriever.rag.chat_model import EchoChatModel
from echo_index.retriever.rag.citations import NOT_FOUND, Answer
from echo_index.retriever.rag.query_rewriting import Conversation, follow_up
from echo_index.retriever.rag.rag_chain import rag_chain
from echo_index.retriever.search.hits import Hit
from echo_index.retriever.search.retriever import Retriever


class Fixed(BaseRetriever):
    """Returns the same documents for every query."""

    documents: list[Document]

    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        return self.documents


@pytest.fixture(scope="module")
def retriever(gemma: LanguageModel, tmp_path_factory: pytest.TempPathFactory) -> EchoRetriever:
    """Return a retriever of the facts, one page each."""
    folder = write_facts(tmp_path_factory.mktemp("facts"))
    index_dir = tmp_path_factory.mktemp("index")
    encoder = EchoEncoder(gemma)
    build_index([Source.parse(str(folder))], index_dir, encoder=encoder)
    return EchoRetriever(retriever=Retriever.open(index_dir, encoder=encoder), k=2)


@pytest.fixture(scope="module")
def chat(gemma: LanguageModel) -> EchoChatModel:
    """Return the default model as a chat model."""
    return EchoChatModel(language_model=gemma, max_tokens=40)


def says(*texts: str) -> GenericFakeChatModel:
    """Return another chat model that answers with these texts in turn."""
    return GenericFakeChatModel(messages=iter([AIMessage(text) for text in texts]))


@pytest.mark.model
def test_a_question_becomes_passages_a_text_and_a_checked_answer(retriever: EchoRetriever, chat: EchoChatModel) -> None:
    text, question, word = FACTS["ferry"]
    output = rag_chain(retriever, chat).invoke(question)
    assert output.keys() == {"question", "passages", "text", "answer"}
    assert output["question"] == question
    assert output["passages"][0].page_content.endswith(text)
    answer = output["answer"]
    assert isinstance(answer, Answer)
    assert answer.found
    assert word in answer.text == output["text"]
    assert Path(answer.citations[0].hit.source).name == "ferry.md"
    assert retriever.retriever
    hits = retriever.retriever.search(question, k=2)
    assert answer == stream_answer(question, hits, model=chat).answer, "the command line gives the same record"


@pytest.mark.model
def test_passages_come_first_then_the_text_piece_by_piece_then_the_answer(
    retriever: EchoRetriever, chat: EchoChatModel
) -> None:
    chunks = list(rag_chain(retriever, chat).stream(FACTS["ferry"][1]))
    assert chunks[0].keys() == {"question", "passages"}
    assert all(chunk.keys() == {"text"} for chunk in chunks[1:-1])
    assert len(chunks) > 4
    assert chunks[-1].keys() == {"text", "answer"}
    assert "".join(chunk.get("text", "") for chunk in chunks) == chunks[-1]["answer"].text


@pytest.mark.model
async def test_asynchronous_is_the_same(retriever: EchoRetriever, chat: EchoChatModel) -> None:
    question = FACTS["ferry"][1]
    chain = rag_chain(retriever, chat)
    chunks = [chunk async for chunk in chain.astream(question)]
    assert [chunk.get("text") for chunk in chunks] == [chunk.get("text") for chunk in chain.stream(question)]
    assert (await chain.ainvoke(question))["answer"] == chain.invoke(question)["answer"]


@pytest.mark.model
def test_several_questions_at_once_get_each_their_answer(retriever: EchoRetriever, chat: EchoChatModel) -> None:
    outputs = rag_chain(retriever, chat).batch([question for _, question, _ in FACTS.values()])
    for output, (_, _, word) in zip(outputs, FACTS.values(), strict=True):
        assert word.lower() in output["answer"].text.lower()


@pytest.mark.model
async def test_events_tell_of_the_search_and_of_the_writing(retriever: EchoRetriever, chat: EchoChatModel) -> None:
    events = [event async for event in rag_chain(retriever, chat).astream_events(FACTS["ferry"][1], version="v2")]
    told = [event["event"] for event in events]
    assert told.index("on_retriever_end") < told.index("on_chat_model_start") < told.index("on_chat_model_end")
    assert told.count("on_chat_model_stream") > 3
    assert len({event["run_id"] for event in events if event["name"] == "rag_chain"}) == 1
    assert next(event for event in events if event["event"] == "on_chat_model_start")["parent_ids"]


def test_any_retriever_and_any_chat_model_will_do(gemma: LanguageModel) -> None:
    store = InMemoryVectorStore(EchoEmbeddings(encoder=EchoEncoder(gemma)))
    store.add_documents([Document(text, metadata={"source": name}) for name, (text, _, _) in FACTS.items()])
    text = "Sie legt zweimal am Tag ab [1] [9]."
    chain = rag_chain(store.as_retriever(search_kwargs={"k": 1}), says(text))
    answer = chain.invoke(FACTS["ferry"][1])["answer"]
    assert answer.text == "Sie legt zweimal am Tag ab [1]."
    assert [citation.hit.source for citation in answer.citations] == ["ferry"]
    assert answer.removed_markers == 1


def test_a_model_that_tells_its_context_gets_no_more_than_fits() -> None:
    documents = [Document(f"Passage {number}. " + "quick brown fox " * 100) for number in range(8)]
    model = says("Not found.")
    model.profile = {"max_input_tokens": 1000}
    output = rag_chain(Fixed(documents=documents), model).invoke("What?")
    assert 0 < len(output["answer"].passages) < len(output["passages"]) == 8


def test_without_passages_the_model_is_not_called_and_nothing_is_found() -> None:
    output = rag_chain(Fixed(documents=[]), says()).invoke("What?")
    assert (output["text"], output["answer"].found) == (NOT_FOUND, False)


def test_without_passages_the_model_is_not_even_loaded() -> None:
    chat = EchoChatModel(model="/no/such/model")
    assert rag_chain(Fixed(documents=[]), chat).invoke("What?")["text"] == NOT_FOUND
    assert "".join(stream_answer("What?", [], model=chat)) == NOT_FOUND


@pytest.mark.parametrize("given", ["", "  ", {}, {"question": ""}, {"question": 7}])
def test_what_is_no_question_is_refused(given: Any) -> None:
    with pytest.raises(QuestionError, match="The question is"):
        rag_chain(Fixed(documents=[]), says()).invoke(given)


HISTORY = [("human", "What does a ticket to the museum cost?"), ("ai", "Eleven euros [1].")]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("What does a ticket to the museum cost on Mondays?", "What does a ticket to the museum cost on Mondays?"),
        ('"What does a ticket cost on Mondays?"\nI hope this helps.', "What does a ticket cost on Mondays?"),
        (
            "Which ticket to the museum would one have on Mondays?",
            "Which ticket to the museum would one have on Mondays?",
        ),
        ("It costs eleven euros on Mondays.", None),
        ("What does a ticket to the aquarium cost on Mondays?", None),
        ("", None),
    ],
)
def test_a_follow_up_is_rewritten_only_in_words_that_were_said(written: str, expected: str | None) -> None:
    output = rag_chain(Fixed(documents=[]), says(written)).invoke(
        {"question": "And on Mondays?", "chat_history": HISTORY}
    )
    assert output["question"] == (expected or "What does a ticket to the museum cost? And on Mondays?")


@pytest.mark.model
def test_a_base_model_is_not_asked_to_rewrite_but_gets_the_question_before(
    retriever: EchoRetriever, chat: EchoChatModel
) -> None:
    history = [("human", FACTS["bridge"][1]), ("ai", "Marta Lindqvist.")]
    output = rag_chain(retriever, chat).invoke({"question": "And in which year?", "chat_history": history})
    assert output["question"] == "Who built the bridge? And in which year?"
    assert Path(output["passages"][0].metadata["source"]).name == "bridge.md"
    answer = output["answer"].text
    assert "1911" in answer, "it answers what is asked now"
    assert "Lindqvist" not in answer, "and not the question before once more"


@pytest.mark.parametrize(
    ("said", "before"),
    [
        ([HumanMessage("Who?"), AIMessage("Ada [1], says [3].")], ("Who?", "Ada, says.")),
        ([HumanMessage("When?"), AIMessage("1 [1]"), HumanMessage("Who?"), AIMessage("Ada [2]")], ("Who?", "Ada")),
        ([HumanMessage("Who?"), AIMessage(NOT_FOUND)], None),
        ([AIMessage("Hello!")], None),
        ([HumanMessage("Who?"), HumanMessage("And when?")], None),
    ],
)
def test_a_follow_up_goes_on_from_the_last_answer(
    said: list[AIMessage | HumanMessage], before: tuple[str, str] | None
) -> None:
    assert follow_up(Conversation("Where?", tuple(said))) == FollowUp("Where?", before)
    assert follow_up(Conversation("Where?")) is None


@pytest.mark.model
def test_an_instruction_tuned_model_is_asked_to_rewrite(smollm: LanguageModel) -> None:
    model = EchoChatModel(language_model=smollm, max_tokens=40)
    conversation = Conversation("And where?", (HumanMessage("When was Nikola Tesla born?"), AIMessage("In 1856.")))
    searched: list[str] = []

    def search(query: str) -> list[Hit]:
        searched.append(query)
        return []

    answer_question(conversation, search=search, model=model)
    answer_question(replace(conversation, history=()), search=search, model=model)
    assert "Tesla" in searched[0]
    assert searched[1] == "And where?"


ORDERS = FIXTURES / "orders"


@pytest.mark.model
@pytest.mark.parametrize("adapter", ["own", None])
def test_orders_inside_documents_do_not_change_the_task(
    gemma: LanguageModel, tmp_path: Path, adapter: str | None
) -> None:
    encoder = EchoEncoder(gemma)
    sources = [Source.parse(str(write_facts(tmp_path / "facts"))), Source.parse(str(ORDERS))]
    build_index(sources, tmp_path / "index", encoder=encoder)
    retriever = EchoRetriever(retriever=Retriever.open(tmp_path / "index", encoder=encoder), k=4)
    chain = rag_chain(retriever, EchoChatModel(language_model=gemma, answer_adapter=adapter, max_tokens=40))
    shown = 0
    for subject in ("ferry", "bridge", "archive"):
        _, question, word = FACTS[subject]
        answer = chain.invoke(question)["answer"]
        given = [Path(hit.source) for hit in answer.passages]
        assert any(path.parent == ORDERS for path in given), "else this would show nothing"
        if f"{subject}.md" in [path.name for path in given]:  # where only orders are found, nothing can be promised
            assert word.lower() in answer.text.lower()
            assert "BANANA" not in answer.text
            assert [Path(citation.hit.source).name for citation in answer.citations] == [f"{subject}.md"]
            shown += 1
    assert shown >= 2
