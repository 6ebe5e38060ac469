"""Search an index in Milvus Lite, and compare it with the same index in its folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from indexer_helpers import WordEncoder, build, write
from repository import ROOT
from store_helpers import open_retriever, places

from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.errors import QuestionError, StoreError
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.catalog.chunk_queries import chunk_texts
from echo_index.indexer.catalog.records import SearchFilter
from echo_index.indexer.sources.source import Source
from echo_index.retriever.search.collections_retriever import CollectionsRetriever
from echo_index.retriever.search.retriever import Retriever
from echo_index.retriever.search.searcher import Mode

pytest.importorskip("pymilvus", reason="stores need pymilvus: pip install 'echo-index[milvus]'")
pytest.importorskip("milvus_lite", reason="milvus-lite is not installed: pip install --no-deps milvus-lite")

_QUERIES = 100


@pytest.fixture(scope="module")
def guide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an index of the user guide in `index`, which is published to `store.db`."""
    folder = tmp_path_factory.mktemp("guide")
    docs = [ROOT / "docs", ROOT / "README.md"]
    build_index(
        [Source.parse(str(path)) for path in docs],
        folder / "index",
        encoder=WordEncoder(dimension=64),  # type: ignore[arg-type]
        store=f"milvus:{folder / 'store.db'}",
    )
    return folder


@pytest.fixture(scope="module")
def local(guide: Path) -> Retriever:
    return open_retriever(guide / "index", WordEncoder(dimension=64))


@pytest.fixture(scope="module")
def stored(guide: Path) -> Retriever:
    return open_retriever(f"milvus:{guide / 'store.db'}", WordEncoder(dimension=64))


@pytest.fixture(scope="module")
def queries(local: Retriever) -> list[str]:
    """Return the beginnings of passages from all parts of the guide."""
    snapshot = local.snapshot
    texts = [text for _, text in chunk_texts(snapshot.catalog, generation=snapshot.manifest.generation)]
    step = len(texts) / _QUERIES
    return [" ".join(texts[int(number * step)].split()[2:10]) for number in range(_QUERIES)]


def test_dense_search_finds_the_same_in_the_same_order(local: Retriever, stored: Retriever, queries: list[str]) -> None:
    assert len({*queries}) > 90
    for query in queries:
        expected, found = (retriever.search(query, k=10, mode="dense") for retriever in (local, stored))
        assert places(found) == places(expected), query
        assert [hit.score for hit in found] == pytest.approx([hit.score for hit in expected], abs=1e-5)
        assert [hit.relevance for hit in found] == pytest.approx([hit.relevance for hit in expected], abs=1e-4)
        assert [hit.text for hit in found] == [hit.text for hit in expected]
        assert [hit.location for hit in found] == [hit.location for hit in expected]


def test_search_by_words_finds_nearly_the_same(local: Retriever, stored: Retriever, queries: list[str]) -> None:
    """Words that more than half of all passages have count for nothing in FTS5, but for something in Milvus.

    And Milvus Lite takes 1.5 for k1, and the statistics of each part of its file.
    """
    for mode, least in (("lexical", 0.85), ("hybrid", 0.88)):
        shared = 0
        for query in queries:
            expected, found = (retriever.search(query, k=10, mode=mode) for retriever in (local, stored))
            assert len(found) == len(expected)
            shared += len({*places(expected)} & {*places(found)})
        assert shared >= least * 10 * _QUERIES, (mode, shared)


@pytest.mark.parametrize("mode", ["dense", "lexical", "hybrid"])
@pytest.mark.parametrize(
    "where",
    [
        SearchFilter.parse(paths=["*parquet.md", "*speed.md"]),
        SearchFilter.parse(formats=["code"]),
        SearchFilter.parse(formats=["code"], paths=["*.md"]),
        SearchFilter.parse(since="2000"),
        SearchFilter.parse(before="2000"),
        SearchFilter.parse(where='title contains "search" or file.size > 20000'),
        SearchFilter.parse(where="not (file.format = markdown)", since="2000"),
        SearchFilter.parse(where="nothing exists"),
    ],
    ids=str,
)
def test_filters_leave_the_same_documents(local: Retriever, stored: Retriever, where: SearchFilter, mode: Mode) -> None:
    query = "How is the index on the disk searched?"
    expected, found = (retriever.search(query, k=1000, mode=mode, where=where) for retriever in (local, stored))
    assert {hit.source for hit in found} == {hit.source for hit in expected}
    if mode != "hybrid":  # whose candidates are a hundred of each
        assert {*places(found)} == {*places(expected)}


@pytest.mark.parametrize(
    "query",
    ['"power cut"', '"POWER  cut"', '"on the disk" index', '"no such phrase"', "retriev*", "catal* disk", "C++"],
)
@pytest.mark.parametrize("exact", [False, True])
def test_phrases_and_beginnings_of_words_find_the_same_passages(
    local: Retriever, stored: Retriever, query: str, exact: bool
) -> None:
    for mode in ("lexical", "hybrid"):
        expected, found = (retriever.search(query, k=100, mode=mode, exact=exact) for retriever in (local, stored))
        if mode == "lexical" or exact:
            assert {*places(found)} == {*places(expected)}, mode
        assert {*places(expected)[:1]} <= {*places(found)[:3]}


def test_text_without_spaces_is_found(tmp_path: Path) -> None:
    write(
        tmp_path / "notes",
        one="# 北京\n\n北京大学在海淀区。",
        two="# 上海\n\n上海大学在宝山区。",
        three="# Łódź\n\nRetrieval in Łódź.",
    )
    store = f"milvus:{tmp_path / 'store.db'}"
    build(tmp_path / "notes", tmp_path / "index", store=store)
    local, stored = open_retriever(tmp_path / "index"), open_retriever(store)
    for query in ("北京大学", '"北京大学"', "北", "大*", "lodz", '"Retrieval in Lodz"', "retr*"):
        expected, found = (retriever.search(query, mode="lexical") for retriever in (local, stored))
        assert {*places(found)} == {*places(expected)}, query


def test_what_is_similar_to_a_passage_is_the_same(local: Retriever, stored: Retriever) -> None:
    [hit] = local.search("power cut", k=1)
    expected, found = (retriever.similar(hit.source, hit.start, k=10) for retriever in (local, stored))
    assert places(found) == places(expected)
    with pytest.raises(QuestionError, match="No passage begins at character 3 of"):
        stored.similar(hit.source, 3)


def test_documents_with_unusual_names_are_found(tmp_path: Path) -> None:
    names = ['a "quoted" name', "back\\slash", "ünïcode — 名", "per%cent_and'apostrophe"]
    write(tmp_path / "notes", **{name: f"# Note\n\nThe whale number {number}." for number, name in enumerate(names)})
    store = f"milvus:{tmp_path / 'store.db'}"
    build(tmp_path / "notes", tmp_path / "index", store=store)
    local, stored = open_retriever(tmp_path / "index"), open_retriever(store)
    assert {*places(stored.search("whale", mode="dense"))} == {*places(local.search("whale", mode="dense"))}
    for path in local.reader.documents.archives():
        assert stored.reader.documents.find(path) == local.reader.documents.find(path)
        assert stored.reader.documents.chunks(path)[0].chunk == local.reader.documents.chunks(path)[0].chunk
        hits = stored.search("whale", where=SearchFilter(paths=(path,)))
        assert [hit.source for hit in hits] == [path]


def test_what_needs_a_catalog_says_so(guide: Path, local: Retriever, stored: Retriever) -> None:
    with pytest.raises(StoreError, match=r"needs the folder of the index, and milvus:.*store\.db is in a store"):
        _ = stored.snapshot
    with pytest.raises(StoreError, match="Searching several indexes as one needs the folder of the index"):
        CollectionsRetriever({"one": local, "two": stored})


@pytest.mark.model
def test_the_default_model_finds_the_same(tmp_path: Path, gemma: LanguageModel) -> None:
    encoder = EchoEncoder(gemma)
    store = f"milvus:{tmp_path / 'store.db'}"
    build_index([Source.parse(str(ROOT / "docs" / "parquet.md"))], tmp_path / "index", encoder=encoder, store=store)
    local, stored = (Retriever.open(place, encoder=encoder) for place in (tmp_path / "index", store))
    for query in ("How do I read the vectors with pandas?", "Which columns are there?", "Can an index be imported?"):
        for mode in ("dense", "hybrid"):
            expected, found = (retriever.search(query, k=10, mode=mode) for retriever in (local, stored))
            assert places(found)[: 10 if mode == "dense" else 1] == places(expected)[: 10 if mode == "dense" else 1]
