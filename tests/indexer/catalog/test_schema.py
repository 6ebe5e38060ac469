"""The tables of a catalog: they are created and migrated; later versions and missing tables are reported."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from indexer_helpers import (
    WordEncoder,
    build,
    contents,
    documents,
    full_text_is_right,
    make_version_2,
    make_version_7,
    write,
)
from repository import FIXTURES

from echo_index.errors import IndexDamaged, IndexMismatch
from echo_index.indexer.building.built_with import read_built_with
from echo_index.indexer.building.removal import remove_documents
from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.catalog.records import ChunkRow, DocumentRow, LexicalQuery, SearchFilter
from echo_index.indexer.catalog.schema import SCHEMA_VERSION, migrate, validate_tables
from echo_index.indexer.generations.manifest import read_manifest
from echo_index.indexer.generations.snapshot import open_snapshot
from echo_index.indexer.storage.sqlite import Database

FORMAT_1 = FIXTURES / "indexes" / "format-1.zip"
"""A folder with the index that the first version built of it, its catalog without a version and without checksums."""


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Path]:
    """Return the folder; the index lies hidden in it."""
    with zipfile.ZipFile(FORMAT_1) as archive:
        archive.extractall(tmp_path)
    return tmp_path / "docs"


def version(path: Path) -> int:
    with closing(Database(path)) as database:
        return int(database.value("PRAGMA user_version"))


def test_a_new_catalog_has_the_newest_schema(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    with closing(Catalog(path, create=True)) as catalog:
        columns = {row[1] for row in catalog.database.rows("PRAGMA table_info(documents)", {})}
    assert "titled" in columns
    assert version(path) == SCHEMA_VERSION


def test_migrating_again_changes_nothing(tmp_path: Path) -> None:
    with closing(Database(tmp_path / "catalog.sqlite", create=True)) as database:
        migrate(database)
        before = database.rows("SELECT sql FROM sqlite_master")
        migrate(database)
        assert database.rows("SELECT sql FROM sqlite_master") == before


def test_a_migration_that_fails_is_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(Database(tmp_path / "catalog.sqlite", create=True)) as database:
        with monkeypatch.context() as patch, pytest.raises(IndexDamaged):
            patch.setattr(
                "echo_index.indexer.catalog.schema._MIGRATIONS",
                ("CREATE TABLE one (a);", "ALTER TABLE nowhere ADD COLUMN b;"),
            )
            migrate(database)
        assert database.rows("SELECT name FROM sqlite_master") == []
        migrate(database)
        validate_tables(database)


def test_a_later_schema_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    Catalog(path, create=True).close()
    with closing(Database(path)) as database:
        database.rows(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    for options in ({}, {"write": True}, {"create": True}):
        with pytest.raises(IndexMismatch, match=f"has schema version {SCHEMA_VERSION + 1}") as caught:
            Catalog(path, **options)
        assert "--index FOLDER" in caught.value.remedy


@pytest.mark.parametrize("table", ["settings", "documents", "chunks", "vector_codes", "terms", "exact_words"])
def test_a_missing_table_is_named(tmp_path: Path, table: str) -> None:
    path = tmp_path / "catalog.sqlite"
    Catalog(path, create=True).close()
    with closing(Database(path)) as database, database.transaction() as connection:
        connection.execute(f"DROP TABLE {table}")
    for write_it in (False, True):
        with pytest.raises(IndexDamaged, match=f"it has no table {table}"):
            Catalog(path, write=write_it)


def test_a_catalog_of_version_2_can_be_searched_and_migrated(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    german, english = "Die Häuser stehen am Meer, und der Wal ist nicht in dem Meer.", "The whales of the deep sea"
    queries = (LexicalQuery(("whale",)), LexicalQuery((), ("deep sea",)), LexicalQuery((), (), ("wha",)))

    def found(catalog: Catalog, query: LexicalQuery) -> list[int]:
        return [key for key, _ in catalog.match(query, k=9, where=SearchFilter(), generation=1)]

    with closing(Catalog(path, create=True)) as catalog:
        for name, text in (("a.txt", german), ("b.txt", english)):
            row = ChunkRow(text, ("One", "Two"), 0, len(text), None, 1, text.encode())
            catalog.put_document(DocumentRow(name, name, 1, 1, "text", name), [row], generation=1)
    make_version_2(path)
    with closing(Catalog(path)) as reader:
        assert [found(reader, query) for query in queries] == [[2], [2], [2]]
        assert found(reader, LexicalQuery(("Haus",))) == []
        assert reader.languages() == ["english"]
        with closing(Catalog(path, write=True)):
            assert version(path) == SCHEMA_VERSION
            assert full_text_is_right(path)
        assert [found(reader, query) for query in queries] == [[2], [2], [2]], "who had it open reads on"
        assert found(reader, LexicalQuery(("Haus",))) == found(reader, LexicalQuery((), ("Die Häuser",))) == [1]
        assert reader.languages() == ["english", "german"]
        assert {row.language for row in reader.current_documents().values()} == {"english", "german"}


def test_an_index_of_the_first_version_can_be_searched(old: Path) -> None:
    index = old / ".echo-index"
    before = {path.name: path.read_bytes() for path in index.iterdir()}
    answers = contents(index)
    assert len(answers["chunks"]) == 8
    assert answers["failures"] == [("broken.pdf", "It is not a readable PDF: data format error.")]
    assert documents(index)["untitled.txt"] == ["A text without a title. Only its name could be one."]
    with closing(open_snapshot(index, index_device="cpu", notice=pytest.fail).catalog):
        pass
    assert {name: (index / name).read_bytes() for name in before} == before
    assert version(index / "catalog.sqlite") == 0


UNTITLED = "A text without a title. Only its name could be one."
"""The only text that is embedded anew, as its file is read again: the first version embedded its name with it."""


def test_an_index_of_the_first_version_is_updated_without_embedding_again(old: Path) -> None:
    index = old / ".echo-index"
    before = contents(index)
    built_with = read_built_with(index)
    assert built_with is not None and built_with.encoder == WordEncoder().config()
    encoder = WordEncoder()
    report = build(old, index, encoder)
    assert (report.read_again, report.embedded, encoder.embedded[0]) == (True, 1, UNTITLED)
    assert version(index / "catalog.sqlite") == SCHEMA_VERSION
    assert read_manifest(index).has_checksums
    after = contents(index)
    assert [len(after["chunks"]), after["failures"]] == [len(before["chunks"]), before["failures"]]
    before, encoder = after, WordEncoder()
    write(old, new="# New\n\nNew.\n")
    report = build(old, index, encoder)
    assert (report.added, encoder.embedded) == (1, ["# New\n\nNew."])
    assert read_manifest(index).has_checksums
    (old / "new.md").unlink()
    build(old, index, encoder)
    assert contents(index) == before


def test_a_document_can_be_removed_from_an_index_of_the_first_version(old: Path) -> None:
    index = old / ".echo-index"
    remove_documents(["whales.md"], index)
    assert "whales.md" not in documents(index)
    assert version(index / "catalog.sqlite") == SCHEMA_VERSION


def test_a_damaged_manifest_of_the_first_version_is_replaced_without_embedding(old: Path) -> None:
    index = old / ".echo-index"
    before = contents(index)
    (index / "manifest.json").write_bytes(b"")
    encoder = WordEncoder()
    build(old, index, encoder)
    after = contents(index)
    assert [len(after["chunks"]), after["failures"]] == [len(before["chunks"]), before["failures"]]
    assert {*encoder.embedded} - encoder_canaries(index) <= {UNTITLED}


def encoder_canaries(index: Path) -> set[str]:
    return {canary.text for canary in read_manifest(index).canaries}


def test_vectors_in_half_precision_are_read_and_encoded(tmp_path: Path) -> None:
    write(tmp_path, **{f"note{number}": f"# Note {number}\n\nWhale {number} swims.\n" for number in range(20)})
    index = tmp_path / ".index"
    build(tmp_path, index, compare=True)
    before = contents(index)
    make_version_7(index / "catalog.sqlite")
    with closing(Catalog(index / "catalog.sqlite")) as reader:
        assert reader.count_vectors(generation=1) == reader.count_classical_vectors(generation=1) == 20
        assert_near(contents(index)["vectors"], before["vectors"])
        ids = [int(key) for key in reader.chunk_ids(SearchFilter(), generation=1)]
        half_precision = reader.vectors_of(ids)
        Catalog(index / "catalog.sqlite", write=True).close()
        # Who had it open reads on.
        np.testing.assert_allclose(reader.vectors_of(ids), half_precision, atol=2e-3)
    assert version(index / "catalog.sqlite") == SCHEMA_VERSION
    make_version_7(index / "catalog.sqlite")
    assert build(tmp_path, index, compare=True).embedded == 0
    assert contents(index)["chunks"] == before["chunks"]
    with closing(Catalog(index / "catalog.sqlite")) as catalog:
        assert catalog.count_classical_vectors(generation=1) == 20
        tables = {name for (name,) in catalog.database.rows("SELECT name FROM sqlite_master")}
        assert not tables & {"vectors", "classical_vectors"}


def assert_near(one: dict[bytes, list[float]], other: dict[bytes, list[float]]) -> None:
    assert one.keys() == other.keys()
    for key, vector in one.items():
        np.testing.assert_allclose(vector, other[key], atol=2e-3)


def test_the_full_text_is_filled_anew_when_the_analyzer_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, text = tmp_path / "catalog.sqlite", "The whales of the deep sea"
    with monkeypatch.context() as patch:
        patch.setattr("echo_index.indexer.catalog.fts_index.document_terms", lambda text, language: ["another"])
        patch.setattr("echo_index.indexer.catalog.fts_index.analyzer_version", lambda: "another")
        with closing(Catalog(path, create=True)) as catalog:
            row = ChunkRow(text, (), 0, len(text), None, 1, text.encode())
            catalog.put_document(DocumentRow("a.txt", "a", 1, 1, "text", "a"), [row], generation=1)
            catalog.compact()
            assert catalog.setting("full text merged") == "1"
        assert full_text_is_right(path)
    assert not full_text_is_right(path)
    with closing(Catalog(path, write=True)) as catalog:
        assert full_text_is_right(path)
        assert catalog.setting("full text merged") is None
        catalog.remove_documents(["a.txt"], generation=2)
        catalog.purge(before=2)
    assert full_text_is_right(path)
