"""The file of an approximate index: changed instead of trained anew, measured, and made as a build was asked to."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import faiss
import numpy as np
import pyarrow.parquet as pq
import pytest
from indexer_helpers import WordEncoder, build, contents, write

from echo_index.errors import IndexDamaged, IndexKindError
from echo_index.indexer.building.removal import remove_documents
from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.catalog.records import SearchFilter
from echo_index.indexer.exchange.export_index import export_index
from echo_index.indexer.exchange.import_index import import_index
from echo_index.indexer.generations.manifest import Manifest, read_manifest, with_needed_format, write_manifest
from echo_index.indexer.generations.recovery import store_manifest
from echo_index.indexer.generations.snapshot import open_snapshot
from echo_index.indexer.generations.vector_file_build import stored_choice, stored_queries
from echo_index.indexer.inspection.verify import verify_index
from echo_index.indexer.vectors.faiss_index import FaissIndex
from echo_index.indexer.vectors.index_kind import IndexDescription

KIND = "IVF2,PQ8x4fs"


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    for number in range(120):
        words = f"whale{number % 7} sea{number % 11} salt{number} boat{number % 5} storm{number % 13}"
        write(folder, **{f"note{number:03d}": f"# Note {number}\n\nThe {words} of harbour {number % 3}.\n"})
    return folder


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the kinds of the indexes that are trained."""
    kinds: list[str] = []
    train = FaissIndex.train.__func__  # type: ignore[attr-defined]

    def counted(cls: type[FaissIndex], kind: str, sample: object) -> FaissIndex:
        kinds.append(kind)
        return train(cls, kind, sample)  # type: ignore[no-any-return]

    monkeypatch.setattr(FaissIndex, "train", classmethod(counted))
    return kinds


def description(index_dir: Path) -> IndexDescription:
    described = read_manifest(index_dir).vector_index
    assert described is not None
    return described


def true_recall(index_dir: Path) -> float:
    """Compare the search of an index with that of its copy that is exact, for the queries it was measured with."""
    manifest = read_manifest(index_dir)
    with closing(Catalog(index_dir / manifest.catalog_file)) as catalog:
        queries = stored_queries(catalog, dimension=32)
    assert queries is not None
    normalized = manifest.normalizations.echo.normalize_queries(queries.vectors)
    snapshot = open_snapshot(index_dir, index_device="cpu")
    with closing(snapshot.catalog), snapshot.reading():
        ids, codes = snapshot.catalog.codes("echo", generation=manifest.generation)
        exact = type(snapshot.vectors._exact(ids))(ids, codes, manifest.normalizations.echo)  # type: ignore[union-attr]
        found = [{*dict(snapshot.vectors.search(query, k=10))} for query in normalized]
        wanted = [{*dict(exact.search(query, k=10))} for query in normalized]
    return sum(len(one & two) for one, two in zip(found, wanted, strict=True)) / (10 * len(found))


def test_a_build_measures_what_it_was_asked_to_make(notes: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    report = build(notes, index, index_kind=KIND, recall=0.9)
    described = description(index)
    assert report.vector_index == described
    assert (described.kind, described.target) == (KIND, 0.9)
    assert described.queries > 100 and described.queries_per_second > 0
    assert described.bytes_per_vector == pytest.approx((index / "vectors-1.faiss").stat().st_size / 120, rel=0.2)
    assert described.recall is not None and described.recall >= 0.9
    assert true_recall(index) == pytest.approx(described.recall, abs=0.03)  # equal cosines change places
    assert read_manifest(index).format_version == 7  # which earlier versions do not open
    assert {check.name for check in verify_index(index) if check.problems} == set()


def test_it_finds_what_an_exact_index_finds(notes: Path, tmp_path: Path) -> None:
    build(notes, tmp_path / "index", index_kind=KIND, recall=1)
    build(notes, tmp_path / "exact")
    assert contents(tmp_path / "index")["hits"] == contents(tmp_path / "exact")["hits"]


def test_changes_are_brought_in_without_training(notes: Path, tmp_path: Path, trainings: list[str]) -> None:
    index = tmp_path / "index"
    build(notes, index, index_kind=KIND)
    write(notes, zebra="# Zebra\n\nA zebra of the savanna.\n", note003="# Note 3\n\nIt was changed.\n")
    (notes / "note007.md").unlink()
    report = build(notes, index)
    assert (report.added, report.changed, report.removed) == (1, 1, 1)
    assert trainings == [KIND]
    assert {check.name for check in verify_index(index) if check.problems} == set()
    remove_documents(["notes/note008.md"], index_dir=index)
    assert trainings == [KIND]
    assert {check.name for check in verify_index(index) if check.problems} == set()
    assert description(index).recall == pytest.approx(true_recall(index), abs=0.03)
    manifest = read_manifest(index)
    with closing(Catalog(index / "catalog.sqlite")) as catalog:
        visible = catalog.chunk_ids(SearchFilter(), generation=manifest.generation)
    held = FaissIndex.load(index / manifest.vectors_file, count=manifest.chunks).ids()
    assert held.tolist() == visible.tolist()


def test_a_build_that_finds_nothing_new_leaves_the_index_as_it_is(notes: Path, tmp_path: Path) -> None:
    build(notes, tmp_path / "index", index_kind=KIND)
    before = (tmp_path / "index/manifest.json").read_bytes()
    assert build(notes, tmp_path / "index").vector_index is None
    assert (tmp_path / "index/manifest.json").read_bytes() == before


def test_a_kind_that_is_named_again_is_trained_anew(notes: Path, tmp_path: Path, trainings: list[str]) -> None:
    index = tmp_path / "index"
    build(notes, index, index_kind=KIND)
    build(notes, index, index_kind=KIND)
    assert trainings == [KIND, KIND]
    build(notes, index, index_kind="IVF1,SQ8")
    assert trainings[2:] == ["IVF1,SQ8"]
    assert description(index).kind == "IVF1,SQ8"
    build(notes, index, index_kind="exact")
    assert read_manifest(index).vector_index is None
    assert read_manifest(index).format_version == 5  # which earlier versions open
    assert build(notes, index, index_kind="auto").vector_index is None


def test_another_recall_is_measured_without_training(notes: Path, tmp_path: Path, trainings: list[str]) -> None:
    index = tmp_path / "index"
    build(notes, index, index_kind="IVF1,PQ2x4fs", recall=0.5)
    few = description(index).parameters.candidates
    build(notes, index, recall=1)
    assert description(index).target == 1
    assert description(index).parameters.candidates > few
    assert trainings == ["IVF1,PQ2x4fs"]


def test_a_graph_and_many_changes_get_a_new_index(notes: Path, tmp_path: Path, trainings: list[str]) -> None:
    index = tmp_path / "index"
    build(notes, index, index_kind="HNSW4,SQ8")
    write(notes, zebra="# Zebra\n\nA zebra.\n")
    build(notes, index)
    assert trainings == ["HNSW4,SQ8"]  # it takes more
    (notes / "note007.md").unlink()
    build(notes, index)
    assert trainings == ["HNSW4,SQ8"] * 2  # but forgets nothing
    assert {check.name for check in verify_index(index) if check.problems} == set()


def test_a_damaged_file_before_is_no_reason_to_fail(notes: Path, tmp_path: Path, trainings: list[str]) -> None:
    build(notes, tmp_path / "index", index_kind=KIND)
    (tmp_path / "index/vectors-1.faiss").write_bytes(b"garbage")
    write(notes, zebra="# Zebra\n\nA zebra.\n")
    build(notes, tmp_path / "index")
    assert trainings == [KIND, KIND]
    assert {check.name for check in verify_index(tmp_path / "index") if check.problems} == set()


def test_an_unknown_kind_ends_a_build_before_anything_is_embedded(notes: Path, tmp_path: Path) -> None:
    encoder = WordEncoder()
    with pytest.raises(IndexKindError, match="There is no index kind 'nonsense'"):
        build(notes, tmp_path / "index", encoder, index_kind="nonsense")
    with pytest.raises(IndexKindError, match="must be above 0"):
        build(notes, tmp_path / "index", encoder, recall=0)
    assert encoder.embedded == []


def test_too_many_cells_end_a_build_and_lose_nothing(notes: Path, tmp_path: Path) -> None:
    with pytest.raises(IndexKindError, match="cannot be trained with 120 passages"):
        build(notes, tmp_path / "index", index_kind="IVF4096,PQ8x4fs")
    encoder = WordEncoder()
    build(notes, tmp_path / "index", encoder, index_kind=KIND)
    assert not [text for text in encoder.embedded if "# Note" in text], "they were embedded before"


def test_a_rebuild_keeps_the_kind(notes: Path, tmp_path: Path) -> None:
    build(notes, tmp_path / "index", index_kind=KIND, recall=0.7)
    build(notes, tmp_path / "index", rebuild=True)
    assert (description(tmp_path / "index").kind, description(tmp_path / "index").target) == (KIND, 0.7)


def test_an_export_leaves_the_file_behind_and_an_import_makes_its_own(notes: Path, tmp_path: Path) -> None:
    build(notes, tmp_path / "index", index_kind=KIND, recall=0.9)
    export_index(tmp_path / "index", tmp_path / "all.parquet")
    import_index(tmp_path / "all.parquet", tmp_path / "copy/index")
    copied = description(tmp_path / "copy/index")
    assert (copied.kind, copied.target) == (KIND, 0.9)
    assert copied.recall is not None and copied.recall >= 0.9, "the queries came along"
    assert {check.name for check in verify_index(tmp_path / "copy/index") if check.problems} == set()


def earlier_layout(index_dir: Path) -> None:
    """Give an index the file and the manifest of format 5: cells, and vectors of 8 bits, under ids of their own."""
    manifest = read_manifest(index_dir)
    snapshot = open_snapshot(index_dir, index_device="cpu")
    with closing(snapshot.catalog):
        [(ids, vectors)] = snapshot.catalog.vectors(generation=manifest.generation)
    vectors = manifest.normalizations.echo.normalize_documents(vectors)
    inner = faiss.index_factory(32, "IVF8,PQ8x4fs,Refine(SQ8)", faiss.METRIC_INNER_PRODUCT)
    inner.train(vectors)
    mapped = faiss.IndexIDMap2(inner)
    mapped.add_with_ids(vectors, ids)
    FaissIndex(mapped).save(index_dir / "vectors-1.faiss")
    old: Manifest = with_needed_format(replace(manifest, vectors_file="vectors-1.faiss", vector_index=None))
    with closing(Catalog(index_dir / "catalog.sqlite", write=True)) as catalog:
        store_manifest(catalog, old)
    write_manifest(index_dir, old)


def test_the_file_of_an_earlier_version_is_searched_and_then_replaced(
    notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = tmp_path / "index"
    build(notes, index)
    exact = contents(index)
    monkeypatch.setattr("echo_index.indexer.vectors.index_kind.EXACT_UP_TO", 10)
    monkeypatch.setattr("echo_index.indexer.generations.vector_file.EXACT_UP_TO", 10)
    earlier_layout(index)
    shutil.copytree(index, tmp_path / "before")
    found = contents(index)
    assert found["hits"].keys() == exact["hits"].keys()
    snapshot = open_snapshot(index, index_device="cpu")
    with closing(snapshot.catalog), snapshot.reading():
        assert snapshot.vectors.kind == "approximate"
        [(ids, vectors)] = snapshot.catalog.vectors(generation=1)
        normalized = snapshot.normalization.normalize_documents(vectors)
        for key, vector in list(zip(ids.tolist(), normalized, strict=True))[::10]:
            assert key in dict(snapshot.vectors.search(vector, k=5))
            assert [one for one, _ in snapshot.vectors.search(vector, k=5, among=ids[::2])]
    encoder = WordEncoder()
    build(notes, index, encoder)
    assert description(index).kind == "IVF1,PQ8x4fs"
    assert not [text for text in encoder.embedded if "# Note" in text]
    with closing(Catalog(index / "catalog.sqlite")) as catalog:
        assert stored_choice(catalog).kind == "auto"


def test_another_kind_for_more_passages_is_trained(
    notes: Path, tmp_path: Path, trainings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("echo_index.indexer.vectors.index_kind.EXACT_UP_TO", 10)
    monkeypatch.setattr("echo_index.indexer.vectors.index_kind._ONE_CELL_UP_TO", 120)
    build(notes, tmp_path / "index")
    write(notes, zebra="# Zebra\n\nA zebra.\n")
    build(notes, tmp_path / "index")
    assert trainings == ["IVF1,PQ8x4fs", "IVF32,PQ8x4fs"]
    assert description(tmp_path / "index").kind == "IVF32,PQ8x4fs"


@pytest.mark.parametrize("most_changed", [0.5, 100])
def test_many_changes_and_a_new_normalization_train_a_new_index(
    notes: Path, tmp_path: Path, trainings: list[str], most_changed: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("echo_index.indexer.generations.vector_file_build._MOST_CHANGED", most_changed)
    index = tmp_path / "index"
    build(notes, index, index_kind=KIND)
    before = read_manifest(index).normalizations.echo
    for number in range(130):
        write(notes, **{f"more{number:03d}": f"# More {number}\n\nA lion{number} of the desert{number % 9}.\n"})
    build(notes, index)
    assert read_manifest(index).normalizations.echo != before
    assert trainings == [KIND, KIND]
    assert {check.name for check in verify_index(index) if check.problems} == set()


def test_more_than_half_of_the_passages_train_a_new_index(notes: Path, tmp_path: Path, trainings: list[str]) -> None:
    index = tmp_path / "index"
    build(notes, index, index_kind=KIND)
    before = read_manifest(index).normalizations.echo
    for number in range(70):
        (notes / f"note{number:03d}.md").unlink()
    build(notes, index)
    assert read_manifest(index).normalizations.echo == before
    assert trainings == [KIND, KIND]


def test_queries_forget_what_was_removed_and_are_compared_again_if_they_know_too_little(
    notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("echo_index.indexer.generations.vector_file_build._MOST_CHANGED", 100)
    index = tmp_path / "index"
    build(notes, index, index_kind=KIND)
    for count in (10, 100):
        for number in range(count):
            (notes / f"note{number:03d}.md").unlink(missing_ok=True)
        build(notes, index)
        manifest = read_manifest(index)
        with closing(Catalog(index / "catalog.sqlite")) as catalog:
            visible = catalog.chunk_ids(SearchFilter(), generation=manifest.generation)
            queries = stored_queries(catalog, dimension=32)
        assert queries is not None
        assert {*queries.ids.ravel().tolist()} <= {*visible.tolist(), -1}
        assert description(index).queries > 60


def test_a_rebuild_after_a_removal_has_the_vectors_of_its_own_catalog(notes: Path, tmp_path: Path) -> None:
    build(notes, tmp_path / "index", index_kind=KIND)
    (notes / "note000.md").unlink()  # so that all others have other ids
    build(notes, tmp_path / "index", rebuild=True)
    assert {check.name for check in verify_index(tmp_path / "index") if check.problems} == set()


def test_passages_without_a_word_are_not_measured_and_not_built_again_and_again(tmp_path: Path) -> None:
    folder = tmp_path / "signs"
    for number in range(60):
        write(folder, **{f"sign{number:02d}": " ".join("§" * (1 + number % 7) + "¶" * (n % 3) for n in range(9))})
    build(folder, tmp_path / "index", index_kind="IVF1,SQ8")
    assert description(tmp_path / "index").recall is None
    before = (tmp_path / "index/manifest.json").read_bytes()
    build(folder, tmp_path / "index")
    assert (tmp_path / "index/manifest.json").read_bytes() == before


def test_an_import_without_queries_is_measured_by_the_next_build(notes: Path, tmp_path: Path) -> None:
    build(notes, tmp_path / "index", index_kind=KIND)
    with closing(sqlite3.connect(tmp_path / "index/catalog.sqlite")) as connection, connection:
        connection.execute("DELETE FROM settings WHERE name = 'held_out_queries'")
    export_index(tmp_path / "index", tmp_path / "all.parquet")
    import_index(tmp_path / "all.parquet", tmp_path / "copy")
    assert description(tmp_path / "copy").recall is None
    build(notes, tmp_path / "copy")
    assert description(tmp_path / "copy").recall is not None


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DELETE FROM vector_codes WHERE chunk = 5", "chunks without a vector"),
        ("UPDATE vector_codes SET code = substr(code, 1, 20) WHERE chunk = 5", "a vector cannot be read"),
    ],
)
def test_a_candidate_whose_vector_is_lost_is_told_as_damage(
    notes: Path, tmp_path: Path, statement: str, said: str
) -> None:
    build(notes, tmp_path / "index", index_kind=KIND)
    snapshot = open_snapshot(tmp_path / "index", index_device="cpu")
    with closing(snapshot.catalog), snapshot.reading():
        query = snapshot.chunk_vectors([5])[0]
        assert dict(snapshot.vectors.search(query, k=3))
    with closing(sqlite3.connect(tmp_path / "index/catalog.sqlite")) as connection, connection:
        connection.execute(statement)
    snapshot = open_snapshot(tmp_path / "index", index_device="cpu")
    with closing(snapshot.catalog), snapshot.reading(), pytest.raises(IndexDamaged, match=said):
        snapshot.vectors.search(query, k=3)


def test_a_file_with_the_vectors_of_other_passages_is_found_by_verify(notes: Path, tmp_path: Path) -> None:
    build(notes, tmp_path / "index", index_kind=KIND)
    snapshot = open_snapshot(tmp_path / "index", index_device="cpu")
    with closing(snapshot.catalog):
        [(ids, vectors)] = snapshot.catalog.vectors(generation=1)
    normalized = snapshot.normalization.normalize_documents(vectors)
    wrong = FaissIndex.train(KIND, normalized)
    wrong.add(ids, np.ascontiguousarray(-normalized))
    wrong.save(tmp_path / "index/vectors-1.faiss")
    [check] = [check for check in verify_index(tmp_path / "index") if check.problems]
    assert check.name == "vector index"
    assert re.fullmatch(r"of 120 vectors, \d+ do not find themselves in vectors-1\.faiss", check.problems[0])
    verify_index(tmp_path / "index", repair=True)
    assert not [check for check in verify_index(tmp_path / "index") if check.problems]


def exported_manifest(path: Path) -> dict[str, object]:
    metadata = pq.read_schema(path).metadata[b"echo_index"]
    manifest: dict[str, object] = json.loads(metadata)["manifest"]
    return manifest


def test_an_export_can_be_imported_by_earlier_versions(notes: Path, tmp_path: Path) -> None:
    build(notes, tmp_path / "index", index_kind=KIND)
    export_index(tmp_path / "index", tmp_path / "all.parquet")
    manifest = exported_manifest(tmp_path / "all.parquet")
    assert (manifest["format_version"], manifest["vectors_file"], "vector_index" in manifest) == (5, "", False)


def test_an_import_of_an_earlier_format_is_brought_up_to_date_by_the_next_build(
    notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(notes, tmp_path / "index")
    early = replace(read_manifest(tmp_path / "index"), format_version=4)
    with closing(Catalog(tmp_path / "index/catalog.sqlite", write=True)) as catalog:
        store_manifest(catalog, early)
    write_manifest(tmp_path / "index", early)
    export_index(tmp_path / "index", tmp_path / "all.parquet")
    for patched in ("vectors.index_kind", "generations.vector_file"):
        monkeypatch.setattr(f"echo_index.indexer.{patched}.EXACT_UP_TO", 10)
    import_index(tmp_path / "all.parquet", tmp_path / "copy")
    imported = read_manifest(tmp_path / "copy")
    assert (imported.format_version, imported.vector_index) == (4, None)
    assert contents(tmp_path / "copy")["hits"].keys() == contents(tmp_path / "index")["hits"].keys()
    build(notes, tmp_path / "copy")
    assert description(tmp_path / "copy").recall is not None
    assert read_manifest(tmp_path / "copy").format_version == 7
