"""Builds from document objects: only new ones are embedded, and those that are not given are removed."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest
from indexer_helpers import WordEncoder, documents

from echo_index.errors import IndexMismatch, SourceError
from echo_index.indexer.building.build_documents import index_documents
from echo_index.indexer.building.document_sync import BuildReport
from echo_index.indexer.building.removal import remove_documents
from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.documents.chunking import Chunking
from echo_index.indexer.documents.document import Document
from echo_index.indexer.generations.snapshot import open_snapshot
from echo_index.retriever.search.retriever import Retriever

WHALES = Document("Whales live in the deep sea. They sing long songs at night.", "Mammals", "text")
BREAD = Document("# not a heading: flour, *water* and [salt](nowhere)", "bread", "text", has_own_title=False)


def index(
    given: Iterable[tuple[str, Document]], folder: Path, encoder: WordEncoder | None = None, words: int = 12
) -> BuildReport:
    return index_documents(given, folder, encoder=encoder or WordEncoder(), chunking=Chunking(words, 3))  # type: ignore[arg-type]


def figures(report: BuildReport) -> tuple[int, ...]:
    return report.added, report.changed, report.unchanged, report.removed, report.embedded


def test_documents_are_indexed_unchanged_under_their_names(tmp_path: Path) -> None:
    encoder = WordEncoder()
    report = index([("MED-1/a?b", WHALES), ("2", BREAD)], tmp_path, encoder)
    assert figures(report) == (2, 0, 0, 0, 2)
    assert (report.documents, report.chunks) == (2, 2)
    assert documents(tmp_path) == {"2": [BREAD.text], "MED-1/a?b": [WHALES.text]}
    assert sorted(encoder.embedded) == sorted([BREAD.text, f"Mammals\n{WHALES.text}"])


def test_only_new_documents_are_embedded_and_missing_ones_are_removed(tmp_path: Path) -> None:
    index([("1", WHALES), ("2", BREAD)], tmp_path)
    encoder = WordEncoder()
    assert figures(index([("2", BREAD), ("1", WHALES)], tmp_path, encoder)) == (0, 0, 2, 0, 0)
    assert encoder.embedded == []
    assert open_snapshot(tmp_path).manifest.generation == 1
    titled = Document(WHALES.text, "Sea", "text")
    assert figures(index([("1", titled), ("3", BREAD)], tmp_path, encoder)) == (1, 1, 0, 1, 1)
    assert encoder.embedded == [f"Sea\n{WHALES.text}"]
    assert [*documents(tmp_path)] == ["1", "3"]


def test_an_interrupted_build_is_continued(tmp_path: Path) -> None:
    given = [(str(number), Document(f"Text {number}.", "", "text", has_own_title=False)) for number in range(20)]
    with pytest.raises(KeyboardInterrupt):
        index(given, tmp_path, WordEncoder(patience=10))
    encoder = WordEncoder()
    assert figures(index(given, tmp_path, encoder)) == (0, 0, 20, 0, 12)
    assert len(documents(tmp_path)) == 20


def test_a_document_is_stemmed_in_its_language(tmp_path: Path) -> None:
    german = "Die Häuser der alten Stadt stehen am Fluss, und in den Gärten wachsen Bäume und Blumen."
    index([("1", WHALES), ("2", Document(german, "", "text", has_own_title=False))], tmp_path)
    retriever = Retriever.open(tmp_path, encoder=WordEncoder())  # type: ignore[arg-type]
    assert [hit.source for hit in retriever.search("Wo wächst ein Baum?", mode="lexical")] == ["2"]


def test_a_document_without_text_is_listed_without_chunks(tmp_path: Path) -> None:
    report = index([("1", WHALES), ("empty", Document("", "", "text", has_own_title=False))], tmp_path)
    assert (report.documents, report.chunks) == (2, 1)


def test_a_removed_document_is_indexed_again_when_it_is_given(tmp_path: Path) -> None:
    index([("1", WHALES), ("2", BREAD)], tmp_path)
    remove_documents(["2"], tmp_path)
    assert [*documents(tmp_path)] == ["1"]
    assert figures(index([("1", WHALES), ("2", BREAD)], tmp_path))[:4] == (1, 0, 1, 0)
    assert [*documents(tmp_path)] == ["1", "2"]


@pytest.mark.parametrize(
    ("given", "message"), [([], "There is no document to index"), ([("1", WHALES), ("1", BREAD)], "have the name '1'")]
)
def test_no_documents_and_duplicate_names_are_errors(
    tmp_path: Path, given: list[tuple[str, Document]], message: str
) -> None:
    index([("1", WHALES), ("2", BREAD)], tmp_path)
    with pytest.raises(SourceError, match=message):
        index(given, tmp_path)
    assert [*documents(tmp_path)] == ["1", "2"]


def test_another_encoder_or_chunking_is_an_error(tmp_path: Path) -> None:
    index([("1", WHALES)], tmp_path)
    with pytest.raises(IndexMismatch, match="weights was 'words'"):
        index([("1", WHALES)], tmp_path, WordEncoder(name="others"))
    with pytest.raises(IndexMismatch, match="chunk_tokens was 12"):
        index([("1", WHALES)], tmp_path, words=24)


def test_invalid_unicode_is_replaced(tmp_path: Path) -> None:
    given = {"a": Document("Half \ud83d of a pair.", title="\udcff", format="text")}
    report = index_documents(given.items(), tmp_path / "index", encoder=WordEncoder())
    assert (report.added, report.chunks) == (1, 1)
    [hit] = Retriever.open(tmp_path / "index", encoder=WordEncoder()).search("pair", k=1)
    assert (hit.text, hit.title) == ("Half ? of a pair.", "?")


def test_the_content_hash_is_that_of_version_0_1(tmp_path: Path) -> None:
    """Else every document of an older index would be chunked again."""
    index([("1", BREAD)], tmp_path)
    with closing(Catalog(tmp_path / "catalog.sqlite")) as catalog:
        [row] = catalog.current_documents().values()
    assert row.hash == "b5f4081f3fd902bf9fe62318546c35fbc7cd6794a8d278f576bc455ffd76e492"
