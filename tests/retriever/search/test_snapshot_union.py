"""Several indexes searched as one rank as one index of all their documents does."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from indexer_helpers import WordEncoder

from echo_index.embeddings.vectors.vector_ops import l2_normalize
from echo_index.indexer.building.build_documents import index_documents
from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.catalog.records import LexicalQuery, SearchFilter
from echo_index.indexer.documents.document import Document
from echo_index.indexer.generations.snapshot import Snapshot, open_snapshot
from echo_index.indexer.stores.search_space import SearchSpace
from echo_index.indexer.vectors.normalization import VectorNormalization, pooled_normalization
from echo_index.retriever.search.dense import dense_ranking
from echo_index.retriever.search.hits import Scored
from echo_index.retriever.search.hybrid import hybrid_ranking
from echo_index.retriever.search.lexical import lexical_ranking, parse_lexical_query
from echo_index.retriever.search.snapshot_union import SnapshotUnion

EVERYTHING = SearchFilter()
WORDS = ["anchor", "bridge", "candle", "desert", "engine", "forest", "garden", "harbor", "island", "jungle", "kettle"]
QUERY = "an engine in the desert behind the garden"


def documents(count: int, *, seed: int) -> list[tuple[str, Document]]:
    """Return documents of ten words each; the further on a word is in WORDS, the rarer it is."""
    chance = random.Random(seed)
    weights = [0.7**number for number in range(len(WORDS))]
    return [
        (
            f"{seed}-{number}",
            Document(text=" ".join(chance.choices(WORDS, weights=weights, k=10)), title="", format="text"),
        )
        for number in range(count)
    ]


def snapshot(given: list[tuple[str, Document]], folder: Path) -> Snapshot:
    index_documents(given, folder, encoder=WordEncoder())  # type: ignore[arg-type]
    return open_snapshot(folder)


def by_path(space: SearchSpace, ranked: Scored) -> dict[str, float]:
    """Return the scores of a ranking by the paths of the documents, each of which has one chunk."""
    chunks = space.stored_chunks([identifier for identifier, _ in ranked])
    return {chunks[identifier].path: score for identifier, score in ranked}


@pytest.fixture(scope="module")
def whole_and_union(tmp_path_factory: pytest.TempPathFactory) -> tuple[Snapshot, SnapshotUnion]:
    """Return one index, and two with its documents: few enough that none has a normalization of its own."""
    folder = tmp_path_factory.mktemp("union")
    many, few = documents(11, seed=1), documents(4, seed=2)
    whole = snapshot([*many, *few], folder / "whole")
    return whole, SnapshotUnion({"many": snapshot(many, folder / "many"), "few": snapshot(few, folder / "few")})


def test_words_weigh_as_much_as_in_one_index(whole_and_union: tuple[Snapshot, SnapshotUnion]) -> None:
    whole, union = whole_and_union
    expected = by_path(whole, lexical_ranking(whole, QUERY, 100, EVERYTHING))
    assert by_path(union, lexical_ranking(union, QUERY, 100, EVERYTHING)) == pytest.approx(expected, rel=1e-4)
    # By the statistics of its own index, a document has another score.
    [_, few] = union._snapshots
    alone = by_path(few, lexical_ranking(few, QUERY, 100, EVERYTHING))
    assert any(abs(score - expected[path]) > 0.01 for path, score in alone.items())


def test_vectors_are_ranked_as_in_one_index(whole_and_union: tuple[Snapshot, SnapshotUnion]) -> None:
    whole, union = whole_and_union
    [vector] = WordEncoder().encode_queries([QUERY])
    expected = by_path(whole, dense_ranking(whole, vector, k=5, where=EVERYTHING).ranked)
    ranked = by_path(union, dense_ranking(union, vector, k=5, where=EVERYTHING).ranked)
    assert ranked == pytest.approx(expected, abs=1e-5)


def test_hybrid_search_ranks_as_in_one_index(whole_and_union: tuple[Snapshot, SnapshotUnion]) -> None:
    whole, union = whole_and_union
    [vector] = WordEncoder().encode_queries([QUERY])
    rankings = [hybrid_ranking(space, QUERY, vector, k=3, where=EVERYTHING) for space in (whole, union)]
    expected, ranked = (by_path(space, found.fused) for space, found in zip((whole, union), rankings, strict=True))
    assert ranked == pytest.approx(expected, rel=1e-3)


def test_chunks_tell_their_index_and_filters_hold_in_each(whole_and_union: tuple[Snapshot, SnapshotUnion]) -> None:
    _, union = whole_and_union
    [vector] = WordEncoder().encode_queries([QUERY])
    where = SearchFilter(paths=("1-0", "2-1", "2-3"))
    nearest = union.nearest(union.normalization.normalize_query(vector), k=10, where=where)
    chunks = union.stored_chunks([identifier for identifier, _ in nearest])
    assert {(chunk.collection, chunk.path) for chunk in chunks.values()} == {
        ("many", "1-0"),
        ("few", "2-1"),
        ("few", "2-3"),
    }
    assert [chunks[identifier].id for identifier, _ in nearest] == [identifier for identifier, _ in nearest]


def test_scores_are_those_of_the_ranking(whole_and_union: tuple[Snapshot, SnapshotUnion]) -> None:
    _, union = whole_and_union
    query = parse_lexical_query(QUERY, union.languages())
    ranked = dict(union.matching(query, k=100, where=EVERYTHING))
    assert union.scores(query, list(ranked)) == pytest.approx(ranked)


def test_statistics_are_counted_once_for_a_query(
    whole_and_union: tuple[Snapshot, SnapshotUnion], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, union = whole_and_union
    counted: list[LexicalQuery] = []
    count = Catalog.term_statistics
    monkeypatch.setattr(Catalog, "term_statistics", lambda self, query: counted.append(query) or count(self, query))
    [vector] = WordEncoder().encode_queries(["a new query of the garden"])
    hybrid_ranking(union, "a new query of the garden", vector, k=3, where=EVERYTHING)
    assert len(counted) == 2, "once for each index"


def test_a_passage_is_as_relevant_as_the_indexes_say_together(
    whole_and_union: tuple[Snapshot, SnapshotUnion], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, union = whole_and_union
    assert union.relevance(0.9) is None, "indexes of so few passages cannot tell"
    shares = iter([0.9, 0.5, 0.9, None])
    monkeypatch.setattr(Snapshot, "relevance", lambda self, cosine: next(shares))
    assert union.relevance(0.3) == pytest.approx(0.45)
    assert union.relevance(0.3) is None


def test_english_is_the_first_language_of_all_indexes(tmp_path: Path) -> None:
    german = "Der Fuchs springt über den Zaun und schläft danach im Garten, weil er müde geworden ist."
    english = "The fox jumps over the fence and then it sleeps in the garden because it is tired."
    indexes = {}
    for name, text in (("german", german), ("english", english)):
        indexes[name] = snapshot([(name, Document(text=text, title="", format="text"))], tmp_path / name)
    assert SnapshotUnion(indexes).languages() == ["english", "german"]


def test_a_phrase_in_most_of_all_passages_still_matches(tmp_path: Path) -> None:
    common = [(f"c{number}", Document(text="red fox", title="", format="text")) for number in range(40)]
    rare = [("r0", Document(text="red fox", title="", format="text"))]
    rare += [(f"r{number}", Document(text="blue owl", title="", format="text")) for number in range(1, 29)]
    union = SnapshotUnion({"c": snapshot(common, tmp_path / "c"), "r": snapshot(rare, tmp_path / "r")})
    query = parse_lexical_query('"red fox"', union.languages())
    [found] = [key for key, _ in union.matching(query, k=100, where=SearchFilter(paths=("r0",)))]
    assert union.scores(query, [found])[found] > 0


def normalization(mean: float, gain: float, passages: int) -> VectorNormalization:
    """Return a normalization in three dimensions that attenuates the second."""
    axis = np.eye(3, dtype=np.float32)
    return VectorNormalization.of(
        mean * axis[0], -mean * axis[0], axis[1:2], np.array([gain], dtype=np.float32), passages
    )


def test_a_pooled_normalization_is_a_mean_in_which_large_indexes_weigh_alike() -> None:
    pooled = pooled_normalization([normalization(0.2, 0.5, 200), normalization(0.6, 0.1, 40)])
    vectors = l2_normalize(np.array([[1.0, 0.5, 0.2], [0.3, -0.8, 0.1]], dtype=np.float32))
    attenuation = np.array([1, 0.4, 1])  # three quarters of 0.5 and a quarter of 0.1
    for normalize, mean in ((pooled.normalize_documents, 0.3), (pooled.normalize_queries, -0.3)):
        expected = l2_normalize(((vectors - np.array([mean, 0, 0])) * attenuation).astype(np.float32))
        assert normalize(vectors) == pytest.approx(expected, abs=1e-3)
    assert pooled.passages == 240
    large = pooled_normalization([normalization(0.2, 0.5, 10**7), normalization(0.6, 0.1, 10**9)])
    assert large.normalize_documents(vectors) == pytest.approx(
        pooled_normalization([normalization(0.2, 0.5, 300), normalization(0.6, 0.1, 300)]).normalize_documents(vectors),
        abs=1e-3,
    )


def test_an_index_without_an_estimate_does_not_change_that_of_another() -> None:
    estimated, tiny = normalization(0.2, 0.5, 300), VectorNormalization.identity(3, 5)
    assert pooled_normalization([tiny, estimated]) == estimated
    assert pooled_normalization([tiny, tiny]).is_identity
