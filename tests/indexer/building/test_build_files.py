"""Builds from files: incremental updates, complete generations for readers, and recovery from interruptions."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from archive_files import zip_bytes
from indexer_helpers import WordEncoder, build, contents, documents, write

from echo_index.embeddings.vectors.paired_embeddings import EmbeddingPair
from echo_index.errors import IndexBusy, IndexDamaged, IndexMismatch, IndexMissing, SourceError
from echo_index.indexer.building import build_files, document_sync
from echo_index.indexer.building.built_with import read_built_with
from echo_index.indexer.building.document_sync import BuildReport
from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.catalog.generation_summary import document_failures, generation_counts
from echo_index.indexer.catalog.records import LexicalQuery, SearchFilter
from echo_index.indexer.documents.chunking import Chunking
from echo_index.indexer.generations.manifest import read_manifest
from echo_index.indexer.generations.snapshot import open_snapshot
from echo_index.indexer.generations.source_registry import read_sources
from echo_index.indexer.sandbox.document_reader import DocumentReader
from echo_index.indexer.sources.scanner import FoundFile
from echo_index.indexer.sources.source import Source

MEMBER = "# Member\n\nIt is in an archive.\n"
PATIENCE = 60  # seconds
STAGES = ["reading", "embedding", "normalizing", "indexing"]


@pytest.fixture
def index(folder: Path) -> Path:
    """Return the path of an index hidden in the folder, the usual place."""
    return folder / ".echo-index"


def generation(index: Path) -> int:
    return read_manifest(index).generation


def state(index: Path) -> dict[str, bytes]:
    """Return the files on disk except those of SQLite's log and the lock."""
    ignored = ("-wal", "-shm", ".lock")
    return {path.name: path.read_bytes() for path in index.iterdir() if not path.name.endswith(ignored)}


def figures(report: BuildReport) -> tuple[int, int, int, int]:
    return report.added, report.changed, report.unchanged, report.removed


# Updates


def test_a_first_build_indexes_all_files(folder: Path, index: Path) -> None:
    encoder = WordEncoder()
    report = build(folder, index, encoder)
    assert figures(report) == (3, 0, 0, 0)
    assert (report.documents, report.chunks, report.embedded) == (3, 7, 7)
    assert report.failures == []
    assert documents(index)["deep/stars.md"] == [
        "# Stars\n\nStars are far away.",
        "Their light is old when it comes.",
        "Some have planets of their own.",
    ]
    manifest = read_manifest(index)
    assert (manifest.generation, manifest.documents, manifest.chunks) == (1, 3, 7)
    assert (manifest.fingerprint, manifest.encoder) == (encoder.fingerprint, encoder.config())
    assert manifest.chunking == {"max_tokens": 12, "overlap_tokens": 3}
    assert manifest.canaries
    for canary in manifest.canaries:
        assert canary.vector == tuple(encoder.encode_documents([canary.text])[0].tolist())
    snapshot = open_snapshot(index, index_device="cpu")
    with closing(snapshot.catalog):
        [vector] = encoder.encode_documents(["Whales > Whales live in the deep sea."])
        [(best, score)] = snapshot.vectors.search(vector, k=1)
        assert snapshot.catalog.chunks([best])[best].path == "whales.md"
        assert score > 0.5


def test_a_second_build_does_nothing(folder: Path, index: Path) -> None:
    first = build(folder, index)
    before = state(index)
    encoder = WordEncoder()
    report = build(folder, index, encoder)
    assert figures(report) == (0, 0, 3, 0)
    assert encoder.embedded == []
    assert (report.documents, report.chunks) == (first.documents, first.chunks)
    assert state(index) == before


def test_a_new_modification_time_alone_is_only_recorded(folder: Path, index: Path) -> None:
    build(folder, index)
    os.utime(folder / "bread.md", (1, 1))
    encoder = WordEncoder()
    assert figures(build(folder, index, encoder)) == (0, 0, 3, 0)
    assert encoder.embedded == []
    assert generation(index) == 1
    with closing(Catalog(index / "catalog.sqlite")) as catalog:
        assert catalog.current_documents()["bread.md"].modified_ns == 1_000_000_000


def test_only_new_chunks_of_a_changed_file_are_embedded(folder: Path, index: Path) -> None:
    build(folder, index)
    before = documents(index)
    write(folder, bread=(folder / "bread.md").read_text() + "\n# Rolls\n\nRolls are small.\n")
    encoder = WordEncoder()
    assert figures(build(folder, index, encoder)) == (0, 1, 2, 0)
    assert encoder.embedded == ["Bread\n# Rolls\n\nRolls are small."]
    assert documents(index) == {**before, "bread.md": [*before["bread.md"], "# Rolls\n\nRolls are small."]}
    assert generation(index) == 2


def test_a_change_of_equal_size_and_time_is_missed(folder: Path, index: Path) -> None:
    build(folder, index)
    stat = (folder / "bread.md").stat()
    write(folder, bread=(folder / "bread.md").read_text().replace("salt", "malt"))
    os.utime(folder / "bread.md", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert figures(build(folder, index)) == (0, 0, 3, 0)
    os.utime(folder / "bread.md", ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert figures(build(folder, index)) == (0, 1, 2, 0)


def test_a_renamed_file_is_not_embedded_again(folder: Path, index: Path) -> None:
    build(folder, index)
    before = documents(index)
    (folder / "new").mkdir()
    (folder / "whales.md").rename(folder / "new/sea.md")
    encoder = WordEncoder()
    assert figures(build(folder, index, encoder)) == (1, 0, 2, 1)
    assert encoder.embedded == []
    assert documents(index) == {
        "bread.md": before["bread.md"], "deep/stars.md": before["deep/stars.md"], "new/sea.md": before["whales.md"],
    }  # fmt: skip


def test_a_removed_file_stays_visible_in_the_previous_generation(folder: Path, index: Path) -> None:
    build(folder, index)
    reader = open_snapshot(index, index_device="cpu")
    (folder / "bread.md").unlink()
    report = build(folder, index)
    assert figures(report) == (0, 0, 2, 1)
    assert [*documents(index)] == ["deep/stars.md", "whales.md"]
    with closing(reader.catalog):
        assert generation_counts(reader.catalog, generation=1).documents == 3
        [vector] = WordEncoder().encode_documents(["bread"])
        hits = reader.vectors.search(vector, k=99)
        assert len(reader.catalog.chunks([key for key, _ in hits])) == 7


def test_only_the_files_of_the_previous_generation_stay(
    folder: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("echo_index.indexer.vectors.index_kind.EXACT_UP_TO", 10)
    for number in range(20):
        write(folder, **{f"note{number}": f"# Note {number}\n\nThe note of number {number}.\n"})
    for number in range(1, 5):
        write(folder, bread=f"# Bread\n\nVersion {number}.\n")
        build(folder, index)
    assert sorted(path.name for path in index.glob("vectors-*")) == ["vectors-3.faiss", "vectors-4.faiss"]


def test_only_the_previous_generation_stays_for_its_readers(folder: Path, index: Path) -> None:
    for number in range(1, 5):
        write(folder, bread=f"# Bread\n\nVersion {number}.\n")
        build(folder, index)
    with closing(Catalog(index / "catalog.sqlite")) as catalog:
        assert [generation_counts(catalog, generation=number).documents for number in (2, 3, 4)] == [2, 3, 3]
    assert documents(index)["bread.md"] == ["# Bread\n\nVersion 4."]
    assert len(read_manifest(index).canaries) == 3


def test_equal_texts_are_embedded_once(folder: Path, index: Path) -> None:
    write(folder, copy=(folder / "whales.md").read_text(), deep__copy=(folder / "whales.md").read_text())
    encoder = WordEncoder()
    report = build(folder, index, encoder)
    assert (report.documents, report.chunks, report.embedded) == (5, 11, 7)
    assert len(encoder.embedded) == len({*encoder.embedded}) == 7


def test_progress_reports_the_stages_in_order(folder: Path, index: Path) -> None:
    reports: list[tuple[str, int, int | None]] = []
    for number in range(20):
        write(folder, **{f"more{number}": f"# More {number}\n\nText {number}.\n"})
    build(folder, index, progress=lambda *line: reports.append(line))
    read = [line for line in reports if line[0] == "reading"]
    assert read == sorted(read, key=lambda line: line[1])
    assert read[-1] == ("reading", 23, None)
    assert reports == [
        *read,
        *(("embedding", done, 27) for done in (8, 16, 24, 27)),
        *(("normalizing", done, 81) for done in (0, 64, 81)),
        *(("normalizing", done, 96) for done in (0, 64, 96)),  # queries that have nothing to do with the index
        ("indexing", 0, 27),
    ]
    reports.clear()
    build(folder, index, progress=lambda *line: reports.append(line))
    assert {stage for stage, *_ in reports} == {"reading"}
    assert reports[-1] == ("reading", 23, None)


class WaitingEncoder(WordEncoder):
    """Splits `at_once` texts into tokens, and others only after it is released."""

    def __init__(self, at_once: int) -> None:
        super().__init__()
        self.left = at_once
        self.waits, self.goes_on = Event(), Event()

    def token_starts(self, text: str) -> list[int]:
        if self.left == 0:
            self.waits.set()
            assert self.goes_on.wait(timeout=PATIENCE)
        self.left = max(0, self.left - 1)
        return super().token_starts(text)


def test_chunks_are_embedded_while_files_are_read(folder: Path, index: Path) -> None:
    """Reading continues only after something has been embedded."""
    write(folder, **{f"more{number}": f"# More {number}\n\nText {number}.\n" for number in range(240)})

    class GoesOn(WaitingEncoder):
        def encode_document_pairs(self, texts: Sequence[str]) -> Iterator[tuple[list[int], EmbeddingPair]]:
            yield from super().encode_document_pairs(texts)
            self.goes_on.set()

    reports: list[tuple[str, int, int | None]] = []
    encoder = GoesOn(at_once=150)
    report = build(folder, index, encoder, progress=lambda *line: reports.append(line))
    assert (report.added, report.chunks, report.embedded, len(encoder.embedded)) == (243, 247, 247, 247)
    assert [stage for stage, *_ in reports] == sorted((stage for stage, *_ in reports), key=STAGES.index), "no way back"
    embedding = [(done, total) for stage, done, total in reports if stage == "embedding"]
    assert {total for _, total in embedding} == {247}
    assert embedding[0][0] > 128, "the others were embedded before the reading was over"
    assert embedding[-1] == (247, 247)
    build(folder, folder / ".straight")
    assert contents(index) == contents(folder / ".straight")


def test_an_error_of_the_reading_ends_the_build(folder: Path, index: Path) -> None:
    write(folder, **{f"more{number}": f"# More {number}\n\nText {number}.\n" for number in range(240)})
    error = SourceError("The disk went away.")

    class Fails(WaitingEncoder):
        def token_starts(self, text: str) -> list[int]:
            if self.left == 0:
                raise error
            return super().token_starts(text)

        def encode_document_pairs(self, texts: Sequence[str]) -> Iterator[tuple[list[int], EmbeddingPair]]:
            for batch in super().encode_document_pairs(texts):
                time.sleep(0.1)
                yield batch

    encoder = Fails(at_once=200)
    with pytest.raises(SourceError) as caught:
        build(folder, index, encoder)
    assert caught.value is error
    assert len(encoder.embedded) < 200, "not even the texts that were taken"


def test_an_error_of_the_encoder_ends_the_reading(folder: Path, index: Path) -> None:
    write(folder, **{f"more{number}": f"# More {number}\n\nText {number}.\n" for number in range(240)})

    class Fails(WaitingEncoder):
        def encode_document_pairs(self, texts: Sequence[str]) -> Iterator[tuple[list[int], EmbeddingPair]]:
            assert self.waits.wait(timeout=PATIENCE)
            self.goes_on.set()
            raise RuntimeError("out of memory")

    before = threading.active_count()
    with pytest.raises(RuntimeError, match="out of memory"):
        build(folder, index, Fails(at_once=150))
    assert threading.active_count() == before
    encoder = WordEncoder()
    assert build(folder, index, encoder).embedded == 247


# What is indexed


def test_building_one_source_keeps_the_documents_of_others(tmp_path: Path, folder: Path) -> None:
    other, index = tmp_path / "notes", tmp_path / ".echo-index"
    write(other, idea="# Idea\n\nAn idea.\n", plan="# Plan\n\nA plan.\n")
    build([folder, other], index)
    (other / "plan.md").unlink()
    (folder / "bread.md").unlink()
    assert figures(build(other, index)) == (0, 0, 1, 1)
    assert [*documents(index)] == ["docs/bread.md", "docs/deep/stars.md", "docs/whales.md", "notes/idea.md"]
    assert figures(build(folder / "deep", index)) == (0, 0, 1, 0)
    assert figures(build(folder, index)) == (0, 0, 2, 1)


def test_newly_excluded_files_are_removed(folder: Path, index: Path) -> None:
    build(folder, index)
    assert figures(build(folder, index, exclude=["deep/"])) == (0, 0, 2, 1)
    assert [*documents(index)] == ["bread.md", "whales.md"]
    assert figures(build(folder, index, include=["w*"])) == (0, 0, 1, 1)
    assert [*documents(index)] == ["whales.md"]
    encoder = WordEncoder()
    assert figures(build(folder, index, encoder, include=["*"])) == (2, 0, 1, 0)
    assert len(documents(index)) == 3


@pytest.mark.parametrize("rebuild", [False, True])
def test_an_index_within_the_folder_is_not_indexed(folder: Path, rebuild: bool) -> None:
    index = folder / "index"
    with pytest.raises(KeyboardInterrupt):
        build(folder, index, WordEncoder(patience=0), rebuild=True)
    for _ in range(3):
        build(folder, index, rebuild=rebuild)
        assert [*documents(index)] == ["bread.md", "deep/stars.md", "whales.md"]


@pytest.mark.parametrize("vanished", [False, True])
def test_nothing_to_index_is_an_error_and_changes_nothing(folder: Path, tmp_path: Path, vanished: bool) -> None:
    index, copy = tmp_path / ".echo-index", tmp_path / "copy"
    build(folder, index)
    before = state(index)
    folder.rename(copy)
    if vanished:
        with pytest.raises(SourceError, match="no file or folder"):
            build(folder, index)
        source = build_files.Source(name="docs", path=folder)
        with pytest.raises(SourceError, match="docs cannot be read"):
            build_files.build_index([source], index, encoder=WordEncoder(), chunking=Chunking(12, 3))  # type: ignore[arg-type]
    else:
        folder.mkdir()
        with pytest.raises(SourceError, match=r"no document to index in .*docs"):
            build(folder, index)
    assert state(index) == before
    assert len(documents(index)) == 3
    shutil.rmtree(folder, ignore_errors=True)
    copy.rename(folder)
    assert figures(build(folder, index)) == (0, 0, 3, 0)


def test_a_first_build_without_documents_fixes_no_settings(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError):
        build(tmp_path / "empty", tmp_path / "index", WordEncoder(name="others"))
    with pytest.raises(IndexMissing):
        open_snapshot(tmp_path / "index")
    build(folder, tmp_path / "index")
    assert len(documents(tmp_path / "index")) == 3


def test_a_folder_can_be_moved_with_its_index(tmp_path: Path, folder: Path, index: Path) -> None:
    build(folder, index)
    before = contents(index)
    moved = folder.rename(tmp_path / "elsewhere")
    assert contents(moved / ".echo-index") == before
    encoder = WordEncoder()
    assert figures(build(moved, moved / ".echo-index", encoder)) == (0, 0, 3, 0)
    assert encoder.embedded == []
    assert generation(moved / ".echo-index") == 1


def test_a_folder_is_the_same_by_another_name(tmp_path: Path, folder: Path, index: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(folder)
    build(link, link / ".echo-index")
    assert [*documents(index)] == ["bread.md", "deep/stars.md", "whales.md"]
    for source, place in [(folder, index), (link, link / ".echo-index")]:
        assert figures(build(source, place)) == (0, 0, 3, 0)


def test_documents_outside_the_folder_of_the_index_are_named_in_full(tmp_path: Path, folder: Path) -> None:
    build(folder, tmp_path / "elsewhere/index")
    assert [*documents(tmp_path / "elsewhere/index")] == [
        f"{folder}/{name}.md" for name in ("bread", "deep/stars", "whales")
    ]
    (folder / "bread.md").unlink()
    assert figures(build(folder, tmp_path / "elsewhere/index")) == (0, 0, 2, 1)


# Sources that are gone for now


@pytest.mark.parametrize("is_empty", [False, True])
def test_a_source_that_is_gone_keeps_its_documents_and_is_remembered(
    folder: Path, tmp_path: Path, is_empty: bool
) -> None:
    index, other = tmp_path / "idx", tmp_path / "other"
    write(other, news="# News\n\nNothing new.\n")
    build([folder, folder / "deep", other], index)
    shutil.rmtree(folder / "deep")
    (folder / "bread.md").unlink()
    if is_empty:  # as a mount point is without its disk
        (folder / "deep").mkdir()
    sources = read_sources(index)
    given = [Source.remembered(source) for source in sources]
    report = build_files.build_index(
        given,
        index,
        encoder=WordEncoder(),
        chunking=Chunking(12, 3),
        keep_gone=True,  # type: ignore[arg-type]
    )
    assert report.gone == [(str(folder / "deep"), "is empty" if is_empty else "is missing")]
    assert figures(report) == (0, 0, 2, 1)
    assert [*documents(index)] == ["docs/deep/stars.md", "docs/whales.md", "other/news.md"]
    assert read_sources(index) == sources

    write(folder, deep__moons="# Moons\n\nThey are back.\n")
    assert figures(build([folder, folder / "deep", other], index)) == (1, 0, 2, 1)


def test_an_index_whose_sources_are_all_gone_stays_as_it_is(folder: Path, tmp_path: Path) -> None:
    index = tmp_path / "idx"
    build([folder, folder / "deep" / "*.md"], index)
    shutil.rmtree(folder)
    for source in (str(folder), str(folder / "deep" / "*.md")):
        report = build_files.build_index(
            [Source.remembered(source)],
            index,
            encoder=WordEncoder(),
            chunking=Chunking(12, 3),
            keep_gone=True,  # type: ignore[arg-type]
        )
        assert len(report.gone) == 1 and figures(report) == (0, 0, 0, 0)
    assert len(documents(index)) == 3
    assert generation(index) == 1


def test_a_new_index_needs_a_document_even_if_its_source_may_be_gone(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="There is no document to index in"):
        build(tmp_path / "empty", tmp_path / "idx", keep_gone=True)


def test_a_source_that_is_emptied_while_it_is_read_loses_nothing(folder: Path, tmp_path: Path) -> None:
    index = tmp_path / "idx"
    build(folder, index)
    write(folder, again="# Again\n\nA new one.\n")

    def unmount(*arguments: Any, **options: Any) -> Iterator[FoundFile]:
        yield from ()
        shutil.rmtree(folder)
        folder.mkdir()

    with pytest.MonkeyPatch.context() as patch, pytest.raises(SourceError, match="disappeared while it was being read"):
        patch.setattr(document_sync, "scan", unmount)
        build(folder, index, keep_gone=True)
    assert len(documents(index)) == 3


# Unreadable files


def test_a_broken_document_does_not_affect_others(folder: Path, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 no more of it")
    report = build(folder, index)
    [(path, reason)] = report.failures
    assert path == "broken.pdf"
    assert reason
    assert (report.documents, report.added) == (3, 4)
    assert "broken.pdf" not in documents(index)

    with monkeypatch.context() as patch:
        patch.setattr(DocumentReader, "read", lambda self, path, **options: pytest.fail(f"{path} is read again"))
        again = build(folder, index)
    assert again.failures == [(path, reason)]
    assert figures(again) == (0, 0, 4, 0)
    assert generation(index) == 1

    (folder / "broken.pdf").rename(folder / "mended.md")
    (folder / "mended.md").write_text("# Mended\n\nIt is text now.\n")
    assert build(folder, index).failures == []
    assert documents(index)["mended.md"] == ["# Mended\n\nIt is text now."]


def test_a_document_that_becomes_unreadable_is_removed(folder: Path, index: Path) -> None:
    build(folder, index)
    (folder / "bread.md").write_bytes(b"\x00\x01\x02" * 100)
    report = build(folder, index)
    assert [path for path, _ in report.failures] == ["bread.md"]
    assert [*documents(index)] == ["deep/stars.md", "whales.md"]


def test_a_file_that_cannot_be_opened_is_tried_again_each_time(
    folder: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is replaced by a pipe between the scan and the reading."""
    found, lost = document_sync.scan, folder / "lost.md"
    os.mkfifo(lost)

    def finds_one_more(*arguments: Any, **options: Any) -> Iterator[FoundFile]:
        yield from found(*arguments, **options)
        yield FoundFile(lost, size=10, modified_ns=10, real_path=os.path.realpath(lost))

    with monkeypatch.context() as patch:
        patch.setattr(document_sync, "scan", finds_one_more)
        assert build(folder, index).failures == [("lost.md", "It is not a file.")]
        again = build(folder, index)
        assert again.failures == [("lost.md", "It is not a file.")]
        assert figures(again) == (0, 0, 4, 0)
        assert generation(index) == 1, "the same failure is no news"
        lost.unlink()
        lost.write_text("# Fo\n\nFind")
        assert lost.stat().st_size == 10
        os.utime(lost, ns=(10, 10))
        assert build(folder, index).failures == []
    assert documents(index)["lost.md"] == ["# Fo\n\nFind"]


def test_a_folder_that_cannot_be_read_keeps_its_documents(
    folder: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(folder, index)
    (folder / "bread.md").unlink()
    scandir = os.scandir

    def closed(path: str) -> Any:
        if Path(path).name == "deep":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", closed)
        report = build(folder, index)
    assert report.failures == [("deep", "permission denied")]
    assert figures(report) == (0, 0, 1, 1)
    assert [*documents(index)] == ["deep/stars.md", "whales.md"]
    assert figures(build(folder, index)) == (0, 0, 2, 0)


def test_an_index_may_hold_only_unreadable_documents(
    folder: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(folder / "deep")
    for path in folder.glob("*.md"):
        path.write_bytes(b"\x00\x01\x02" * 100)
    report = build(folder, index)
    assert (report.documents, report.chunks, len(report.failures)) == (0, 0, 2)
    assert documents(index) == {}
    for path in folder.glob("*.md"):
        path.unlink()
    monkeypatch.setattr(
        document_sync,
        "scan",
        lambda *_, on_error, **__: on_error(folder / "deep", "closed") or [],
    )
    assert figures(build(folder, index)) == (0, 0, 0, 2)
    with pytest.raises(IndexMismatch):
        build(folder, index, WordEncoder(name="other"))


def test_a_file_without_a_title_is_renamed_without_embedding(folder: Path, index: Path) -> None:
    (folder / "plain.txt").write_text("It has no title of its own.\n")
    build(folder, index)
    (folder / "plain.txt").rename(folder / "other.txt")
    encoder = WordEncoder()
    assert figures(build(folder, index, encoder)) == (1, 0, 3, 1)
    assert encoder.embedded == []
    with closing((snapshot := open_snapshot(index, index_device="cpu")).catalog):
        [(key, _)] = snapshot.matching(LexicalQuery(("other",)), k=9, where=SearchFilter())
        passage = snapshot.catalog.chunks([key])[key]
    assert (passage.path, passage.title) == ("other.txt", "other")  # it is found by its name, too


# Another encoder, another chunking


@pytest.mark.parametrize(
    ("encoder", "chunking", "message"),
    [
        (WordEncoder(name="other"), Chunking(12, 3), "weights was 'words' and is now 'other'"),
        (WordEncoder(), Chunking(13, 3), "chunk_tokens was 12 and is now 13"),
        (WordEncoder(), Chunking(12, 0), "overlap_tokens was 3 and is now 0"),
    ],
)
def test_other_settings_are_an_error_that_names_them(
    folder: Path, index: Path, encoder: WordEncoder, chunking: Chunking, message: str
) -> None:
    build(folder, index)
    before = state(index)
    write(folder, new="# New\n\nNew.\n")
    with pytest.raises(IndexMismatch, match=message) as caught:
        build(folder, index, encoder, chunking=chunking)
    assert "--rebuild" in caught.value.remedy
    assert state(index) == before
    assert encoder.embedded == []


def test_other_settings_are_an_error_before_the_first_build_is_complete(folder: Path, index: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        build(folder, index, WordEncoder(patience=0))
    with pytest.raises(IndexMismatch):
        build(folder, index, WordEncoder(name="other"))
    built_with = read_built_with(index)
    assert built_with is not None
    assert (built_with.encoder, built_with.chunking) == (WordEncoder().config(), Chunking(12, 3))
    assert read_built_with(folder) is None


# Rebuilding


def test_a_rebuild_replaces_the_index_when_it_is_complete(folder: Path, index: Path) -> None:
    build(folder, index)
    before = contents(index)
    write(folder, new="# New\n\nNew.\n")

    def progress(stage: str, done: int, total: int | None) -> None:
        assert contents(index) == before

    other = WordEncoder(name="other")
    report = build(folder, index, other, rebuild=True, progress=progress)
    assert (report.added, len(other.embedded)) == (4, 8)
    assert read_manifest(index).encoder == other.config()
    assert len(documents(index)) == 4
    assert [path.name for path in folder.iterdir() if "index" in path.name] == [".echo-index"]
    assert figures(build(folder, index, WordEncoder(name="other"))) == (0, 0, 4, 0)


def test_an_interrupted_rebuild_changes_nothing_and_is_continued_later(folder: Path, index: Path) -> None:
    for number in range(20):
        write(folder, **{f"more{number}": f"# More {number}\n\nText {number}.\n"})
    build(folder, index)
    before = contents(index)
    first, second = WordEncoder(patience=17), WordEncoder()
    with pytest.raises(KeyboardInterrupt):
        build(folder, index, first, rebuild=True)
    assert contents(index) == before
    assert figures(build(folder, index)) == (0, 0, 23, 0)
    build(folder, index, second, rebuild=True)
    assert (len(first.embedded), len(second.embedded)) == (16, 11)
    assert contents(index) == before
    assert generation(index) == 2
    assert [path.name for path in index.glob("*.sqlite")] == ["catalog-2.sqlite"]


def test_a_rebuild_with_other_settings_replaces_an_interrupted_one(folder: Path, index: Path) -> None:
    build(folder, index)
    with pytest.raises(KeyboardInterrupt):
        build(folder, index, WordEncoder(name="second", patience=0), rebuild=True)
    build(folder, index, WordEncoder(name="third"), rebuild=True)
    assert read_manifest(index).encoder == WordEncoder(name="third").config()


def test_a_rebuild_replaces_a_damaged_catalog(folder: Path, index: Path) -> None:
    build(folder, index)
    before = contents(index)
    damaged = b"garbage " * 1000
    (index / "catalog.sqlite").write_bytes(damaged)
    with pytest.raises(IndexDamaged, match=r"catalog\.sqlite is damaged") as caught:
        build(folder, index)
    assert "--rebuild" in caught.value.remedy
    assert read_built_with(index) is None
    with pytest.raises(KeyboardInterrupt):
        build(folder, index, WordEncoder(patience=0), rebuild=True)
    assert (index / "catalog.sqlite").read_bytes() == damaged  # it can still be examined
    build(folder, index, rebuild=True)
    assert contents(index) == before


@pytest.mark.parametrize("content", [b"", b"garbage", bytes(3000)])
def test_a_damaged_manifest_is_repaired_without_embedding(folder: Path, index: Path, content: bytes) -> None:
    build(folder, index)
    before = contents(index)
    whole = (index / "manifest.json").read_bytes()
    (index / "manifest.json").write_bytes(content)
    notices: list[str] = []
    with closing(open_snapshot(index, index_device="cpu", notice=notices.append).catalog):
        [notice] = notices
    assert "manifest.json is damaged" in notice
    assert notice.endswith("Its copy in the catalog is used. Repair it: echo-index build")
    assert contents(index) == before
    encoder = WordEncoder()
    assert figures(build(folder, index, encoder)) == (0, 0, 3, 0)
    assert encoder.embedded == []
    assert (index / "manifest.json").read_bytes() == whole


def test_a_rebuild_works_with_a_damaged_manifest(folder: Path, index: Path) -> None:
    for _ in range(2):  # so that the catalog is already one of a rebuild
        build(folder, index, rebuild=True)
    (index / "manifest.json").write_bytes(b"")
    encoder = WordEncoder()
    assert build(folder, index, encoder, rebuild=True).embedded == 7
    assert len(documents(index)) == 3


@pytest.mark.parametrize("damage", [b"", bytes(4096)])
def test_a_damaged_catalog_is_not_silently_replaced(folder: Path, index: Path, damage: bytes) -> None:
    build(folder, index)
    (index / "catalog.sqlite").write_bytes(damage)
    for manifest in (None, b"garbage"):
        if manifest:
            (index / "manifest.json").write_bytes(manifest)
        with pytest.raises(IndexDamaged):
            build(folder, index)
        with pytest.raises(IndexDamaged):
            open_snapshot(index)
        assert (index / "catalog.sqlite").read_bytes() == damage


# Interruptions


def interrupted_at(stage_wanted: str, done_wanted: int) -> Any:
    def progress(stage: str, done: int, total: int | None) -> None:
        if (stage, done) == (stage_wanted, done_wanted):
            raise KeyboardInterrupt

    return progress


def change(folder: Path) -> None:
    """Change, add, remove, break and rename."""
    write(
        folder,
        bread="# Bread\n\nBread is older than salt.\n",
        **{f"new{n}": f"# New {n}\n\nIt is {n}.\n" for n in range(20)},
    )
    (folder / "whales.md").unlink()
    (folder / "deep/stars.md").rename(folder / "stars.md")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 no more of it")
    members = {"same.md": MEMBER, "changed.md": "# Changed\n\nIt is new.\n", "added.md": "# Added\n\nIt is new, too.\n"}
    (folder / "archive.zip").write_bytes(zip_bytes(members))


@pytest.mark.parametrize("cut", [0, 1, 13])
@pytest.mark.parametrize("first", [True, False])
def test_a_build_interrupted_while_reading_gives_the_same_index_later(
    tmp_path: Path, folder: Path, index: Path, cut: int, first: bool
) -> None:
    encoder = WaitingEncoder(at_once=cut)

    def progress(stage: str, done: int, total: int | None) -> None:
        if encoder.waits.is_set():
            encoder.goes_on.set()
            raise KeyboardInterrupt

    assert_same_index_after_interruption(tmp_path, folder, index, encoder, progress, first=first)


def test_an_interrupted_build_does_not_wait_for_a_slow_file_or_record_a_failure(folder: Path, index: Path) -> None:
    (folder / "zslow.rst").write_bytes(b"A line of text.\n\n" * 400_000)  # takes docutils half a minute
    seen = 0.0

    def progress(stage: str, done: int, total: int | None) -> None:
        nonlocal seen
        if done == 3:
            seen = seen or time.monotonic()
            if time.monotonic() > seen + 1:  # by now it is being read
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(folder, index, progress=progress)
    assert 1 < time.monotonic() - seen < 5
    with closing(Catalog(index / "catalog.sqlite")) as catalog:
        assert len(catalog.current_documents()) == 3
        assert document_failures(catalog, generation=1) == []


@pytest.mark.parametrize(
    ("stage", "done"),
    [
        ("reading", 26),
        ("embedding", 8),
        ("embedding", 16),
        ("normalizing", 0),
        ("indexing", 0),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_an_interrupted_build_gives_the_same_index_later(
    tmp_path: Path, folder: Path, index: Path, stage: str, done: int, first: bool
) -> None:
    assert_same_index_after_interruption(
        tmp_path, folder, index, WordEncoder(), interrupted_at(stage, done), first=first
    )


def assert_same_index_after_interruption(
    tmp_path: Path, folder: Path, index: Path, encoder: WordEncoder, progress: Any, *, first: bool
) -> None:
    before = None
    members = {"same.md": MEMBER, "changed.md": MEMBER, "deleted.md": "# Deleted\n\nIt is old.\n"}
    (folder / "archive.zip").write_bytes(zip_bytes(members))
    if not first:
        build(folder, index)
        before = contents(index)
    shutil.copytree(folder, tmp_path / "same/docs", symlinks=True)
    change(folder)
    with pytest.raises(KeyboardInterrupt):
        build(folder, index, encoder, progress=progress)
    if before is None:
        with pytest.raises(IndexMissing):
            open_snapshot(index)
    else:
        assert contents(index) == before
    build(folder, index, encoder)
    assert len(encoder.embedded) == len({*encoder.embedded}), "nothing is embedded twice"

    change(tmp_path / "same/docs")
    straight = WordEncoder()
    build(tmp_path / "same/docs", tmp_path / "same/docs/.echo-index", straight)
    assert sorted(encoder.embedded) == sorted(straight.embedded)
    assert contents(index) == contents(tmp_path / "same/docs/.echo-index")
    assert generation(index) == (1 if first else 2)


def test_changes_after_an_interruption_are_indexed(folder: Path, index: Path) -> None:
    build(folder, index)
    before = contents(index)
    original = (folder / "bread.md").read_text()
    write(folder, bread="# Bread\n\nIt is gone.\n", extra="# Extra\n\nExtra.\n")
    with pytest.raises(KeyboardInterrupt):
        build(folder, index, progress=interrupted_at("indexing", 0))
    write(folder, bread=original)
    (folder / "extra.md").unlink()
    encoder = WordEncoder()
    build(folder, index, encoder)
    assert contents(index) == before
    assert encoder.embedded == []


def test_chunks_of_an_interrupted_build_are_not_embedded_if_their_files_have_changed(folder: Path, index: Path) -> None:
    write(folder, **{f"more{number}": f"# More {number}\n\nIt is old.\n" for number in range(200)})
    with pytest.raises(KeyboardInterrupt):
        build(folder, index, progress=interrupted_at("reading", 203))
    write(folder, **{f"more{number}": f"# More {number}\n\nIt is new again.\n" for number in range(200)})
    encoder = WordEncoder()
    assert build(folder, index, encoder).chunks == 207
    assert sum("It is new again." in text for text in encoder.embedded) == 200
    assert not any("It is old." in text for text in encoder.embedded)


def test_a_file_added_and_removed_between_builds_makes_no_generation(folder: Path, index: Path) -> None:
    build(folder, index)
    before = contents(index)
    write(folder, extra="# Extra\n\nExtra.\n")
    with pytest.raises(KeyboardInterrupt):
        build(folder, index, progress=interrupted_at("indexing", 0))
    (folder / "extra.md").unlink()
    build(folder, index)
    assert generation(index) == 1
    assert contents(index) == before


def test_a_lost_manifest_is_replaced_without_embedding(folder: Path, index: Path) -> None:
    build(folder, index)
    write(folder, new="# New\n\nNew.\n", bread="# Bread\n\nIt is old.\n")
    (folder / "whales.md").unlink()
    build(folder, index)
    before = contents(index)
    (index / "manifest.json").unlink()
    encoder = WordEncoder()
    build(folder, index, encoder)
    assert contents(index) == before
    assert encoder.embedded == []


# One writer


_HOLDER = """
import sys, time
from pathlib import Path
from echo_index.indexer.storage.writer_lock import writer_lock
with writer_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(index: Path) -> Iterator[subprocess.Popen[str]]:
    """Start another process that holds the lock of the index."""
    index.mkdir(parents=True)
    process = subprocess.Popen([sys.executable, "-c", _HOLDER, str(index)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with process:
        yield process
        process.kill()


@pytest.mark.parametrize("rebuild", [False, True])
def test_a_second_writer_gets_the_process_id_of_the_first(
    folder: Path, index: Path, holder: subprocess.Popen[str], rebuild: bool
) -> None:
    with pytest.raises(IndexBusy, match=f"being written by process {holder.pid}"):
        build(folder, index, rebuild=rebuild)
    holder.send_signal(signal.SIGKILL)
    holder.wait(timeout=20)
    build(folder, index, rebuild=rebuild)
    assert len(documents(index)) == 3
    assert not (index / "writer.pid").exists()


def test_a_failed_build_releases_the_lock(folder: Path, index: Path) -> None:
    for rebuild in (False, True):
        with pytest.raises(KeyboardInterrupt):
            build(folder, index, WordEncoder(patience=0), rebuild=rebuild)
        build(folder, index, rebuild=rebuild)


def test_the_language_of_a_document_is_stored(tmp_path: Path) -> None:
    german = "Die Häuser stehen am Meer, und der Wal ist nicht in dem Meer.\n"
    write(tmp_path / "docs", german=german, english="The houses stand by the sea.\n")
    (tmp_path / "docs" / "code.py").write_text(f'"""{german}"""\n', encoding="utf-8")
    build(tmp_path / "docs", tmp_path / "index")
    with closing(Catalog(tmp_path / "index" / "catalog.sqlite")) as catalog:
        languages = {Path(path).name: row.language for path, row in catalog.current_documents().items()}
    assert languages == {"code.py": "english", "english.md": "english", "german.md": "german"}
