"""EchoEmbeddings in LangChain vector stores, and EchoRetriever in LangChain."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.runnables import ConfigurableField
from langchain_core.vectorstores import InMemoryVectorStore, VectorStore
from langchain_qdrant import QdrantVectorStore
from pydantic import ValidationError
from tiny_models import CHAT_TEMPLATE, llama_config, save_model

from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.models.model_loading import load_model
from echo_index.embeddings.vectors.vector_ops import Vectors
from echo_index.errors import IndexMissing, ModelError, PromptError, QuestionError, TextError
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.documents.chunking import Chunking
from echo_index.indexer.sources.source import Source
from echo_index.retriever.rag.adapters import EchoEmbeddings, EchoRetriever, document_from_hit, hit_from_document
from echo_index.retriever.rag.chat_model import EchoChatModel
from echo_index.retriever.search.hits import Hit, RankedScore
from echo_index.retriever.search.retriever import Retriever

SUBJECTS = {
    "bread": "Sourdough needs flour, water, salt and a day of patience before it goes into the oven.",
    "whales": "The blue whale is the largest animal that has ever lived in the sea.",
    "invoices": "Suppliers are paid within thirty days after their bill has arrived.",
    "violin": "A violin has four strings, which are tuned in fifths and played with a bow.",
    "volcano": "Lava flows out of the mountain when the pressure of the magma grows too high.",
    "bicycle": "Oil the chain and check the brakes of your bike before a long tour.",
    "vaccine": "A child is vaccinated against measles twice, the first time at eleven months.",
    "election": "The parliament is chosen by all citizens over eighteen every four years.",
}
QUESTIONS = {
    "What do I need to bake a loaf?": "bread",
    "Which creature of the ocean is the biggest?": "whales",
    "How soon do we settle what we owe to vendors?": "invoices",
    "What makes a volcano erupt?": "volcano",
    "When do kids get their shots?": "vaccine",
}
TASK = "Given a question, find the passage that answers it, in German"


# EchoEmbeddings


@pytest.fixture(scope="module")
def embeddings(gemma: LanguageModel) -> EchoEmbeddings:
    return EchoEmbeddings(model="gemma3-270m", device="cpu")


@pytest.fixture
def small(tiny_model: LanguageModel) -> EchoEmbeddings:
    return EchoEmbeddings(model=tiny_model.name, device="cpu")


def subjects() -> list[dict[str, str]]:
    return [{"subject": subject} for subject in SUBJECTS]


@pytest.fixture(scope="module")
def expected(gemma: LanguageModel) -> tuple[Vectors, Vectors, Vectors]:
    """Return the vectors of the documents, of the queries, and of the queries embedded as documents."""
    encoder = EchoEncoder(load_model("gemma3-270m", adapter="own", device="cpu"))
    return (
        encoder.encode_documents([*SUBJECTS.values()]),
        encoder.encode_queries([*QUESTIONS]),
        encoder.encode_documents([*QUESTIONS]),
    )


def assert_that_it_finds(
    store: VectorStore,
    stored: Any,
    expected: tuple[Vectors, Vectors, Vectors],
    *,
    cosine: Callable[[float], float] = lambda score: score,
) -> None:
    """The relevant document comes first; documents and queries were embedded with their own prompts."""
    documents, questions, as_documents = expected
    np.testing.assert_allclose(np.array(stored), documents, atol=1e-5)
    for number, (question, subject) in enumerate(QUESTIONS.items()):
        [(document, score)] = store.similarity_search_with_score(question, k=1)
        assert document.metadata["subject"] == subject
        vector = documents[[*SUBJECTS].index(subject)]
        assert cosine(float(score)) == pytest.approx(float(vector @ questions[number]), abs=1e-5)
        assert cosine(float(score)) != pytest.approx(float(vector @ as_documents[number]), abs=2e-5)


@pytest.mark.model
def test_the_in_memory_store_of_langchain_finds_the_right_document(embeddings: EchoEmbeddings, expected: Any) -> None:
    store = InMemoryVectorStore.from_texts([*SUBJECTS.values()], embeddings, subjects())
    assert_that_it_finds(store, [entry["vector"] for entry in store.store.values()], expected)


@pytest.mark.model
@pytest.mark.filterwarnings("ignore:.langchain-community. is being sunset:DeprecationWarning")
def test_faiss_finds_the_right_document(embeddings: EchoEmbeddings, expected: Any) -> None:
    from langchain_community.vectorstores import FAISS

    store = FAISS.from_texts([*SUBJECTS.values()], embeddings, subjects())
    stored = store.index.reconstruct_n(0, len(SUBJECTS))
    assert_that_it_finds(store, stored, expected, cosine=lambda squared_distance: 1 - squared_distance / 2)


@pytest.mark.model
def test_qdrant_finds_the_right_document_also_after_it_was_closed(
    embeddings: EchoEmbeddings, expected: Any, tmp_path: Path
) -> None:
    QdrantVectorStore.from_texts(
        [*SUBJECTS.values()], embeddings, subjects(), ids=[*range(8)], path=str(tmp_path), collection_name="subjects"
    ).client.close()
    store = QdrantVectorStore.from_existing_collection("subjects", embeddings, path=str(tmp_path))
    with closing(store.client):
        records = store.client.retrieve("subjects", [*range(8)], with_vectors=True)
        assert_that_it_finds(store, [record.vector for record in records], expected)


@pytest.mark.model
async def test_asynchronously_qdrant_in_memory_finds_the_right_document(embeddings: EchoEmbeddings) -> None:
    store = await QdrantVectorStore.afrom_texts(
        [*SUBJECTS.values()], embeddings, subjects(), location=":memory:", collection_name="subjects"
    )
    with closing(store.client):
        for question, subject in QUESTIONS.items():
            [document] = await store.asimilarity_search(question, k=1)
            assert document.metadata["subject"] == subject


async def test_the_asynchronous_forms_give_the_same_vectors(small: EchoEmbeddings) -> None:
    texts = ["The quick brown fox", "Seven wizards"]
    assert await small.aembed_documents(texts) == small.embed_documents(texts)
    assert await small.aembed_query(texts[0]) == small.embed_query(texts[0])


def test_documents_and_queries_each_go_through_their_own_prompt(small: EchoEmbeddings) -> None:
    encoder = small.load()
    [document], query = small.embed_documents(["fox"]), small.embed_query("fox")
    assert document == encoder.encode_documents(["fox"])[0].tolist()
    assert query == encoder.encode_queries(["fox"])[0].tolist()
    assert query != pytest.approx(document, abs=1e-3)
    assert np.linalg.norm([document, query], axis=1) == pytest.approx([1, 1], abs=1e-6)


def test_the_instruction_is_part_of_questions_and_not_of_documents(small: EchoEmbeddings) -> None:
    told = EchoEmbeddings(model=small.model, device="cpu", instruction=TASK)
    assert told.embed_documents(["fox"]) == small.embed_documents(["fox"])
    assert told.embed_query("fox") != pytest.approx(small.embed_query("fox"), abs=1e-3)
    assert told.embed_query("fox") == small.load().encode_queries(["fox"], instruction=TASK)[0].tolist()


@pytest.mark.parametrize(
    "setting",
    [
        {"layer": 2},
        {"pooling": "last"},
        {"max_tokens": 2},
        {"document_prompt": "{text} {echo}"},
        {"query_prompt": "{text} {echo}"},
    ],
    ids=lambda setting: next(iter(setting)),
)
def test_each_setting_of_the_encoder_reaches_it(small: EchoEmbeddings, setting: dict[str, Any]) -> None:
    changed = EchoEmbeddings(model=small.model, device="cpu", **setting)
    text = "The quick brown fox jumps"
    vectors = [(embeddings.embed_documents([text])[0], embeddings.embed_query(text)) for embeddings in (small, changed)]
    same = [before == pytest.approx(after, abs=1e-4) for before, after in zip(*vectors, strict=True)]
    assert same == ["query_prompt" in setting, "document_prompt" in setting]


def test_progress_is_reported_up_to_the_last_document(small: EchoEmbeddings) -> None:
    told: list[tuple[int, int]] = []
    watched = EchoEmbeddings(
        model=small.model, device="cpu", batch_tokens=1, progress=lambda done, total: told.append((done, total))
    )
    watched.embed_documents(["one", "two", "three"])
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_no_texts_give_no_vectors_and_an_empty_text_is_refused(small: EchoEmbeddings) -> None:
    assert small.embed_documents([]) == []
    with pytest.raises(TextError):
        small.embed_documents(["fox", ""])
    with pytest.raises(TextError):
        small.embed_query("")


def test_an_unknown_setting_is_refused_at_once() -> None:
    with pytest.raises(ValidationError, match="dimensions"):
        EchoEmbeddings(dimensions=64)  # type: ignore[call-arg]
    with pytest.raises(ValidationError, match="pooling"):
        EchoEmbeddings(pooling="max")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("setting", "error"),
    [({"model": "/no/such/model"}, ModelError), ({"layer": 99}, ModelError), ({"query_prompt": "{end}"}, PromptError)],
)
def test_what_only_the_model_can_tell_is_refused_when_it_embeds(
    small: EchoEmbeddings, setting: dict[str, Any], error: type[Exception]
) -> None:
    embeddings = EchoEmbeddings(**{"model": small.model, "device": "cpu", **setting})
    with pytest.raises(error):
        embeddings.embed_query("fox")


def test_the_model_is_loaded_at_the_first_text_and_shared(small: EchoEmbeddings, tiny_model: LanguageModel) -> None:
    assert small.encoder is None
    small.embed_query("fox")
    assert small.load() is small.encoder
    assert small.load().model is tiny_model
    given = EchoEncoder(tiny_model, layer=2)
    assert EchoEmbeddings(encoder=given).load() is given


# EchoRetriever


class Noted(BaseCallbackHandler):
    """Records the callbacks of a retriever."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def on_retriever_start(self, serialized: Any, query: str, **kwargs: Any) -> None:
        self.told.append(query)

    def on_retriever_end(self, documents: Any, **kwargs: Any) -> None:
        self.told.append(documents)

    def on_retriever_error(self, error: Any, **kwargs: Any) -> None:
        self.told.append(error)


def index(corpus: Path, index_dir: Path, model: LanguageModel, **options: Any) -> Path:
    layer = options.pop("layer", None)
    build_index([Source.parse(str(corpus))], index_dir, encoder=EchoEncoder(model, layer=layer), **options)
    return index_dir


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("retriever") / "corpus"
    folder.mkdir()
    (folder / "fox.md").write_text("# Animals\n\n## The fox\n\nThe quick brown fox jumps over the lazy dog.\n")
    (folder / "wizards.md").write_text("# Wizards\n\nSeven wizards quietly judge my vow. A fox listens.\n")
    (folder / "jugs.txt").write_text("Pack my box with five dozen liquor jugs.\n")
    return folder


@pytest.fixture(scope="module")
def index_dir(corpus: Path, tiny_model: LanguageModel) -> Path:
    return index(corpus, corpus.parent / "index", tiny_model)


@pytest.fixture(scope="module")
def gemma_index_dir(corpus: Path, gemma: LanguageModel) -> Path:
    """Return an index of the real model."""
    return index(corpus, corpus.parent / "gemma-index", gemma)


@pytest.fixture
def own(corpus: Path, tiny_model: LanguageModel, tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """Return a corpus and its index, which the test may change."""
    copied = tmp_path / "corpus"
    copied.mkdir()
    for path in corpus.iterdir():
        (copied / path.name).write_bytes(path.read_bytes())
    yield copied, index(copied, tmp_path / "index", tiny_model)


def retriever(index_dir: Path, **settings: Any) -> EchoRetriever:
    return EchoRetriever(index_dir=index_dir, device="cpu", **settings)


def names(documents: Sequence[Document]) -> list[str]:
    return [Path(document.metadata["source"]).name for document in documents]


@pytest.mark.model
def test_the_real_model_finds_the_right_passage_by_its_meaning(gemma: LanguageModel, tmp_path: Path) -> None:
    corpus = tmp_path / "subjects"
    corpus.mkdir()
    for subject, text in SUBJECTS.items():
        (corpus / f"{subject}.md").write_text(f"{text}\n", encoding="utf-8")
    dense = retriever(index(corpus, tmp_path / "index", gemma), mode="dense", k=1)
    assert names([found for question in QUESTIONS for found in dense.invoke(question)]) == [
        f"{subject}.md" for subject in QUESTIONS.values()
    ]
    assert dense.retriever is not None and dense.retriever.encoder.model is gemma


def test_a_document_tells_all_of_its_hit_in_types_that_json_knows(index_dir: Path, corpus: Path) -> None:
    documents = retriever(index_dir, k=3, mode="hybrid").invoke("lazy dog")
    [document] = [each for each in documents if each.metadata["source"] == "corpus/fox.md"]
    found = json.loads(json.dumps(document.metadata))
    assert found == document.metadata
    assert found.keys() == {
        *("source", "title", "headings", "format", "start", "end"),
        *("page", "line", "score", "dense", "lexical", "likelihood", "alike"),
        *("place", "table_header", "anchors", "sentence", "location", "recognition"),
        *("relevance", "collection"),
    }
    text = (corpus / "fox.md").read_text()
    assert document.page_content == text[found["start"] : found["end"]]
    assert document.id == f"corpus/fox.md:{found['start']}-{found['end']}"
    assert (found["source"], found["title"], found["format"]) == ("corpus/fox.md", "Animals", "markdown")
    assert (found["headings"], found["line"], found["page"]) == (["Animals", "The fox"], 1, None)
    assert found["lexical"]["rank"] == 1 and -1 <= found["dense"]["score"] <= 1


def test_documents_are_those_of_the_search_in_its_order(index_dir: Path) -> None:
    for mode in ("hybrid", "dense", "lexical"):
        found = retriever(index_dir, k=2, mode=mode).invoke("wizards and the fox")
        hits = Retriever.open(index_dir, device="cpu").search("wizards and the fox", k=2, mode=mode)
        assert [hit_from_document(document) for document in found] == hits
        assert len(hits) == 2


def test_k_may_be_given_with_a_call(index_dir: Path) -> None:
    dense = retriever(index_dir, mode="dense")
    assert (dense.k, len(dense.invoke("fox")), len(dense.invoke("fox", k=2))) == (5, 3, 2)
    with pytest.raises(QuestionError, match="k is 0"):
        dense.invoke("fox", k=0)


def test_the_instruction_is_part_of_the_question(index_dir: Path) -> None:
    plain, told = (
        [document.metadata["score"] for document in retriever(index_dir, mode="dense", **settings).invoke("fox")]
        for settings in ({}, {"instruction": TASK})
    )
    assert plain != pytest.approx(told, abs=1e-4)


def test_paths_and_formats_limit_what_is_found(index_dir: Path) -> None:
    question = "fox wizards jugs"
    assert names(retriever(index_dir, paths=("*wiz*",)).invoke(question)) == ["wizards.md"]
    assert names(retriever(index_dir, formats=["text"]).invoke(question)) == ["jugs.txt"]
    assert retriever(index_dir, paths=["elsewhere/*"]).invoke(question) == []


def test_passages_below_the_threshold_are_left_out(index_dir: Path) -> None:
    every = retriever(index_dir, mode="dense").invoke("fox")
    scores = [document.metadata["score"] for document in every]
    assert len(set(scores)) == 3
    assert retriever(index_dir, mode="dense", score_threshold=scores[1]).invoke("fox") == every[:2]
    assert retriever(index_dir, mode="dense", score_threshold=1.1).invoke("fox") == []
    assert retriever(index_dir, exact=True).invoke("nobody has written this") == []


@pytest.mark.parametrize(
    "setting",
    [{"k": 0}, {"k": "few"}, {"mode": "fuzzy"}, {"paths": "*.md"}, {"score_threshold": "high"}, {"device": "tpu"}],
    ids=str,
)
def test_a_setting_that_means_nothing_is_refused_by_the_constructor(index_dir: Path, setting: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(setting))):
        EchoRetriever(**{"index_dir": index_dir, **setting})


def test_a_folder_without_an_index_is_refused_by_the_constructor(tmp_path: Path) -> None:
    with pytest.raises(IndexMissing):
        EchoRetriever(index_dir=tmp_path)


def test_several_indexes_are_searched_as_one(index_dir: Path, own: tuple[Path, Path]) -> None:
    both = EchoRetriever(collections={"first": index_dir, "second": own[1]}, mode="lexical", device="cpu")
    found = both.invoke("seven wizards")
    assert {document.metadata["collection"] for document in found} == {"first", "second"}
    assert len({document.id for document in found}) == 2
    assert {hit_from_document(document).collection for document in found} == {"first", "second"}
    opened = EchoRetriever(retriever=both.retriever, collections={"second": own[1]}, mode="lexical", device="cpu")
    assert {document.metadata["collection"] for document in opened.invoke("seven wizards")} == {"second"}
    assert EchoRetriever(retriever=both.retriever).retriever is both.retriever


@pytest.mark.model
async def test_every_way_to_call_it_gives_the_same(gemma_index_dir: Path) -> None:
    hybrid = retriever(gemma_index_dir)
    questions = ["lazy dog", "seven wizards", "liquor jugs"]
    expected = [hybrid.invoke(question) for question in questions]
    assert [names(found)[0] for found in expected] == ["fox.md", "wizards.md", "jugs.txt"]
    assert [await hybrid.ainvoke(question) for question in questions] == expected
    assert hybrid.batch([*questions]) == expected
    assert await hybrid.abatch([*questions]) == expected


async def test_callbacks_and_events_tell_the_question_and_what_was_found(index_dir: Path) -> None:
    hybrid, noted = retriever(index_dir), Noted()
    found = hybrid.invoke("lazy dog", {"callbacks": [noted]})
    assert noted.told == ["lazy dog", found]
    events = [event async for event in hybrid.astream_events("lazy dog", version="v2")]
    told = {event["event"]: event["data"] for event in events}
    assert told["on_retriever_start"]["input"] == "lazy dog"
    assert told["on_retriever_end"]["output"] == found


def test_a_callback_receives_errors(index_dir: Path) -> None:
    noted = Noted()
    with pytest.raises(QuestionError):
        retriever(index_dir).invoke("  ", {"callbacks": [noted]})
    assert isinstance(noted.told[-1], QuestionError)


@pytest.mark.model
def test_it_is_a_part_of_a_chain(gemma_index_dir: Path) -> None:
    chain = (lambda asked: asked["question"]) | retriever(gemma_index_dir, k=1) | (lambda found: found[0].page_content)
    assert "jumps over the lazy dog." in chain.invoke({"question": "lazy dog"})


def test_its_settings_can_be_chosen_at_run_time(own: tuple[Path, Path], index_dir: Path) -> None:
    corpus, other = own
    (corpus / "zebra.md").write_text("# Zebra\n\nA zebra has stripes.\n")
    index(corpus, other, load_model(str(save_model(corpus.parent / "m", llama_config())), device="cpu"), rebuild=True)
    chosen = retriever(index_dir, mode="lexical").configurable_fields(
        index_dir=ConfigurableField(id="index_dir"), k=ConfigurableField(id="k")
    )
    assert chosen.invoke("zebra") == []
    assert names(chosen.invoke("zebra", {"configurable": {"index_dir": other}})) == ["zebra.md"]
    assert chosen.invoke("zebra") == []
    assert len(chosen.invoke("fox wizards jugs", {"configurable": {"k": 2}})) == 2


@pytest.mark.model
def test_concurrent_threads_get_their_own_results(gemma_index_dir: Path) -> None:
    hybrid = retriever(gemma_index_dir, k=1)  # its model is not loaded yet
    questions = ["lazy dog", "seven wizards", "liquor jugs"] * 4
    with ThreadPoolExecutor(6) as threads:
        found = [*threads.map(lambda question: names(hybrid.invoke(question))[0], questions)]
    assert found == ["fox.md", "wizards.md", "jugs.txt"] * 4


def test_retrievers_embeddings_and_chat_models_share_one_loaded_model(
    index_dir: Path, own: tuple[Path, Path], tiny_model: LanguageModel
) -> None:
    first, second = retriever(index_dir), retriever(own[1])
    for each in (first, second):
        each.invoke("fox")
    assert first.retriever is not None and second.retriever is not None
    model = first.retriever.encoder.model
    assert model is second.retriever.encoder.model
    assert model is EchoEmbeddings(model=tiny_model.name, device="cpu").load().model
    assert model is EchoChatModel(model=tiny_model.name, device="cpu").load()


def test_an_open_retriever_can_be_given(
    index_dir: Path, tiny_model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = EchoEncoder(tiny_model)
    opened = Retriever.open(index_dir, encoder=encoder)
    asked: list[bool] = []
    search = Retriever.search
    monkeypatch.setattr(Retriever, "search", lambda *given, **how: asked.append(how["group"]) or search(*given, **how))
    EchoRetriever(retriever=opened, group=True).invoke("fox")
    EchoRetriever(retriever=opened).invoke("fox")
    assert asked == [True, False]
    given = EchoRetriever(retriever=opened, k=2)
    assert (given.retriever, given.index_dir) == (opened, index_dir)
    assert len(given.invoke("fox wizards jugs")) == 2


def test_neighbours_are_joined_if_wanted(tmp_path: Path, encoder: EchoEncoder) -> None:
    page = "# Ferry\n\n" + " ".join(f"Ferry number {number} leaves from the pier at noon." for number in range(20))
    (tmp_path / "ferry.md").write_text(page, encoding="utf-8")
    chunking = Chunking(max_tokens=60, overlap_tokens=10)
    build_index([Source.parse(str(tmp_path / "ferry.md"))], tmp_path / "index", encoder=encoder, chunking=chunking)
    opened = Retriever.open(tmp_path / "index", encoder=encoder, index_device="cpu")
    apart = EchoRetriever(retriever=opened, k=50, mode="lexical").invoke("ferry pier")
    [together] = EchoRetriever(retriever=opened, k=50, mode="lexical", join=True).invoke("ferry pier")
    assert len(apart) > 2
    assert together.page_content == page


def test_a_new_generation_is_picked_up_without_a_restart(own: tuple[Path, Path], tiny_model: LanguageModel) -> None:
    corpus, index_dir = own
    hybrid = retriever(index_dir, k=1)
    assert names(hybrid.invoke("zebra stripes")) != ["zebra.md"]
    (corpus / "zebra.md").write_text("# Zebra\n\nA zebra has stripes.\n")
    index(corpus, index_dir, tiny_model)
    assert names(hybrid.invoke("zebra stripes")) == ["zebra.md"]


@pytest.mark.parametrize("mode", ["hybrid", "dense", "lexical"])
@pytest.mark.parametrize("other", ["layer", "model"])
def test_an_index_that_was_rebuilt_with_another_encoder_is_picked_up(
    own: tuple[Path, Path], tiny_model: LanguageModel, tmp_path: Path, mode: str, other: str
) -> None:
    corpus, index_dir = own
    searching = retriever(index_dir, mode=mode)
    searching.invoke("zebra stripes")
    (corpus / "zebra.md").write_text("# Zebra\n\nA zebra has stripes.\n")
    if other == "layer":
        index(corpus, index_dir, tiny_model, rebuild=True, layer=2)
    else:
        config = llama_config(hidden_size=64)
        folder = save_model(tmp_path / "other", config, seed=3, chat_template=CHAT_TEMPLATE)
        index(corpus, index_dir, load_model(str(folder), device="cpu"), rebuild=True)
    found = searching.invoke("zebra stripes")
    assert "zebra.md" in names(found)
    expected = Retriever.open(index_dir, device="cpu").search("zebra stripes", k=5, mode=mode)  # type: ignore[arg-type]
    assert [hit_from_document(document) for document in found] == expected


# documents and hits


def test_a_hit_comes_back_from_its_document_as_it_was() -> None:
    hit = Hit("text", "a.pdf", "A", ("A", "B"), "pdf", 3, 7, 2, None, 0.5, RankedScore(1, 0.25), None)
    elsewhere = replace(hit, page=None, line=9, headings=(), dense=None, lexical=RankedScore(4, 8.5))
    for each in (hit, elsewhere, replace(hit, likelihood=RankedScore(3, -2.25))):
        document = document_from_hit(each)
        assert hit_from_document(document) == each
        assert hit_from_document(Document(**json.loads(document.model_dump_json(exclude={"type"})))) == each
    assert document_from_hit(hit).metadata["page"] == 2


@pytest.mark.parametrize(
    ("document", "source", "title"),
    [
        (Document("text", metadata={"source": "a.txt", "title": "A", "page": 3}), "a.txt", "A"),
        (Document("text", metadata={"source": "a.txt", "title": None}), "a.txt", "a.txt"),
        (Document("text", metadata={"source": None}, id="7"), "7", "7"),
        (Document("text"), "", ""),
    ],
)
def test_a_document_of_another_retriever_is_a_hit_of_its_source(document: Document, source: str, title: str) -> None:
    assert hit_from_document(document) == Hit("text", source, title, (), "", 0, 4, None, None, 0.0, None, None)


@pytest.mark.parametrize("name", ["layer", "max_tokens", "batch_tokens"])
def test_numbers_of_nothing_are_refused(name: str) -> None:
    with pytest.raises(ValidationError, match=name):
        EchoEmbeddings(**{name: 0})  # type: ignore[arg-type]


def test_embeddings_of_an_encoder_bear_its_model_s_name(tiny_model: LanguageModel) -> None:
    assert EchoEmbeddings(encoder=EchoEncoder(tiny_model)).model == tiny_model.name
