"""Whole evaluations: each system ranks as described, and no text is embedded twice."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evaluation_files import json_lines, write_beir, write_pairs
from indexer_helpers import WordEncoder, build, write

from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.vectors.paired_embeddings import EmbeddingPair
from echo_index.errors import MissingPackage, SourceError
from echo_index.indexer.catalog.chunk_queries import embedded_chunks
from echo_index.indexer.catalog.records import SearchFilter
from echo_index.indexer.documents.chunking import Chunking, embedded_text
from echo_index.indexer.generations.snapshot import Snapshot
from echo_index.retriever.evaluation import document_bm25, sentence_transformer
from echo_index.retriever.evaluation.baselines import SentenceTransformerBaseline
from echo_index.retriever.evaluation.dataset_loader import read_evaluation_input
from echo_index.retriever.evaluation.datasets import BeirDataset, EvaluationQuery, QuestionFile, SentencePairs
from echo_index.retriever.evaluation.document_bm25 import DocumentBM25
from echo_index.retriever.evaluation.exact_search import exact_search
from echo_index.retriever.evaluation.indexed_dataset import (
    MORE_CHUNKS,
    IndexedDataset,
    open_dataset,
    open_question_file,
)
from echo_index.retriever.evaluation.results import DatasetResult, mean_scores, with_differences
from echo_index.retriever.evaluation.retrieval_systems import DEFAULT_SYSTEMS, SYSTEMS, RetrievalSystem
from echo_index.retriever.evaluation.runner import evaluate_rankings, evaluate_similarities
from echo_index.retriever.evaluation.similarity_methods import SIMILARITY_METHODS, embed_pairs
from echo_index.retriever.search.hits import Hit
from echo_index.retriever.search.hybrid import hybrid_ranking
from echo_index.retriever.search.retriever import Retriever

USUAL = [SYSTEMS[name] for name in DEFAULT_SYSTEMS]


class CountingEncoder(WordEncoder):
    """Counts embedded queries too, except the synthetic queries of an index."""

    def __init__(self, patience: int | None = None, twice: bool = True) -> None:
        super().__init__(patience=patience, twice=twice)
        self.asked: list[str] = []

    def encode_query_pairs(self, texts: Sequence[str], *, instruction: str | None = None) -> EmbeddingPair:
        self.asked += texts
        return super().encode_query_pairs(texts, instruction=instruction)


def collection(tmp_path: Path) -> BeirDataset:
    folder = tmp_path / "small"
    found = read_evaluation_input(folder if folder.exists() else write_beir(folder))
    assert isinstance(found, BeirDataset)
    return found


def opened(tmp_path: Path, encoder: WordEncoder | None = None) -> IndexedDataset:
    return open_dataset(
        collection(tmp_path),
        encoder or CountingEncoder(),  # type: ignore[arg-type]
        work=tmp_path / "work",
        chunking=Chunking(12, 3),
    )


def evaluated(tmp_path: Path, encoder: WordEncoder | None = None) -> DatasetResult:
    return evaluate_rankings(opened(tmp_path, encoder), USUAL)


def test_all_rows_are_measured_and_compared_with_the_baseline(tmp_path: Path) -> None:
    result = evaluated(tmp_path)
    assert tuple(row.row for row in result.rows) == DEFAULT_SYSTEMS
    assert (result.questions, result.documents, result.passages) == (["q1", "q2"], 4, 3)
    rows = {row.row: row for row in result.rows}
    assert rows["bm25"].scores["nDCG@10"] == 100
    assert rows["bm25"].difference is None
    assert rows["bm25"].seconds_embedding is None
    difference = rows["echo"].difference
    assert difference is not None
    assert difference.value == pytest.approx(rows["echo"].scores["nDCG@10"] - 100)
    assert rows["echo"].per_question["recall@100"] == [100, 100]
    assert rows["echo"].seconds_embedding is not None
    again = with_differences(result, "echo")
    assert again.rows[0].difference is not None
    assert again.rows[0].difference.value == pytest.approx(-difference.value)
    assert all(row.difference is None for row in with_differences(result, "none").rows)
    means = mean_scores([result, replace(result, rows=result.rows[:2])], "rankings")
    assert [*means] == [*DEFAULT_SYSTEMS[:2]], "only rows that all collections have"


def test_a_second_run_embeds_nothing(tmp_path: Path) -> None:
    first = CountingEncoder()
    result = evaluated(tmp_path, first)
    assert len(first.embedded) == 3
    assert {"Where does the whale sing?", "When is bread baked?"} <= {*first.asked}
    second = CountingEncoder()
    again = evaluated(tmp_path, second)
    assert (second.embedded, second.asked) == ([], [])
    assert [row.per_question for row in again.rows] == [row.per_question for row in result.rows]
    other = CountingEncoder()
    made = opened(tmp_path, other)
    made.instruction = "Find it."
    assert len(made.embeddings.echo) == 2
    assert len(other.asked) == 2, "another instruction makes other vectors"


def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        evaluated(tmp_path, CountingEncoder(patience=0))
    assert len(evaluated(tmp_path, CountingEncoder()).rows) == len(DEFAULT_SYSTEMS)


def test_the_dense_row_is_the_search_echo_lacks_its_feedback_and_raw_rows_keep_the_means(tmp_path: Path) -> None:
    made = opened(tmp_path)
    snapshot = made.retriever.snapshot
    rows = (SYSTEMS[name].rank(made) for name in ("dense", "echo"))
    for question, vector, searched, compared_once in zip(made.queries, made.embeddings.echo, *rows, strict=True):
        hits = made.retriever.search(question.text, k=100, mode="dense")
        assert searched == [*dict.fromkeys(hit.source for hit in hits)]
        query = snapshot.normalization.normalize_query(vector)
        nearest = [key for key, _ in snapshot.nearest(query, k=100, where=SearchFilter())]
        paths_of = snapshot.catalog.chunks(nearest)
        assert compared_once == [*dict.fromkeys(paths_of[key].path for key in nearest)]
    [(ids, vectors)] = snapshot.catalog.vectors(generation=snapshot.manifest.generation)
    nearest = ids[np.argsort(-(made.embeddings.echo @ vectors.T), axis=1)]
    paths = snapshot.catalog.chunks(ids.tolist())
    assert SYSTEMS["echo-raw"].rank(made) == [[paths[key].path for key in row] for row in nearest.tolist()]


def test_the_classical_rows_rank_by_the_first_copy_on_both_sides(tmp_path: Path) -> None:
    made = opened(tmp_path)
    snapshot = made.retriever.snapshot
    [(ids, vectors)] = snapshot.catalog.classical_vectors(generation=snapshot.manifest.generation)
    [(_, of_echo)] = snapshot.catalog.vectors(generation=snapshot.manifest.generation)
    assert not np.allclose(vectors, of_echo)
    assert made.embeddings.classical is not None
    paths = snapshot.catalog.chunks(ids.tolist())
    nearest = ids[np.argsort(-(made.embeddings.classical @ vectors.T), axis=1, kind="stable")]
    assert SYSTEMS["classical-raw"].rank(made) == [[paths[key].path for key in row] for row in nearest.tolist()]
    for vector, ranking in zip(made.embeddings.classical, SYSTEMS["classical"].rank(made), strict=True):
        query = snapshot.classical.normalization.normalize_query(vector)
        found = snapshot.nearest_classical(query, k=100, where=SearchFilter())
        assert ranking == [paths[key].path for key, _ in found]


def test_more_passages_are_looked_at_where_they_are_of_few_documents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = opened(tmp_path)
    hits = made.retriever.search(made.queries[0].text, k=100, mode="dense")
    documents = [*dict.fromkeys(hit.source for hit in hits)]
    again = [replace(hits[0], start=number) for number in range(1, 4)]
    monkeypatch.setattr("echo_index.retriever.evaluation.indexed_dataset.CHUNKS", 4)
    asked: list[int] = []

    def find(position: int, question: EvaluationQuery, most: int) -> list[Hit]:
        asked.append(most)
        return [hits[0], *again, *hits[1:]][:most]

    assert made.rank_each(find) == [documents] * len(made.queries)
    assert asked == [4, MORE_CHUNKS] * len(made.queries)
    asked.clear()
    made.rank_each(lambda position, question, most: asked.append(most) or hits[:3])  # type: ignore[func-returns-value]
    assert asked == [4] * len(made.queries), "there are no more"


def test_the_row_without_feedback_leaves_the_question_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = opened(tmp_path)
    asked: list[int] = []
    monkeypatch.setattr(
        "echo_index.retriever.evaluation.retrieval_systems.hybrid_ranking",
        lambda *given, **how: asked.append(how["feedback"]) or hybrid_ranking(*given, **how),  # type: ignore[func-returns-value]
    )
    snapshot = made.retriever.snapshot
    paths = {row.id: row.path for row in snapshot.catalog.chunks(range(1, 500)).values()}
    rankings = SYSTEMS["hybrid-once"].rank(made)
    assert asked == [0] * len(made.queries)
    for question, vector, ranking in zip(made.queries, made.embeddings.echo, rankings, strict=True):
        once = hybrid_ranking(snapshot, question.text, vector, k=100, where=SearchFilter(), feedback=0)
        assert ranking == [*dict.fromkeys(paths[key] for key, _ in once.fused)]


def test_the_row_of_halves_ranks_by_the_first_half_of_each_passage_once_embedded(tmp_path: Path) -> None:
    made = opened(tmp_path)
    ranked = SYSTEMS["echo-half"].rank(made)
    encoder, normalization = WordEncoder(), made.retriever.snapshot.normalization
    names, halves = [], []
    for passages in embedded_chunks(made.retriever.snapshot.catalog, generation=1):
        key, title, headings, text = passages
        words = text.split()
        assert len(words) > 1
        halves.append(embedded_text(title, headings, " ".join(words[: -(-len(words) // 2)])))
        names.append(made.retriever.snapshot.catalog.chunks([key])[key].path)
    cosines = (
        normalization.normalize_queries(made.embeddings.echo)
        @ normalization.normalize_documents(encoder.encode_documents(halves)).T
    )
    assert ranked == [[names[place] for place in row] for row in np.argsort(-cosines, axis=1, kind="stable").tolist()]
    assert ranked != SYSTEMS["echo"].rank(made)
    again = opened(tmp_path)
    again.encoder.encode_documents = lambda texts: pytest.fail("embedded again")  # type: ignore[method-assign]
    assert SYSTEMS["echo-half"].rank(again) == ranked


def test_rows_without_directions_and_fused_by_ranks_rank_what_echo_ranks(tmp_path: Path) -> None:
    made = opened(tmp_path)
    echo = SYSTEMS["echo"].rank(made)
    less = SYSTEMS["echo-less-1"].rank(made)
    assert [sorted(ranking) for ranking in less] == [sorted(ranking) for ranking in echo]
    for question, ranking in zip(made.queries, SYSTEMS["hybrid-ranks"].rank(made), strict=True):
        dense, words = (
            [hit.source for hit in made.retriever.search(question.text, k=100, mode=mode)]
            for mode in ("dense", "lexical")
        )
        scores = {
            source: sum(1 / (11 + found.index(source)) for found in (dense, words) if source in found)
            for source in {*dense, *words}
        }
        values = [scores[source] for source in ranking]
        assert values == sorted(scores.values(), reverse=True)


def test_exact_neighbours_over_several_blocks() -> None:
    random = np.random.default_rng(0)
    vectors, questions = random.normal(size=(50, 8)).astype("f4"), random.normal(size=(3, 8)).astype("f4")

    def blocks() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start in range(0, 50, 7):
            yield np.arange(start, min(50, start + 7)) + 100, vectors[start : start + 7]

    found = exact_search(blocks(), questions, k=10)
    expected = np.argsort(-(questions @ vectors.T), axis=1)[:, :10] + 100
    assert [[key for key, _ in row] for row in found] == expected.tolist()
    assert len(exact_search(blocks(), questions, k=99)[0]) == 50


def test_a_row_of_ones_own_is_measured_like_the_others(tmp_path: Path) -> None:
    worst = RetrievalSystem("worst", "the wrong ones first", lambda made: [["empty", "bread"], ["kites", "whales"]])
    never = RetrievalSystem("never", "cannot be", lambda made: [], lacking=lambda made: "it lacks something")
    result = evaluate_rankings(opened(tmp_path), [worst, never])
    assert [row.scores["nDCG@10"] for row in result.rows] == [0]
    assert result.left_out == {"never": "it lacks something"}


def test_rows_without_classical_vectors_are_left_out(tmp_path: Path) -> None:
    result = evaluated(tmp_path, CountingEncoder(twice=False))
    assert [*result.left_out] == ["classical", "classical-raw"]
    assert len(result.rows) == len(DEFAULT_SYSTEMS) - 2


@pytest.fixture
def index(tmp_path: Path) -> Path:
    write(
        tmp_path / "docs",
        whales="# Whales\n\nWhales live in the deep sea. They sing long songs at night. The blue one is the largest.\n",
        bread="# Bread\n\nBread is made of flour, water and salt. It rises for hours. Bake it hot and let it cool.\n",
    )
    build(tmp_path / "docs", tmp_path / ".echo-index")
    return tmp_path / ".echo-index"


def asked(tmp_path: Path, index: Path, *lines: dict[str, object]) -> IndexedDataset:
    file = read_evaluation_input(json_lines(tmp_path / "questions.jsonl", lines))
    assert isinstance(file, QuestionFile)
    retriever = Retriever.open(index, encoder=WordEncoder())  # type: ignore[arg-type]
    return open_question_file(file, retriever, work=tmp_path / "work")


def test_questions_about_an_existing_index_can_name_pages_and_quotations(tmp_path: Path, index: Path) -> None:
    made = asked(
        tmp_path,
        index,
        {"question": "Who does sing songs?", "page": "docs/whales.md"},
        {"question": "largest", "page": "docs/whales.md", "passage": "The blue one\nis the largest."},
        {"question": "deep sea", "page": "docs/whales.md", "passage": "blue one"},
    )
    result = evaluate_rankings(made, [SYSTEMS["bm25"]])
    assert result.rows[0].per_question["MRR@10"] == [100, 100, 0], "the page alone is not the passage"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"question": "a", "page": "docs/kites.md"}, "Line 2 of .*names 'docs/kites.md', which is not in the index"),
        ({"question": "a", "page": "docs/bread.md", "passage": "no such"}, "Line 2 of .*quotes what no passage"),
    ],
)
def test_documents_and_quotations_that_are_not_in_the_index_are_errors(
    tmp_path: Path, index: Path, line: dict[str, object], said: str
) -> None:
    with pytest.raises(SourceError, match=said):
        asked(tmp_path, index, {"question": "b", "page": "docs/bread.md"}, line)


def test_pairs_are_measured_and_embedded_once(tmp_path: Path) -> None:
    pairs = read_evaluation_input(write_pairs(tmp_path / "pairs.tsv"))
    assert isinstance(pairs, SentencePairs)
    encoder, second = CountingEncoder(), CountingEncoder()
    embedded = embed_pairs(pairs, encoder, work=tmp_path)  # type: ignore[arg-type]
    assert len(encoder.embedded) == 8
    result = evaluate_similarities(embedded, [*SIMILARITY_METHODS.values()], encoder=encoder.config())
    again = embed_pairs(pairs, second, work=tmp_path)  # type: ignore[arg-type]
    assert second.embedded == []
    np.testing.assert_array_equal(again.embeddings.echo, embedded.embeddings.echo)
    rows = {row.row: row for row in result.rows}
    vectors = encoder.encode_documents([*pairs.first, *pairs.second])
    raw = (vectors[:4] * vectors[4:]).sum(axis=1)
    assert rows["echo-raw"].per_question["similarity"] == pytest.approx(raw.tolist(), abs=1e-6)
    centred = vectors - vectors.mean(axis=0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    assert rows["echo"].per_question["similarity"] == pytest.approx(
        (centred[:4] * centred[4:]).sum(1).tolist(), abs=1e-5
    )
    assert rows["classical"].difference is None
    assert rows["echo"].difference is not None


@pytest.mark.parametrize("is_alike_in_number_only", [False, True])
def test_a_document_that_is_the_query_itself_is_left_out(tmp_path: Path, is_alike_in_number_only: bool) -> None:
    folder = write_beir(tmp_path / "small")
    [document, second, *_] = [json.loads(line)["_id"] for line in (folder / "corpus.jsonl").read_text().splitlines()]
    ids = {document: "whales sing", "q1": "whales sing", second: "bread"}
    json_lines(folder / "queries.jsonl", [{"_id": key, "text": text} for key, text in ids.items()])
    own_grade = int(is_alike_in_number_only)  # a document that is judged not relevant to itself tells nothing
    judged = [(document, second, 1), ("q1", document, 1), (second, document, 1), (second, second, own_grade)]
    lines = "".join(f"{query}\t{relevant}\t{grade}\n" for query, relevant, grade in judged)
    (folder / "qrels/test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{lines}")
    for system in ("bm25", "dense", "hybrid", "echo"):
        own, other, _ = SYSTEMS[system].rank(opened(tmp_path))
        assert other[0] == document, system
        assert own == (other if is_alike_in_number_only else other[1:]), system


class _Twin:
    """A model whose vectors are those of the index."""

    def __init__(self, dataset: IndexedDataset) -> None:
        self._dataset = dataset

    def embed(self, side: str, texts: Sequence[str]) -> np.ndarray:
        normalization = self._dataset.retriever.snapshot.normalization
        if side == "query":
            return normalization.normalize_queries(self._dataset.embeddings.echo)
        ids = self._dataset.retriever.snapshot.catalog.chunk_ids(SearchFilter(), generation=1).tolist()
        return self._dataset.retriever.snapshot.chunk_vectors(ids)


def test_a_baseline_is_fused_with_words_as_hybrid_search_is(tmp_path: Path) -> None:
    whole = open_dataset(
        collection(tmp_path),
        CountingEncoder(),  # type: ignore[arg-type]
        work=tmp_path / "work",
        chunking=Chunking(400, 0),
    )
    baseline = SentenceTransformerBaseline("all-MiniLM-L6-v2", work=tmp_path)
    baseline._model = _Twin(whole)  # type: ignore[assignment]
    alone, fused = baseline.systems
    assert (alone.name, fused.name) == ("all-MiniLM-L6-v2", "all-MiniLM-L6-v2-hybrid")
    assert fused.rank(whole) == SYSTEMS["hybrid"].rank(whole)
    assert alone.rank(whole) == SYSTEMS["echo"].rank(whole)


def test_a_document_has_the_bm25_score_of_its_best_chunk(tmp_path: Path) -> None:
    made = opened(tmp_path)
    names = [name for name, _ in made.whole_documents()]
    numbers = {name: number for number, name in enumerate(names)}

    def scores(snapshot: Snapshot) -> dict[int, float]:
        return DocumentBM25(snapshot, numbers).scores("whale bread", also=numbers.values())

    best: dict[str, float] = dict.fromkeys(names, 0.0)
    for hit in made.retriever.search("whale bread", k=99, mode="lexical"):
        best[hit.source] = max(best[hit.source], hit.score)
    assert {names[number]: score for number, score in made.retriever.with_snapshot(scores).items()} == best


def test_of_the_documents_that_are_not_found_first_the_best_chunk_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_beir(tmp_path / "small")
    texts = {"one": "Whale, whale, whale.", "two": "A whale sings of whales.\n\n" + "The sea is cold and wide. " * 9}
    json_lines(folder / "corpus.jsonl", [{"_id": name, "title": "", "text": text} for name, text in texts.items()])
    (folder / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\tone\t1\n")
    made = opened(tmp_path)
    monkeypatch.setattr(document_bm25, "CHUNKS", 1)

    def scores(snapshot: Snapshot, *also: int) -> dict[int, float]:
        return DocumentBM25(snapshot, {"one": 1, "two": 2}).scores("whale", also=also)

    first, *others = made.retriever.search("whale", k=9, mode="lexical")
    assert (first.source, {hit.source for hit in others}) == ("one", {"two"})
    assert made.retriever.with_snapshot(scores) == {1: pytest.approx(first.score)}
    both = made.retriever.with_snapshot(lambda snapshot: scores(snapshot, 1, 2))
    assert both == {1: pytest.approx(first.score), 2: pytest.approx(others[0].score)}


def test_a_baseline_without_its_library_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentence_transformer, "find_spec", lambda name: None)
    with pytest.raises(MissingPackage, match="pip install 'sentence-transformers"):
        SentenceTransformerBaseline("all-MiniLM-L6-v2", work=tmp_path)


@pytest.mark.model
def test_meaning_finds_what_shares_no_word(tmp_path: Path, gemma: LanguageModel) -> None:
    folder = write_beir(tmp_path / "small")
    queries = [{"_id": "q1", "text": "ocean mammals"}, {"_id": "q2", "text": "What do bakers make?"}]
    json_lines(folder / "queries.jsonl", queries)
    made = open_dataset(collection(tmp_path), EchoEncoder(gemma), work=tmp_path / "work")
    rows = {row.row: row for row in evaluate_rankings(made, USUAL).rows}
    assert rows["bm25"].scores["nDCG@10"] == 0
    assert rows["echo"].scores["nDCG@10"] == 100
