"""The tools for assistants: pages, places, errors, and that they never leave the index."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from echo_index.app.services.answer_job import Turn
from echo_index.app.services.document_tools import DocumentTools
from echo_index.app.services.index_service import IndexService, ServiceOptions
from echo_index.app.services.query_vector import QueryVectors
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.errors import EchoIndexError, FilterError, IndexMissing
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.sources.source import Source
from echo_index.retriever.search.retriever import Retriever

LINES = 10_000


@pytest.fixture(scope="module")
def folder(encoder: EchoEncoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with an index of four documents, and a secret beside them."""
    folder = tmp_path_factory.mktemp("tools")
    (folder / "notes/deep").mkdir(parents=True)
    (folder / "notes/fox.md").write_text("# The fox\n\nThe quick brown fox jumps over the lazy dog.\n")
    (folder / "notes/vow.md").write_text("# Wizards\n\nSeven wizards quietly judge my vow.\n")
    (folder / "notes/deep/box: 7, page 2.md").write_text("# Boxes\n\nPack my box with five dozen liquor jugs.\n")
    (folder / "notes/long.txt").write_text("".join(f"{number:05} lines.\n" for number in range(1, LINES + 1)))
    (folder / "secret.md").write_text("# Secret\n\nNot indexed.\n")
    (folder / "notes/empty.pdf").write_text("no PDF")
    build_index([Source.parse(str(folder / "notes"))], folder / "index", encoder=encoder)
    return folder


@pytest.fixture(scope="module")
def tools(folder: Path) -> DocumentTools:
    return tools_of(folder / "index")


def tools_of(index: Path) -> DocumentTools:
    return DocumentTools(IndexService(ServiceOptions(index, device="cpu", index_device="cpu")))


def test_pages_of_a_search_continue_each_other(tools: DocumentTools) -> None:
    whole = tools.search("lines", k=30, mode="lexical")
    assert len(whole.passages) == 30 and whole.next_offset == 30
    sources = [passage.start for passage in whole.passages]
    pages, offset = [], 0
    while offset < 30:
        page = tools.search("lines", k=7, mode="lexical", offset=offset)
        assert page.offset == offset and page.next_offset is not None
        pages += [passage.start for passage in page.passages]
        offset = page.next_offset
    assert pages[:30] == sources
    last = tools.search("lines", k=1000, mode="lexical", offset=99)
    assert (len(last.passages), last.next_offset) == (1, None), "the best hundred can be paged through"
    beyond = tools.search("lines", mode="lexical", offset=100)
    assert (beyond.passages, beyond.note) == ([], "There are no more passages.")


def test_a_page_of_long_passages_ends_earlier(tools: DocumentTools, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("echo_index.app.services.document_tools._MAX_SEARCH_CHARACTERS", 1000)
    page = tools.search("lines", k=30, mode="lexical")
    assert 1 <= len(page.passages) < 10 and page.next_offset == len(page.passages)
    assert sum(len(passage.text) for passage in page.passages) <= 1000
    monkeypatch.setattr("echo_index.app.services.document_tools._MAX_SEARCH_CHARACTERS", 1)
    assert len(tools.search("lines", k=30, mode="lexical").passages) == 1


def test_a_passage_names_its_place_as_read_takes_it(tools: DocumentTools) -> None:
    [passage] = tools.search("lazy dog", k=1, mode="lexical").passages
    assert (passage.source, passage.location, passage.line) == ("notes/fox.md", "notes/fox.md:3", 3)
    assert (passage.title, passage.headings, passage.format) == ("The fox", ["The fox"], "markdown")
    assert "lazy dog" in tools.read(passage.location).text
    [box] = tools.search("liquor", k=1, mode="lexical").passages
    assert box.location == "notes/deep/box: 7, page 2.md:3"
    assert "liquor" in tools.read(box.location).text


def test_a_search_is_filtered_and_says_what_it_lacks(tools: DocumentTools) -> None:
    found = tools.search("fox", mode="dense", paths=["*vow*"], formats=["markdown"])
    assert [passage.source for passage in found.passages] == ["notes/vow.md"] and found.note == ""
    assert tools.search("fox", paths=["nowhere", "notes"]).note == "No document matches nowhere."
    assert tools.search('"no such words"').note == "No passage has “no such words” word for word."


def test_similar_passages_are_found(tools: DocumentTools) -> None:
    found = tools.similar("notes/fox.md", 0, k=2)
    assert len(found.passages) == 2 and "notes/fox.md" not in {passage.source for passage in found.passages}


@pytest.mark.parametrize(
    ("filters", "sources"),
    [
        ({"paths": ["*vow*"]}, ["notes/vow.md"]),
        ({"paths": ["notes"], "formats": ["markdown"]}, ["notes/deep/box: 7, page 2.md", "notes/vow.md"]),
        ({"where": "title = Wizards"}, ["notes/vow.md"]),
        ({"since": "1 day", "formats": ["markdown"]}, ["notes/deep/box: 7, page 2.md", "notes/vow.md"]),
        ({"before": "2000"}, []),
    ],
)
def test_similar_passages_are_filtered_like_those_of_a_search(
    tools: DocumentTools, filters: dict[str, Any], sources: list[str]
) -> None:
    found = tools.similar("notes/fox.md", 0, **filters)
    assert sorted(passage.source for passage in found.passages) == sources
    assert found.note == ("" if sources else "Nothing is similar.")


def test_similar_says_which_paths_match_nothing_and_which_condition_is_wrong(tools: DocumentTools) -> None:
    assert tools.similar("notes/fox.md", 0, paths=["nowhere", "notes"]).note == "No document matches nowhere."
    with pytest.raises(FilterError, match="at character 8"):
        tools.similar("notes/fox.md", 0, where="title =")


def test_a_document_of_ten_thousand_lines_comes_in_pages(tools: DocumentTools) -> None:
    source, start, texts = "notes/long.txt", 0, []
    while start is not None:
        page = tools.read(source, start=start)
        assert len(page.text) <= 8000 and page.line == start // 13 + 1
        texts.append(page.text)
        start = page.next_start
    assert "".join(texts).splitlines() == [f"{number:05} lines." for number in range(1, LINES + 1)]
    assert len(texts) > 15
    lines = tools.read("notes/long.txt:9000-9001")
    assert (lines.text, lines.place) == ("09000 lines.\n09001 lines.\n", "lines 9,000 to 9,001")
    assert len(tools.read(source, characters=10**9).text) <= 20_000


@pytest.mark.parametrize(
    "name",
    [
        *("../secret.md", "notes/../secret.md", "./notes/fox.md", "secret.md", "/etc/passwd", "file:///etc/passwd"),
        *("{folder}/notes/fox.md", "{folder}/secret.md", "notes\\fox.md", "notes/link.md", "~/notes/fox.md", "notes"),
        *("*", "", " ", ".", "..", "notes/fox.md\x00", "notes/fox.md\n", "x" * 100_000, "\ud800", "%2e%2e/secret.md"),
        *("'; DROP TABLE documents; --", "a, " * 100_000, "notes/fox.md:x", "NOTES/FOX.MD"),
    ],
)
def test_only_documents_of_the_index_are_read(tools: DocumentTools, folder: Path, name: str) -> None:
    link = folder / "notes/link.md"
    if not link.exists():
        link.symlink_to(folder / "secret.md")
    with pytest.raises(EchoIndexError) as raised:
        tools.read(name.replace("{folder}", str(folder)))
    assert "There is no document" in raised.value.message and raised.value.remedy
    assert "\n" not in str(raised.value) and "\x00" not in str(raised.value) and len(str(raised.value)) < 500


def test_a_document_is_read_from_the_index_not_from_its_file(encoder: EchoEncoder, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# A\n\nFirst.\n")
    build_index([Source.parse(str(tmp_path / "a.md"))], tmp_path / "index", encoder=encoder)
    (tmp_path / "a.md").unlink()
    (tmp_path / "a.md").symlink_to("/etc/passwd")
    assert tools_of(tmp_path / "index").read("a.md").text == "# A\n\nFirst."


def test_a_wrong_name_is_answered_with_the_right_one(tools: DocumentTools) -> None:
    with pytest.raises(EchoIndexError, match=r"There is no document FOX\.md in this index\. There is notes/fox.md."):
        tools.read("FOX.md")
    with pytest.raises(EchoIndexError, match=r"notes/empty.pdf could not be read: "):
        tools.read("notes/empty.pdf")


def test_documents_are_listed_in_pages(tools: DocumentTools) -> None:
    first = tools.list_documents(limit=3)
    assert [entry.source for entry in first.documents][1:] == ["notes/empty.pdf", "notes/fox.md"]
    assert (first.total, first.next_offset) == (5, 3) and first.documents[1].failure
    rest = tools.list_documents(limit=3, offset=3)
    assert [entry.source for entry in rest.documents] == ["notes/long.txt", "notes/vow.md"] and not rest.next_offset
    assert [entry.source for entry in tools.list_documents("WIZARD").documents] == ["notes/vow.md"]
    assert tools.list_documents("nothing").total == 0


def test_the_status_names_what_failed(tools: DocumentTools) -> None:
    status = tools.status()
    assert (status.documents, status.passages > 100, status.formats["markdown"], status.failed) == (4, True, 3, 1)
    assert [failure.source for failure in status.failures] == ["notes/empty.pdf"]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda tools: tools.search(" "), "The question is empty."),
        (lambda tools: tools.search("fox", k=0), "k is 0; it must be at least 1."),
        (lambda tools: tools.search("fox", offset=-1), "offset is -1; it must be at least 0."),
        (lambda tools: tools.search("fox", rerank=-1), "rerank is -1; it must be at least 0."),
        (lambda tools: tools.similar("notes/fox.md", 5), "No passage begins at character 5 of notes/fox.md."),
        (lambda tools: tools.ask("fox", passages=-1), "passages is -1; it must be at least 0."),
        (lambda tools: tools.read("notes/fox.md", characters=0), "characters is 0; it must be at least 1."),
        (lambda tools: tools.read("notes/fox.md", start=-1), "notes/fox.md has no character -1."),
        (lambda tools: tools.read("notes/fox.md, page 1"), "notes/fox.md has no pages."),
        (lambda tools: tools.list_documents(limit=0), "limit is 0; it must be at least 1."),
    ],
)
def test_wrong_arguments_are_named(tools: DocumentTools, call: Callable[[DocumentTools], object], said: str) -> None:
    with pytest.raises(EchoIndexError) as raised:
        call(tools)
    assert raised.value.message == said


def test_an_answer_is_watched_while_it_grows(tools: DocumentTools, folder: Path) -> None:
    turns: list[Turn] = []
    answer = DocumentTools(tools.service, on_turn=turns.append).ask("Who judges my vow?", passages=2)
    assert answer.question == "Who judges my vow?" and answer.text
    assert turns[-1].answer is not None and len(turns[0].passages) == 2

    class StopError(Exception):
        pass

    def stop(turn: Turn) -> None:
        raise StopError

    with pytest.raises(StopError):
        DocumentTools(tools.service, on_turn=stop).ask("Who judges my vow?")


def test_a_newer_generation_is_used_at_once_and_an_index_may_come_later(encoder: EchoEncoder, tmp_path: Path) -> None:
    tools = tools_of(tmp_path / "index")
    with pytest.raises(IndexMissing, match="echo-index build"):
        tools.status()
    notes = tmp_path / "notes"
    notes.mkdir()
    for number in (1, 2):
        (notes / f"{number}.md").write_text(f"# Page {number}\n\nText {number}.\n")
        build_index([Source.parse(str(notes))], tmp_path / "index", encoder=encoder)
        assert tools.status().documents == number
        assert tools.search(f"Page {number}", mode="lexical").passages[0].source == f"notes/{number}.md"
        assert tools.list_documents().total == number


def test_queries_are_embedded_without_torch_until_the_model_is_loaded(
    tiny_model: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECHO_INDEX_CACHE", str(tmp_path / "cache"))  # without the weights that other tests store
    (tmp_path / "fox.md").write_text("# The fox\n\nThe quick brown fox jumps over the lazy dog.\n")
    encoder = EchoEncoder(tiny_model, precision="int8")
    build_index([Source.parse(str(tmp_path / "fox.md"))], tmp_path / "index", encoder=encoder)

    def search() -> tuple[float, DocumentTools, QueryVectors]:
        vectors = QueryVectors(model=None, device="cpu", notice=lambda line: None)
        tools = DocumentTools(tools_of(tmp_path / "index").service, query_vectors=vectors)
        [passage] = tools.search("Which fox jumps?", mode="dense").passages
        return passage.score, tools, vectors

    def is_loaded(tools: DocumentTools) -> bool:
        return tools.service.with_retriever(lambda retriever: retriever.has_encoder)

    first, tools, _ = search()
    assert is_loaded(tools), "the first search ever stores the weights"
    later, tools, vectors = search()
    assert not is_loaded(tools) and later == pytest.approx(first, abs=0.05)

    def vector(retriever: Retriever) -> object:
        return vectors.vector(retriever, "fox", instruction=None)

    assert tools.service.with_retriever(vector) is not None
    tools.service.with_retriever(lambda retriever: retriever.encoder)
    assert tools.service.with_retriever(vector) is None, "then the loaded model is faster"
