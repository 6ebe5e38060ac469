"""Echo against classical embeddings: rankings of a query and similarities of sentences, from one forward pass."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from indexer_helpers import make_version_2
from passes import recorded_batches

import echo_index as public
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.text.echo_prompt import CLASSICAL
from echo_index.embeddings.vectors.paired_embeddings import EmbeddingPair
from echo_index.errors import PromptError, QuestionError, TextError
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.catalog.records import SearchFilter
from echo_index.indexer.documents.chunking import embedded_text
from echo_index.indexer.sources.source import Source
from echo_index.indexer.vectors.normalization import NormalizationPair, VectorNormalization
from echo_index.retriever.search.comparison import Comparison, Ranking, compare, compare_sentences
from echo_index.retriever.search.hits import Hit
from echo_index.retriever.search.retriever import Retriever


def indexed(corpus: Path, encoder: EchoEncoder, *, name: str = "index", compare: bool = True) -> Retriever:
    index = corpus.parent / name
    build_index([Source.parse(str(corpus))], index, encoder=encoder, compare=compare)
    return Retriever.open(index, encoder=encoder)


@pytest.fixture
def retriever(corpus: Path, encoder: EchoEncoder) -> Retriever:
    return indexed(corpus, encoder)


def forget_classical(retriever: Retriever) -> Retriever:
    """Turn the index into an old one without classical vectors, and open that."""
    path = retriever.index_dir / "catalog.sqlite"
    make_version_2(path)
    with closing(Catalog(path)) as catalog, catalog.database.transaction() as connection:
        connection.execute("DROP TABLE classical_vectors")
        connection.execute("ALTER TABLE documents DROP COLUMN titled")
        connection.execute("PRAGMA user_version = 0")
    return Retriever.open(retriever.index_dir, encoder=retriever.encoder)


def hits_of(comparison: Comparison, name: str) -> tuple[Hit, ...]:
    [hits] = [ranking.hits for ranking in comparison.rankings if ranking.name == name]
    return hits


def passes_of(act: Callable[[], object]) -> int:
    """Return the number of batches that the model processes during `act()`."""
    with recorded_batches() as batches:
        act()
    return len(batches)


def readings(encoder: EchoEncoder, texts: list[str]) -> EmbeddingPair:
    return EmbeddingPair.gather(encoder.encode_document_pairs(texts), shape=(len(texts), encoder.dimension))


def test_echo_ranks_as_dense_search_without_feedback_does_and_lexical_as_lexical_search(retriever: Retriever) -> None:
    comparison = compare(retriever, "five wizards", k=2)
    assert comparison.query == "five wizards"
    assert [ranking.name for ranking in comparison.rankings] == ["echo", "classical", "lexical"]
    found = [(hit.dense, hit.source, hit.start) for hit in retriever.search("five wizards", mode="dense") if hit.dense]
    nearest = sorted(found, key=lambda each: each[0].rank)[:2]
    echo = hits_of(comparison, "echo")
    assert [(hit.source, hit.start) for hit in echo] == [(source, start) for _, source, start in nearest]
    # the last digit depends on how a processor adds up vectors that come in other numbers
    assert [hit.score for hit in echo] == pytest.approx([place.score for place, *_ in nearest], abs=1e-6)
    lexical = retriever.search("five wizards", k=2, mode="lexical")
    assert list(hits_of(comparison, "lexical")) == [hit.at(None) for hit in lexical]
    assert comparison.without_classical == 0


def test_classical_ranks_by_the_cosine_of_the_first_copies(retriever: Retriever, encoder: EchoEncoder) -> None:
    hits = hits_of(compare(retriever, "wizards judge"), "classical")
    texts = [embedded_text(hit.title, hit.headings, hit.text) for hit in hits]
    passages, question = readings(encoder, texts).classical, encoder.encode_query_pairs(["wizards judge"]).classical
    assert passages is not None and question is not None
    assert len(hits) == 3
    assert [hit.score for hit in hits] == pytest.approx((passages @ question[0]).tolist(), abs=2e-3)
    assert [(hit.dense.rank, hit.dense.score) for hit in hits if hit.dense] == [
        (rank, hit.score) for rank, hit in enumerate(hits, start=1)
    ]
    assert [hit.lexical for hit in hits] == [None] * 3


def test_the_question_is_embedded_once(retriever: Retriever, encoder: EchoEncoder) -> None:
    assert passes_of(lambda: compare(retriever, "wizards")) == 1


def test_a_filter_limits_every_ranking(retriever: Retriever) -> None:
    comparison = compare(retriever, "fox wizards jugs", where=SearchFilter(paths=("*wiz*",)))
    assert [[hit.source for hit in ranking.hits] for ranking in comparison.rankings] == [["corpus/wizards.md"]] * 3
    nothing = compare(retriever, "fox", where=SearchFilter(paths=("elsewhere/*",)))
    assert [ranking.hits for ranking in nothing.rankings] == [()] * 3


def test_what_search_refuses_is_refused(retriever: Retriever) -> None:
    with pytest.raises(QuestionError, match="The question is empty"):
        compare(retriever, " \n")
    with pytest.raises(QuestionError, match="k is 0"):
        compare(retriever, "fox", k=0)


def test_the_instruction_counts_for_both_readings(retriever: Retriever, corpus: Path, encoder: EchoEncoder) -> None:
    plain, other = compare(retriever, "fox"), compare(retriever, "fox", instruction="Find recipes")
    for name in ("echo", "classical"):
        assert [hit.score for hit in hits_of(plain, name)] != [hit.score for hit in hits_of(other, name)]
    fixed = indexed(corpus, encoder.with_options(query_prompt=encoder.document_prompt), name="without instruction")
    with pytest.raises(PromptError, match="slot"):
        compare(fixed, "fox", instruction="Find recipes")


def test_without_classical_vectors_the_hits_of_the_other_rankings_are_embedded(
    retriever: Retriever, corpus: Path, encoder: EchoEncoder
) -> None:
    small = indexed(corpus, encoder, name="small", compare=False)
    comparison = compare(small, "wizards judge", k=2)
    assert [ranking.name for ranking in comparison.rankings] == ["echo", "classical", "lexical"]
    assert (comparison.without_classical, comparison.is_among_hits) == (3, True)
    assert not compare(retriever, "wizards judge").is_among_hits
    hits = hits_of(comparison, "classical")
    found = {(hit.source, hit.start) for name in ("echo", "lexical") for hit in hits_of(comparison, name)}
    assert {(hit.source, hit.start) for hit in hits} <= found
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    nothing = compare(small, "fox", where=SearchFilter(paths=("elsewhere/*",)))
    assert [ranking.hits for ranking in nothing.rankings] == [()] * 3


def test_the_index_of_an_early_version_is_compared(retriever: Retriever, corpus: Path, encoder: EchoEncoder) -> None:
    retriever = forget_classical(retriever)
    assert compare(retriever, "fox").is_among_hits
    (corpus / "zebra.md").write_text("# Zebra\n\nA zebra has stripes.\n")
    report = build_index([Source.parse(str(corpus))], retriever.index_dir, encoder=encoder, compare=True)
    assert report.embedded == 4
    comparison = compare(retriever, "fox")
    assert len(hits_of(comparison, "classical")) == len(hits_of(comparison, "echo")) == 4
    assert (comparison.without_classical, comparison.is_among_hits) == (0, False)


@pytest.mark.parametrize("read_once", ["document_prompt", "query_prompt"])
def test_prompts_that_read_once_have_no_classical_ranking(corpus: Path, encoder: EchoEncoder, read_once: str) -> None:
    prompts = {read_once: CLASSICAL}
    comparison = compare(indexed(corpus, encoder.with_options(**prompts)), "fox")  # type: ignore[arg-type]
    assert [ranking.name for ranking in comparison.rankings] == ["echo", "lexical"]


def test_ranks_tell_where_each_passage_stands_in_every_ranking(retriever: Retriever) -> None:
    comparison = compare(retriever, "five wizards", k=2)
    ranks = comparison.ranks()
    assert {name for each in ranks.values() for name in each} == {"echo", "classical", "lexical"}
    for ranking in comparison.rankings:
        stands = {passage: each[ranking.name] for passage, each in ranks.items() if each[ranking.name]}
        assert stands == {(hit.source, hit.start): rank for rank, hit in enumerate(ranking.hits, start=1)}
    fox = ranks.get(("corpus/fox.md", 0))
    assert fox is None or fox["lexical"] is None
    assert next(iter(ranks)) == (comparison.rankings[0].hits[0].source, comparison.rankings[0].hits[0].start)
    assert Comparison("fox", (Ranking("echo", ()),), 0).ranks() == {}


def test_sentences_are_compared_by_both_readings_in_one_pass(encoder: EchoEncoder) -> None:
    texts = ["seven wizards", "seven lizards judge", "a"]
    both = readings(encoder, texts)
    assert both.classical is not None
    found = compare_sentences(encoder, texts[0], texts[1:])
    assert [pair.echo for pair in found] == pytest.approx((both.echo[1:] @ both.echo[0]).tolist(), abs=1e-6)
    expected = (both.classical[1:] @ both.classical[0]).tolist()
    assert [pair.classical for pair in found] == pytest.approx(expected, abs=1e-6)
    assert passes_of(lambda: compare_sentences(encoder, texts[0], texts[1:])) == 1


def test_each_reading_is_compared_in_its_own_space(encoder: EchoEncoder) -> None:
    texts = ["seven wizards", "seven lizards judge", "a"]
    both = readings(encoder, texts)
    assert both.classical is not None
    generator = np.random.default_rng(0)
    normalizations = []
    for _ in range(2):
        directions = np.linalg.qr(generator.normal(size=(32, 4)))[0].T
        means = generator.normal(size=(2, 32)) / 10
        normalizations.append(
            VectorNormalization.of(means[0], means[1], directions, np.array([0.1, 0.3, 0.5, 0.7]), passages=20)
        )
    echo, classical = (
        normalizations[0].normalize_documents(both.echo),
        normalizations[1].normalize_documents(both.classical),
    )
    found = compare_sentences(encoder, texts[0], texts[1:], normalizations=NormalizationPair(*normalizations))
    assert [pair.echo for pair in found] == pytest.approx((echo[1:] @ echo[0]).tolist(), abs=1e-6)
    assert [pair.classical for pair in found] == pytest.approx((classical[1:] @ classical[0]).tolist(), abs=1e-6)


def test_sentences_that_are_read_once_have_one_likeness(encoder: EchoEncoder) -> None:
    [pair] = compare_sentences(encoder.with_options(document_prompt=CLASSICAL), "a fox", ["a dog"])
    assert -1 <= pair.echo <= 1
    assert pair.classical is None


def test_nothing_to_compare_with_is_nothing_and_an_empty_sentence_is_refused(encoder: EchoEncoder) -> None:
    assert compare_sentences(encoder, "a fox", []) == []
    with pytest.raises(TextError, match="Text 1 of 2 is empty"):
        compare_sentences(encoder, "a fox", [""])


def test_compare_is_the_function_whatever_was_imported_before() -> None:
    assert public.compare is compare and callable(public.compare)


@pytest.mark.model
@pytest.mark.parametrize(
    ("sentence", "alike", "begins_alike"),
    [
        (
            "She loves summer but dislikes the heat.",
            "She dislikes the heat, although she loves summer.",
            "She loves summer and swims in the lake.",
        ),
        (
            "The company reported record sales but lost money.",
            "The company lost money in spite of record sales.",
            "The company reported record sales and opened ten new shops.",
        ),
        (
            "The plant in the kitchen needs water every day.",
            "Water the flower pot in the kitchen daily.",
            "The plant in the valley builds engines for trucks.",
        ),
    ],
)
def test_the_echo_tells_what_means_the_same_from_what_begins_the_same(
    gemma: LanguageModel, sentence: str, alike: str, begins_alike: str
) -> None:
    same, other = compare_sentences(EchoEncoder(gemma, layer=16), sentence, [alike, begins_alike])
    assert same.classical is not None and other.classical is not None
    assert same.echo - other.echo > max(0, same.classical - other.classical) + 0.01
