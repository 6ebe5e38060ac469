"""An index that was exported and imported is the same index."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from indexer_helpers import (
    WordEncoder,
    build,
    contents,
    make_version_2,
    make_version_3,
    make_version_7,
    make_version_8,
    write,
)
from repository import FIXTURES

from echo_index.app.services.status import index_facts
from echo_index.errors import ExchangeError, IndexDamaged
from echo_index.indexer.catalog.catalog import CATALOG, Catalog
from echo_index.indexer.catalog.exchange_rows import index_settings
from echo_index.indexer.catalog.vector_codes import decode_vectors, encode_vectors
from echo_index.indexer.exchange import export_index as exporting
from echo_index.indexer.exchange.export_index import export_index
from echo_index.indexer.exchange.import_index import import_index
from echo_index.indexer.generations import commit
from echo_index.indexer.generations.manifest import MANIFEST, read_manifest
from echo_index.indexer.generations.snapshot import open_snapshot
from echo_index.indexer.inspection.verify import verify_index
from echo_index.indexer.storage.sqlite import Database
from echo_index.retriever.search.retriever import Retriever

QUERIES = ("whales in the deep sea", "salt and rye", "who came home?", '"far away"', "nothing of the kind")
OF_THE_FOLDER = {"index", "generation", "disk_bytes", "bytes_by_part"}
"""Facts that an index does not take with it."""


def facts(index_dir: Path) -> dict[str, Any]:
    snapshot = open_snapshot(index_dir, index_device="cpu")
    with closing(snapshot.catalog):
        return {name: value for name, value in index_facts(snapshot, index_dir).items() if name not in OF_THE_FOLDER}


def vectors(index_dir: Path) -> list[np.ndarray[Any, Any]]:
    """Return the echo and the classical vectors in the order of the chunks, as whole numbers that show each bit."""
    snapshot = open_snapshot(index_dir, index_device="cpu")
    generation = snapshot.manifest.generation
    with closing(snapshot.catalog) as catalog:
        kinds = (catalog.vectors(generation=generation), catalog.classical_vectors(generation=generation))
        return [np.concatenate([block for _, block in kind]).view(np.int32) for kind in kinds]


def hits(index_dir: Path) -> list[Any]:
    retriever = Retriever.open(index_dir, encoder=WordEncoder())  # type: ignore[arg-type]
    return [retriever.search(query, k=8, mode=mode) for query in QUERIES for mode in ("dense", "lexical", "hybrid")]


def problems(index_dir: Path) -> list[str]:
    checks = verify_index(index_dir, load_encoder=lambda config: WordEncoder())  # type: ignore[arg-type, return-value]
    return [problem for check in checks for problem in check.problems]


def rows(index_dir: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(Database(index_dir / read_manifest(index_dir).catalog_file)) as database:
        return database.rows(query)


@pytest.fixture
def copied(notes: Path, tmp_path: Path) -> Path:
    """Return a copy of the notes and their index."""
    return shutil.copytree(notes, tmp_path / "copied")


@pytest.fixture
def imported(exported: Path, tmp_path: Path) -> Path:
    import_index(exported, tmp_path / "imported")
    return tmp_path / "imported"


def test_everything_that_readers_see_is_the_same(notes: Path, imported: Path) -> None:
    assert contents(imported) == contents(notes / "index")
    for before, after in zip(vectors(notes / "index"), vectors(imported), strict=True):
        assert len(before) > 15 and np.array_equal(before, after)
    assert facts(imported) == facts(notes / "index")
    assert [len(found) > 1 for found in hits(imported)].count(True) > 10
    assert hits(imported) == hits(notes / "index")
    assert problems(imported) == []


def test_the_full_text_is_merged_in_each_index_for_itself(notes: Path, imported: Path) -> None:
    with closing(Catalog(notes / "index" / CATALOG)) as built, closing(Catalog(imported / CATALOG)) as catalog:
        assert built.setting("full text merged") is not None
        assert "full text merged" not in index_settings(built)
        assert catalog.setting("full text merged") == str(catalog.newest_chunk())


def test_every_column_of_documents_and_chunks_is_the_same(notes: Path, imported: Path) -> None:
    documents = (
        "SELECT path, hash, size, modified_ns, format, title, failure, titled, language, omissions, recognition, "
        "archive, fields FROM documents WHERE removed IS NULL ORDER BY path"
    )
    before = rows(notes / "index", documents)
    assert {row[0] for row in before} >= {"docs/broken.pdf", "docs/letters.zip", "docs/empty.md", "docs/whales.md"}
    assert rows(imported, documents) == before
    chunks = (
        "SELECT path, text, headings, start, end, page, line, chunks.hash, place, table_header, anchors, "
        "chunks.recognition FROM chunks JOIN documents ON documents.id = document WHERE removed IS NULL "
        "ORDER BY chunks.id"
    )
    before = rows(notes / "index", chunks)
    assert any(row[9] for row in before) and any(row[10] != "[]" for row in before), "tables and pages are among them"
    assert rows(imported, chunks) == before
    settings = "SELECT * FROM settings WHERE name NOT IN ('manifest', 'purged') ORDER BY name"
    assert rows(imported, settings) == rows(notes / "index", settings)


def test_a_later_build_embeds_nothing_and_reads_nothing(exported: Path, copied: Path) -> None:
    shutil.rmtree(copied / "index")
    import_index(exported, copied / "index")
    before = (copied / "index" / MANIFEST).read_bytes()
    encoder = WordEncoder()
    report = build(copied / "docs", copied / "index", encoder)
    assert (encoder.embedded, report.added, report.changed, report.removed) == ([], 0, 0, 0)
    assert report.unchanged == 8 and report.left_out == 1 and not report.read_again
    assert (copied / "index" / MANIFEST).read_bytes() == before, "no new generation was needed"
    (copied / "docs/new.md").write_text("# New\n\nOne more.\n")
    build(copied / "docs", copied / "index", encoder)
    assert encoder.embedded == ["# New\n\nOne more."]
    assert problems(copied / "index") == []


def test_it_can_go_on_and_on(exported: Path, imported: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.parquet"
    export_index(imported, again)
    assert pq.read_table(again).equals(pq.read_table(exported))


def test_a_context_comes_back(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/a.md").write_text("# Ferry\n\nIt leaves at eight.\n")
    build(tmp_path / "docs", tmp_path / "index", context="Notes of a museum")
    export_index(tmp_path / "index", tmp_path / "a.parquet")
    import_index(tmp_path / "a.parquet", tmp_path / "copy")
    manifest = read_manifest(tmp_path / "copy")
    assert (manifest.context, manifest.format_version) == ("Notes of a museum", 6)
    encoder = WordEncoder()
    build(tmp_path / "docs", tmp_path / "copy", encoder)
    assert encoder.embedded == [] and problems(tmp_path / "copy") == []


def test_an_approximate_index_gets_its_file(
    notes: Path, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("echo_index.indexer.vectors.index_kind.EXACT_UP_TO", 10)
    import_index(exported, tmp_path / "copy")
    assert (tmp_path / "copy" / "vectors-1.faiss").exists()
    assert contents(tmp_path / "copy")["counts"] == contents(notes / "index")["counts"]
    assert problems(tmp_path / "copy") == []

    def fail(catalog: Catalog, manifest: object) -> None:
        raise IndexDamaged("Something is wrong.")

    monkeypatch.setattr(commit, "store_manifest", fail)
    with pytest.raises(IndexDamaged):
        import_index(exported, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_an_index_without_passages_comes_back(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/empty.md").write_text(" \n\n")
    build(tmp_path / "docs", tmp_path / "index")
    export_index(tmp_path / "index", tmp_path / "a.parquet")
    assert pq.read_table(tmp_path / "a.parquet").num_rows == 0
    import_index(tmp_path / "a.parquet", tmp_path / "copy")
    assert facts(tmp_path / "copy") == facts(tmp_path / "index")


@pytest.mark.parametrize("dimension", [1, 19, 20, 32, 640])
def test_vectors_are_encoded_to_the_same_bits_again(dimension: int) -> None:
    chance = np.random.default_rng(dimension)
    given = chance.standard_normal((2000, dimension)).astype(np.float32)
    given[:, : dimension // 20] *= 40  # as language models have them
    given *= chance.uniform(1e-3, 1e3, (2000, 1)).astype(np.float32)

    def stored(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        codes = b"".join(encode_vectors(values, [b""] * len(values)))
        return decode_vectors(np.frombuffer(codes, dtype=np.uint8).reshape(len(values), -1))

    first = stored(given)
    assert np.array_equal(stored(first).view(np.int32), first.view(np.int32))


@pytest.mark.parametrize("make", [make_version_8, make_version_7, make_version_3, make_version_2])
def test_an_index_of_an_earlier_version_leaves_as_the_next_build_would_make_it(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    write(
        tmp_path / "docs", lune="# La lune\n\nLa lune est loin de nous, et elle est belle.\n", sea="# Sea\n\nIt sings."
    )
    build(tmp_path / "docs", tmp_path / "index", compare=True)
    catalog = tmp_path / "index" / CATALOG
    make(catalog)
    before = catalog.read_bytes()
    export_index(tmp_path / "index", tmp_path / "early.parquet")
    assert catalog.read_bytes() == before
    import_index(tmp_path / "early.parquet", tmp_path / "new")
    with closing(Catalog(catalog, write=True)):
        pass  # as the next build opens it
    assert contents(tmp_path / "new") == contents(tmp_path / "index")
    assert rows(tmp_path / "new", "SELECT language FROM documents ORDER BY path") == [("french",), ("english",)]
    assert problems(tmp_path / "new") == []


def test_the_index_of_the_first_release_leaves_and_comes_back(tmp_path: Path) -> None:
    with zipfile.ZipFile(FIXTURES / "indexes" / "version-0.1.zip") as archive:
        archive.extractall(tmp_path)
    index_dir = tmp_path / "docs/.echo-index"
    export_index(index_dir, tmp_path / "early.parquet")
    import_index(tmp_path / "early.parquet", tmp_path / "docs/new")
    assert [check for check in verify_index(tmp_path / "docs/new") if check.problems] == []
    before, after = read_manifest(index_dir), read_manifest(tmp_path / "docs/new")
    assert (after.encoder, after.canaries, after.chunks) == (before.encoder, before.canaries, before.chunks)
    assert after.format_version < 5, "the next build estimates what that version did not know"


def test_pandas_and_polars_read_it(exported: Path) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    polars = pytest.importorskip("polars", reason="polars is not installed")
    frame = pandas.read_parquet(exported)
    assert frame[frame.path == "docs/moon.pdf"].page.tolist() == [1]
    assert np.stack(frame.vector).shape == (len(frame), 32) and np.stack(frame.vector).dtype == np.float32
    whales = frame[frame.path == "docs/whales.md"].iloc[0]
    assert json.loads(whales.fields) == {"author": ["Ng"], "year": [1851], "tags": ["sea", "song"]}
    assert (whales.title, whales.headings[0], whales.format) == ("Whales", "Whales", "markdown")
    assert str(frame.modified.dtype) == "datetime64[ns, UTC]"
    assert polars.read_parquet(exported).select("vector").row(0)[0] == pytest.approx(frame.vector[0].tolist())


def test_duckdb_reads_it(exported: Path) -> None:
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    query = f"SELECT text FROM '{exported}' ORDER BY list_distance(vector, (SELECT vector FROM '{exported}' LIMIT 1))"
    assert duckdb.execute(query).fetchone()[0] == pq.read_table(exported)["text"][0].as_py()
    fields = f"SELECT DISTINCT path FROM '{exported}' WHERE fields->>'$.author[0]' = 'Ng' AND headings[1] = 'Whales'"
    assert duckdb.execute(fields).fetchall() == [("docs/whales.md",)]


def test_lance_reads_it(exported: Path, tmp_path: Path) -> None:
    lance = pytest.importorskip("lance", reason="pylance is not installed")
    dataset = lance.write_dataset(pq.read_table(exported), tmp_path / "notes.lance")
    wanted = pq.read_table(exported)["vector"][3].as_py()
    nearest = dataset.to_table(nearest={"column": "vector", "q": np.array(wanted, dtype=np.float32), "k": 1})
    assert nearest["vector"][0].as_py() == wanted


def test_normalized_vectors_are_those_that_search_compares(notes: Path, tmp_path: Path) -> None:
    export_index(notes / "index", tmp_path / "a.parquet", normalized=True)
    table = pq.read_table(tmp_path / "a.parquet")
    exported_vectors = np.array(table["normalized_vector"].to_pylist(), dtype=np.float32)
    snapshot = open_snapshot(notes / "index", index_device="cpu")
    assert not snapshot.normalization.is_identity
    ids = [int(key) for keys, _ in snapshot.catalog.vectors(generation=snapshot.manifest.generation) for key in keys]
    assert np.allclose(exported_vectors, snapshot.chunk_vectors(ids), atol=1e-6)
    import_index(tmp_path / "a.parquet", tmp_path / "copy")
    assert contents(tmp_path / "copy") == contents(notes / "index")


def test_an_export_is_written_in_parts_and_tells_how_far_it_is(
    notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "_BLOCK", 7)
    told: list[tuple[int, int]] = []
    report = export_index(notes / "index", tmp_path / "a.parquet", progress=lambda *done: told.append(done))
    total = report.chunks
    assert told == [*((done, total) for done in range(0, total, 7)), (total, total)]
    file = pq.ParquetFile(tmp_path / "a.parquet")
    assert {file.metadata.row_group(n).num_rows for n in range(file.num_row_groups - 1)} == {7}
    told.clear()
    import_index(tmp_path / "a.parquet", tmp_path / "copy", progress=lambda *done: told.append(done))
    assert told[0] == (0, total) and told[-1] == (total, total)


def test_an_export_never_leaves_half_a_file(notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"before")

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_index(notes / "index", path, overwrite=True, progress=stop)
    with pytest.raises(ExchangeError, match=r"a\.parquet exists already.*--overwrite"):
        export_index(notes / "index", path)
    with pytest.raises(ExchangeError, match="is a folder"):
        export_index(notes / "index", tmp_path)
    with pytest.raises(ExchangeError, match=r"There is no folder .*nowhere"):
        export_index(notes / "index", tmp_path / "nowhere/a.parquet")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.parquet"] and path.read_bytes() == b"before"
    export_index(notes / "index", path, overwrite=True)
    assert pq.read_table(path).num_rows == read_manifest(notes / "index").chunks


def test_a_passage_that_is_missing_is_told_and_nothing_is_written(copied: Path, tmp_path: Path) -> None:
    with closing(Database(copied / "index" / CATALOG)) as database, database.transaction() as connection:
        connection.execute("DELETE FROM chunks WHERE id = (SELECT max(id) FROM chunks)")
    with pytest.raises(IndexDamaged, match=r"holds \d+ passages, but the manifest says \d+"):
        export_index(copied / "index", tmp_path / "a.parquet")
    assert not (tmp_path / "a.parquet").exists()


def test_a_damaged_vector_does_not_leave_the_index_as_if_it_were_whole(copied: Path, tmp_path: Path) -> None:
    with closing(Database(copied / "index" / CATALOG)) as database, database.transaction() as connection:
        [(key, code)] = connection.execute("SELECT chunk, code FROM vector_codes LIMIT 1").fetchall()
        changed = code[:-1] + bytes([code[-1] ^ 1])
        connection.execute("UPDATE vector_codes SET code = ? WHERE chunk = ?", (changed, key))
    with pytest.raises(IndexDamaged, match=r"a vector that is not as it was stored.*verify --repair"):
        export_index(copied / "index", tmp_path / "a.parquet")
    assert not (tmp_path / "a.parquet").exists()
