"""Builds on a cluster give the index of a local build, whatever happens to the cluster."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ray_cluster import TwoNodes, catalog_content
from ray_workers import NeverEmbeds

from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.vectors.vector_ops import Vectors
from echo_index.indexer.building import build_files
from echo_index.indexer.building.build_progress import Progress
from echo_index.indexer.building.document_sync import BuildReport
from echo_index.indexer.building.engine import LOCAL, Engine
from echo_index.indexer.catalog.vector_codes import decode_vectors
from echo_index.indexer.distributed.ray_engine import RayEngine
from echo_index.indexer.documents.chunking import Chunking
from echo_index.indexer.sources.source import Source
from echo_index.retriever.search.retriever import Retriever

CHUNKING = Chunking(64, 8)
_NEARLY = 0.01


def build(
    folder: Path,
    index: Path,
    encoder: EchoEncoder,
    engine: Engine = LOCAL,
    *,
    compare: bool | None = None,
    context: str | None = None,
    progress: Progress = lambda stage, done, total: None,
) -> BuildReport:
    return build_files.build_index(
        [Source.parse(str(folder))],
        index,
        encoder=encoder,
        chunking=CHUNKING,
        compare=compare,
        context=context,
        engine=engine,
        progress=progress,
    )


@pytest.fixture
def leaves_all(encoder: EchoEncoder) -> EchoEncoder:
    return NeverEmbeds(encoder.model)


def at(count: int, action: Callable[[], None]) -> Progress:
    """Return a progress that acts once, when so many files are done on the cluster."""
    waiting = [action]

    def progress(stage: str, done: int, total: int | None) -> None:
        if stage == "distributing" and done >= count and waiting:
            assert total is None or done < total, "the cluster was done before"
            waiting.pop()()

    return progress


def catalog_and_vectors(index: Path) -> tuple[dict[str, list[tuple[Any, ...]]], Vectors]:
    """Return what a catalog holds, and the vectors of its passages apart."""
    content = catalog_content(index)
    return content, code_vectors(content.pop("vector_codes"))


def code_vectors(rows: list[tuple[Any, ...]]) -> Vectors:
    return decode_vectors(np.stack([np.frombuffer(code, dtype=np.uint8) for _, code in rows]))


def assert_finds_the_same(far: Path, near: Path) -> None:
    """Check that dense search finds the same ten passages for 100 questions in two indexes.

    Texts were embedded in other batches, so that some sum was rounded otherwise, and one in thousands of components is
    another multiple of its scale. That may exchange two passages whose scores are nearly equal.
    """
    retrievers = Retriever.open(far), Retriever.open(near)
    same = 0
    for number in range(100):
        question = f"whale {number % 24} song {number} hours"
        ours, theirs = (retriever.search(question, mode="dense", k=10) for retriever in retrievers)
        scores, wanted = ({(hit.source, hit.start): hit.score for hit in hits} for hits in (ours, theirs))
        np.testing.assert_allclose([*scores.values()], [*wanted.values()], atol=_NEARLY)
        for one, other in ((scores, wanted), (wanted, scores)):
            assert all(score < min(other.values()) + _NEARLY for place, score in one.items() if place not in other)
        same += [*scores] == [*wanted]
    assert same >= 95


@pytest.fixture(scope="module")
def local(documents: Path, encoder: EchoEncoder) -> tuple[Path, BuildReport]:
    """Return the index of a local build, and its report."""
    folder = documents.parent / "local"
    return folder, build(documents, folder, encoder)


def test_a_node_that_is_killed_costs_nothing_but_time(
    documents: Path, tmp_path: Path, local: tuple[Path, BuildReport], leaves_all: EchoEncoder, cluster: TwoNodes
) -> None:
    far, parts = documents.parent / "killed", tmp_path / "parts"
    stages: dict[str, tuple[int, int | None]] = {}
    kill = at(4, cluster.kill_second)

    def progress(stage: str, done: int, total: int | None) -> None:
        stages[stage] = done, total
        kill(stage, done, total)  # type: ignore[arg-type]

    report = build(documents, far, leaves_all, RayEngine(parts=str(parts)), progress=progress)
    assert not cluster.has_second
    assert stages["distributing"] == (31, 31)
    for name in ("added", "embedded", "documents", "chunks", "failures", "omissions", "skipped"):
        assert getattr(report, name) == getattr(local[1], name), name
    (content, vectors), (wanted, wanted_vectors) = catalog_and_vectors(far), catalog_and_vectors(local[0])
    assert content == wanted
    assert np.mean(np.abs(vectors - wanted_vectors) > 1e-6) < 1e-3
    np.testing.assert_allclose(vectors, wanted_vectors, atol=_NEARLY)
    assert_finds_the_same(far, local[0])
    assert not [*parts.iterdir()], "the parts are not needed any more"

    again = build(documents, far, leaves_all, RayEngine("127.0.0.1:1"))  # which is not asked
    assert (again.embedded, again.added, again.changed) == (0, 0, 0)


def test_an_interrupted_build_goes_on_and_another_context_is_embedded_on_the_cluster(
    documents: Path,
    tmp_path: Path,
    local: tuple[Path, BuildReport],
    encoder: EchoEncoder,
    leaves_all: EchoEncoder,
    one_node: TwoNodes,
) -> None:
    folder, far, near = tmp_path / "docs", tmp_path / "far", tmp_path / "near"
    shutil.copytree(documents, folder)
    shutil.copytree(local[0], far)
    build(folder, far, leaves_all)  # takes over all vectors
    (folder / "new.md").write_text("# New\n\nThis is new.\n")
    context = "Songs of whales"

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(folder, far, leaves_all, RayEngine(), compare=True, context=context, progress=at(4, stop))
    [parts] = (far / "echo-index-parts").iterdir()
    written = {part.name: part.stat().st_mtime_ns for part in parts.iterdir()}
    assert written
    kept: list[dict[str, int]] = []

    def look(stage: str, done: int, total: int | None) -> None:
        if stage == "reading" and not kept:
            kept.append({part.name: part.stat().st_mtime_ns for part in parts.iterdir()})

    report = build(folder, far, leaves_all, RayEngine(), progress=look)
    assert written.items() <= kept[0].items(), "a part was written again"
    assert len(kept[0]) > len(written)
    expected = build(folder, near, encoder, compare=True, context=context)
    assert (report.added, report.embedded, report.documents) == (1, expected.embedded, expected.documents)
    assert_finds_the_same(far, near)
    content = catalog_content(far)
    assert len(content["classical_codes"]) == report.chunks
    assert not (far / "echo-index-parts").exists()


def test_nodes_fetch_from_an_address(
    documents: Path, tmp_path: Path, local: tuple[Path, BuildReport], leaves_all: EchoEncoder, one_node: TwoNodes
) -> None:
    shutil.copytree(local[0], tmp_path / "far")  # which has the vectors of all texts
    shutil.copytree(documents, tmp_path / "books")
    (tmp_path / "books/new.md").write_text("# New\n\nThis is new.\n")
    sources, engine = [Source.parse(f"file://{tmp_path}/books")], RayEngine()
    report = build_files.build_index(sources, tmp_path / "far", encoder=leaves_all, chunking=CHUNKING, engine=engine)
    assert (report.added, report.embedded) == (local[1].added + 1, 1)
    paths = {row[1] for row in catalog_content(tmp_path / "far")["documents"]}
    assert f"file://{tmp_path}/books/letters.zip!/letter0.md" in paths
    again = build_files.build_index(sources, tmp_path / "far", encoder=leaves_all, chunking=CHUNKING, engine=engine)
    assert (again.added, again.embedded) == (0, 0)


def test_nodes_bring_passages_to_a_store_alone(
    documents: Path, tmp_path: Path, local: tuple[Path, BuildReport], leaves_all: EchoEncoder, one_node: TwoNodes
) -> None:
    pytest.importorskip("pymilvus", reason="stores need pymilvus: pip install 'echo-index[milvus]'")
    pytest.importorskip("milvus_lite", reason="milvus-lite is not installed: pip install --no-deps milvus-lite")
    store = f"milvus:{tmp_path / 'store.db'}"
    report = build_files.build_index(
        [Source.parse(str(documents))],
        tmp_path / "far",
        encoder=leaves_all,
        chunking=CHUNKING,
        engine=RayEngine(),
        store=store,
        store_only=True,
    )
    assert (report.documents, report.chunks) == (local[1].documents, local[1].chunks)
    assert catalog_content(tmp_path / "far")["chunks"] == []
    found = [Retriever.open(place, encoder=leaves_all).search("note", k=5, mode="dense") for place in (store, local[0])]
    assert {hit.text for hit in found[0][:3]} <= {hit.text for hit in found[1]}
