"""The retriever on real indexes, one of them of the user guide."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from indexer_helpers import WordEncoder, build, write
from repository import ROOT, SOAK

from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.generation.query_likelihood import QueryLikelihood
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.errors import IndexMismatch, IndexMissing, QuestionError
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.catalog.records import SearchFilter
from echo_index.indexer.documents.chunking import Chunking, embedded_text
from echo_index.indexer.inspection.corpus_survey import map_corpus
from echo_index.indexer.sources.source import Source
from echo_index.retriever.search.fusion import zscore_fusion
from echo_index.retriever.search.highlight import matching_sentence, sentence_spans
from echo_index.retriever.search.hits import Hit
from echo_index.retriever.search.hybrid import hybrid_ranking
from echo_index.retriever.search.lexical import lexical_ranking, parse_lexical_query
from echo_index.retriever.search.retriever import Retriever
from echo_index.retriever.search.rocchio import _distinct_vectors, rocchio
from echo_index.retriever.search.searcher import Mode


@pytest.fixture
def retriever(corpus: Path, encoder: EchoEncoder) -> Retriever:
    index = corpus.parent / "index"
    build_index([Source.parse(str(corpus))], index, encoder=encoder)
    return Retriever.open(index, encoder=encoder)


def sources(hits: list[Hit]) -> list[str]:
    return [hit.source for hit in hits]


@pytest.mark.parametrize("mode", ["dense", "lexical", "hybrid"])
def test_k_larger_than_the_index_gives_what_there_is(retriever: Retriever, mode: Mode) -> None:
    hits = retriever.search("quick wizards pack", k=1000, mode=mode)
    assert sorted(sources(hits)) == ["corpus/fox.md", "corpus/jugs.txt", "corpus/wizards.md"]
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_a_hit_tells_its_place_and_how_it_was_found(retriever: Retriever, corpus: Path) -> None:
    hits = retriever.search("lazy dog", mode="hybrid")
    [hit] = [hit for hit in hits if hit.source == "corpus/fox.md"]
    text = (corpus / "fox.md").read_text()
    assert hit.text == text[hit.start : hit.end]
    assert (hit.title, hit.headings, hit.line, hit.page, hit.format) == ("The fox", ("The fox",), 1, None, "markdown")
    assert hit.lexical is not None and hit.lexical.rank == 1
    assert hit.dense is not None and -1 <= hit.dense.score <= 1


def test_hybrid_scores_are_the_cosines_and_half_the_words_as_standard_scores(
    retriever: Retriever, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("echo_index.retriever.search.rocchio.FEEDBACK_WEIGHT", 0.0)
    question = "quick wizards"
    hybrid = {hit.source: hit.score for hit in retriever.search(question, mode="hybrid")}
    cosines = {hit.source: hit.score for hit in retriever.search(question, mode="dense")}
    words = dict.fromkeys(cosines, 0.0)
    words |= {hit.source: hit.score for hit in retriever.search(question, mode="lexical")}
    assert 0 < sum(score > 0 for score in words.values()) < 3
    total = {
        source: (cosines[source] - np.mean(list(cosines.values()))) / np.std(list(cosines.values()))
        + 0.5 * (words[source] - np.mean(list(words.values()))) / np.std(list(words.values()))
        for source in cosines
    }
    least = min(total.values())
    assert hybrid == pytest.approx({source: score - least for source, score in total.items()}, abs=1e-4)


def test_a_candidate_of_one_ranking_has_its_score_in_the_other_too(
    retriever: Retriever, encoder: EchoEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("echo_index.retriever.search.hybrid.CANDIDATES", 1)
    vector = encoder.encode_queries(["wizards"])[0]
    snapshot = retriever.snapshot
    query = snapshot.normalization.normalize_query(vector)
    everything = dict(snapshot.nearest(query, k=3, where=SearchFilter()))
    nearest = max(everything, key=everything.__getitem__)
    ranking = hybrid_ranking(snapshot, "wizards jugs fox", vector, k=1, where=SearchFilter())
    assert [len(each) for each in (ranking.dense, ranking.lexical)] == [1, 1]
    assert ranking.dense[0][0] == nearest
    words = dict(lexical_ranking(snapshot, "wizards jugs fox", 3, SearchFilter()))
    asked = parse_lexical_query("wizards jugs fox", snapshot.languages())
    assert snapshot.scores(asked, list(everything)) == pytest.approx(words)
    assert snapshot.scores(parse_lexical_query("unheard of", ()), [nearest]) == {nearest: 0.0}


@pytest.mark.parametrize("feedback", [0, 1, 2])
def test_a_question_moves_towards_the_best_passages(retriever: Retriever, encoder: EchoEncoder, feedback: int) -> None:
    vector = encoder.encode_queries(["wizards"])[0]
    snapshot, asked = retriever.snapshot, "wizards jugs"
    ids = [int(key) for key in snapshot.catalog.chunk_ids(SearchFilter(), generation=1)]
    passages, [question] = snapshot.chunk_vectors(ids), snapshot.normalization.normalize_queries(vector[None, :])
    words = snapshot.scores(parse_lexical_query(asked, snapshot.languages()), ids)

    def fused(towards: npt.NDArray[np.float32]) -> list[tuple[int, float]]:
        cosines = dict(zip(ids, (passages @ (towards / np.linalg.norm(towards))).tolist(), strict=True))
        return zscore_fusion([cosines, words], weights=[1.0, 0.5])

    expected = fused(question)
    if feedback:
        best = [passages[ids.index(key)] for key, _ in expected[:feedback]]
        counts = [math.exp(float(one @ question) / 0.1) for one in best]
        expected = fused(question + 0.75 * sum(n * one for n, one in zip(counts, best, strict=True)) / sum(counts))
    found = hybrid_ranking(snapshot, asked, vector, k=3, where=SearchFilter(), feedback=feedback).fused
    assert [key for key, _ in found] == [key for key, _ in expected]
    assert dict(found) == pytest.approx(dict(expected), abs=1e-4)
    if feedback:
        plain = hybrid_ranking(snapshot, asked, vector, k=3, where=SearchFilter(), feedback=0).fused
        assert dict(found) != pytest.approx(dict(plain), abs=1e-4)


def test_nearer_chunks_have_more_weight_in_feedback() -> None:
    owl, fox, law, asked = np.eye(4, dtype=np.float32)
    near = (0.9 * asked + math.sqrt(1 - 0.9**2) * owl).astype(np.float32)
    far = (0.2 * asked + math.sqrt(1 - 0.2**2) * fox).astype(np.float32)
    towards = rocchio(asked, [1, 2], {1: near, 2: far, 3: law})
    assert np.linalg.norm(towards) == pytest.approx(1)
    assert float(towards @ law) == 0.0  # it was not among the best
    assert float(towards @ fox) / float(towards @ owl) == pytest.approx(
        math.exp(-7) * math.sqrt(1 - 0.2**2) / math.sqrt(1 - 0.9**2), rel=1e-3
    )
    assert np.array_equal(rocchio(asked, [1, 2], {1: near, 2: far}, limit=0), asked)


def test_copies_of_a_chunk_count_once_in_feedback() -> None:
    random = np.random.default_rng(0)
    owl, fox, law = (unit / np.linalg.norm(unit) for unit in random.normal(size=(3, 8)).astype(np.float32))
    vectors = {1: owl, 2: owl, 3: fox, 4: owl, 5: law}
    for limit, expected in ((1, [owl]), (2, [owl, fox]), (3, [owl, fox, law]), (9, [owl, fox, law])):
        assert np.array_equal(_distinct_vectors([1, 2, 3, 4, 5], vectors, limit=limit), expected)


def test_only_passages_that_hold_a_phrase_are_found_but_by_meaning_alone(retriever: Retriever) -> None:
    assert len(retriever.search("lazy dog", mode="hybrid")) == 3
    for mode in ("lexical", "hybrid"):
        assert sources(retriever.search('"lazy dog"', mode=mode)) == ["corpus/fox.md"]
        assert sources(retriever.search('"lazy dog" wizards', mode=mode, exact=True)) == ["corpus/fox.md"]
        assert retriever.search('"dog lazy" wizards', mode=mode, exact=True) == []
        assert retriever.search('"dog lazy"', mode=mode) == []
        assert "corpus/wizards.md" in sources(retriever.search('"dog lazy" wizards', mode=mode))
    assert len(retriever.search('"dog lazy"', mode="dense")) == 3


def test_dense_search_needs_no_common_word_and_lexical_search_does(retriever: Retriever) -> None:
    assert len(retriever.search("unheard of", mode="dense")) == 3
    assert retriever.search("unheard of", mode="lexical") == []


def test_dense_search_ranks_by_the_cosine_of_the_encoders_own_vectors_with_the_question_moved(
    retriever: Retriever, encoder: EchoEncoder
) -> None:
    hits = retriever.search("wizards judge", mode="dense")
    passages = encoder.encode_documents([embedded_text(hit.title, hit.headings, hit.text) for hit in hits])
    question = encoder.encode_queries(["wizards judge"])[0]
    cosines = (passages @ question).tolist()
    places = [hit.dense for hit in hits if hit.dense]
    assert [place.score for place in places] == pytest.approx(cosines, abs=5e-3)  # kept in 8 bits
    assert [place.rank for place in places] == [1 + sorted(cosines, reverse=True).index(cosine) for cosine in cosines]
    counts = np.exp((passages @ question) / 0.1)  # there are fewer passages than give feedback
    towards = question + 0.75 * counts @ passages / counts.sum()
    expected = passages @ (towards / np.linalg.norm(towards))
    assert [hit.score for hit in hits] == pytest.approx(expected.tolist(), abs=5e-3)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_fewer_hits_of_a_dense_search_are_the_first_of_more(retriever: Retriever) -> None:
    more = retriever.search("wizards judge", mode="dense", k=3)
    assert [retriever.search("wizards judge", mode="dense", k=k) for k in (1, 2)] == [more[:1], more[:2]]


@pytest.mark.parametrize("question", ['"', "AND OR NOT", "five* NEAR(jugs)", "text:fox", "🦊", "?!", "a" * 20000])
@pytest.mark.parametrize("mode", ["lexical", "hybrid"])
def test_no_character_of_a_question_is_an_operator(retriever: Retriever, question: str, mode: Mode) -> None:
    retriever.search(question, mode=mode)


def test_filters_limit_every_mode(retriever: Retriever) -> None:
    for mode in ("dense", "lexical", "hybrid"):
        only = retriever.search("fox wizards jugs", mode=mode, where=SearchFilter(paths=("*wiz*",)))
        assert sources(only) == ["corpus/wizards.md"]
        text = retriever.search("fox wizards jugs", mode=mode, where=SearchFilter(formats=("text",)))
        assert sources(text) == ["corpus/jugs.txt"]
        assert retriever.search("fox", mode=mode, where=SearchFilter(paths=("elsewhere/*",))) == []


@pytest.mark.parametrize("question", ["", "  \n"])
def test_an_empty_question_is_refused(retriever: Retriever, question: str) -> None:
    with pytest.raises(QuestionError, match="The question is empty"):
        retriever.search(question)


def test_impossible_k_and_unknown_mode_are_refused(retriever: Retriever) -> None:
    with pytest.raises(QuestionError, match="k is 0"):
        retriever.search("fox", k=0)
    with pytest.raises(QuestionError, match="'fuzzy'"):
        retriever.search("fox", mode="fuzzy")  # type: ignore[arg-type]


def test_lexical_search_never_loads_the_model(retriever: Retriever) -> None:
    opened = Retriever.open(retriever.index_dir)
    assert sources(opened.search("wizards", mode="lexical")) == ["corpus/wizards.md"]
    assert opened._encoder is None


def test_the_encoder_that_the_manifest_describes_is_loaded_when_it_is_needed(
    retriever: Retriever, encoder: EchoEncoder
) -> None:
    opened = Retriever.open(retriever.index_dir, device="cpu")
    assert opened.search("fox", mode="dense") == retriever.search("fox", mode="dense")
    assert opened.encoder.fingerprint == encoder.fingerprint


def test_another_encoder_is_refused_by_name(retriever: Retriever, encoder: EchoEncoder) -> None:
    with pytest.raises(IndexMismatch, match=r"layer was 4 and is now 2.*--rebuild"):
        Retriever.open(retriever.index_dir, encoder=encoder.with_options(layer=2))


def test_a_model_whose_weights_changed_is_refused(
    corpus: Path, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    from echo_index.embeddings.models.model_loading import load_model

    monkeypatch.setenv("ECHO_INDEX_CACHE", str(tmp_path / "cache"))
    folder = shutil.copytree(tiny_folder, tmp_path / "model")
    build_index(
        [Source.parse(str(corpus))], tmp_path / "index", encoder=EchoEncoder(load_model(str(folder), device="cpu"))
    )
    weights = {
        name: value + torch.full_like(value, 0.01) for name, value in load_file(folder / "model.safetensors").items()
    }
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(IndexMismatch, match="weights was"):
        Retriever.open(tmp_path / "index", device="cpu").search("fox", mode="dense")


def test_a_new_generation_is_picked_up_without_a_restart(
    retriever: Retriever, corpus: Path, encoder: EchoEncoder
) -> None:
    assert retriever.search("zebra", mode="lexical") == []
    (corpus / "zebra.md").write_text("# Zebra\n\nA zebra has stripes.\n")
    build_index([Source.parse(str(corpus))], retriever.index_dir, encoder=encoder)
    assert sources(retriever.search("zebra", mode="lexical")) == ["corpus/zebra.md"]
    assert len(retriever.search("zebra", mode="dense")) == 4
    (corpus / "fox.md").unlink()
    build_index([Source.parse(str(corpus))], retriever.index_dir, encoder=encoder)
    assert "corpus/fox.md" not in sources(retriever.search("fox", mode="hybrid"))


def test_a_folder_without_an_index_is_named(tmp_path: Path) -> None:
    with pytest.raises(IndexMissing, match="echo-index build"):
        Retriever.open(tmp_path)


# More like this, and where in it


@pytest.fixture
def subjects(tmp_path: Path) -> Path:
    """Return an index of twenty notes about two subjects, one of them long."""
    told = ["Whales swim deep in the salt sea", "Bread bakes slowly over the hot fire"]
    notes = {f"note{number:02}": f"# {told[number % 2]}\n\n{told[number % 2]} {number}.\n" for number in range(19)}
    write(tmp_path / "notes", **notes, long="# Long\n\n" + " ".join(f"Whales swim, number {n}." for n in range(30)))
    build(tmp_path / "notes", tmp_path / "index", chunking=Chunking(20, 6))
    return tmp_path / "index"


def opened(index: Path, encoder: WordEncoder | None = None) -> Retriever:
    return Retriever.open(index, encoder=encoder or WordEncoder())  # type: ignore[arg-type]


def test_passages_like_one_are_found_by_its_vector_in_the_index(subjects: Path) -> None:
    retriever = Retriever.open(subjects)  # the model that it names cannot be loaded
    hits = retriever.similar("notes/note00.md", 0, k=9)
    assert set(sources(hits)) == {f"notes/note{number:02}.md" for number in range(2, 19, 2)}
    assert [hit.dense and hit.dense.rank for hit in hits] == list(range(1, 10))
    assert all(hit.lexical is None and hit.dense and hit.dense.score == hit.score for hit in hits)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    found = {passage.path: passage.id for passage in map_corpus(retriever.snapshot).passages}
    vectors = retriever.snapshot.chunk_vectors([found["notes/note00.md"], found[hits[0].source]])
    assert hits[0].score == pytest.approx(float(vectors[0] @ vectors[1]), abs=1e-5)


def test_neither_a_passage_nor_what_overlaps_it_is_like_it(subjects: Path) -> None:
    retriever = opened(subjects)
    parts = [part for part in map_corpus(retriever.snapshot).passages if part.path == "notes/long.md"]
    one = parts[3].chunk
    beside = {part.chunk.start for part in parts if part.chunk.start < one.end and one.start < part.chunk.end}
    assert len(beside) == 3
    hits = retriever.similar("notes/long.md", one.start, k=1000)
    assert {hit.start for hit in hits if hit.source == "notes/long.md"} == {p.chunk.start for p in parts} - beside
    assert len(hits) == map_corpus(retriever.snapshot).total - 3
    assert len(retriever.similar("notes/long.md", one.start, k=4)) == 4
    assert (
        retriever.similar("notes/long.md", one.start, where=SearchFilter(paths=("*note07*",)))[0].source
        == "notes/note07.md"
    )
    assert retriever.similar("notes/note07.md", 0, where=SearchFilter(paths=("*note07*",))) == []


def test_a_place_where_no_passage_begins_is_refused(subjects: Path) -> None:
    retriever = opened(subjects)
    with pytest.raises(QuestionError, match=r"No passage begins at character 3 of notes/note00\.md"):
        retriever.similar("notes/note00.md", 3)
    with pytest.raises(QuestionError, match=r"gone\.md"):
        retriever.similar("notes/gone.md", 0)
    with pytest.raises(QuestionError, match="k is 0"):
        retriever.similar("notes/note00.md", 0, k=0)


def test_a_question_stands_on_the_map_where_its_answers_are(subjects: Path) -> None:
    retriever = opened(subjects)
    vector = retriever.project_query("Whales swim deep in the salt sea")
    assert vector.dtype == np.float32
    assert float(np.linalg.norm(vector)) == pytest.approx(1)
    [raw] = WordEncoder().encode_queries(["Whales swim deep in the salt sea"])
    assert vector == pytest.approx(retriever.snapshot.normalization.normalize_queries(raw[None, :])[0], abs=1e-6)
    assert vector != pytest.approx(raw, abs=0.01)
    best = retriever.search("Whales swim deep in the salt sea", k=1, mode="dense")[0]
    drawn = map_corpus(retriever.snapshot)
    [passage] = [p for p in drawn.passages if (p.path, p.chunk.start) == (best.source, best.start)]
    [answer] = retriever.snapshot.chunk_vectors([passage.id])
    assert best.dense is not None
    assert best.dense.score == pytest.approx(float(vector @ answer), abs=1e-5)
    assert drawn.project(vector[None, :]).shape == (1, 2)
    with pytest.raises(QuestionError, match="empty"):
        retriever.project_query(" ")


class CountingEncoder(WordEncoder):
    """Counts the texts that are embedded as queries and as documents."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, str | None]] = []
        self.read: list[str] = []

    def encode_documents(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        self.read += texts
        return super().encode_documents(texts)

    def encode_queries(self, texts: Sequence[str], *, instruction: str | None = None) -> npt.NDArray[np.float32]:
        self.asked += [(text, instruction) for text in texts]
        return WordEncoder.encode_documents(self, texts)


def test_a_question_is_embedded_once_for_each_instruction(subjects: Path) -> None:
    encoder = CountingEncoder()
    retriever = opened(subjects, encoder)
    for instruction in (None, "Find it.", None):
        hits = retriever.search("whales", instruction=instruction)
        retriever.highlight("whales", hits, instruction=instruction)
        retriever.project_query("whales", instruction=instruction)
    assert encoder.asked == [("whales", None), ("whales", "Find it.")]
    assert encoder.read == []


def test_texts_are_embedded_and_scored_as_the_encoder_does(retriever: Retriever) -> None:
    texts = ["whales", "wizards judge", "the salt sea"]
    encoder = retriever.encoder
    assert np.allclose(retriever.embed_documents(texts), encoder.encode_documents(texts), atol=1e-6)
    assert np.allclose(retriever.embed_queries(texts), encoder.encode_queries(texts), atol=1e-6)
    told = encoder.encode_queries(texts, instruction="Find it.")
    assert np.allclose(retriever.embed_queries(texts, instruction="Find it."), told, atol=1e-6)
    scores = QueryLikelihood(encoder.model, max_tokens=encoder.max_tokens).score("whales", texts)
    assert np.allclose(retriever.score_texts("whales", texts), scores, atol=1e-4)


def test_hits_are_marked_by_words_and_else_by_meaning_once(subjects: Path) -> None:
    encoder = CountingEncoder()
    retriever = opened(subjects, encoder)
    hits = retriever.search("whales", k=3)
    marks = _sentences(retriever.highlight("whales", hits))
    assert all(mark and "Whales" in hit.text[slice(*mark)] for hit, mark in zip(hits, marks, strict=True))
    assert encoder.read == []
    marks = _sentences(retriever.highlight("zebra", hits))
    assert all(mark and mark in sentence_spans(hit.text) for hit, mark in zip(hits, marks, strict=True))
    assert encoder.read
    assert len(encoder.read) == len(set(encoder.read))
    before = list(encoder.read)
    assert _sentences(retriever.highlight("zebra", hits)) == marks
    assert _sentences(retriever.highlight("zebra", hits[:2])) == marks[:2]
    assert encoder.read == before
    with pytest.raises(QuestionError, match="empty"):
        retriever.highlight("", hits)


def test_marking_what_was_found_by_words_loads_no_model(retriever: Retriever) -> None:
    alone = Retriever.open(retriever.index_dir)
    hits = alone.search("wizards", mode="lexical")
    assert _sentences(alone.highlight("wizards", hits)) != [None]
    assert _sentences(alone.highlight("zebra", hits)) == [None]
    assert alone._encoder is None


GUIDE = {
    f"docs/{page.name}"
    for page in (ROOT / "docs").glob("*.md")
    if SOAK or len(page.read_text(encoding="utf-8").split()) < 1_100 or page.stem in ("python", "langchain")
}


@pytest.fixture(scope="session")
def guide(gemma: LanguageModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Retriever]:
    """Index the user guide with the real model, once, in the precision that most processors choose.

    Without the long pages, which take two thirds of the time; all of it in a soak.
    """
    folder = tmp_path_factory.mktemp("guide")
    (folder / "docs").mkdir()
    for page in GUIDE:
        shutil.copy(ROOT / page, folder / "docs")
    encoder = EchoEncoder(gemma, precision="int8")
    build_index([Source.parse(str(folder / "docs"))], folder / ".echo-index", encoder=encoder)
    yield Retriever.open(folder / ".echo-index", encoder=encoder)


@pytest.mark.model
@pytest.mark.parametrize(
    ("mode", "least"),
    [("dense", 0.65), ("lexical", 0.7), ("hybrid", 0.8)]
    if SOAK
    else [("dense", 0.75), ("lexical", 0.6), ("hybrid", 0.75)],
)
def test_the_right_page_of_the_guide_is_among_the_first_three(guide: Retriever, mode: Mode, least: float) -> None:
    """recall@3 over the questions in data/guide_questions.jsonl that are about the indexed pages.

    Thirty questions have a standard error of seven points, and an edit of any page may move three of them.
    """
    lines = (ROOT / "data/guide_questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [question for line in lines if (question := json.loads(line))["page"] in GUIDE]
    assert len(questions) > 25
    right = [question["page"] in sources(guide.search(question["question"], k=3, mode=mode)) for question in questions]
    print(mode, sum(right), "of", len(right))  # noqa: T201
    assert sum(right) / len(right) >= least


@pytest.mark.model
def test_searching_while_another_thread_searches_gives_the_same(guide: Retriever) -> None:
    from concurrent.futures import ThreadPoolExecutor

    questions = ["Which licence has Gemma?", "How do I leave out files?", "What is a generation?"] * 2
    alone = [sources(guide.search(question, k=3)) for question in questions]
    with ThreadPoolExecutor(3) as threads:
        together = list(threads.map(lambda question: sources(guide.search(question, k=3)), questions))
    assert together == alone


@pytest.mark.model
def test_the_sentence_is_marked_that_answers_in_another_language(guide: Retriever) -> None:
    text = (
        "Bread needs flour and salt. After a power cut, the machine starts again. The train to the sea leaves at noon."
    )
    [hit] = guide.search("power cut, interrupted build", k=1)
    for question, word in (
        ("Was geschieht nach einem Stromausfall?", "power cut"),
        ("Wann fährt die Eisenbahn ans Meer?", "train"),
        ("Woraus wird Brot gebacken?", "flour"),
    ):
        assert matching_sentence(question, text) is None
        [mark] = _sentences(guide.highlight(question, [replace(hit, text=text)]))
        assert mark is not None
        assert word in text[slice(*mark)]


@pytest.mark.model
def test_function_words_count_only_where_they_are_names_or_all_there_is(guide: Retriever) -> None:
    def scores(question: str) -> list[float]:
        return [hit.score for hit in guide.search(question, k=3, mode="lexical")]

    assert scores("What is the canary for?") == scores("canary")
    assert scores("Is it?"), "nothing else to go by"
    assert scores("?!") == []


def test_a_capital_makes_a_name_of_a_function_word(tmp_path: Path, tiny_model: LanguageModel) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "api.md").write_text("# Names\n\nfrom indexer import Where, Source\n")
    (notes / "prose.md").write_text("# Prose\n\nAn indexer has to import what is there.\n")
    encoder = EchoEncoder(tiny_model)
    build_index([Source.parse(str(notes))], tmp_path / "index", encoder=encoder)
    retriever = Retriever.open(tmp_path / "index", encoder=encoder)

    def scores(query: str) -> list[float]:
        return [hit.score for hit in retriever.search(query, k=3, mode="lexical")]

    assert scores("import Where from indexer") == pytest.approx(scores("Indexer import: Where"))
    assert scores("import Where from indexer") != scores("where import indexer")


@pytest.mark.model
def test_like_the_python_page_is_what_else_shows_python(guide: Retriever) -> None:
    [hit] = guide.search("from echo_index import Source, SearchFilter, build_index", k=1, mode="lexical")
    assert hit.source == "docs/python.md"
    assert guide.similar(hit.source, hit.start, k=1)[0].source == "docs/langchain.md"


def _sentences(hits: Sequence[Hit]) -> list[tuple[int, int] | None]:
    return [hit.sentence for hit in hits]
