"""Verification: damage of every kind is found, and repaired where it can be derived."""

from __future__ import annotations

import shutil
import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from indexer_helpers import WordEncoder, build, contents, write
from repository import FIXTURES

from echo_index.errors import IndexBusy, IndexMissing, ModelError
from echo_index.indexer.generations.manifest import read_manifest
from echo_index.indexer.inspection.integrity_checks import Check
from echo_index.indexer.inspection.verify import verify_index
from echo_index.indexer.storage.writer_lock import writer_lock

NAMES = ["manifest", "catalog", "full text", "counts", "passages", "vectors", "classical", "model"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("folder")
    for number in range(20):
        write(folder, **{f"note{number}": f"# Note {number}\n\nWhales number {number} swim in the sea of salt.\n"})
    build(folder, folder / "index", compare=True)
    return folder


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Path:
    shutil.copytree(built, tmp_path / "folder")
    return tmp_path / "folder"


@pytest.fixture
def index(folder: Path) -> Path:
    return folder / "index"


def load(described: dict[str, Any]) -> Any:
    return WordEncoder(name=str(described["weights"]), dimension=int(described["dimension"]))


def problems(checks: list[Check]) -> dict[str, tuple[str, ...]]:
    return {check.name: check.problems for check in checks if check.problems and not check.repaired}


def repaired(checks: list[Check]) -> list[str]:
    return [check.name for check in checks if check.repaired]


def execute(index: Path, *statements: str) -> None:
    with closing(sqlite3.connect(index / "catalog.sqlite")) as connection, connection:
        for statement in statements:
            assert connection.execute(statement).rowcount != 0, statement


def test_an_intact_index_has_no_problems(index: Path) -> None:
    before = {path.name: path.read_bytes() for path in index.iterdir() if path.suffix in (".json", ".faiss")}
    for repair in (False, True):
        checks = verify_index(index, load_encoder=load, repair=repair)
        assert [check.name for check in checks] == NAMES
        assert problems(checks) == {}
        assert repaired(checks) == []
    assert {name: (index / name).read_bytes() for name in before} == before
    assert [check.name for check in verify_index(index)] == NAMES[:-1]


def garble(path: Path) -> None:
    path.write_bytes(b"garbage")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize(("name", "check"), [("manifest.json", "manifest"), ("vectors-2.faiss", "vector index")])
@pytest.mark.parametrize("damage", [garble, flip])
def test_a_derived_file_is_rebuilt_without_a_model(
    folder: Path,
    index: Path,
    name: str,
    check: str,
    damage: Callable[[Path], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("echo_index.indexer.vectors.index_kind.EXACT_UP_TO", 10)
    write(folder, more="# More\n\nMore of them.\n")
    build(folder, index)
    assert problems(verify_index(index)) == {}
    before, whole = contents(index), (index / name).read_bytes()
    damage(index / name)
    [problem] = problems(verify_index(index))[check]
    assert f"{name} is damaged" in problem or f"{name} holds" in problem
    assert (index / name).read_bytes() != whole
    checks = verify_index(index, repair=True)
    assert (problems(checks), repaired(checks)) == ({}, [check])
    assert (index / name).read_bytes() == whole
    assert contents(index) == before


@pytest.mark.parametrize(
    ("damage", "checks"),
    [
        ("UPDATE vector_codes SET code = (SELECT code FROM vector_codes WHERE chunk = 7) WHERE chunk = 3", {"vectors"}),
        ("UPDATE vector_codes SET code = zeroblob(43) WHERE chunk = 3", {"vectors"}),
        ("UPDATE vector_codes SET code = x'00ff' WHERE chunk = 3", {"vectors"}),
        ("UPDATE vector_codes SET code = 'text' WHERE chunk = 3", {"vectors"}),
        ("UPDATE vector_codes SET code = CAST(substr(code, 1, 40) || x'7f7f7f' AS BLOB) WHERE chunk = 3", {"vectors"}),
        ("DELETE FROM vector_codes WHERE chunk = 3", {"vectors"}),
        ("UPDATE classical_codes SET code = zeroblob(43) WHERE chunk = 3", {"classical"}),
    ],
)
def test_a_text_with_a_wrong_vector_is_embedded_again(index: Path, damage: str, checks: set[str]) -> None:
    before = contents(index)
    execute(index, damage)
    assert set(problems(verify_index(index))) == checks
    assert set(problems(verify_index(index, repair=True))) == checks  # vectors cannot be repaired without a model
    encoder = WordEncoder()
    found = verify_index(index, load_encoder=lambda described: encoder, repair=True)  # type: ignore[arg-type,return-value]
    assert (problems(found), set(repaired(found))) == ({}, checks)
    assert len(encoder.embedded) == 1
    assert contents(index) == before


def test_a_damaged_chunk_is_read_again_by_the_next_build(folder: Path, index: Path) -> None:
    before = contents(index)
    execute(index, "UPDATE chunks SET text = replace(text, 'sea', 'tea') WHERE id = 3")
    [problem] = problems(verify_index(index))["passages"]
    assert problem.endswith(".md' are not what was embedded")
    checks = verify_index(index, load_encoder=load, repair=True)
    assert set(problems(checks)) == {"passages"}
    report = build(folder, index)
    assert (report.changed, report.unchanged, report.embedded) == (1, 19, 0)
    assert contents(index) == before
    assert problems(verify_index(index, load_encoder=load)) == {}


def test_invalid_headings_are_found(index: Path) -> None:
    execute(index, "UPDATE chunks SET headings = 'garbage' WHERE id = 3")
    assert "passages" in problems(verify_index(index))


@pytest.mark.parametrize(
    "damage",
    [
        "INSERT INTO terms (terms, rowid, text, title, headings) VALUES ('delete', 3, 'whale', '', '')",
        "INSERT INTO exact_words (exact_words, rowid, text, title, headings) VALUES ('delete', 3, 'whales', '', '')",
        "INSERT INTO terms (rowid, text) VALUES (999, 'of no passage')",
        "UPDATE documents SET language = 'german'",
    ],
)
def test_wrong_terms_are_rebuilt(index: Path, damage: str) -> None:
    before = contents(index)
    execute(index, damage)
    assert problems(verify_index(index))["full text"] == ("it does not match the passages",)
    checks = verify_index(index, repair=True)
    assert (problems(checks), repaired(checks)) == ({}, ["full text"])
    assert contents(index) == before


@pytest.mark.parametrize("table", ["terms", "exact_words"])
def test_a_damaged_full_text_is_rebuilt(index: Path, table: str) -> None:
    before = contents(index)
    execute(index, f"DELETE FROM {table}_docsize WHERE id = 3", f"DELETE FROM {table}_data WHERE id > 10")
    assert "full text" in problems(verify_index(index))
    checks = verify_index(index, repair=True)
    assert problems(checks) == {}
    assert "full text" in repaired(checks)
    assert contents(index) == before


def test_an_sql_index_without_all_rows_is_rebuilt(index: Path) -> None:
    before = contents(index)
    with closing(sqlite3.connect(index / "catalog.sqlite")) as connection, connection:
        connection.execute("PRAGMA writable_schema = ON")
        [row] = connection.execute("SELECT * FROM sqlite_master WHERE name = 'chunks_of_hash'").fetchall()
        connection.execute("DELETE FROM sqlite_master WHERE name = 'chunks_of_hash'")
    with closing(sqlite3.connect(index / "catalog.sqlite")) as connection, connection:
        connection.execute("UPDATE chunks SET id = 900 WHERE id = 3")
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)", row)
    assert "catalog" in problems(verify_index(index))
    checks = verify_index(index, load_encoder=load, repair=True)
    assert (problems(checks), repaired(checks)) == ({}, ["catalog", "full text", "vectors"])
    assert contents(index) == before


def test_duplicates_are_found(index: Path) -> None:
    execute(
        index,
        "INSERT INTO chunks (document, text, headings, start, end, page, line, hash) "
        "SELECT document, text, headings, start, end, page, line, hash FROM chunks WHERE id = 3",
    )
    first, second = problems(verify_index(index))["counts"]
    assert first == "the catalog holds 21 passages, but the manifest says 20"
    assert second.startswith("the passage at 0 of ")


def test_a_damaged_catalog_is_reported_and_not_changed(index: Path) -> None:
    for content in (b"", b"garbage" * 1000):
        (index / "catalog.sqlite").write_bytes(content)
        for repair in (False, True):
            assert set(problems(verify_index(index, load_encoder=load, repair=repair))) == {"catalog"}
        assert (index / "catalog.sqlite").read_bytes() == content


def test_an_overwritten_page_of_the_catalog_is_reported(index: Path) -> None:
    content = bytearray((index / "catalog.sqlite").read_bytes())
    content[4096 * 2 : 4096 * 4] = b"\x07" * 8192
    (index / "catalog.sqlite").write_bytes(content)
    assert "catalog" in problems(verify_index(index, load_encoder=load))


def test_a_changed_model_is_found(index: Path) -> None:
    class Other(WordEncoder):
        def encode_documents(self, texts: Any) -> Any:
            return np.roll(super().encode_documents(texts), 1, axis=1)

    [problem] = problems(verify_index(index, load_encoder=lambda described: Other()))["model"]  # type: ignore[arg-type,return-value]
    assert problem.startswith("its vectors have changed since the index was built: a cosine of ")
    [problem] = problems(verify_index(index, load_encoder=lambda described: WordEncoder(name="new")))["model"]  # type: ignore[arg-type,return-value]
    assert problem == "weights was 'words' and is now 'new'"

    def missing_model(described: object) -> Any:
        raise ModelError("The model is missing_model.", remedy="Bring it back.")

    assert problems(verify_index(index, load_encoder=missing_model)) == {
        "model": ("The model is missing_model. Bring it back.",)
    }


def test_an_index_is_not_verified_while_it_is_written(index: Path) -> None:
    with writer_lock(index), pytest.raises(IndexBusy):
        verify_index(index)


def test_verifying_a_missing_index_creates_no_files(tmp_path: Path) -> None:
    with pytest.raises(IndexMissing):
        verify_index(tmp_path / "none")
    assert list(tmp_path.iterdir()) == []


def test_an_index_of_the_first_version_is_verified_and_gets_checksums(tmp_path: Path) -> None:
    with zipfile.ZipFile(FIXTURES / "indexes" / "format-1.zip") as archive:
        archive.extractall(tmp_path)
    index = tmp_path / "docs" / ".echo-index"
    before = contents(index)
    assert problems(verify_index(index, load_encoder=load)) == {}
    garble(index / "vectors-2.faiss")  # it is not needed any more
    assert problems(verify_index(index, load_encoder=load)) == {}
    execute(index, "INSERT INTO terms (rowid, text) VALUES (999, 'of no passage')")
    checks = verify_index(index, load_encoder=load, repair=True)
    assert (problems(checks), repaired(checks)) == ({}, ["full text"])
    assert read_manifest(index).has_checksums
    assert contents(index)["chunks"] == before["chunks"]
