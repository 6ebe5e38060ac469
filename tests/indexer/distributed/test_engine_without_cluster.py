"""The engine with workers in this process instead of a cluster: what it asks of them, and what it does if they fail."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ray_workers import NeverEmbeds, Workers
from remote_drivers import Shelf, shelf

from echo_index.embeddings.encoder import EchoEncoder
from echo_index.errors import EngineError, SourceError
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.building.document_sync import BuildReport
from echo_index.indexer.building.engine import LOCAL, Engine
from echo_index.indexer.distributed.pipeline import PipelineLost
from echo_index.indexer.distributed.ray_engine import RayEngine
from echo_index.indexer.distributed.work import Outcome, WorkItem
from echo_index.indexer.documents.chunking import Chunking
from echo_index.indexer.sources.source import Source


@pytest.fixture
def build(encoder: EchoEncoder, folder: Path) -> Callable[..., BuildReport]:
    far = NeverEmbeds(encoder.model)

    def build(index: str = "index", engine: Engine | None = None, **options: Any) -> BuildReport:
        chosen = RayEngine() if engine is None else engine
        return build_index(
            [Source.parse(str(folder))],
            folder.parent / index,
            encoder=encoder if chosen is LOCAL else far,
            chunking=Chunking(64, 8),
            engine=chosen,
            **options,
        )

    return build


def test_a_later_build_leaves_out_what_is_known(
    workers: Workers, build: Callable[..., BuildReport], folder: Path
) -> None:
    first = build()
    assert workers.rounds == 1
    build()
    assert workers.rounds == 1, "nothing was new"

    note = folder / "note3.md"
    note.write_text(note.read_text() + "\n\n# Another\n\nThis is new.\n")
    shutil.copy(folder / "note4.md", folder / "renamed.md")
    workers.embedded, workers.read = 0, []
    report = build()
    assert (report.added, report.changed, report.embedded, workers.embedded) == (1, 1, 1, 1)
    assert sorted(workers.read) == ["docs/note3.md", "docs/renamed.md"]

    (folder / "note5.md").touch()
    workers.read = []
    assert build().unchanged == first.documents + 1 + len(first.failures)
    assert workers.read == []


def test_what_was_lost_is_distributed_again(workers: Workers, build: Callable[..., BuildReport]) -> None:
    expected = build("local", LOCAL)
    sent = 0

    def lose(item: WorkItem) -> WorkItem | None:
        nonlocal sent
        sent += 1
        if sent == 4:
            raise PipelineLost("The head of the cluster has died.")
        return item if sent != 2 else None

    workers.change = lose
    report = build()
    assert workers.rounds == 2
    assert len(workers.read) == len({*workers.read}), "nothing was embedded twice"
    assert (report.documents, report.embedded) == (expected.documents, expected.embedded)


def test_a_cluster_that_gives_nothing_is_given_up(workers: Workers, build: Callable[..., BuildReport]) -> None:
    workers.change = lambda item: None
    with pytest.raises(EngineError, match=r"no result for 31 documents in 3 attempts: its tasks were lost\."):
        build()
    assert workers.rounds == 3


def test_the_trouble_of_a_node_ends_the_build(
    workers: Workers, build: Callable[..., BuildReport], folder: Path
) -> None:
    workers.change = lambda item: WorkItem(trouble=EngineError("The node far has no memory."))
    with pytest.raises(EngineError, match="The node far has no memory"):
        build()
    assert not (folder.parent / "index" / "manifest.json").exists()


def test_a_node_that_does_not_see_a_file(workers: Workers, build: Callable[..., BuildReport], folder: Path) -> None:
    workers.change = lambda item: WorkItem(outcomes=[Outcome("docs/note1.md", "missing", node="far")])
    with pytest.raises(SourceError, match=r"The node far does not see the file .*note1\.md"):
        build()


def test_a_file_that_changes_or_goes_meanwhile_is_read_as_it_is_then(
    workers: Workers, build: Callable[..., BuildReport], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NeverEmbeds, "encode_document_pairs", EchoEncoder.encode_document_pairs)

    def look(stage: str, done: int, total: int | None) -> None:
        if stage == "distributing" and done == total:
            (folder / "note1.md").write_text("# Changed\n\nIt was changed just now.\n")
            (folder / "note2.md").unlink(missing_ok=True)

    report = build(progress=look)
    near = build("local", LOCAL)
    assert (report.documents, report.chunks) == (near.documents, near.chunks)


def test_a_document_that_a_node_could_not_open_is_tried_here(
    workers: Workers, build: Callable[..., BuildReport], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NeverEmbeds, "encode_document_pairs", EchoEncoder.encode_document_pairs)

    def refuse(item: WorkItem) -> WorkItem:
        stamp = (folder / "note1.md").stat()
        failed = Outcome("docs/note1.md", "failed", stamp.st_size, stamp.st_mtime_ns, failure="Permission denied.")
        others = [outcome for outcome in item.outcomes if outcome.path != failed.path]
        return WorkItem(item.documents, [*others, failed])

    workers.change = refuse
    assert build().failures == build("local", LOCAL).failures


def test_parts_that_nobody_needs_any_more_go(workers: Workers, build: Callable[..., BuildReport], folder: Path) -> None:
    def stop(stage: str, done: int, total: int | None) -> None:
        if done >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(progress=stop)
    parts = folder.parent / "index" / "echo-index-parts"
    assert [*parts.rglob("*.parquet")]
    build(engine=LOCAL)
    assert not parts.exists()


def test_another_precision_reaches_the_workers_by_the_configuration(
    workers: Workers, encoder: EchoEncoder, folder: Path
) -> None:
    chosen = NeverEmbeds(encoder.model, layer=2, max_tokens=300)
    report = build_index([Source.parse(str(folder))], folder.parent / "other", encoder=chosen, engine=RayEngine())
    assert report.embedded and workers.embedded >= report.embedded
    assert not np.allclose(*(e.encode_documents(["Whales sing."]) for e in (chosen, encoder)))


# Addresses


@pytest.fixture
def books(folder: Path) -> Iterator[Shelf]:
    """Return a driver with a few of the documents at shelf://books."""
    driver = shelf()
    for path in folder.rglob("*"):
        if (path.is_file() and not path.stem[-1].isdigit()) or path.stem in ("note1", "note2"):
            driver.pipe_file(f"/books/{path.relative_to(folder).as_posix()}", path.read_bytes())
    yield driver
    Shelf.reset()


def build_books(index: Path, encoder: EchoEncoder, engine: Engine) -> BuildReport:
    source = Source.parse("shelf://books")
    return build_index([source], index, encoder=encoder, chunking=Chunking(64, 8), engine=engine)


def test_workers_fetch_by_themselves(workers: Workers, tmp_path: Path, encoder: EchoEncoder, books: Shelf) -> None:
    far = build_books(tmp_path / "far", NeverEmbeds(encoder.model), RayEngine())
    fetched = books.fetched()
    near = build_books(tmp_path / "near", encoder, LOCAL)
    assert fetched == sorted([*books.fetched(), "letters.zip"]), "the machine of the build opens only the archive"
    assert (far.added, far.chunks, far.failures) == (near.added, near.chunks, near.failures)
    assert far.added == 12 and far.failures
    same = build_books(tmp_path / "far", NeverEmbeds(encoder.model), RayEngine())
    assert (same.unchanged, same.added, books.fetched()) == (12, 0, [])


@pytest.mark.parametrize("reason", ["not for this node", "no such file"])
def test_a_node_that_cannot_fetch_what_the_machine_of_the_build_can(
    workers: Workers, tmp_path: Path, encoder: EchoEncoder, books: Shelf, reason: str
) -> None:
    Shelf.refused["note1.md"] = FileNotFoundError() if reason == "no such file" else PermissionError(reason)
    with pytest.raises(
        SourceError, match=rf"The node .* cannot fetch shelf://books/.*note1.md, .*{reason}\."
    ) as caught:
        build_books(tmp_path / "far", encoder, RayEngine())
    assert "keys" in caught.value.remedy


def test_a_file_that_nobody_can_fetch_is_a_failure(
    workers: Workers, tmp_path: Path, encoder: EchoEncoder, books: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    Shelf.refused["note2.md"] = PermissionError("not for anybody")
    monkeypatch.setattr(Shelf, "cat_file", lambda self, path, **options: 1 / 0)
    report = build_books(tmp_path / "far", encoder, RayEngine())
    assert ("shelf://books/note2.md", "It cannot be fetched: not for anybody.") in report.failures
    assert report.added == 12
