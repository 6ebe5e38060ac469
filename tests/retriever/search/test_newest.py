"""What a search reads of an index is of one generation, whatever builds commit and delete meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest
from indexer_helpers import WordEncoder, build, write

from echo_index.errors import IndexDamaged
from echo_index.indexer.catalog.records import LexicalQuery, SearchFilter
from echo_index.indexer.generations.snapshot import open_snapshot
from echo_index.indexer.stores.search_space import SearchSpace
from echo_index.retriever.search.collections_retriever import CollectionsRetriever
from echo_index.retriever.search.lexical import parse_lexical_query
from echo_index.retriever.search.newest import read_newest
from echo_index.retriever.search.retriever import Retriever
from echo_index.retriever.search.snapshot_union import SnapshotUnion

WORDS = ("eight", "nine", "ten", "eleven")
FERRY: LexicalQuery = parse_lexical_query("ferry", languages=["english"])


def commit(folder: Path, number: int) -> None:
    """Commit a generation whose only document has the word with this number; what is two generations old is deleted."""
    write(folder / "notes", ferry=f"The ferry leaves at {WORDS[number]}.")
    build(folder / "notes", folder / "idx")


def word(space: SearchSpace) -> str:
    """Return the word of the document, by two reads: which chunk is found, and its text."""
    [(found, _)] = space.matching(FERRY, k=5, where=SearchFilter())
    return space.stored_chunks([found])[found].chunk.text.split()[-1].rstrip(".")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with an index of one generation."""
    commit(tmp_path, 0)
    return tmp_path


@pytest.mark.parametrize("as_union", [False, True])
def test_all_of_a_search_is_of_the_generation_that_it_began_with(folder: Path, as_union: bool) -> None:
    snapshot = open_snapshot(folder / "idx")
    space: SearchSpace = SnapshotUnion({"notes": snapshot}) if as_union else snapshot

    def act(reader: SearchSpace) -> list[str]:
        before = word(reader)
        for number in (1, 2, 3):
            commit(folder, number)
        return [before, word(reader)]

    assert read_newest(lambda: space, act) == ["eight", "eight"]


@pytest.mark.parametrize("as_union", [False, True])
def test_a_search_of_a_generation_that_was_deleted_begins_again_with_the_newest(folder: Path, as_union: bool) -> None:
    opened: list[SearchSpace] = []

    def newest() -> SearchSpace:
        snapshot = open_snapshot(folder / "idx")
        if not opened:  # builds delete this generation before it is read
            for number in (1, 2, 3):
                commit(folder, number)
        opened.append(SnapshotUnion({"notes": snapshot}) if as_union else snapshot)
        return opened[-1]

    assert read_newest(newest, word) == "eleven"
    assert [space.is_newest() for space in opened] == [False, True]


def test_a_newest_generation_that_cannot_be_read_is_an_error(folder: Path) -> None:
    def damaged(space: SearchSpace) -> str:
        raise IndexDamaged("The catalog cannot be read.")

    with pytest.raises(IndexDamaged):
        read_newest(lambda: open_snapshot(folder / "idx"), damaged)


def test_a_search_of_collections_begins_again_though_another_thread_has_opened_the_newest(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    retriever = Retriever.open(folder / "idx", encoder=WordEncoder())  # type: ignore[arg-type]
    collections = CollectionsRetriever({"notes": retriever})
    current_union, unions = collections._current_union, [0]

    def union() -> SnapshotUnion:
        found = current_union()
        if unions.pop() == 0:  # what builds and another thread do before this one begins to read
            for number in (1, 2, 3):
                commit(folder, number)
            retriever.current_reader()
        unions.append(1)
        return found

    monkeypatch.setattr(collections, "_current_union", union)
    assert collections.with_space(word) == "eleven"
