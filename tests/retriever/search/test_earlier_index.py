"""An index of version 0.1.0 opens, gives the same hits, and is updated without embedding its chunks again."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
from repository import FIXTURES

from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.exchange.export_index import export_index
from echo_index.indexer.exchange.import_index import import_index
from echo_index.indexer.generations.manifest import read_manifest
from echo_index.indexer.inspection.verify import verify_index
from echo_index.indexer.sources.source import Source
from echo_index.retriever.search.lexical import names_code
from echo_index.retriever.search.retriever import Retriever

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with docs/, the index in docs/.echo-index, and the results of version 0.1.0 in results.json."""
    folder = tmp_path_factory.mktemp("version-0.1")
    with zipfile.ZipFile(FIXTURES / "indexes" / "version-0.1.zip") as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture
def folder(extracted: Path, tmp_path: Path) -> Path:
    return shutil.copytree(extracted, tmp_path / "copy")


@pytest.fixture(scope="module")
def encoder(extracted: Path, gemma: LanguageModel) -> EchoEncoder:
    return EchoEncoder.from_config(read_manifest(extracted / "docs/.echo-index").encoder, device="cpu")


def test_its_searches_find_the_same_with_the_same_scores(folder: Path, encoder: EchoEncoder) -> None:
    retriever = Retriever.open(folder / "docs/.echo-index", encoder=encoder)
    searches: dict[str, dict[str, list[Any]]] = json.loads((folder / "results.json").read_text())["searches"]
    assert sum(len(hits) for by_mode in searches.values() for hits in by_mode.values()) > 40
    for query, by_mode in searches.items():
        for mode, expected in by_mode.items():
            hits = retriever.search(query, k=4, mode=mode)  # type: ignore[arg-type]
            assert [[hit.source, hit.start, hit.end] for hit in hits] == [each[:3] for each in expected], (query, mode)
            if mode == "hybrid" and names_code(query):
                continue  # words have more weight there than in that version
            # Its vectors of half precision are searched by the codes that the next build makes of them.
            assert [hit.score for hit in hits] == pytest.approx([each[3] for each in expected], abs=5e-3), (query, mode)


def test_its_encoder_has_the_same_fingerprint_and_vectors(folder: Path, encoder: EchoEncoder) -> None:
    index_dir = folder / "docs/.echo-index"
    assert encoder.fingerprint == read_manifest(index_dir).fingerprint
    assert all(not check.problems for check in verify_index(index_dir, load_encoder=lambda built: encoder))


def test_it_is_updated_without_embedding_its_passages_again(
    folder: Path, encoder: EchoEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    index_dir = folder / "docs/.echo-index"
    report = build_index([Source.parse(str(folder / "docs"))], index_dir, encoder=encoder)
    assert report.read_again
    assert (report.added, report.changed, report.unchanged, report.embedded) == (0, 1, 4, 0)
    (folder / "docs/ferry.md").write_text("# The ferry\n\nThe ferry to Norvik leaves at a quarter past six.\n")
    report = build_index([Source.parse(str(folder / "docs"))], index_dir, encoder=encoder)
    assert (report.added, report.unchanged, report.embedded) == (1, 5, 1)
    [hit] = Retriever.open(index_dir, encoder=encoder).search("When does the ferry leave?", k=1)
    assert hit.source == "ferry.md"


def test_it_takes_a_context(folder: Path, encoder: EchoEncoder) -> None:
    index_dir = folder / "docs/.echo-index"
    report = build_index([Source.parse(str(folder / "docs"))], index_dir, encoder=encoder, context="A harbour town")
    assert report.embedded == report.chunks
    manifest = read_manifest(index_dir)
    assert (manifest.context, manifest.format_version) == ("A harbour town", 6)
    assert all(not check.problems for check in verify_index(index_dir, load_encoder=lambda built: encoder))


def test_it_leaves_as_a_file_and_comes_back(folder: Path, encoder: EchoEncoder) -> None:
    pytest.importorskip("pyarrow", reason="exports and imports need pyarrow")
    index_dir = folder / "docs/.echo-index"
    before = [hit.source for hit in Retriever.open(index_dir, encoder=encoder).search("When is it open?", k=4)]
    export_index(index_dir, folder / "early.parquet")
    import_index(folder / "early.parquet", index_dir, overwrite=True)
    assert [hit.source for hit in Retriever.open(index_dir, encoder=encoder).search("When is it open?", k=4)] == before
    report = build_index([Source.parse(str(folder / "docs"))], index_dir, encoder=encoder)
    assert (report.added, report.removed, report.embedded) == (0, 0, 0)
    assert read_manifest(index_dir).format_version == 5, "it was brought up to date"
    assert all(not check.problems for check in verify_index(index_dir, load_encoder=lambda built: encoder))
