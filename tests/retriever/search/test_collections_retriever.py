"""A retriever of several indexes: hits name their index, and new generations are used at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from indexer_helpers import WordEncoder

from echo_index.errors import IndexDamaged, IndexMismatch, IndexMissing, QuestionError
from echo_index.indexer.building.build_documents import index_documents
from echo_index.indexer.catalog.records import SearchFilter
from echo_index.indexer.documents.document import Document
from echo_index.indexer.stores.search_space import SearchSpace
from echo_index.retriever.search.collections_retriever import CollectionsRetriever
from echo_index.retriever.search.hits import Hit
from echo_index.retriever.search.neighbours import join_neighbours

WORK = {"notes.md": "The fox jumps over the fence.", "plan.md": "A bridge is built over the river."}
HOME = {"notes.md": "The fox sleeps in the garden.", "fish.md": "Trout live in the river."}


def build(texts: dict[str, str], folder: Path, *, encoder: WordEncoder | None = None) -> None:
    documents = [(path, Document(text=text, title="", format="text")) for path, text in texts.items()]
    index_documents(documents, folder, encoder=encoder or WordEncoder())  # type: ignore[arg-type]


@pytest.fixture
def retriever(tmp_path: Path) -> CollectionsRetriever:
    build(WORK, tmp_path / "work")
    build(HOME, tmp_path / "home")
    return opened(tmp_path)


def opened(folder: Path) -> CollectionsRetriever:
    indexes = {"work": folder / "work", "home": folder / "home"}
    return CollectionsRetriever.open(indexes, encoder=WordEncoder())  # type: ignore[arg-type]


def places(hits: list[Hit]) -> set[tuple[str, str]]:
    return {(hit.collection, hit.source) for hit in hits}


@pytest.mark.parametrize("mode", ["hybrid", "dense", "lexical"])
def test_hits_of_all_indexes_are_in_one_ranking(retriever: CollectionsRetriever, mode: str) -> None:
    hits = retriever.search("the fox", k=2, mode=mode)  # type: ignore[arg-type]
    assert places(hits) == {("work", "notes.md"), ("home", "notes.md")}
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert hits[0].location.collection == hits[0].collection


def test_a_filter_holds_in_each_index(retriever: CollectionsRetriever) -> None:
    hits = retriever.search("the fox in the river", where=SearchFilter(paths=("fish.md", "plan.md")))
    assert places(hits) == {("work", "plan.md"), ("home", "fish.md")}


def test_new_generations_are_searched(retriever: CollectionsRetriever, tmp_path: Path) -> None:
    assert ("home", "owl.md") not in places(retriever.search("owl"))
    build({**HOME, "owl.md": "An owl hears a mouse."}, tmp_path / "home")
    assert retriever.search("owl", k=1)[0].source == "owl.md"


def test_copies_in_two_indexes_are_grouped_and_tell_their_index(tmp_path: Path) -> None:
    build(WORK, tmp_path / "work")
    build({"copy.md": WORK["notes.md"]}, tmp_path / "home")
    [best] = opened(tmp_path).search("fox", k=1, mode="lexical", group=True)
    [duplicate] = best.duplicates
    assert {(best.collection, best.source), (duplicate.collection, duplicate.source)} == {
        ("work", "notes.md"),
        ("home", "copy.md"),
    }


def test_documents_of_the_same_name_are_not_joined(retriever: CollectionsRetriever) -> None:
    first, second = retriever.search("the fox", k=2)
    following = replace(second, start=first.end + 1, end=first.end + 9)
    assert len(join_neighbours([first, following])) == 2
    assert len(join_neighbours([first, replace(following, collection=first.collection)])) == 1


def test_a_generation_that_is_purged_meanwhile_is_replaced(
    retriever: CollectionsRetriever, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def act(space: SearchSpace) -> str:
        tried.append("again" if tried else "first")
        if len(tried) == 1:
            build({**HOME, "owl.md": "An owl hears a mouse."}, tmp_path / "home")
            raise IndexDamaged("purged")
        return tried[-1]

    assert retriever.with_space(act) == "again"
    with pytest.raises(IndexDamaged, match="always"):
        retriever.with_space(raise_damage)


def raise_damage(space: SearchSpace) -> None:
    raise IndexDamaged("always")


def test_three_indexes_keep_their_passages_apart(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        build({f"{name}{number}.md": f"The {name} fox, number {number}." for number in range(4)}, tmp_path / name)
    three = CollectionsRetriever.open(
        {name: tmp_path / name for name in ("a", "b", "c")},
        encoder=WordEncoder(),  # type: ignore[arg-type]
    )
    hits = three.search("fox number", k=12)
    assert sorted(hit.source for hit in hits) == sorted(f"{name}{number}.md" for name in "abc" for number in range(4))
    assert all(hit.source.startswith(hit.collection) and f"The {hit.collection} fox" in hit.text for hit in hits)


def test_what_is_similar_is_asked_of_one_index(retriever: CollectionsRetriever) -> None:
    [hit] = retriever.similar("notes.md", 0, collection="home")
    assert (hit.collection, hit.source) == ("home", "fish.md")
    with pytest.raises(QuestionError, match=r"no collection 'school'.*work, home"):
        retriever.similar("notes.md", 0, collection="school")


def test_indexes_of_different_encoders_are_an_error(tmp_path: Path) -> None:
    build(WORK, tmp_path / "work")
    build(HOME, tmp_path / "home", encoder=WordEncoder(name="others"))
    with pytest.raises(IndexMismatch, match=r"work and home were built with different encoders \(weights\)"):
        CollectionsRetriever.open({"work": tmp_path / "work", "home": tmp_path / "home"})


def test_at_least_one_index_is_needed_and_each_must_exist(tmp_path: Path) -> None:
    build(WORK, tmp_path / "work")
    with pytest.raises(QuestionError, match="no collection to search"):
        CollectionsRetriever.open({})
    with pytest.raises(IndexMissing, match="nowhere"):
        CollectionsRetriever.open({"work": tmp_path / "work", "home": tmp_path / "nowhere"})
