"""Names of indexes in the user's data folder."""

from __future__ import annotations

from multiprocessing import get_context
from pathlib import Path

import pytest

from echo_index.app.services.collections import (
    Collection,
    add_collection,
    find_indexes,
    read_collections,
    remove_collection,
)
from echo_index.errors import CollectionError
from echo_index.indexer.generations.manifest import MANIFEST


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the names of a test in a folder of its own."""
    monkeypatch.setenv("ECHO_INDEX_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def index(folder: Path) -> Path:
    """Return a folder that looks like one of a complete index."""
    folder.mkdir(parents=True)
    (folder / MANIFEST).write_text("{}")
    return folder


def test_a_name_is_kept_until_it_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = index(tmp_path / "work-index")
    monkeypatch.chdir(tmp_path)
    add_collection(Collection("work", Path("work-index"), "Contracts\n of the  shop"))
    assert read_collections() == {"work": Collection("work", work, "Contracts of the shop")}
    add_collection(Collection("work", work))
    assert read_collections()["work"].about == ""
    assert remove_collection("work").index == work
    assert read_collections() == {}
    assert (work / MANIFEST).exists()


@pytest.mark.parametrize("name", ["", "-k", "a/b", "a b", ".hidden", "x" * 65, "a\n"])
def test_names_that_a_shell_or_a_folder_would_take_otherwise_are_errors(tmp_path: Path, name: str) -> None:
    with pytest.raises(CollectionError, match="cannot be the name of a collection"):
        add_collection(Collection(name, index(tmp_path / "index")))


def test_only_a_folder_with_an_index_can_have_a_name(tmp_path: Path) -> None:
    with pytest.raises(CollectionError, match=r"no complete index in .*nowhere"):
        add_collection(Collection("work", tmp_path / "nowhere"))
    with pytest.raises(CollectionError, match="There is no collection 'work'"):
        remove_collection("work")


def test_a_folder_with_an_index_comes_before_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named, here = index(tmp_path / "named"), tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    add_collection(Collection("work", named))
    (here / "work").mkdir()  # a folder of documents, say
    assert find_indexes(["work"]) == {"work": named}
    (here / "work" / MANIFEST).write_text("{}")
    assert find_indexes(["work"]) == {"work": Path("work")}


def test_each_index_is_searched_once(tmp_path: Path) -> None:
    first, second = index(tmp_path / "first"), index(tmp_path / "second")
    add_collection(Collection("work", first))
    assert find_indexes(["work", second, str(first), second]) == {"work": first, str(second): second}


def test_a_damaged_list_is_an_error_that_names_it(data: Path, tmp_path: Path) -> None:
    data.mkdir()
    (data / "collections.json").write_text('{"work": 3}')
    with pytest.raises(CollectionError, match=r"collections\.json cannot be read"):
        read_collections()
    with pytest.raises(CollectionError, match="cannot be read"):
        add_collection(Collection("work", index(tmp_path / "index")))
    assert (data / "collections.json").read_text() == '{"work": 3}'
    assert find_indexes(["./work", ".echo-index"]), "paths need no list"


def _add(name: str, folder: Path) -> None:
    add_collection(Collection(name, folder))


def test_processes_that_add_at_once_lose_no_name(tmp_path: Path) -> None:
    folder, context = index(tmp_path / "index"), get_context("spawn")
    with context.Pool(4) as pool:
        pool.starmap(_add, [(f"name-{number}", folder) for number in range(20)])
    assert len(read_collections()) == 20
