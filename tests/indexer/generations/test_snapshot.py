"""Opening a snapshot: a damaged vector file is rebuilt and reported, a damaged catalog is an error."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from indexer_helpers import build, contents, write

from echo_index.errors import IndexDamaged, IndexMissing
from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.catalog.records import LexicalQuery, SearchFilter
from echo_index.indexer.generations.manifest import manifest_stamp, read_manifest, write_manifest
from echo_index.indexer.generations.snapshot import open_snapshot
from echo_index.indexer.storage.sqlite import Database
from echo_index.indexer.storage.writer_lock import writer_lock


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("folder")
    for number in range(20):
        write(folder, **{f"note{number}": f"# Note {number}\n\nWhales number {number} swim in the sea of salt.\n"})
    build(folder, folder / "index")
    return folder / "index"


@pytest.fixture
def approximate(index: Path, built: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an index whose vectors have a file."""
    monkeypatch.setattr("echo_index.indexer.vectors.index_kind.EXACT_UP_TO", 10)
    shutil.rmtree(index)
    build(built.parent, index)
    return index


@pytest.fixture
def index(built: Path, tmp_path: Path) -> Path:
    shutil.copytree(built, tmp_path / "index")
    return tmp_path / "index"


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def scribble(path: Path) -> None:
    path.write_bytes(b"garbage")


def zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip(path: Path) -> None:
    """Flip one bit of a vector, which FAISS would not notice."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def test_an_exact_index_is_read_from_the_catalog(index: Path) -> None:
    assert sorted(path.name for path in index.iterdir() if path.suffix != ".lock") == [
        "catalog.sqlite",
        "manifest.json",
    ]
    with closing((snapshot := open_snapshot(index, index_device="cpu", notice=pytest.fail)).catalog) as catalog:
        assert snapshot.vectors.kind == "exact"
        for ids, vectors in catalog.vectors(generation=1):
            expected = snapshot.normalization.normalize_documents(vectors)
            assert snapshot.vectors.vectors_of(ids.tolist()) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("damage", [Path.unlink, truncate, scribble, zero, empty, flip])
def test_a_damaged_vector_file_is_rebuilt_from_the_catalog(approximate: Path, damage: Callable[[Path], None]) -> None:
    before = contents(approximate)
    whole = (approximate / "vectors-1.faiss").read_bytes()
    damage(approximate / "vectors-1.faiss")
    notices: list[str] = []
    snapshot = open_snapshot(approximate, index_device="cpu", notice=notices.append)
    with closing(snapshot.catalog):
        assert notices == [], "nothing needs the file yet"
        assert (snapshot.vectors.kind, snapshot.vectors.count) == ("approximate", snapshot.manifest.chunks)
        [notice] = notices
    assert "vectors-1.faiss" in notice
    assert notice.endswith("It is rebuilt from the catalog.")
    assert (approximate / "vectors-1.faiss").read_bytes() == whole
    assert contents(approximate) == before
    with closing((again := open_snapshot(approximate, index_device="cpu", notice=pytest.fail)).catalog):
        assert again.vectors.count == again.manifest.chunks


def test_rebuilt_vectors_are_not_saved_while_another_process_writes(approximate: Path) -> None:
    before = contents(approximate)
    (approximate / "vectors-1.faiss").unlink()
    notices: list[str] = []
    with writer_lock(approximate):
        with closing((snapshot := open_snapshot(approximate, index_device="cpu", notice=notices.append)).catalog):
            assert snapshot.vectors.count == snapshot.manifest.chunks
        assert not (approximate / "vectors-1.faiss").exists()
        assert contents(approximate) == before
    [missing, not_saved] = notices
    assert missing.endswith("It is rebuilt from the catalog.")
    assert "is being written by process" in not_saved
    assert not_saved.endswith("The rebuilt vector index is used without being saved.")


def test_a_vector_file_that_newer_generations_have_deleted_is_not_rebuilt(
    approximate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing((snapshot := open_snapshot(approximate, index_device="cpu", notice=pytest.fail)).catalog):
        (approximate / "vectors-1.faiss").unlink()
        monkeypatch.setattr("echo_index.indexer.generations.vector_file.manifest_stamp", lambda index_dir: (0, 0))
        with pytest.raises(IndexDamaged, match=r"vectors-1\.faiss cannot be read"):
            _ = snapshot.vectors  # its caller opens the newest generation instead
        assert not (approximate / "vectors-1.faiss").exists()


def test_rebuilt_vectors_are_not_saved_if_a_newer_generation_is_committed_meanwhile(
    approximate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stamps = iter([manifest_stamp(approximate), (0, 0)])
    (approximate / "vectors-1.faiss").unlink()
    with closing((snapshot := open_snapshot(approximate, index_device="cpu")).catalog):
        monkeypatch.setattr("echo_index.indexer.generations.vector_file.manifest_stamp", lambda index_dir: next(stamps))
        assert snapshot.vectors.count == snapshot.manifest.chunks
        assert not (approximate / "vectors-1.faiss").exists()


def test_vectors_are_loaded_when_they_are_needed(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    codes = Catalog.codes
    monkeypatch.setattr(
        Catalog, "codes", lambda self, kind, **options: (loaded.append(kind), codes(self, kind, **options))[1]
    )
    with closing((snapshot := open_snapshot(index)).catalog):
        some = snapshot.chunk_vectors([3, 5])
        assert snapshot.chunk_vectors([]).shape == (0, 32)
        assert snapshot.matching(LexicalQuery(("whales",)), k=3, where=SearchFilter())
        assert (snapshot.stored_vectors.kind, loaded) == ("exact", [])
        snapshot.load_early()
        for thread in threading.enumerate():
            if thread.name == "vectors":
                thread.join()
        assert loaded == ["echo"]
        assert snapshot.vectors is snapshot.vectors
        assert loaded == ["echo"]
        assert snapshot.chunk_vectors([3, 5]) == pytest.approx(some, abs=1e-6)


def test_codes_that_sqlite_joins_incompletely_are_read_one_by_one(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing((snapshot := open_snapshot(index)).catalog) as catalog:
        ids, codes = catalog.codes("echo", generation=1)
        monkeypatch.setattr(
            "echo_index.indexer.catalog.stored_vectors._JOINED_CODES", "CAST(substr(group_concat(code), 1, 9) AS BLOB)"
        )
        again, read = catalog.codes("echo", generation=1)
        assert again.tolist() == ids.tolist()
        assert read.tobytes() == codes.tobytes()
        assert len(ids) == snapshot.manifest.chunks


@pytest.mark.parametrize("block", [1, 1024])
def test_codes_of_different_lengths_are_reported_as_damage(
    index: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr("echo_index.indexer.catalog.stored_vectors._CODES_BLOCK", block)
    with closing(Database(index / "catalog.sqlite")) as database, database.transaction() as connection:
        connection.execute("UPDATE vector_codes SET code = x'0102' WHERE chunk = 2")
    with closing((snapshot := open_snapshot(index)).catalog), pytest.raises(IndexDamaged, match="cannot be read"):
        _ = snapshot.vectors


def test_errors_of_loading_early_are_told_by_who_needs_the_vectors(index: Path) -> None:
    with closing(Database(index / "catalog.sqlite")) as database, database.transaction() as connection:
        connection.execute("DELETE FROM vector_codes WHERE chunk = 1")
    with closing((snapshot := open_snapshot(index)).catalog):
        snapshot.stored_vectors.load_early()
        with pytest.raises(IndexDamaged, match="without a vector"):
            _ = snapshot.vectors


def test_the_vector_file_of_another_index_is_replaced(approximate: Path, tmp_path: Path) -> None:
    before = contents(approximate)
    for number in range(20):
        write(tmp_path / "other", **{f"one{number}": f"# One\n\nNumber {number}.\n"})
    build(tmp_path / "other", tmp_path / "other/index")
    shutil.copy(tmp_path / "other/index/vectors-1.faiss", approximate)
    assert contents(approximate) == before


def test_a_missing_catalog_is_an_error(index: Path) -> None:
    (index / "catalog.sqlite").unlink()
    with pytest.raises(IndexDamaged, match=r"catalog\.sqlite is missing") as caught:
        open_snapshot(index)
    assert "--rebuild" in caught.value.remedy
    assert not (index / "catalog.sqlite").exists()


def test_a_catalog_that_contradicts_the_manifest_is_an_error(index: Path) -> None:
    write_manifest(index, replace(read_manifest(index), chunks=19))
    with pytest.raises(IndexDamaged, match="holds 20 passages, but the manifest says 19") as caught:
        open_snapshot(index)
    assert "echo-index verify" in caught.value.remedy


def test_a_text_without_a_vector_is_embedded_by_the_next_build(index: Path, built: Path) -> None:
    with closing(Database(index / "catalog.sqlite")) as database, database.transaction() as connection:
        connection.execute("DELETE FROM vector_codes WHERE chunk = 1")
    with (
        closing((snapshot := open_snapshot(index)).catalog),
        pytest.raises(IndexDamaged, match="without a vector") as caught,
    ):
        _ = snapshot.vectors
    assert caught.value.remedy == "Embed them: echo-index build FOLDER"
    for path in built.parent.glob("*.md"):
        shutil.copy2(path, index.parent)
    assert build(index.parent, index).embedded == 1
    assert contents(index)["vectors"] == contents(built)["vectors"]


def test_a_folder_without_an_index_has_no_snapshot(tmp_path: Path) -> None:
    with pytest.raises(IndexMissing):
        open_snapshot(tmp_path)
    assert list(tmp_path.iterdir()) == []
