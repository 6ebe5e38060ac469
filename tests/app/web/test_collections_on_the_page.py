"""The page of several indexes: what each tab shows of which, and that a passage opens in its own."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from several_indexes import SAME_NAME, build_notes, several_indexes, write_notes
from starlette.testclient import TestClient

from echo_index.app.services.answer_job import Turn
from echo_index.app.services.build_job import BuildJob
from echo_index.app.services.index_service import IndexService, ServiceOptions
from echo_index.app.web.collection_choice import collection_input, collections_input
from echo_index.app.web.filters import FilterInputs
from echo_index.app.web.server import ServerOptions, make_app, new_build_jobs
from echo_index.app.web.tabs.ask import AskTab
from echo_index.app.web.tabs.compare import CompareTab
from echo_index.app.web.tabs.explore import ExploreTab
from echo_index.app.web.tabs.library import LibraryTab
from echo_index.app.web.tabs.search import SearchTab
from echo_index.app.web.viewer import Viewer
from echo_index.embeddings.encoder import EchoEncoder

HERE = "http://127.0.0.1:7860"
NAMES = ["work", "recipes"]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, encoder: EchoEncoder) -> IndexService:
    """Return a service of two indexes, which no test changes."""
    return several_indexes(tmp_path_factory.mktemp("several"), encoder)


@pytest.fixture
def blocks() -> Iterator[gr.Blocks]:
    with gr.Blocks(analytics_enabled=False) as page:
        yield page


def named(html: str) -> list[tuple[str, str, str]]:
    """Return the collection, the document and the start of each element that opens a passage."""
    tags = [unescape(tag) for tag in re.findall(r"<[^>]*data-action=\"open\"[^>]*>", html)]
    found = []
    for tag in tags:
        data = dict(re.findall(r'data-(\w+)="([^"]*)"', tag))
        found.append((data.get("collection", ""), data["source"], data["start"]))
    return found


def test_the_choice_tells_what_a_collection_is_about(service: IndexService, blocks: gr.Blocks) -> None:
    choices = [("work – the office", "work"), ("recipes", "recipes")]
    several, one = collections_input(service), collection_input(service, elem_id="one")
    assert several.choices == one.choices == choices
    assert (several.visible, several.value, one.visible, one.value) == (True, [], True, "work")


def test_a_single_index_leaves_no_choice(tmp_path: Path, blocks: gr.Blocks) -> None:
    alone = IndexService(ServiceOptions(tmp_path / "index", name="work", about="the office"))
    assert not collections_input(alone).visible and not collection_input(alone, elem_id="one").visible


def test_the_folders_and_formats_are_those_of_the_chosen_collections(service: IndexService, blocks: gr.Blocks) -> None:
    filters = FilterInputs(service)

    def offered(*chosen: Any) -> list[list[str]]:
        return [[value for _, value in dropdown.choices] for dropdown in filters.refresh(*chosen)]

    both = [["notes", "notes/soups", "notes/travel"], ["markdown", "text"]]
    assert offered([], [], []) == offered(None, None, None) == offered(NAMES, [], []) == both
    assert offered(["recipes"], [], []) == [["notes", "notes/soups"], ["markdown", "text"]]
    assert offered(["work"], [], []) == [["notes", "notes/travel"], ["markdown"]]
    folders, formats = filters.refresh(["work"], ["notes/soups", "notes"], ["markdown"])
    assert folders.value == ["notes"], "a folder that is not there is not chosen any more"
    assert "value" not in formats._constructor_args[0], "what stays is not sent"


def test_a_search_finds_passages_of_the_chosen_collections(service: IndexService, blocks: gr.Blocks) -> None:
    search = SearchTab(service)

    def found(collections: list[str] | None, folders: list[str] = []) -> set[tuple[str, str]]:  # noqa: B006
        html = search._search("begin", "", "hybrid", collections, folders, [], "", "", "", 10, 0, 0)
        return {(collection, source) for collection, source, _ in named(html)}

    assert len(found(None)) == len(found([])) == len(found(NAMES)) == 6
    assert found(["recipes"]) == {("recipes", name) for name in (SAME_NAME, "notes/soups/onion.txt", "notes/yes.md")}
    assert found([], ["notes/travel"]) == {("work", "notes/travel/rules.md")}
    html = search._search("begin", "", "lexical", [], [], [], "", "", "", 10, 0, 0)
    assert f"recipes: {SAME_NAME}, line 1" in html and f'title="Open work: {SAME_NAME} at this passage"' in html
    assert "What are you looking for?" in search._search(" ", "", "hybrid", [], [], [], "", "", "", 10, 0, 0)


def test_an_address_names_collections(service: IndexService, blocks: gr.Blocks) -> None:
    search = SearchTab(service)

    def opened(query: str) -> dict[Any, Any]:
        return dict(zip(search.outputs, search.open(query), strict=True))

    found = opened("q=begin&collection=recipes")
    assert {collection for collection, _, _ in named(found[search.results])} == {"recipes"}
    assert "collection=recipes" in found[search.results], "the address stays what it is"
    assert found[search.filters.collections].value == ["recipes"]
    assert found[search._filters_section].open, "what restricts the results is in sight"
    assert "open" not in str(opened("q=begin")[search._filters_section])
    wrong = opened("q=begin&collection=nowhere")
    assert "There is no collection" in wrong[search.results] and wrong[search.filters.collections].value == []


@pytest.mark.parametrize("collection", NAMES)
def test_more_like_this_stays_in_the_collection(service: IndexService, blocks: gr.Blocks, collection: str) -> None:
    search = SearchTab(service)
    event = SimpleNamespace(_data={"source": SAME_NAME, "start": "0", "collection": collection})
    html = search._similar([], [], "", "", "", 10, event)  # type: ignore[arg-type]
    assert f"similar to one of <b>{collection}: {SAME_NAME}</b>" in html
    assert {name for name, _, _ in named(html)} == {collection}


@pytest.mark.parametrize(("collection", "text"), [("work", "due in May"), ("recipes", "eighteen hours")])
def test_the_viewer_opens_the_document_of_the_collection(
    service: IndexService, blocks: gr.Blocks, collection: str, text: str
) -> None:
    viewer = Viewer(service)
    data = {"source": SAME_NAME, "start": "0", "collection": collection}
    _, html = viewer._show(SimpleNamespace(_data=data))  # type: ignore[arg-type]
    assert text in html and f">{collection}: {SAME_NAME}<" in html
    _, html = viewer._show_row(collection, SimpleNamespace(row_value=[SAME_NAME]))  # type: ignore[arg-type]
    assert text in html
    _, html = viewer._show(SimpleNamespace(_data=data | {"around": "1"}))  # type: ignore[arg-type]
    assert named(html) == [] or named(html)[0][0] == collection
    _, html = viewer._show(SimpleNamespace(_data=data | {"collection": "no such"}))  # type: ignore[arg-type]
    assert "There is no collection" in html


def test_passages_that_begin_within_code_are_code(tmp_path: Path, encoder: EchoEncoder, blocks: gr.Blocks) -> None:
    steps = "".join(f"# step {number} of the work\n\nx = {number}\n\n" for number in range(60))
    write_notes(tmp_path, {"steps.md": f"Steps:\n\n```\n{steps}```\n"})
    alone = IndexService(ServiceOptions(build_notes(tmp_path, encoder), device="cpu", index_device="cpu"))
    found = SearchTab(alone)._search("step of the work", "", "lexical", [], [], [], "", "", "", 10, 0, 0)
    hits = alone.with_searcher(lambda searcher: searcher.search("step of the work", k=10, mode="lexical"))
    for html in (found, AskTab(alone)._passage_cards(Turn("step of the work", passages=tuple(hits)))):
        assert len(named(html)) > 3 and html.count("<pre") == len(named(html))
        assert 'class="heading' not in html


def test_answers_come_from_the_chosen_collections(service: IndexService, blocks: gr.Blocks) -> None:
    tab = AskTab(service)
    *_, last = tab._ask("What rests?", [], "", ["recipes"], [], [], "", "", "")
    assert {collection for collection, _, _ in named(last[3])} == {"recipes"}
    *_, last = tab._ask("What rests?", [], "", [], [], [], "", "", "")
    assert {collection for collection, _, _ in named(last[3])} == {*NAMES}


@pytest.mark.parametrize("collection", NAMES)
def test_rankings_and_the_map_are_of_one_collection(service: IndexService, blocks: gr.Blocks, collection: str) -> None:
    other = {"work": "onion.txt", "recipes": "rules.md"}[collection]
    explore = ExploreTab(service)
    drawn, neighbours, rows = explore.refresh(collection, "begin")
    pages = [
        CompareTab(service)._compare(collection, "begin", [], [], "", "", ""),
        drawn,
        neighbours,
        explore._issues(collection),
    ]
    assert f"echo-index build --compare --index {collection}<" in pages[0]
    for html in pages:
        assert {name for name, _, _ in named(html)} == {collection}
        assert other not in html
    assert sorted(row[0] for row in rows) == sorted({source for _, source, _ in named(drawn)})
    assert explore._choose(collection, "", "")[3] == "", "problems are not looked for before they are wanted"
    assert {name for name, _, _ in named(explore._choose(collection, "", pages[3])[3])} == {collection}


def test_the_sentences_are_measured_in_the_collection(service: IndexService, blocks: gr.Blocks) -> None:
    assert "Nearer" in CompareTab(service)._measure("recipes", "a b", "b a", "a c")


# Library


@pytest.fixture
def own_service(tmp_path: Path, encoder: EchoEncoder) -> IndexService:
    """Return a service of two indexes that a test may change."""
    return several_indexes(tmp_path, encoder)


def library(service: IndexService, folder: Path) -> tuple[LibraryTab, dict[str, BuildJob]]:
    jobs = new_build_jobs(service)
    uploads = {name: folder / f"uploads-{name}" for name in NAMES}
    return LibraryTab(service, jobs, uploads=uploads, max_bytes=1000, may_change=True), jobs


def test_the_library_of_the_second_collection(own_service: IndexService, tmp_path: Path, blocks: gr.Blocks) -> None:
    tab, jobs = library(own_service, tmp_path)
    contents, removable, *_, sources, removed = tab._choose("recipes", "")
    assert "<b>3</b> documents" in contents and sources == str(tmp_path / "recipes/notes") and removed == ""
    assert [path for path, _ in removable.choices] == ["notes/soups/onion.txt", SAME_NAME, "notes/yes.md"]
    assert tab._read_sources("work") == str(tmp_path / "work/notes")

    (tmp_path / "cake.md").write_text("# Cake\n\nThe cake needs four eggs.\n")
    tab._build("recipes", [str(tmp_path / "cake.md")], sources)
    assert jobs["recipes"].wait().phase == "done" and jobs["work"].state.phase == "idle"
    assert [path.name for path in (tmp_path / "uploads-recipes").iterdir()] == ["cake.md"]
    assert not (tmp_path / "uploads-work").exists()
    assert "<b>4</b> documents" in tab._contents("recipes") and "<b>3</b> documents" in tab._contents("work")
    assert "the index contains 4 documents" in tab._build_state("recipes")[1] and tab._build_state("work")[1] == ""

    said, contents, removable = tab._remove("recipes", [SAME_NAME], "")
    assert "1 document removed; 3 documents left." in said and "<b>3</b> documents" in contents
    assert SAME_NAME not in [path for path, _ in removable.choices]
    assert SAME_NAME in [path for path, _ in tab._removable("work", "").choices]


def test_a_collection_that_disappears_is_named_and_the_others_go_on(
    own_service: IndexService, tmp_path: Path, blocks: gr.Blocks
) -> None:
    search, explore, (tab, _) = SearchTab(own_service), ExploreTab(own_service), library(own_service, tmp_path)
    shutil.rmtree(tmp_path / "work/index")

    def searched(*collections: str) -> str:
        return search._search("begin", "", "hybrid", [*collections], [], [], "", "", "", 10, 0, 0)

    for html in (searched(), searched("work"), explore.refresh("work", "")[0]):
        assert "The collection work cannot be used: there is no complete index in" in html
        assert "or choose other collections." in html and "Nothing is indexed yet" not in html
    assert {name for name, _, _ in named(searched("recipes"))} == {"recipes"}
    assert "<svg" in explore.refresh("recipes", "")[0]
    folders, _ = FilterInputs(own_service).refresh([], [], [])
    assert [value for _, value in folders.choices] == ["notes", "notes/soups"]
    assert "Nothing is indexed yet." in tab._contents("work") and "<b>3</b> documents" in tab._contents("recipes")
    assert tab._read_sources("work") == ""


# Endpoints


def test_the_endpoints_take_collections(service: IndexService) -> None:
    with TestClient(make_app(service, ServerOptions(mcp=True)), base_url=HERE) as client:

        def answer(endpoint: str, *arguments: Any) -> Any:
            accepted = client.post(f"/gradio_api/call/{endpoint}", json={"data": list(arguments)})
            stream = client.get(f"/gradio_api/call/{endpoint}/{accepted.json()['event_id']}").text
            [result] = json.loads(stream.strip().splitlines()[-1].removeprefix("data: "))
            return result

        def found(*collections: str) -> set[str]:
            arguments = ["begin", 5, "hybrid", "", None, None, 0, 0, "", "", "", 0, [*collections] or None]
            return {passage["collection"] for passage in answer("search", *arguments)["passages"]}

        assert found() == {*NAMES} and found("recipes") == {"recipes"}
        assert "eighteen" in answer("read", SAME_NAME, None, 4000, "recipes")["text"]
        tools = {tool["name"]: tool for tool in client.get("/gradio_api/mcp/schema").json()}
        assert "collections" in tools["search"]["inputSchema"]["properties"]
        assert "collection" in tools["read"]["inputSchema"]["properties"]
