"""Passages that a cluster brings to a store alone: the folder of the index keeps the list of documents."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from ray_workers import NeverEmbeds, Workers
from store_helpers import NOTHING_LEFT, leftovers

from echo_index.app.services.status import read_status, status_lines
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.errors import EngineError, IndexMismatch, StoreError
from echo_index.indexer.building.build_documents import index_documents
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.building.document_sync import BuildReport
from echo_index.indexer.building.engine import LOCAL, Engine
from echo_index.indexer.building.removal import remove_documents
from echo_index.indexer.distributed import part_sink
from echo_index.indexer.distributed.ray_engine import RayEngine
from echo_index.indexer.documents.chunking import Chunking
from echo_index.indexer.generations.manifest import read_manifest
from echo_index.indexer.generations.snapshot import open_snapshot
from echo_index.indexer.inspection.verify import verify_index
from echo_index.indexer.sources.source import Source
from echo_index.indexer.stores.milvus import publication
from echo_index.indexer.stores.opening import open_index
from echo_index.retriever.search.retriever import Retriever

pytest.importorskip("pymilvus", reason="stores need pymilvus: pip install 'echo-index[milvus]'")
pytest.importorskip("milvus_lite", reason="milvus-lite is not installed: pip install --no-deps milvus-lite")

QUESTIONS = ("a", "note", "Where is the ferry?", "This is new.")
Build = Callable[..., BuildReport]


@pytest.fixture
def store(tmp_path: Path) -> str:
    return f"milvus:{tmp_path / 'store.db'}#alone"


@pytest.fixture
def build(encoder: EchoEncoder, folder: Path, workers: Workers) -> Build:
    def build(index: str = "index", engine: Engine | None = None, **options: Any) -> BuildReport:
        return build_index(
            [Source.parse(str(folder))],
            folder.parent / index,
            encoder=NeverEmbeds(encoder.model) if engine is None else encoder,
            chunking=Chunking(64, 8),
            engine=RayEngine() if engine is None else engine,
            **options,
        )

    return build


def seen(place: Path | str, encoder: EchoEncoder) -> dict[str, list[str]]:
    """Return the texts of the passages of each document that readers of an index see."""
    return Retriever.open(place, encoder=encoder).with_reader(
        lambda reader: {
            path: [stored.chunk.text for stored in reader.documents.chunks(path)]
            for path, *_ in reader.documents.listed()
        }
    )


def assert_same_hits(first: Path | str, second: Path | str, encoder: EchoEncoder, *, tolerance: float) -> None:
    """Compare what dense searches find, and how near it is; a catalog stores vectors in int8."""
    retrievers = [Retriever.open(place, encoder=encoder) for place in (first, second)]
    for question in QUESTIONS:
        found = [retriever.search(question, k=10, mode="dense") for retriever in retrievers]
        scores = [{(hit.source, hit.start): hit.score for hit in hits} for hits in found]
        nearest = [place for place, score in scores[0].items() if score > found[0][-1].score + 2 * tolerance]
        assert nearest, "the passages must differ in their cosines"
        for place in nearest:
            assert scores[1][place] == pytest.approx(scores[0][place], abs=tolerance)


def rows_of(index: Path, table: str) -> int:
    [catalog] = index.glob("catalog*.sqlite")
    with closing(sqlite3.connect(catalog)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_a_store_has_what_a_catalog_would_have(build: Build, folder: Path, store: str, encoder: EchoEncoder) -> None:
    report = build(store=store, store_only=True)
    local = build("local", LOCAL)
    index = folder.parent / "index"
    assert (report.documents, report.chunks, report.added) == (local.documents, local.chunks, local.added)
    assert report.failures == local.failures
    assert seen(store, encoder) == seen(index, encoder) == seen(folder.parent / "local", encoder)
    assert open_index(index).documents.listed() == open_index(folder.parent / "local").documents.listed()
    assert_same_hits(index, store, encoder, tolerance=1e-6)
    assert_same_hits(index, folder.parent / "local", encoder, tolerance=0.02)
    lines = dict(status_lines(read_status(index, device="cpu", index_device="cpu", notice=print)))
    assert lines["Stored"] == f"passages and vectors in {store} alone"
    assert rows_of(index, "chunks") == rows_of(index, "vector_codes") == 0
    assert open_index(Path(store)).manifest.format_version < read_manifest(index).format_version, "others can read it"
    assert leftovers(store) == NOTHING_LEFT
    assert not (index / "echo-index-parts").exists()


def test_later_builds_bring_changes_only(
    build: Build, folder: Path, store: str, workers: Workers, encoder: EchoEncoder
) -> None:
    first = build(store=store, store_only=True)
    assert build().published is None
    assert workers.rounds == 1, "nothing was new"

    note = folder / "note3.md"
    note.write_text(note.read_text() + "\n\n# Another\n\nThis is new.\n")
    (folder / "note4.md").unlink()
    shutil.copy(folder / "note5.md", folder / "renamed.md")
    workers.read = []
    report = build()
    assert (report.added, report.changed, report.removed) == (1, 1, 1)
    assert sorted(workers.read) == ["docs/note3.md", "docs/renamed.md"]
    assert report.documents == first.documents
    build("local", LOCAL)
    assert seen(store, encoder) == seen(folder.parent / "local", encoder)

    (folder / "note5.md").touch()
    assert (build().changed, workers.rounds) == (0, 3)
    for number in (6, 7):  # what two generations before had is forgotten
        (folder / f"note{number}.md").unlink()
        build()
    texts = [texts for texts in seen(store, encoder).values() if texts]
    assert rows_of(folder.parent / "index", "outside_passages") == len(texts) + 1


def test_removed_documents_are_gone_from_the_store(
    build: Build, folder: Path, store: str, encoder: EchoEncoder
) -> None:
    build(store=store, store_only=True)
    before = seen(store, encoder)
    kept = ("docs/bread.md", "docs/moon.pdf")  # too few passages to estimate a normalization from
    removed = [path for path in before if path not in kept]
    assert not read_manifest(folder.parent / "index").normalizations.echo.is_identity
    left = remove_documents(removed, folder.parent / "index")
    assert (left.documents, left.chunks < 16) == (len(kept), True)
    assert seen(store, encoder) == {path: before[path] for path in kept}
    build()
    assert {*seen(store, encoder)} == {*kept}, "the others were removed by hand"


def test_what_is_read_again_and_is_the_same_is_not_published_again(
    build: Build, folder: Path, store: str, workers: Workers
) -> None:
    first = build(store=store, store_only=True)
    [catalog] = (folder.parent / "index").glob("catalog*.sqlite")
    with closing(sqlite3.connect(catalog)) as connection, connection:
        connection.execute("UPDATE settings SET value = 'earlier' WHERE name = 'readers'")
    again = build()
    assert (workers.rounds, again.read_again) == (2, True)
    assert (again.changed, again.added, again.documents) == (0, 0, first.documents)
    assert again.published is None


def test_what_could_not_be_published_is_published_by_the_next_build(
    build: Build, folder: Path, store: str, workers: Workers, encoder: EchoEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arguments: Any, **options: Any) -> None:
        raise StoreError("The server is gone.")

    with monkeypatch.context() as broken:
        broken.setattr(publication, "create_collections", fails)
        with pytest.raises(StoreError, match="but was not published: The server is gone"):
            build(store=store, store_only=True)
    report = build()
    assert workers.rounds == 1, "nothing is read or embedded twice"
    assert report.published is not None
    build("local", LOCAL)
    assert seen(store, encoder) == seen(folder.parent / "local", encoder)
    assert leftovers(store) == NOTHING_LEFT


def test_what_no_node_has_embedded_is_embedded_here_though_it_is_interrupted_first(
    build: Build, folder: Path, store: str, encoder: EchoEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NeverEmbeds, "encode_document_pairs", EchoEncoder.encode_document_pairs)

    def look(stage: str, done: int, total: int | None) -> None:
        if stage == "distributing" and done == total:
            (folder / "note1.md").write_text("# Changed\n\nIt was changed just now.\n")
            (folder / "note2.md").write_text("# Changed\n\nThis, too.\n")

    def stop(*arguments: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as interrupted, pytest.raises(KeyboardInterrupt):
        interrupted.setattr(part_sink, "write_part", stop)
        build(store=store, store_only=True, progress=look)
    build()
    [text] = seen(store, encoder)["docs/note1.md"]
    assert "It was changed just now." in text
    build("local", LOCAL)
    assert seen(store, encoder) == seen(folder.parent / "local", encoder)


def test_a_rebuild_may_bring_passages_into_the_folder_and_out_of_it(
    build: Build, folder: Path, store: str, encoder: EchoEncoder
) -> None:
    index = folder.parent / "index"

    def interrupt(stage: str, done: int, total: int | None) -> None:
        if stage == "normalizing":
            raise KeyboardInterrupt

    build(store=store)
    with pytest.raises(IndexMismatch, match=r"are in its folder\. Rebuild it with --rebuild"):
        build(store_only=True)
    with pytest.raises(KeyboardInterrupt):
        build(rebuild=True, progress=interrupt)
    build(store_only=True, rebuild=True)
    assert rows_of(index, "chunks") == 0
    build(rebuild=True)
    assert rows_of(index, "chunks") == 0, "a rebuild keeps what it is not told"
    with pytest.raises(IndexMismatch, match=r"are in a store alone\. Rebuild it with --rebuild"):
        build(store_only=False)
    build(store_only=False, rebuild=True)
    assert rows_of(index, "chunks") > 0
    assert seen(index, encoder) == seen(store, encoder)


def test_what_needs_the_passages_in_the_folder_is_refused_in_one_sentence(
    build: Build, folder: Path, store: str, encoder: EchoEncoder
) -> None:
    index = folder.parent / "index"
    with pytest.raises(EngineError, match=r"where a cluster brings them\. Add --engine ray"):
        build(engine=LOCAL, store=store, store_only=True)
    assert not index.exists(), "nothing of this is remembered"
    with pytest.raises(StoreError, match="Name one: --store"):
        build(store_only=True)
    build(store=store, store_only=True)
    with pytest.raises(EngineError, match=r"where a cluster brings them\. Add --engine ray"):
        build(engine=LOCAL)
    with pytest.raises(StoreError, match=r"are in milvus:.*#alone alone"):
        open_snapshot(index)
    with pytest.raises(StoreError, match=r"are in milvus:.*#alone alone"):
        build(store=f"{store}2")
    with pytest.raises(IndexMismatch, match="with another context"):
        build(context="Notes of a test.")
    with pytest.raises(IndexMismatch, match="only builds of files"):
        index_documents([], index, encoder=encoder, chunking=Chunking(64, 8))
    for options in ({"compare": True}, {"index_kind": "exact"}, {"recall": 0.9}):
        with pytest.raises(IndexMismatch, match=r"alone has no --(compare|index-kind|recall)\. Leave it"):
            build(**options)
    checks = verify_index(index)
    assert [(check.name, check.problems) for check in checks] == [("manifest", ()), ("catalog", ()), ("passages", ())]
    [catalog] = index.glob("catalog*.sqlite")
    with closing(sqlite3.connect(catalog)) as connection, connection:
        lost = connection.execute("SELECT * FROM outside_passages LIMIT 1").fetchone()
        connection.execute("DELETE FROM outside_passages WHERE document = ?", lost[:1])
    assert "the manifest" in verify_index(index)[1].problems[0]
    with closing(sqlite3.connect(catalog)) as connection, connection:
        connection.execute("INSERT INTO outside_passages VALUES (?, ?, ?, ?)", lost)
    assert seen(index, encoder), "nothing of this did harm"
