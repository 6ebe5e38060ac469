"""The catalog: generations are isolated from each other, and every change is atomic."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from indexer_helpers import full_text_is_right, make_version_2

from echo_index.errors import IndexDamaged
from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.catalog.chunk_queries import (
    chunk_owners,
    chunk_texts,
    equal_chunks,
    overlapping_chunks,
)
from echo_index.indexer.catalog.generation_summary import document_failures, document_formats, generation_counts
from echo_index.indexer.catalog.records import ChunkRow, Counts, DocumentRow, LexicalQuery, SearchFilter

EVERYTHING = SearchFilter()
_ROUNDING = 2e-3  # the components of a test vector are up to 0.3; a step is 1/127 of all but the largest of them


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with closing(Catalog(tmp_path / "catalog.sqlite", create=True)) as catalog:
        yield catalog


def document(path: str, *, format: str = "text", title: str = "", **more: str) -> DocumentRow:
    return DocumentRow(path, f"hash of {path}", 10, 20, format, title, **more)


def chunk(text: str, *headings: str) -> ChunkRow:
    return ChunkRow(text, headings, 0, len(text), None, 1, sha256(text.encode()).digest())


def put(catalog: Catalog, path: str, *texts: str, generation: int = 1, vectors: bool = True, **fields: str) -> None:
    chunks = [chunk(text) for text in texts]
    catalog.put_document(document(path, **fields), chunks, generation=generation)
    if vectors and chunks:
        catalog.put_vectors([row.hash for row in chunks], np.stack([vector_of(text) for text in texts]))


def vector_of(text: str) -> np.ndarray:
    values = np.frombuffer(sha256(text.encode()).digest(), dtype=np.uint8).astype(np.float32)
    return values / np.linalg.norm(values)


def texts_of(catalog: Catalog, ids: object) -> list[str]:
    found = catalog.chunks([int(key) for key in ids])  # type: ignore[attr-defined]
    return [found[int(key)].chunk.text for key in ids]  # type: ignore[attr-defined]


def visible(catalog: Catalog, generation: int) -> dict[str, object]:
    """Return everything that a reader of a generation can see."""
    ids = catalog.chunk_ids(EVERYTHING, generation=generation)
    vectors = [
        (key, tuple(row))
        for keys, block in catalog.vectors(generation=generation)
        for key, row in zip(keys, block, strict=True)
    ]
    matches = catalog.match(LexicalQuery(("common",)), k=100, where=EVERYTHING, generation=generation)
    return {
        "texts": sorted(texts_of(catalog, ids)),
        "vectors": vectors,
        "matches": sorted(texts_of(catalog, [key for key, _ in matches])),
        "counts": generation_counts(catalog, generation=generation),
        "formats": document_formats(catalog, generation=generation),
        "failures": document_failures(catalog, generation=generation),
    }


def assert_intact(path: Path) -> None:
    assert full_text_is_right(path)
    with closing(sqlite3.connect(path)) as connection:
        for table in ("terms", "exact_words"):
            connection.execute(f"INSERT INTO {table} ({table}, rank) VALUES ('integrity-check', 1)")
            connection.execute(f"INSERT INTO {table} ({table}) VALUES ('integrity-check')")
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def rows(catalog: Catalog, table: str) -> int:
    with closing(sqlite3.connect(catalog.path)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def classical_of(catalog: Catalog, generation: int) -> dict[str, list[float]]:
    """Return the classical vectors by chunk text."""
    return {
        text: vector.tolist()
        for ids, block in catalog.classical_vectors(generation=generation, block=2)
        for text, vector in zip(texts_of(catalog, ids), block, strict=True)
    }


# Generations


def test_a_reader_sees_its_generation_while_the_next_is_written(catalog: Catalog) -> None:
    put(catalog, "kept", "common kept")
    put(catalog, "changed", "common old")
    put(catalog, "removed", "common removed")
    before = visible(catalog, 1)
    assert before["texts"] == before["matches"] == ["common kept", "common old", "common removed"]
    assert before["counts"] == Counts(documents=3, failed=0, chunks=3, bytes=35)

    reader = Catalog(catalog.path)
    with catalog.database.transaction() as connection:
        connection.execute("DELETE FROM documents")
        assert visible(reader, 1) == before, "what is not committed is not visible"
        connection.execute("ROLLBACK")
        connection.execute("BEGIN")
    put(catalog, "changed", "common new", generation=2)
    put(catalog, "added", "common added", format="markdown", generation=2)
    catalog.put_document(document("broken", failure="It is broken."), [], generation=2)
    catalog.remove_documents(["removed", "never there"], generation=2)
    assert visible(catalog, 1) == visible(reader, 1) == before
    after = visible(catalog, 2)
    assert after["texts"] == after["matches"] == ["common added", "common kept", "common new"]
    assert after["counts"] == Counts(documents=3, failed=1, chunks=3, bytes=len("common addedcommon keptcommon new"))
    assert after["formats"] == {"text": 2, "markdown": 1}
    assert after["failures"] == [("broken", "It is broken.")]

    catalog.purge(before=1)
    assert visible(reader, 1) == before
    assert visible(reader, 2) == after
    catalog.purge(before=2)
    assert visible(reader, 2) == after
    assert visible(reader, 1)["texts"] == ["common kept"]
    reader.close()


def test_a_document_may_change_twice_within_a_generation(catalog: Catalog) -> None:
    put(catalog, "a", "common first")
    put(catalog, "a", "common second", generation=2)
    put(catalog, "a", "common third", generation=2)
    assert visible(catalog, 1)["texts"] == ["common first"]
    assert visible(catalog, 2)["texts"] == visible(catalog, 2)["matches"] == ["common third"]
    catalog.purge(before=1)
    assert rows(catalog, "documents") == 2, "what no generation ever showed is gone"
    assert visible(catalog, 1)["texts"] == ["common first"]
    assert visible(catalog, 2)["texts"] == ["common third"]
    assert_intact(catalog.path)


def test_a_document_added_and_removed_within_a_generation_leaves_no_trace(catalog: Catalog) -> None:
    put(catalog, "a", "common a")
    put(catalog, "b", "common b", generation=2)
    catalog.remove_documents(["b"], generation=2)
    assert visible(catalog, 2) == visible(catalog, 1)
    assert list(catalog.current_documents()) == ["a"]


def test_current_documents_are_the_newest_versions_by_path(catalog: Catalog) -> None:
    put(catalog, "b", "text")
    put(catalog, "a", "text")
    put(catalog, "a", "text", title="newer", generation=2)
    catalog.touch_document("b", size=11, modified_ns=21)
    catalog.touch_document("never there", size=11, modified_ns=21)
    current = catalog.current_documents()
    assert list(current) == ["a", "b"]
    assert current["a"] == document("a", title="newer")
    assert (current["b"].size, current["b"].modified_ns) == (11, 21)
    assert visible(catalog, 1)["counts"] == Counts(documents=2, failed=0, chunks=2, bytes=8)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.text(alphabet="common xy", max_size=9)), max_size=4),
        min_size=1,
        max_size=6,
    )
)
def test_every_generation_shows_what_was_put_into_it(
    tmp_path_factory: pytest.TempPathFactory, builds: list[list[tuple[str, str | None]]]
) -> None:
    """Each build puts (path, text) or removes (path, None); the newest two generations stay visible after a purge."""
    folder: dict[str, str] = {}
    generations: list[dict[str, str]] = [{}]
    path = tmp_path_factory.mktemp("catalog") / "catalog.sqlite"
    with closing(Catalog(path, create=True)) as catalog:
        for generation, build in enumerate(builds, start=1):
            for name, text in build:
                if text is None:
                    catalog.remove_documents([name], generation=generation)
                    folder.pop(name, None)
                else:
                    put(catalog, name, f"common {name} {text}", generation=generation)
                    folder[name] = f"common {name} {text}"
            generations.append(dict(folder))
            catalog.purge(before=generation - 1)
            for shown in (generation - 1, generation):
                expected = sorted(generations[shown].values())
                assert visible(catalog, shown)["texts"] == visible(catalog, shown)["matches"] == expected
        catalog.purge(before=len(builds))
        assert rows(catalog, "documents") == rows(catalog, "chunks") == len(folder)
        assert rows(catalog, "vector_codes") == len(folder)
    assert_intact(path)


# Vectors


def test_vectors_are_rounded_to_8_bits_and_equal_texts_have_equal_ones(catalog: Catalog) -> None:
    put(catalog, "a", "same", "other")
    put(catalog, "b", "same", vectors=False)
    assert catalog.count_without_vector() == 0
    [(ids, vectors)] = catalog.vectors(generation=1)
    assert texts_of(catalog, ids) == ["same", "other", "same"]
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors[0], vector_of("same"), atol=_ROUNDING)
    assert np.array_equal(vectors[0], vectors[2])
    assert not np.array_equal(vectors[0], vectors[1])


def test_chunks_without_a_vector_are_listed_in_order(catalog: Catalog) -> None:
    def waiting(*, after: int = -1, limit: int = 10) -> list[str]:
        return [found.chunk.text for found in catalog.without_vector(after=after, limit=limit)]

    put(catalog, "a", "one", "two", "one", vectors=False)
    put(catalog, "b", "two", "three", vectors=False)
    assert catalog.count_without_vector() == 3, "like texts are counted once"
    assert waiting() == ["one", "two", "one", "two", "three"]
    assert waiting(limit=2) == ["one", "two"]
    second = catalog.without_vector(after=-1, limit=2)[-1].id
    assert waiting(after=second) == ["one", "two", "three"]
    with pytest.raises(IndexDamaged, match="without a vector"):
        list(catalog.vectors(generation=1))
    catalog.put_vectors([chunk("two").hash], vector_of("two")[None])
    assert waiting() == ["one", "one", "three"]
    catalog.remove_documents(["a", "b"], generation=2)
    assert catalog.count_without_vector() == 0, "what is gone waits for nothing"


def test_the_vector_of_an_unchanged_text_is_reused_after_its_document_was_removed(catalog: Catalog) -> None:
    put(catalog, "old name", "text", "dropped")
    catalog.remove_documents(["old name"], generation=2)
    put(catalog, "new name", "text", generation=2, vectors=False)
    catalog.purge(before=2)
    assert catalog.count_without_vector() == 0
    assert rows(catalog, "vector_codes") == 1


@pytest.mark.parametrize("block", [1, 3, 7, 100])
def test_vectors_are_yielded_in_blocks_by_ascending_id(catalog: Catalog, block: int) -> None:
    put(catalog, "a", *(f"text {number}" for number in range(7)))
    blocks = list(catalog.vectors(generation=1, block=block))
    assert max(len(ids) for ids, _ in blocks) == min(block, 7)
    ids = np.concatenate([ids for ids, _ in blocks])
    assert ids.tolist() == catalog.chunk_ids(EVERYTHING, generation=1).tolist() == sorted(ids)
    expected = np.stack([vector_of(text) for text in texts_of(catalog, ids)])
    np.testing.assert_allclose(np.concatenate([vectors for _, vectors in blocks]), expected, atol=_ROUNDING)


def test_vectors_of_chunks_have_the_order_of_the_ids(catalog: Catalog) -> None:
    put(catalog, "a", "one", "two", "three", "two")
    ids = [int(key) for key in catalog.chunk_ids(EVERYTHING, generation=1)]
    asked = [ids[2], ids[3], ids[0], ids[1]]
    expected = np.stack([vector_of(text) for text in ("three", "two", "one", "two")])
    np.testing.assert_allclose(catalog.vectors_of(asked), expected, atol=_ROUNDING)
    put(catalog, "b", "four", vectors=False)
    with pytest.raises(IndexDamaged, match="without a vector"):
        catalog.vectors_of([*ids, ids[-1] + 1])


def test_owners_texts_and_copies_are_those_of_a_generation(catalog: Catalog) -> None:
    put(catalog, "a", "same", "one")
    put(catalog, "b", "same", "two", "two", title="of its own")
    put(catalog, "b", "same", generation=2)
    put(catalog, "c", "same", generation=2)
    before, after = chunk_owners(catalog, generation=1), chunk_owners(catalog, generation=2)
    assert before.shape == (5, 2)
    assert [texts_of(catalog, [key])[0] for key in before[:, 0]] == ["same", "one", "same", "two", "two"]
    assert [list(before[:, 1]).count(key) for key in before[:, 1]] == [2, 2, 3, 3, 3]
    assert [text for _, text in chunk_texts(catalog, generation=2)] == ["same", "one", "same", "same"]
    ids = after[:, 0]
    assert equal_chunks(catalog, generation=1, limit=9) == [(before[0, 0], before[2, 0]), (before[3, 0], before[4, 0])]
    assert equal_chunks(catalog, generation=2, limit=9) == [(ids[0], ids[2]), (ids[0], ids[3])]
    put(catalog, "d", "one", generation=2)
    assert [texts_of(catalog, pair)[0] for pair in equal_chunks(catalog, generation=2, limit=9)] == [
        "same",
        "one",
        "same",
    ]
    assert len(equal_chunks(catalog, generation=2, limit=2)) == 2


def test_overlapping_chunks_are_of_the_same_document_and_generation(catalog: Catalog) -> None:
    spans = [(0, 10), (8, 20), (20, 30), (25, 40)]
    rows = [replace(chunk(f"{start}"), start=start, end=end) for start, end in spans]
    catalog.put_document(document("a"), rows, generation=1)
    catalog.put_document(document("b"), rows, generation=1)
    ids = [int(key) for key in catalog.chunk_ids(SearchFilter(paths=("a",)), generation=1)]
    found = {start: overlapping_chunks(catalog, "a", start, generation=1) for start, _ in spans}
    assert found == {0: ids[:2], 8: [ids[1], ids[0]], 20: ids[2:], 25: [ids[3], ids[2]]}
    assert overlapping_chunks(catalog, "a", 1, generation=1) == overlapping_chunks(catalog, "c", 0, generation=1) == []
    catalog.remove_documents(["a"], generation=2)
    assert overlapping_chunks(catalog, "a", 0, generation=2) == []
    assert overlapping_chunks(catalog, "a", 0, generation=1) == ids[:2]


def test_an_empty_catalog_returns_empty_results(catalog: Catalog) -> None:
    assert visible(catalog, 1) == {
        "texts": [], "vectors": [], "matches": [], "counts": Counts(0, 0, 0, 0), "formats": {}, "failures": [],
    }  # fmt: skip
    assert catalog.current_documents() == {}
    assert catalog.chunks([]) == catalog.chunks([7]) == {}


# Chunks and documents


def test_a_chunk_is_read_as_it_was_written(catalog: Catalog) -> None:
    row = ChunkRow('Text "quoted" – 漢字 👩‍👩‍👧 \x00', ("One", 'T "w" o', "三"), 3, 33, 2, None, b"\x00\xff" * 16)
    catalog.put_document(document("ordner/ä b.pdf", format="pdf", title="Títle"), [row], generation=1)
    [found] = catalog.chunks(catalog.chunk_ids(EVERYTHING, generation=1)).values()
    assert found.chunk == row
    assert (found.path, found.title, found.format) == ("ordner/ä b.pdf", "Títle", "pdf")


def test_formats_are_counted_most_first(catalog: Catalog) -> None:
    for path, format in [("a", "text"), ("b", "pdf"), ("c", "pdf"), ("d", "code")]:
        put(catalog, path, "text", format=format)
    catalog.put_document(document("e", format="pdf", failure="It is broken."), [], generation=1)
    assert list(document_formats(catalog, generation=1).items()) == [("pdf", 2), ("code", 1), ("text", 1)]
    assert generation_counts(catalog, generation=1) == Counts(documents=4, failed=1, chunks=4, bytes=16)


def test_sizes_are_counted_in_bytes(catalog: Catalog) -> None:
    put(catalog, "a", "漢字")
    assert generation_counts(catalog, generation=1).bytes == 6


# Filters


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (SearchFilter(), ["docs/a.md", "docs/deep/b.md", "docs/deep/c.py", "src/d.py"]),
        (SearchFilter(paths=("docs/*",)), ["docs/a.md", "docs/deep/b.md", "docs/deep/c.py"]),
        (SearchFilter(paths=("*.md",)), ["docs/a.md", "docs/deep/b.md"]),
        (SearchFilter(paths=("*/a.md", "src/?.py")), ["docs/a.md", "src/d.py"]),
        (SearchFilter(paths=("docs/[ab].md",)), ["docs/a.md"]),
        (SearchFilter(paths=("docs",)), ["docs/a.md", "docs/deep/b.md", "docs/deep/c.py"]),
        (SearchFilter(paths=("doc",)), []),
        (SearchFilter(paths=("DOCS/*",)), []),
        (SearchFilter(formats=("code",)), ["docs/deep/c.py", "src/d.py"]),
        (SearchFilter(formats=("code", "markdown"), paths=("*deep*",)), ["docs/deep/b.md", "docs/deep/c.py"]),
        (SearchFilter(formats=("nothing",)), []),
        (SearchFilter(paths=("'; DROP TABLE chunks; --",)), []),
    ],
)
def test_a_filter_applies_to_ids_and_to_matches(catalog: Catalog, where: SearchFilter, expected: list[str]) -> None:
    for path in ["docs/a.md", "docs/deep/b.md", "docs/deep/c.py", "src/d.py"]:
        put(catalog, path, f"common {path}", format="markdown" if path.endswith(".md") else "code")
    ids = catalog.chunk_ids(where, generation=1)
    assert ids.dtype == np.int64
    assert sorted(texts_of(catalog, ids)) == [f"common {path}" for path in expected]
    matched = [key for key, _ in catalog.match(LexicalQuery(("common",)), k=9, where=where, generation=1)]
    assert sorted(matched) == ids.tolist()


# Full text


def matched(catalog: Catalog, *words: str, k: int = 10, **more: tuple[str, ...]) -> list[str]:
    ids = [key for key, _ in catalog.match(LexicalQuery(words, **more), k=k, where=EVERYTHING, generation=1)]
    return texts_of(catalog, ids)


def test_matches_are_ranked_by_bm25(catalog: Catalog) -> None:
    often, once, long = "whale whale whale", "the whale sleeps", "one whale " + "and the sea " * 30
    put(catalog, "a", long, once, often, "no such animal", "nor here", "nor there")
    assert matched(catalog, "whale") == [often, once, long]
    assert matched(catalog, "whale", k=2) == [often, once]
    scores = [score for _, score in catalog.match(LexicalQuery(("whale",)), k=9, where=EVERYTHING, generation=1)]
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] > 0
    assert matched(catalog, "whale", "animal")[0] == "no such animal", "the rarer word counts for more"


def test_invisible_matches_do_not_reduce_the_number_of_results(catalog: Catalog) -> None:
    for number in range(40):
        put(catalog, f"gone{number}.txt", "whale whale whale", generation=1)
    put(catalog, "left.txt", "a whale among many other words of a longer text", generation=1)
    catalog.remove_documents([f"gone{number}.txt" for number in range(40)], generation=2)
    put(catalog, "coming.txt", "whale whale", generation=3)
    now = catalog.match(LexicalQuery(("whale",)), k=1, where=EVERYTHING, generation=2)
    assert texts_of(catalog, [key for key, _ in now]) == ["a whale among many other words of a longer text"]
    assert len(catalog.match(LexicalQuery(("whale",)), k=9, where=EVERYTHING, generation=2)) == 1
    assert len(catalog.match(LexicalQuery(("whale",)), k=99, where=EVERYTHING, generation=1)) == 41


def test_words_are_stemmed_and_folded(catalog: Catalog) -> None:
    put(catalog, "a", "The cats were running", "Café Zürich")
    assert matched(catalog, "run") == matched(catalog, "cat") == matched(catalog, "CATS") == ["The cats were running"]
    assert matched(catalog, "cafe", "zurich") == ["Café Zürich"]


def test_titles_and_headings_are_searched(catalog: Catalog) -> None:
    catalog.put_document(document("a", title="Whales"), [chunk("one", "Ocean", "Deep sea"), chunk("two")], generation=1)
    assert sorted(matched(catalog, "whale")) == ["one", "two"]
    assert matched(catalog, "ocean") == matched(catalog, phrases=("deep sea",)) == ["one"]


def test_words_are_stemmed_by_the_language_of_their_document(catalog: Catalog) -> None:
    put(catalog, "a", "Die Häuser am Meer", language="german")
    assert matched(catalog, "Haus") == ["Die Häuser am Meer"]
    assert catalog.languages() == ["german"]
    put(catalog, "b", "The houses of the sea")
    assert catalog.languages() == ["english", "german"]
    assert matched(catalog, "housing") == ["The houses of the sea"]
    assert matched(catalog, "Hauses") == ["Die Häuser am Meer"]
    catalog.remove_documents(["a"], generation=2)
    catalog.purge(before=2)
    assert catalog.languages() == ["english"]


def test_a_phrase_must_occur_literally(catalog: Catalog) -> None:
    near, far, neither = "he sails the deep sea", "the sea is deep and he sails", "he sails and sails"
    put(catalog, "a", near, far, neither, "deep seas")
    assert matched(catalog, phrases=("Deep Sea",)) == [near], "words are not stemmed in it"
    assert matched(catalog, "sailing", phrases=("deep sea",)) == [near]
    assert matched(catalog, "sailing", "deep", "sea")[:2] != [near]
    assert matched(catalog, phrases=("deep sea", "he sails")) == [near]
    assert matched(catalog, phrases=("deep sea", "sea is")) == []
    assert matched(catalog, "unheard", phrases=("deep sea",)) == [near], "words beside it only rank"


def test_a_phrase_may_be_chinese(catalog: Catalog) -> None:
    matching, apart, mixed = "我们在北京大学学习", "北京的大学", "新しいGPUの性能が高い"
    put(catalog, "a", matching, apart, mixed)
    assert matched(catalog, phrases=("北京大学",)) == [matching]
    assert matched(catalog, phrases=("GPUの性能",)) == [mixed]
    assert matched(catalog, phrases=("学",)) == [apart, matching] or matched(catalog, phrases=("学",)) == [
        matching,
        apart,
    ]


def test_a_prefix_finds_the_words_that_begin_with_it(catalog: Catalog) -> None:
    put(catalog, "a", "retrieval", "retrieving", "retrospect", "the user_name here", "北京大学")
    assert sorted(matched(catalog, prefixes=("Retriev",))) == ["retrieval", "retrieving"]
    assert matched(catalog, prefixes=("retrieva",)) == ["retrieval"]
    assert sorted(matched(catalog, "retrospects", prefixes=("retrieva",))) == ["retrieval", "retrospect"]
    assert matched(catalog, prefixes=("user_na",)) == ["the user_name here"]
    assert matched(catalog, prefixes=("北京",)) == matched(catalog, prefixes=("京",)) == ["北京大学"]


@pytest.mark.parametrize("is_of_version_2", [False, True])
@pytest.mark.parametrize(
    "query",
    [
        LexicalQuery(("whale", "sea")),
        LexicalQuery(("sea",), ("the whale",)),
        LexicalQuery((), (), ("wh",)),
        LexicalQuery(),
    ],
)
def test_scores_of_chunks_are_those_of_the_ranking(
    catalog: Catalog, query: LexicalQuery, is_of_version_2: bool
) -> None:
    put(catalog, "a", "the whale of the sea", "a whale and the whale", "nothing", "sea after sea", "white and grey")
    if is_of_version_2:
        make_version_2(catalog.path)
    ranked = dict(catalog.match(query, k=9, where=EVERYTHING, generation=1))
    filtered = catalog.match(query, k=9, where=SearchFilter(paths=("a",)), generation=1)
    assert filtered == list(ranked.items())
    assert bool(ranked) == (query != LexicalQuery())
    assert catalog.scores_of(query, [5, 4, 3, 2, 1]) == {key: ranked.get(key, 0.0) for key in range(1, 6)}
    assert catalog.scores_of(query, [2]) == {2: ranked.get(2, 0.0)}
    assert catalog.scores_of(query, []) == {}


def test_documents_may_contain_fts5_syntax(catalog: Catalog) -> None:
    texts = [
        'say "hello" OR NOT',
        "NEAR(a b) AND c*",
        "text : {title} - ^x",
        "'; DROP TABLE chunks; --",
        "nul \x00 byte",
    ]
    put(catalog, "a", *texts, title='"title" OR *')
    assert matched(catalog, "hello") == [texts[0]]
    assert matched(catalog, "near", "c") == [texts[1]]
    assert matched(catalog, phrases=("drop table",)) == [texts[3]]
    assert matched(catalog, phrases=('say "hello',)) == [texts[0]]
    catalog.remove_documents(["a"], generation=2)
    catalog.purge(before=2)
    assert_intact(catalog.path)


def test_the_full_text_stays_intact_after_many_purges(catalog: Catalog) -> None:
    for generation in range(1, 30):
        for number in range(5):
            text = f"common word{generation} of {number}"
            put(catalog, f"path {number}", text, text + " again", generation=generation, title=f"Title {generation}")
        catalog.remove_documents([f"path {generation % 5}"], generation=generation)
        catalog.purge(before=generation - 1)
    assert_intact(catalog.path)
    assert catalog.match(LexicalQuery(("word3",)), k=9, where=EVERYTHING, generation=3) == []
    assert len(catalog.match(LexicalQuery(("word29",)), k=99, where=EVERYTHING, generation=29)) == 8
    assert rows(catalog, "documents") == 4 + 4, "of the last generation and the one before"


# Transactions, threads, files


def test_a_transaction_is_atomic(catalog: Catalog) -> None:
    put(catalog, "a", "common old")
    before = visible(catalog, 1)

    def chunks() -> Iterator[ChunkRow]:
        yield chunk("common new")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        catalog.put_document(document("a"), chunks(), generation=2)
    with pytest.raises(ValueError, match="zip"):
        catalog.put_vectors([b"one", b"two"], np.zeros((1, 4), dtype=np.float32))
    assert visible(catalog, 2) == visible(catalog, 1) == before
    put(catalog, "b", "the next transaction begins afresh")
    assert_intact(catalog.path)


def test_threads_share_a_catalog(catalog: Catalog) -> None:
    put(catalog, "common", "common text")
    together = Barrier(8)

    def work(number: int) -> list[str]:
        together.wait(timeout=20)
        put(catalog, f"path {number}", f"common of {number}")
        return texts_of(catalog, catalog.chunk_ids(SearchFilter(paths=(f"path {number}",)), generation=1))

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(work, range(8))) == [[f"common of {number}"] for number in range(8)]
    assert generation_counts(catalog, generation=1).documents == 9
    assert_intact(catalog.path)


def test_closing_a_catalog_closes_the_connections_of_all_threads(catalog: Catalog) -> None:
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(catalog.setting, ["a", "b", "c"]))
    catalog.close()
    assert not catalog.path.with_name("catalog.sqlite-wal").exists(), "the last to leave tidies up"


def test_written_data_can_be_read_after_reopening(catalog: Catalog) -> None:
    put(catalog, "a", "common text")
    catalog.set_settings({"one": "1", "two": "2"})
    catalog.set_settings({"two": "zwei"})
    before = visible(catalog, 1)
    catalog.close()
    for create in (True, False):
        with closing(Catalog(catalog.path, create=create)) as again:
            assert visible(again, 1) == before
            assert (again.setting("one"), again.setting("two"), again.setting("three")) == ("1", "zwei", None)


def test_reading_does_not_create_a_missing_catalog(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    with pytest.raises(IndexDamaged, match="is missing") as caught:
        generation_counts(Catalog(path), generation=1)
    assert "--rebuild" in caught.value.remedy
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"garbage" * 1000, b"SQLite format 3\x00" + b"\x07" * 5000])
def test_a_file_that_is_no_catalog_is_reported_as_damaged(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "catalog.sqlite"
    path.write_bytes(content)
    with pytest.raises(IndexDamaged, match=r"catalog\.sqlite is damaged") as caught:
        generation_counts(Catalog(path), generation=1)
    assert "--rebuild" in caught.value.remedy


# Classical vectors


def put_both(catalog: Catalog, path: str, *texts: str, generation: int = 1) -> None:
    put(catalog, path, *texts, generation=generation, vectors=False)
    echo = np.stack([vector_of(text) for text in texts])
    catalog.put_vectors([chunk(text).hash for text in texts], echo, classical=echo[:, ::-1])


def test_classical_vectors_are_stored_beside_echo_vectors(catalog: Catalog) -> None:
    texts = ["one", "two", "three", "four", "five"]
    put_both(catalog, "a", *texts)
    put(catalog, "b", "read once")
    found = classical_of(catalog, 1)
    assert [*found] == texts
    for text, vector in found.items():
        np.testing.assert_allclose(vector, vector_of(text)[::-1], atol=_ROUNDING)
    assert catalog.count_classical_vectors(generation=1) == 5
    [(ids, vectors)] = catalog.vectors(generation=1)
    np.testing.assert_allclose(vectors[0], vector_of("one"), atol=_ROUNDING)
    assert len(ids) == 6


def test_both_vectors_are_stored_or_neither(catalog: Catalog) -> None:
    put(catalog, "a", "one", "two", vectors=False)
    hashes = [chunk("one").hash, chunk("two").hash]
    with pytest.raises(ValueError, match="zip"):
        catalog.put_vectors(hashes, np.ones((2, 4), np.float32), classical=np.ones((1, 4), np.float32))
    assert (rows(catalog, "vector_codes"), rows(catalog, "classical_codes")) == (0, 0)
    with catalog.database.transaction() as connection:
        connection.execute("DROP TABLE classical_codes")
    with pytest.raises(IndexDamaged, match="no such table: classical_codes"):
        catalog.put_vectors(hashes, np.ones((2, 4), np.float32), classical=np.ones((2, 4), np.float32))
    assert rows(catalog, "vector_codes") == 0


def test_classical_vectors_follow_their_generation_and_are_purged(catalog: Catalog) -> None:
    put_both(catalog, "a", "old")
    put_both(catalog, "b", "kept")
    put_both(catalog, "a", "new", generation=2)
    assert [set(classical_of(catalog, generation)) for generation in (1, 2)] == [{"old", "kept"}, {"new", "kept"}]
    catalog.purge(before=1)
    assert rows(catalog, "classical_codes") == 3
    catalog.purge(before=2)
    assert rows(catalog, "vector_codes") == rows(catalog, "classical_codes") == 2
    assert set(classical_of(catalog, 2)) == {"new", "kept"}


def test_a_catalog_without_classical_vectors_is_read_and_migrated(catalog: Catalog) -> None:
    put(catalog, "a", "old")
    make_version_2(catalog.path)
    with catalog.database.transaction() as connection:
        connection.execute("DROP TABLE classical_vectors")
        connection.execute("ALTER TABLE documents DROP COLUMN titled")
        connection.execute("PRAGMA user_version = 0")
    catalog.close()
    with closing(Catalog(catalog.path)) as reader:
        assert classical_of(reader, 1) == {}
        assert reader.count_classical_vectors(generation=1) == 0
        with closing(Catalog(catalog.path, create=True)) as writer:
            put_both(writer, "b", "new")
        assert set(classical_of(reader, 1)) == {"new"}
        assert reader.count_classical_vectors(generation=1) == 1


def test_a_text_that_is_repeated_very_often_is_not_looked_for_among_its_repetitions(tmp_path: Path) -> None:
    def steps(repetitions: int) -> int:
        counted = 0

        def count() -> None:
            nonlocal counted
            counted += 1

        with closing(Catalog(tmp_path / f"{repetitions}.sqlite", create=True)) as catalog:
            put(catalog, "first", "one", "two")
            with catalog.database.transaction() as connection:
                connection.set_progress_handler(count, 100)
            put(catalog, "a", *["word"] * repetitions, "one", vectors=False)
        return counted

    assert steps(2_000) < 6 * steps(500), "four times the passages, and not sixteen times the work"


def test_the_full_text_is_merged_once_half_of_it_is_new(catalog: Catalog) -> None:
    def parts() -> int:
        return int(catalog.database.value("SELECT count(DISTINCT segid) FROM terms_idx"))

    for number in range(8):
        put(catalog, f"{number}.txt", f"the common zebra {number}")
    before, pages = visible(catalog, 1), catalog.database.value("PRAGMA page_count")
    assert len(before["matches"]) == 8  # type: ignore[arg-type]
    assert parts() > 1
    catalog.compact()
    assert parts() == 1
    assert catalog.database.value("PRAGMA page_count") <= pages
    assert visible(catalog, 1) == before

    for number in range(8, 17):
        put(catalog, f"{number}.txt", f"the common zebra {number}")
        assert parts() > 1
        catalog.compact()
        assert (parts() == 1) == (number == 16)
    assert len(visible(catalog, 1)["matches"]) == 17  # type: ignore[arg-type]
    assert_intact(catalog.path)


def test_what_merging_frees_is_given_back_to_the_disk(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("echo_index.indexer.storage.sqlite._LEAST_FREED", 1)
    monkeypatch.setattr("echo_index.indexer.catalog.catalog.FREED_SHARE", 1)  # more than merging frees
    for number in range(60):
        put(catalog, f"{number}.txt", " ".join(f"{word:x}" for word in range(number, number + 300)))
    pages = catalog.database.value("PRAGMA page_count")
    catalog.compact()
    assert catalog.database.value("PRAGMA page_count") < pages
    assert catalog.database.value("PRAGMA freelist_count") == 0
    assert_intact(catalog.path)


def test_a_full_text_that_cannot_be_merged_stays_as_it_is(catalog: Catalog) -> None:
    put(catalog, "a.txt", "the common zebra")
    put(catalog, "b.txt", "another common zebra")
    before = visible(catalog, 1)
    catalog.database.rows("PRAGMA query_only = ON")
    catalog.compact()
    catalog.database.rows("PRAGMA query_only = OFF")
    assert visible(catalog, 1) == before
    assert_intact(catalog.path)
