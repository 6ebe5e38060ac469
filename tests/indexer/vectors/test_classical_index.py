"""The index of classical vectors: its normalization, when it is built and when it is freed."""

from __future__ import annotations

import gc
import weakref
from base64 import b64decode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
from indexer_helpers import WordEncoder, build, make_version_2, write

from echo_index.embeddings.vectors.vector_ops import Vectors
from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.catalog.records import SearchFilter
from echo_index.indexer.generations.snapshot import Snapshot, open_snapshot
from echo_index.indexer.vectors.normalization import VectorNormalization

QUESTION = "whales number seven in the sea"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    add(tmp_path / "notes", range(20))
    return tmp_path / "notes"


def add(folder: Path, numbers: range) -> None:
    for number in numbers:
        write(folder, **{f"note{number}": f"Whales number {number} swim. In a sea of {number * 7} salts.\n"})


def opened(folder: Path) -> Snapshot:
    return open_snapshot(folder / ".index", index_device="cpu")


@pytest.fixture
def snapshot(folder: Path) -> Iterator[Snapshot]:
    build(folder, folder / ".index", compare=True)
    snapshot = opened(folder)
    with closing(snapshot.catalog):
        yield snapshot


def forget_classical(folder: Path) -> None:
    path = folder / ".index/catalog.sqlite"
    make_version_2(path)
    with closing(Catalog(path)) as catalog, catalog.database.transaction() as connection:
        connection.execute("DROP TABLE classical_vectors")
        connection.execute("ALTER TABLE documents DROP COLUMN titled")
        connection.execute("PRAGMA user_version = 0")


def classical_of(texts: list[str]) -> Vectors:
    classical = WordEncoder().embedding_pair(texts).classical
    assert classical is not None
    return classical


def nearest(snapshot: Snapshot, *, where: SearchFilter | None = None) -> list[tuple[int, float]]:
    query = snapshot.classical.normalization.normalize_query(classical_of([QUESTION])[0])
    return snapshot.nearest_classical(query, k=100, where=where or SearchFilter())


def normalization_of(snapshot: Snapshot) -> VectorNormalization:
    normalization = snapshot.manifest.normalizations.classical
    assert normalization is not None
    return normalization


def test_search_uses_the_normalization_of_the_classical_vectors(snapshot: Snapshot) -> None:
    [(ids, vectors)] = snapshot.catalog.classical_vectors(generation=1)
    normalization = normalization_of(snapshot)
    [question] = normalization.normalize_queries(classical_of([QUESTION]))
    found = dict(nearest(snapshot))
    assert snapshot.classical.count == len(found) == 20
    assert [found[int(key)] for key in ids] == pytest.approx(
        (normalization.normalize_documents(vectors) @ question).tolist(), abs=1e-5
    )
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_echo_and_classical_vectors_have_different_normalizations(snapshot: Snapshot) -> None:
    [(_, vectors)] = snapshot.catalog.classical_vectors(generation=1)
    assert np.abs(normalization_of(snapshot).center_documents(vectors).mean(axis=0)).max() < 0.1
    mean = np.frombuffer(b64decode(normalization_of(snapshot).document_mean), "<f4")
    np.testing.assert_allclose(mean, vectors.mean(axis=0), atol=1e-6)
    assert snapshot.normalization != normalization_of(snapshot)
    assert snapshot.normalizations() == snapshot.manifest.normalizations


def test_few_chunks_have_the_identity_normalization_and_are_found(tmp_path: Path) -> None:
    add(tmp_path / "few", range(15))
    build(tmp_path / "few", tmp_path / "few/.index", compare=True)
    with closing((snapshot := opened(tmp_path / "few")).catalog):
        assert snapshot.normalizations() is None
        [(ids, vectors)] = snapshot.catalog.classical_vectors(generation=1)
        found = dict(nearest(snapshot))
        cosines = vectors @ classical_of([QUESTION])[0]
        assert [found[int(key)] for key in ids] == pytest.approx(cosines.tolist(), abs=1e-3)


def test_a_filter_is_applied_before_the_ranking(snapshot: Snapshot) -> None:
    [(key, _)] = nearest(snapshot, where=SearchFilter(paths=("note7.md",)))
    assert snapshot.catalog.chunks([key])[key].path == "note7.md"


def test_the_index_is_built_once_by_concurrent_searches(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    codes = Catalog.codes
    monkeypatch.setattr(
        Catalog,
        "codes",
        lambda self, *given, **options: made.append(1) or codes(self, *given, **options),  # type: ignore[func-returns-value]
    )
    together = Barrier(8)

    def ask(_: int) -> list[tuple[int, float]]:
        together.wait(timeout=20)
        return nearest(snapshot)

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask, range(8)))
    assert answers == [answers[0]] * 8
    assert len(made) == 1


def test_the_index_is_freed_with_its_snapshot(snapshot: Snapshot, folder: Path) -> None:
    other = opened(folder)
    nearest(other)
    reference = weakref.ref(other.classical)
    other.catalog.close()
    del other
    gc.collect()
    assert reference() is None


def test_chunks_of_an_older_index_have_no_classical_vectors(snapshot: Snapshot, folder: Path) -> None:
    nearest(snapshot)
    forget_classical(folder)
    with closing((old := opened(folder)).catalog):
        assert old.classical.count == 0
        assert old.normalizations() is not None, "what the manifest says was so when it was written"
        assert nearest(old) == []
        assert nearest(old, where=SearchFilter(paths=("note7.md",))) == []
    add(folder, range(20, 22))
    assert build(folder, folder / ".index", compare=False).embedded == 2
    assert build(folder, folder / ".index", compare=True).embedded == 22, "all are embedded, to have both vectors"
    with closing((grown := opened(folder)).catalog):
        assert grown.classical.count == len(nearest(grown)) == 22


def test_builds_store_classical_vectors_if_asked_and_remember_that(folder: Path) -> None:
    def stored(**options: object) -> tuple[int, int]:
        embedded = build(folder, folder / ".index", **options).embedded
        with closing((snapshot := opened(folder)).catalog):
            assert (snapshot.normalizations() is None) == (snapshot.classical.count == 0)
            return embedded, snapshot.classical.count

    assert stored() == (20, 0)
    assert stored(compare=True) == (20, 20)
    add(folder, range(20, 21))
    assert stored() == (1, 21)
    assert stored(rebuild=True) == (21, 21)
    assert stored(compare=False) == (0, 0)
    assert stored() == (0, 0)


def test_an_encoder_without_classical_vectors_gives_an_index_without_them(folder: Path) -> None:
    build(folder, folder / ".index", WordEncoder(twice=False), compare=True)
    with closing((snapshot := opened(folder)).catalog):
        assert snapshot.classical.count == 0
        assert snapshot.manifest.chunks == 20
    assert build(folder, folder / ".index", WordEncoder(twice=False)).embedded == 0, "there is nothing to wait for"


def test_both_vectors_of_a_removed_text_are_purged(folder: Path, snapshot: Snapshot) -> None:
    (folder / "note3.md").unlink()
    for number in range(3):  # generations; the previous one stays for its readers
        add(folder, range(30 + number, 31 + number))
        build(folder, folder / ".index", compare=True)
    with closing((now := opened(folder)).catalog):
        assert now.classical.count == now.manifest.chunks == 22
        tables = ("vector_codes", "classical_codes")
        with now.catalog.database.transaction() as connection:
            rows = [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables]
        assert rows == [22, 22]
