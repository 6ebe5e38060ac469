"""After an update of the readers, a build reads unchanged files again, and embeds only what is new in them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from archive_files import zip_bytes
from indexer_helpers import WordEncoder, build, documents, write

from echo_index.indexer.building import document_sync
from echo_index.indexer.catalog.catalog import CATALOG, Catalog

OUTDATED = "0"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, ferry="# Ferry\n\nIt leaves at eight.\n", loom="# Loom\n\nHanna Kvist carved it.\n")
    build(tmp_path, tmp_path / ".index", WordEncoder())
    return tmp_path


def set_version(folder: Path, version: str) -> None:
    with closing(Catalog(folder / ".index" / CATALOG, write=True)) as catalog:
        catalog.set_settings({"readers": version})


def test_files_that_hold_the_same_stay_as_they_are(folder: Path) -> None:
    set_version(folder, OUTDATED)
    before = documents(folder / ".index")
    report = build(folder, folder / ".index", WordEncoder())
    assert report.read_again
    assert (report.unchanged, report.changed, report.embedded) == (2, 0, 0)
    assert documents(folder / ".index") == before
    assert not build(folder, folder / ".index", WordEncoder()).read_again, "once is enough"


def test_what_a_reader_finds_now_is_added(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(Catalog(folder / ".index" / CATALOG, write=True)) as catalog:
        with catalog.database.transaction() as connection:  # as if an earlier reader had missed a sentence
            connection.execute("UPDATE chunks SET text = '# Ferry', hash = x'00' WHERE text LIKE '%eight%'")
        catalog.set_settings({"readers": OUTDATED})
    report = build(folder, folder / ".index", WordEncoder())
    assert (report.unchanged, report.changed) == (1, 1)
    assert any("eight" in chunk for chunk in documents(folder / ".index")["ferry.md"])


def test_members_of_an_unchanged_archive_are_read_again(folder: Path) -> None:
    (folder / "a.zip").write_bytes(zip_bytes({"tide.md": "# Tide\n\nIt is high at six.\n", "broken.pdf": b"%PDF-1.7"}))
    build(folder, folder / ".index", WordEncoder())
    with closing(Catalog(folder / ".index" / CATALOG, write=True)) as catalog:
        with catalog.database.transaction() as connection:
            connection.execute("UPDATE chunks SET text = '# Tide', hash = x'00' WHERE text LIKE '%six%'")
        catalog.set_settings({"readers": OUTDATED})
    report = build(folder, folder / ".index", WordEncoder())
    assert (report.added, report.unchanged, report.changed, report.removed) == (0, 3, 1, 0)
    assert documents(folder / ".index")["a.zip!/tide.md"] == ["# Tide\n\nIt is high at six."]


def test_an_interrupted_build_reads_again_next_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_version(folder, OUTDATED)

    def interrupted(*given: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(document_sync, "set_excluded_paths", interrupted)
        with pytest.raises(KeyboardInterrupt):
            build(folder, folder / ".index", WordEncoder())
    assert build(folder, folder / ".index", WordEncoder()).read_again


def test_a_new_index_is_read_once(tmp_path: Path) -> None:
    write(tmp_path, ferry="# Ferry\n\nIt leaves at eight.\n")
    assert not build(tmp_path, tmp_path / ".index", WordEncoder()).read_again
