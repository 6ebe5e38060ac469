"""A service of several indexes: what is wrong with one does not concern the others."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from several_indexes import build_notes, several_indexes
from tiny_models import CHAT_TEMPLATE, llama_config, save_model

from echo_index.app.mcp import resources
from echo_index.app.mcp.resources import list_resources
from echo_index.app.mcp.result_text import result_text
from echo_index.app.services import tool_results
from echo_index.app.services.answer_job import Request, stream_turn
from echo_index.app.services.document_tools import DocumentTools
from echo_index.app.services.index_service import IndexService
from echo_index.app.services.query_vector import QueryVectors
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.model_loading import load_model
from echo_index.errors import IndexMismatch, IndexMissing

NAMES = ["work", "recipes"]


@pytest.fixture
def service(tmp_path: Path, encoder: EchoEncoder) -> IndexService:
    return several_indexes(tmp_path, encoder)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> EchoEncoder:
    """Return an encoder of another model."""
    config = llama_config(num_hidden_layers=3)
    folder = save_model(tmp_path_factory.mktemp("models") / "other", config, seed=7, chat_template=CHAT_TEMPLATE)
    return EchoEncoder(load_model(str(folder), device="cpu"))


def found(service: IndexService, *collections: str) -> set[tuple[str, str]]:
    """Return the collections and documents that a search finds."""
    hits = service.with_searcher(lambda searcher: searcher.search("the report", k=10), collections=collections)
    return {(hit.collection, hit.source) for hit in hits}


@pytest.mark.parametrize("gone", NAMES)
@pytest.mark.parametrize("is_open", [True, False])
def test_an_index_that_disappears_is_named_and_the_other_is_searched_alone(
    service: IndexService, tmp_path: Path, gone: str, is_open: bool
) -> None:
    [left] = {*NAMES} - {gone}
    if is_open:
        assert len(found(service)) == 6
    shutil.rmtree(tmp_path / gone / "index")
    for collections in ((), (gone,), NAMES):
        with pytest.raises(IndexMissing) as raised:
            found(service, *collections)
        error = raised.value
        assert error.collection == gone
        assert error.message.startswith(f"The collection {gone} cannot be used: there is no complete index in ")
        assert error.remedy == f"Build it: echo-index build FOLDER --index {tmp_path / gone / 'index'}"
    assert {collection for collection, _ in found(service, left)} == {left}
    *_, turn = stream_turn(service, Request("What is due?", collections=(left,)))
    assert turn.answer is not None and {hit.collection for hit in turn.passages} == {left}


def test_a_query_is_embedded_by_a_collection_that_is_searched(service: IndexService, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "work/index")
    tools = DocumentTools(service, query_vectors=QueryVectors(model=None, device="cpu", notice=print))
    found = tools.search("the dough", mode="dense", collections=["recipes"]).passages
    assert {passage.collection for passage in found} == {"recipes"}


def test_resources_of_all_collections_come_in_pages(
    service: IndexService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work/notes/broken.pdf").write_text("no PDF")
    build_notes(tmp_path / "work", service.with_retriever(lambda retriever: retriever.encoder))
    tools = DocumentTools(service)
    whole = [resource.name for resource in list_resources(tools, None).resources]
    assert len(whole) == 6 and whole[:1] == ["work: notes/start.md"] and whole[-1:] == ["recipes: notes/yes.md"]
    for size in (1, 2, 4):
        monkeypatch.setattr(resources, "_PAGE", size)
        names, cursor = [], None
        for _ in range(len(whole)):
            page = list_resources(tools, cursor)
            assert len(page.resources) <= size
            names += [resource.name for resource in page.resources]
            if (cursor := page.nextCursor) is None:
                break
        assert names == whole


def test_the_status_is_the_sum_of_all(service: IndexService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool_results, "_MAX_FAILURES", 2)
    for name in NAMES:
        for number in range(2):
            (tmp_path / name / f"notes/broken{number}.pdf").write_text("no PDF")
        build_notes(tmp_path / name, service.with_retriever(lambda retriever: retriever.encoder))
    status = DocumentTools(service).status()
    assert (status.generation, status.failed, len(status.failures), status.incomplete) == (4, 4, 2, 0)
    folders = [tmp_path / name / "index" for name in NAMES]
    assert status.disk_bytes == sum(file.stat().st_size for folder in folders for file in folder.iterdir())


def test_the_status_and_the_resources_are_those_of_the_indexes_that_are_left(
    service: IndexService, tmp_path: Path
) -> None:
    tools = DocumentTools(service)
    shutil.rmtree(tmp_path / "recipes/index")
    status = tools.status()
    assert (status.documents, status.passages) == (3, status.collections[0].passages)
    assert [each.name for each in status.collections] == NAMES
    work, recipes = status.collections
    assert work.problem == "" and recipes.documents == 0
    assert recipes.problem.startswith("The collection recipes cannot be used: there is no complete index in ")
    assert recipes.problem in result_text(status).splitlines()
    assert "Collection recipes" not in result_text(status)
    assert {resource.name[:5] for resource in list_resources(tools, None).resources} == {"work:"}
    shutil.rmtree(tmp_path / "work/index")
    with pytest.raises(IndexMissing, match="The collection work cannot be used"):
        tools.status()


def test_of_a_single_index_that_is_missing_no_collection_is_named(service: IndexService, tmp_path: Path) -> None:
    alone = IndexService(type(service.options)(tmp_path / "nowhere", name="alone"))
    with pytest.raises(IndexMissing) as raised:
        found(alone)
    assert raised.value.collection == "" and raised.value.message.startswith("There is no complete index in ")
    with pytest.raises(IndexMissing):
        list_resources(DocumentTools(alone), None)


@pytest.mark.parametrize("rebuilt", NAMES)
def test_an_index_that_is_rebuilt_with_another_model_is_searched_alone_until_both_have_one(
    service: IndexService, tmp_path: Path, encoder: EchoEncoder, other: EchoEncoder, rebuilt: str
) -> None:
    [kept] = {*NAMES} - {rebuilt}
    assert len(found(service)) == 6
    opened = service.with_retriever(lambda retriever: retriever, collection=kept)
    build_notes(tmp_path / rebuilt, other, rebuild=True)
    for _ in range(2):
        with pytest.raises(IndexMismatch, match="cannot be ranked together"):
            found(service)
    for name in NAMES:
        assert {collection for collection, _ in found(service, name)} == {name}
    encoders = {name: service.with_retriever(lambda retriever: retriever.encoder, collection=name) for name in NAMES}
    assert encoders[rebuilt].fingerprint == other.fingerprint and encoders[kept].fingerprint == encoder.fingerprint
    assert service.with_retriever(lambda retriever: retriever, collection=kept) is opened, "it stays open"
    *_, turn = stream_turn(service, Request("What is due?", collections=(rebuilt,)))
    assert turn.answer is not None
    writers = {name: service.chat_model(collections=[name]).load().name for name in NAMES}  # type: ignore[attr-defined]
    assert writers == {name: encoders[name].model.name for name in NAMES}
    build_notes(tmp_path / rebuilt, encoder, rebuild=True)
    assert len(found(service)) == 6
