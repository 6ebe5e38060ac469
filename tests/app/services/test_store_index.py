"""What the page, the server for programs, assistants and LangChain show of an index in Milvus Lite."""

from __future__ import annotations

from pathlib import Path

import pytest

from echo_index.app.services.document_lookup import find_document
from echo_index.app.services.document_pages import page_of_collections
from echo_index.app.services.document_tools import DocumentTools
from echo_index.app.services.index_service import IndexService, ServiceOptions
from echo_index.app.services.status import index_facts
from echo_index.app.web.hit_cards import texts_before_hits
from echo_index.app.web.tabs.library import contents_html
from echo_index.app.web.viewer import document_html
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.errors import DocumentError, StoreError
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.catalog.chunk_queries import DocumentSelection
from echo_index.indexer.catalog.records import SearchFilter
from echo_index.indexer.documents.chunking import Chunking
from echo_index.indexer.inspection.corpus_survey import map_corpus
from echo_index.indexer.inspection.document_queries import list_documents, unknown_fields
from echo_index.indexer.inspection.page_images import render_page
from echo_index.indexer.sources.source import Source
from echo_index.retriever.rag.adapters import EchoRetriever

pytest.importorskip("pymilvus", reason="stores need pymilvus: pip install 'echo-index[milvus]'")
pytest.importorskip("milvus_lite", reason="milvus-lite is not installed: pip install --no-deps milvus-lite")


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory, encoder: EchoEncoder) -> tuple[Path, Path]:
    """Return the folder of an index, and where it is in a store."""
    folder = tmp_path_factory.mktemp("stored")
    notes = folder / "notes"
    (notes / "deep").mkdir(parents=True)
    fox = [" ".join(f"The quick brown fox {part + n} jumps over the lazy dog." for n in range(40)) for part in (0, 40)]
    (notes / "fox.md").write_text(f"---\nauthor: Ng\nyear: 1851\n---\n# The fox\n\n- {fox[0]}\n- {fox[1]}\n")
    (notes / "deep" / "vow.md").write_text("# Wizards\n\nSeven wizards quietly judge my vow.\n")
    (notes / "broken.pdf").write_bytes(b"%PDF-1.4 no more")
    (notes / "film.mp4").write_bytes(b"\0\1\2")
    store = Path(f"milvus:{folder / 'store.db'}")
    index, chunking = folder / "index", Chunking(64, 8)
    build_index([Source.parse(str(notes))], index, encoder=encoder, chunking=chunking, store=str(store))
    return index, store


@pytest.fixture
def services(places: tuple[Path, Path]) -> list[IndexService]:
    return [IndexService(ServiceOptions(place, device="cpu", index_device="cpu")) for place in places]


def test_documents_are_listed_and_read_alike(services: list[IndexService]) -> None:
    local, stored = services
    assert stored.with_reader(list_documents) == local.with_reader(list_documents)
    assert {document.path for document in stored.with_reader(list_documents)} > {"notes/broken.pdf", "notes/fox.md"}
    for selection in (
        DocumentSelection(),
        DocumentSelection(contains="WIZ", in_titles=True),
        DocumentSelection(contains="deep"),
        DocumentSelection(after="notes/deep/vow.md"),
        DocumentSelection(readable=True),
    ):
        for offset in (0, 1):
            pages = [page_of_collections(each, selection, offset=offset, limit=2) for each in services]
            assert pages[0] == pages[1], selection
    assert find_document(stored, "notes/fox.md:7") == find_document(local, "notes/fox.md:7")
    html = [each.with_reader(lambda reader: document_html(reader, "notes/fox.md", 300, page=None)) for each in services]
    assert html[0] == html[1]
    assert "lazy dog" in html[1]
    with pytest.raises(DocumentError, match="could not be read"):
        stored.with_reader(lambda reader: document_html(reader, "notes/broken.pdf", 0, page=None))
    where = SearchFilter.parse(where="autor = Ng")
    assert [each.with_reader(lambda reader: unknown_fields(reader, where)) for each in services][1] == (
        ["autor"],
        [*("title", "file.path", "file.format", "file.size", "file.date"), "author", "year"],
    )


def test_the_library_and_the_status_tell_the_same(services: list[IndexService], places: tuple[Path, Path]) -> None:
    html = [each.with_reader(contents_html) for each in services]
    assert html[0] == html[1]
    assert "broken.pdf" in html[1]
    facts = [
        each.with_reader(lambda reader, place=place: index_facts(reader, place))  # type: ignore[misc]
        for each, place in zip(services, places, strict=True)
    ]
    differing = {name for name in facts[0] if facts[0][name] != facts[1][name]}
    assert differing == {
        *("index", "disk_bytes", "bytes_by_part", "index_device", "vectors", "space_has_drifted"),
    }
    assert facts[0]["store"] == facts[1]["store"] == {"place": str(places[1]), "generation": 1}


def test_hits_and_their_surroundings_are_the_same(services: list[IndexService]) -> None:
    hits = [each.with_searcher(lambda searcher: searcher.search("lazy fox", k=3, mode="dense")) for each in services]
    assert [hit.location for hit in hits[0]] == [hit.location for hit in hits[1]]
    texts = [texts_before_hits(each, found) for each, found in zip(services, hits, strict=True)]
    assert texts[0] == texts[1]
    assert any(texts[1].values())
    similar = [each.similar("notes/fox.md", hits[0][0].start, k=3) for each in services]
    assert [hit.start for hit in similar[0]] == [hit.start for hit in similar[1]]


def test_the_tools_of_assistants_answer(services: list[IndexService]) -> None:
    status = [DocumentTools(each).status() for each in services]
    assert (status[1].documents, status[1].passages) == (status[0].documents, status[0].passages)
    text = [DocumentTools(each).read("notes/deep/vow.md") for each in services]
    assert text[0] == text[1]


def test_langchain_retrieves_from_a_store(places: tuple[Path, Path]) -> None:
    found = [
        [document.metadata["source"] for document in EchoRetriever(index_dir=place, k=2, mode="dense").invoke("fox")]
        for place in places
    ]
    assert found[0] == found[1]
    filtered = EchoRetriever(index_dir=places[1], where="year = 1851").invoke("wizards")
    assert {document.metadata["source"] for document in filtered} == {"notes/fox.md"}


def test_what_needs_the_folder_says_so_in_one_sentence(services: list[IndexService]) -> None:
    with pytest.raises(StoreError, match=r"This needs the folder of the index, and milvus:.* is in a store"):
        services[1].with_snapshot(map_corpus)
    with pytest.raises(DocumentError, match="is on the machine that built the index"):
        services[1].with_reader(lambda reader: render_page(_AsPdf(reader), "notes/fox.md", 1, width=100))


class _AsPdf:
    """An index all documents of which are PDF."""

    def __init__(self, reader: object) -> None:
        self._reader = reader
        self.folder = None
        self.documents = self

    def find(self, path: str) -> object:
        from dataclasses import replace

        return replace(self._reader.documents.find(path), format="pdf")  # type: ignore[attr-defined]
