"""Several indexes served as one: chosen, read, and opened again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tiny_models import CHAT_TEMPLATE, llama_config, save_model

from echo_index.app.services import index_service
from echo_index.app.services.answer_job import Request, stream_turn
from echo_index.app.services.collections import Collection
from echo_index.app.services.document_tools import DocumentTools
from echo_index.app.services.index_service import IndexService, ServiceOptions
from echo_index.app.services.query_vector import QueryVectors
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.model_loading import load_model
from echo_index.errors import CollectionError, DocumentError, IndexMismatch
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.sources.source import Source
from echo_index.retriever.search.searcher import Searcher


@pytest.fixture
def tools(two_collections: IndexService) -> DocumentTools:
    return DocumentTools(two_collections)


def places(tools: DocumentTools, question: str, *, collections: list[str] | None = None) -> set[tuple[str, str]]:
    """Return the collections and documents of the passages that a search finds."""
    found = tools.search(question, collections=collections).passages
    return {(passage.collection, passage.source) for passage in found}


def test_a_search_takes_all_collections_or_those_that_are_named(tools: DocumentTools) -> None:
    animals = {("animals", "notes/fox.md"), ("animals", "notes/read me.md")}
    magic = {("magic", "notes/vow.md"), ("magic", "notes/read me.md")}
    assert places(tools, "a fox") == animals | magic
    assert places(tools, "a fox", collections=["magic"]) == magic
    assert places(tools, "a fox", collections=["magic", "animals", "magic"]) == animals | magic
    with pytest.raises(
        CollectionError, match=re.escape("There is no collection 'work' here. There are animals, magic.")
    ):
        tools.search("a fox", collections=["work"])


def test_the_model_is_loaded_once_for_all(two_collections: IndexService, encoder: EchoEncoder) -> None:
    first, second = (
        two_collections.with_retriever(lambda retriever: retriever.encoder, collection=name)
        for name in ("animals", "magic")
    )
    assert first.model is second.model and first.fingerprint == second.fingerprint == encoder.fingerprint


def test_queries_are_embedded_for_the_collection_that_is_searched(two_collections: IndexService) -> None:
    quick = DocumentTools(two_collections, query_vectors=QueryVectors(model=None, device="cpu", notice=print))
    plain = DocumentTools(two_collections)
    for collections in (["magic"], None):
        found, expected = (
            [(each.location, each.score) for each in every.search("judge", collections=collections).passages]
            for every in (quick, plain)
        )
        assert found == expected


@pytest.mark.parametrize(
    ("name", "collection"),
    [("notes/vow.md", ""), ("magic: notes/vow.md", ""), ("magic: notes/vow.md:3", ""), ("notes/vow.md", "magic")],
)
def test_a_document_is_found_in_its_collection(tools: DocumentTools, name: str, collection: str) -> None:
    read = tools.read(name, collection=collection)
    assert (read.collection, read.source) == ("magic", "notes/vow.md") and "wizards" in read.text


def test_a_passage_names_its_place_as_read_takes_it(tools: DocumentTools) -> None:
    [passage] = tools.search("Spells", mode="lexical").passages
    assert passage.location == "magic: notes/read me.md:1"
    assert tools.read(passage.location).text.strip() == "Spells."


def test_a_name_that_two_collections_have_needs_the_collection(tools: DocumentTools) -> None:
    with pytest.raises(
        DocumentError, match=re.escape("animals, magic. Name the collection, too: animals: notes/read me.md")
    ):
        tools.read("notes/read me.md")
    assert tools.read("notes/read me.md", collection="animals").text.strip() == "Animals."
    with pytest.raises(
        DocumentError, match=re.escape("no document fox.md in these indexes. There is animals: notes/fox.md.")
    ):
        tools.read("fox.md")
    with pytest.raises(DocumentError, match=re.escape("There is no document notes/fox.md in this index.")):
        tools.read("notes/fox.md", collection="magic")


def test_similar_passages_are_of_the_collection(tools: DocumentTools) -> None:
    found = tools.similar("notes/vow.md", 0, collection="magic").passages
    assert [(passage.collection, passage.source) for passage in found] == [("magic", "notes/read me.md")]
    with pytest.raises(CollectionError, match=re.escape("needs the name of its own. There are animals, magic.")):
        tools.similar("notes/vow.md", 0)


def test_documents_are_listed_by_collection_in_pages(tools: DocumentTools) -> None:
    first = tools.list_documents(limit=3)
    rest = tools.list_documents(offset=first.next_offset or 0)
    assert [(each.collection, each.source) for each in first.documents + rest.documents] == [
        ("animals", "notes/fox.md"),
        ("animals", "notes/read me.md"),
        ("magic", "notes/read me.md"),
        ("magic", "notes/vow.md"),
    ]
    assert [each.source for each in tools.list_documents("vow", collections=["animals"]).documents] == []


def test_the_status_is_of_all_and_of_each(tools: DocumentTools) -> None:
    status = tools.status()
    assert (status.documents, status.passages, status.formats) == (4, 4, {"markdown": 4})
    assert [(each.name, each.about, each.documents) for each in status.collections] == [
        ("animals", "Beasts of the field", 2),
        ("magic", "Spells and vows", 2),
    ]


def test_unknown_paths_are_those_of_no_chosen_collection(tools: DocumentTools) -> None:
    assert tools.search("a fox", paths=["notes/fox.md", "notes/vow.md"]).note == ""
    note = tools.search("a fox", paths=["notes/fox.md", "notes/vow.md"], collections=["magic"]).note
    assert note == "No document matches notes/fox.md."


@pytest.mark.parametrize(("collections", "expected"), [((), {"animals", "magic"}), (("magic",), {"magic"})])
def test_an_answer_is_written_from_the_chosen_collections(
    two_collections: IndexService, collections: tuple[str, ...], expected: set[str]
) -> None:
    turn = next(stream_turn(two_collections, Request("a fox", collections=collections, passages=4)))
    assert {hit.collection for hit in turn.passages} == expected


def test_one_index_has_no_collections(two_collections: IndexService) -> None:
    service = IndexService(ServiceOptions(two_collections.index_dir, name="animals", device="cpu", index_device="cpu"))
    tools = DocumentTools(service)
    assert places(tools, "a fox") == {("", "notes/fox.md"), ("", "notes/read me.md")}
    assert tools.read("notes/fox.md").collection == ""
    assert {document.collection for document in tools.list_documents().documents} == {""}
    assert places(tools, "a fox", collections=["animals"]) == places(tools, "a fox")


def test_all_are_opened_again_when_all_were_rebuilt_with_another_model(encoder: EchoEncoder, tmp_path: Path) -> None:
    names = ("animals", "magic")
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.md").write_text(f"# {name}\n\nAll about {name}.\n")

    def build(name: str, encoder: EchoEncoder) -> None:
        build_index([Source.parse(str(tmp_path / name))], tmp_path / f"{name}-index", encoder=encoder, rebuild=True)

    for name in names:
        build(name, encoder)
    first, second = (Collection(name, tmp_path / f"{name}-index") for name in names)
    service = IndexService(
        ServiceOptions(first.index, name=first.name, others=(second,), device="cpu", index_device="cpu")
    )
    tools = DocumentTools(service)
    assert len(places(tools, "magic")) == 2
    config = llama_config(num_hidden_layers=3)
    other = EchoEncoder(load_model(str(save_model(tmp_path / "other", config, seed=7, chat_template=CHAT_TEMPLATE))))
    build("animals", other)
    for _ in range(2):
        with pytest.raises(IndexMismatch, match="animals and magic were built with different encoders"):
            tools.search("magic")
    assert places(tools, "magic", collections=["animals"]) == {("animals", "animals/animals.md")}
    build("magic", other)
    assert len(places(tools, "magic")) == 2


def test_only_the_last_choices_of_collections_are_kept_open(
    two_collections: IndexService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_service, "_MAX_SEARCHERS", 2)
    service = IndexService(two_collections.options)

    def searcher(*names: str) -> Searcher:
        return service.with_searcher(lambda searcher: searcher, collections=names)

    both, animals = searcher(), searcher("animals")
    assert searcher() is both
    searcher("magic")
    assert searcher() is both, "the one that was used last before"
    assert searcher("animals") is not animals
