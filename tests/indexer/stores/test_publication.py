"""Publish generations to Milvus Lite: changes, removals, rebuilds, and publications that are interrupted anywhere."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from indexer_helpers import WordEncoder, build, write
from store_helpers import NOTHING_LEFT, found, leftovers, open_retriever, seen

from echo_index.errors import IndexMissing, StoreError
from echo_index.indexer.building.removal import remove_documents
from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.generations.source_registry import OWNER, STORE
from echo_index.indexer.stores.index_reader import IndexReader
from echo_index.indexer.stores.location import StoreLocation
from echo_index.indexer.stores.milvus.connection import MilvusConnection, connected
from echo_index.indexer.stores.publishing import publish_index

Named = Callable[[str], str]
WORDS = "whale ship sea storm captain harbour rope anchor sail wind".split()
WRITES = ("create", "insert", "delete", "drop")


def text(seed: int, words: int = 40) -> str:
    return " ".join(WORDS[(seed * 7 + number * (seed + 3)) % len(WORDS)] + str(number % 5) for number in range(words))


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    write(folder, **{f"note{number:02}": f"# Note {number}\n\n{text(number)}" for number in range(12)})
    return folder


@pytest.fixture
def index(tmp_path: Path) -> Path:
    return tmp_path / "index"


def change(notes: Path) -> None:
    """Change, rename, remove and add documents."""
    write(notes, note01=f"# Note 1\n\n{text(30)}", added=f"# Added\n\n{text(31)}")
    (notes / "note02.md").rename(notes / "renamed.md")
    (notes / "note03.md").unlink()


def test_a_store_has_the_documents_and_vectors_of_the_index(notes: Path, index: Path, lite: Named) -> None:
    report = build(notes, index, store=lite("notes"))
    assert report.published is not None
    assert (report.published.documents, report.published.passages) == (12, report.chunks)
    assert seen(lite("notes")) == seen(index)
    assert found(open_retriever(lite("notes"))) == found(open_retriever(index))
    assert leftovers(lite("notes")) == NOTHING_LEFT


def test_later_builds_publish_what_has_changed_only(notes: Path, index: Path, lite: Named) -> None:
    build(notes, index, store=lite("notes"))
    assert build(notes, index).published is None
    change(notes)
    published = build(notes, index).published
    assert published is not None
    assert (published.documents, published.removed) == (3, 3)
    assert seen(lite("notes")) == seen(index)
    left = leftovers(lite("notes"))
    assert (left["documents"], left["begun"]) == (3, 0), "those of the generation before, which may have readers"
    write(notes, again=f"# Again\n\n{text(40)}")
    build(notes, index)
    assert leftovers(lite("notes")) == NOTHING_LEFT
    assert seen(lite("notes")) == seen(index)


def test_an_open_reader_switches_to_the_new_generation(notes: Path, index: Path, lite: Named) -> None:
    build(notes, index, store=lite("notes"))
    reader = open_retriever(lite("notes"))
    assert "notes/added.md" not in {source for source, _ in found(reader)}
    change(notes)
    build(notes, index)
    assert found(reader) == found(open_retriever(index))


def test_a_removal_is_published(notes: Path, index: Path, lite: Named) -> None:
    build(notes, index, store=lite("notes"))
    remove_documents(["notes/note04.md"], index)
    assert "notes/note04.md" not in seen(lite("notes"))
    assert seen(lite("notes")) == seen(index)


def test_a_rebuild_replaces_the_collections(notes: Path, index: Path, lite: Named) -> None:
    build(notes, index, store=lite("notes"))
    change(notes)
    build(notes, index, WordEncoder(name="others"), rebuild=True)
    other = WordEncoder(name="others")
    assert found(open_retriever(lite("notes"), other)) == found(open_retriever(index, other))
    write(notes, again=f"# Again\n\n{text(40)}")
    build(notes, index, WordEncoder(name="others"))
    assert leftovers(lite("notes"))["collections"] == 0


def test_facts_of_a_document_are_updated_without_its_passages(notes: Path, index: Path, lite: Named) -> None:
    build(notes, index, store=lite("notes"))
    (notes / "note05.md").touch()
    assert build(notes, index).unchanged == 12
    path = notes / "note05.md"
    path.write_text(path.read_text().replace("# Note 5", "---\ntags: [sea]\n---\n# Note 5"))
    build(notes, index)
    assert seen(lite("notes")) == seen(index)
    document = open_retriever(lite("notes")).reader.documents.find("notes/note05.md")
    assert document is not None
    assert document.modified_ns == path.stat().st_mtime_ns


def test_an_index_takes_not_the_place_of_another(notes: Path, tmp_path: Path, index: Path, lite: Named) -> None:
    build(notes, index, store=lite("notes"))
    write(tmp_path / "other", letter="# Letter\n\nAbout something else.")
    with pytest.raises(StoreError, match=r"holds another index.*#notes"):
        build(tmp_path / "other", tmp_path / "second", store=lite("notes"))
    assert seen(lite("notes")) == seen(index)
    build(tmp_path / "other", tmp_path / "second", store=lite("others"))
    assert seen(lite("notes")) == seen(index)
    assert seen(lite("others")) == seen(tmp_path / "second")
    build(tmp_path / "other", tmp_path / "second", store=lite("notes"), rebuild=True)
    assert seen(lite("notes")) == seen(tmp_path / "second")


def test_an_index_that_is_published_no_more_stays_as_it_was(notes: Path, index: Path, lite: Named) -> None:
    build(notes, index, store=lite("notes"))
    before = seen(lite("notes"))
    change(notes)
    assert build(notes, index, store="").published is None
    assert seen(lite("notes")) == before
    build(notes, index, store=lite("notes"))
    assert seen(lite("notes")) == seen(index)


def test_a_name_without_an_index_is_told(lite: Named) -> None:
    with pytest.raises(IndexMissing, match=r"There is no index in milvus:.*#nothing"):
        open_retriever(lite("nothing"))


class _Interrupted(BaseException):
    """Stands for the end of the process."""


def interrupt(monkeypatch: pytest.MonkeyPatch, *, before: int) -> Callable[[], int]:
    """Interrupt before the write with this number; return a function that counts writes."""
    count = 0

    def wrapped(name: str) -> Callable[..., Any]:
        original = getattr(MilvusConnection, name)

        def apply(self: MilvusConnection, *arguments: Any, **options: Any) -> None:
            nonlocal count
            count += 1
            if count == before:
                raise _Interrupted
            original(self, *arguments, **options)

        return apply

    for name in WRITES:
        monkeypatch.setattr(MilvusConnection, name, wrapped(name))
    return lambda: count


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return copies of an index after four builds, each with its documents in other versions."""
    folder = tmp_path_factory.mktemp("states")
    notes, index = folder / "notes", folder / "index"
    write(notes, **{f"note{number:02}": f"# Note {number}\n\n{text(number)}" for number in range(6)})
    changes = (
        lambda: None,
        lambda: change(notes),
        # What was being published is changed and removed before the next build: nothing of it may be left.
        lambda: (write(notes, note01=f"# Note 1\n\n{text(50)}"), (notes / "added.md").unlink()),
        lambda: write(notes, last=f"# Last\n\n{text(60)}"),
    )
    copies = []
    for number, apply in enumerate(changes):
        apply()
        build(notes, index)
        if not number:
            with closing(Catalog(index / "catalog.sqlite", write=True)) as catalog:
                catalog.set_settings({OWNER: "this index"})
        copies.append(folder / f"state{number}" / "index")
        shutil.copytree(index, copies[-1])
    return copies


def publish(index: Path, store: str) -> None:
    with closing(Catalog(index / "catalog.sqlite", write=True)) as catalog:
        catalog.set_settings({STORE: store})
        publish_index(index, catalog)


@pytest.mark.parametrize("first", [False, True])
def test_what_is_interrupted_anywhere_is_completed_by_the_next_publication(
    states: list[Path], lite: Named, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    monkeypatch.setattr("echo_index.indexer.stores.milvus.publication._GROUP", 12)
    monkeypatch.setattr("echo_index.indexer.stores.milvus.publication._ROWS", 5)
    originals = {name: getattr(MilvusConnection, name) for name in WRITES}
    one, two, three, four = states
    contents = [found(open_retriever(state)) for state in states]
    for step in range(1, 100):
        store = lite(f"step{step}")
        with connected(StoreLocation.parse(store)):  # so that the file is not closed each time
            if not first:
                publish(one, store)
            writes = interrupt(monkeypatch, before=step)
            with suppress(_Interrupted):
                publish(two, store)
            for name, original in originals.items():
                monkeypatch.setattr(MilvusConnection, name, original)
            if first:
                with suppress(IndexMissing):
                    assert found(open_retriever(store)) == contents[1], step
            else:
                assert found(open_retriever(store)) in contents[:2], step
            publish(three, store)
            assert found(open_retriever(store)) == contents[2], step
            assert seen(store) == seen(three), step
            publish(four, store)
            assert found(open_retriever(store)) == contents[3], step
            publish(four, store)
            left = leftovers(store)
            assert (left["collections"], left["begun"]) == (0, 0), step
            assert left["documents"] <= 1, "none but what the last one replaced"
            if writes() < step:
                assert step > 10
                return
    pytest.fail("no publication was complete")


def test_a_reader_sees_one_generation_while_another_is_published(
    states: list[Path], lite: Named, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("echo_index.indexer.stores.milvus.publication._ROWS", 5)
    before, after = (found(open_retriever(state)) for state in states[:2])
    publish(states[0], lite("notes"))
    reader = open_retriever(lite("notes"))
    seen_during = []
    original = MilvusConnection.insert

    def insert(self: MilvusConnection, *arguments: Any, **options: Any) -> None:
        original(self, *arguments, **options)
        seen_during.append(found(reader))

    monkeypatch.setattr(MilvusConnection, "insert", insert)
    publish(states[1], lite("notes"))
    assert seen_during == [*[before] * (len(seen_during) - 1), after]
    assert len(seen_during) > 5


def test_an_index_from_a_backup_is_published_as_it_is_then(
    states: list[Path], lite: Named, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = [found(open_retriever(state)) for state in states]
    store = lite("notes")
    for number in (0, 1, 2):
        publish(states[number], store)
    reader = open_retriever(store)
    original = MilvusConnection.insert
    seen_during = []

    def insert(self: MilvusConnection, *arguments: Any, **options: Any) -> None:
        original(self, *arguments, **options)
        seen_during.append(found(reader))

    monkeypatch.setattr(MilvusConnection, "insert", insert)
    for number in (1, 0, 2, 3, 0):
        before, seen_during[:] = found(reader), []
        publish(states[number], store)
        assert seen_during == [*[before] * (len(seen_during) - 1), contents[number]], number
    assert seen(store) == seen(states[0])


def test_a_search_that_two_publications_overtake_begins_again(states: list[Path], lite: Named) -> None:
    store = lite("notes")
    publish(states[0], store)
    retriever = open_retriever(store)
    generations = []

    def act(reader: IndexReader) -> int:
        generations.append(reader.manifest.generation)
        if len(generations) == 1:
            publish(states[1], store)
            publish(states[2], store)
        return reader.manifest.generation

    assert retriever.with_reader(act) == 3
    assert generations == [1, 3]
