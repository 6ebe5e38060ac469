"""Calibration: pseudo-questions, trials, the choice, and the profile that a build uses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from echo_index.app.cli.main import app
from echo_index.app.services.encoder_factory import EncoderOptions
from echo_index.app.services.profile_file import with_profile, write_profile
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.vectors.layer_views import parse_views
from echo_index.embeddings.vectors.pooling import Pooling
from echo_index.embeddings.vectors.vector_ops import Vectors
from echo_index.errors import PromptError, SourceError
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.catalog.chunk_queries import sample_chunks
from echo_index.indexer.generations.snapshot import open_snapshot
from echo_index.indexer.sources.source import Source
from echo_index.indexer.vectors.normalization import VectorNormalization
from echo_index.indexer.vectors.normalization_estimate import estimate_normalization
from echo_index.retriever.tuning.calibration import Choice, Prompts, Trial, _choose, _Texts, calibrate
from echo_index.retriever.tuning.inverse_cloze import SourcePassage, pseudo_questions

WORDS = "whale bread kite train lamp river stone cloud piano garden winter letter copper engine island ladder".split()
PASSAGES = [
    SourcePassage(
        (f"All about the {word}",),
        f"The {word} stands at the beginning of page {number}. Nobody has seen a {word} of that size before.",
    )
    for number, word in enumerate(WORDS * 2)
]


def test_a_question_is_a_sentence_that_its_passage_lacks() -> None:
    questions = pseudo_questions(PASSAGES, limit=10)
    assert len({each.passage for each in questions}) == 10
    for each in questions:
        source = PASSAGES[each.passage]
        assert each.query in source.text
        assert each.query not in each.text
        assert " ".join(sorted([*each.query.split(), *each.text.split()])) == " ".join(sorted(source.text.split()))
        assert each.headings == source.headings
    assert questions == pseudo_questions(PASSAGES, limit=10), "the same every time"
    assert questions != pseudo_questions(PASSAGES, limit=10, seed=1)


def test_a_heading_of_one_passage_is_a_question_for_it_without_the_heading() -> None:
    passages = [
        *PASSAGES,
        SourcePassage(("Guide", "How to feed an owl"), "How to feed an owl\n\nGive it mice, at night."),
    ]
    found = [each for seed in range(9) for each in pseudo_questions(passages, limit=33, seed=seed)]
    of_owl = [each for each in found if each.passage == len(PASSAGES)]
    assert {(each.query, each.headings, each.text) for each in of_owl} == {
        ("How to feed an owl", ("Guide",), "Give it mice, at night.")
    }
    assert not any(each.query.startswith("All about") for each in found), "a heading of several passages says little"


def test_a_single_sentence_gives_some_of_its_words_and_the_shortest_gives_nothing() -> None:
    sentence = SourcePassage((), "one two three four five six seven eight nine ten eleven twelve")
    [asked] = pseudo_questions([sentence, SourcePassage((), "too short to ask")], limit=5)
    assert len(asked.query.split()) == 5
    assert sorted(f"{asked.query} {asked.text}".split()) == sorted(sentence.text.split())


def fill(folder: Path, texts: dict[str, str]) -> None:
    folder.mkdir()
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ECHO_INDEX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_all_views_prompts_and_poolings_are_tried_and_the_best_is_returned(
    tiny_model: LanguageModel, cache: Path
) -> None:
    also = Prompts("Again: {text} {echo}", "{text} {echo}")
    found = calibrate(EchoEncoder(tiny_model), PASSAGES, queries=24, extra_prompts=also)
    assert (found.queries, found.passages) == (24, 32)
    choices = {trial.choice for trial in found.trials}
    assert len(choices) == len(found.trials)
    for view in ("echo:2", "echo:3", "echo:4", "text:2", "text:3", "text:4"):
        assert Choice(also, Pooling.MEAN, parse_views(view)) in choices
    assert {choice.pooling for choice in choices} == set(Pooling)
    assert any(len(choice.views) == 2 for choice in choices)
    assert [trial.mrr for trial in found.trials] == sorted((trial.mrr for trial in found.trials), reverse=True)
    assert found.before.choice.views == parse_views(4)
    own = [trial for trial in found.trials if trial.choice.prompts == found.before.choice.prompts]
    assert found.chosen in (found.trials[0], own[0], found.before)


OWN, OTHER = Prompts("{echo}", "{echo}"), Prompts("Again: {echo}", "Again: {echo}")


def trial_of(layer: int, ranks: np.ndarray, *, prompts: Prompts = OWN, pooling: Pooling = Pooling.MEAN) -> Trial:
    return Trial(Choice(prompts, pooling, parse_views(layer)), ranks, raw=0.0)


def test_of_its_own_prompts_the_layer_that_finds_most_is_chosen() -> None:
    before, other = trial_of(1, np.full(100, 0.5)), trial_of(2, 0.5 + np.tile([0.2, -0.19], 50))
    assert _choose([other, before], before) is other
    worse, same = trial_of(3, np.full(100, 0.4)), trial_of(2, np.full(100, 0.5))
    assert _choose([same, before, worse], before) is before


def test_other_prompts_and_poolings_have_to_be_better_than_the_best_of_so_many_is_by_chance() -> None:
    """Of 100 questions half are better by 0.2 and half worse by 0.1: a difference of 3.3 standard errors."""
    before, better = trial_of(1, np.full(100, 0.4)), trial_of(2, np.full(100, 0.5))
    ranks = 0.5 + np.tile([0.2, -0.1], 50)
    for best in (trial_of(1, ranks, prompts=OTHER), trial_of(1, ranks, pooling=Pooling.LAST)):
        others = [trial_of(1, np.zeros(100), prompts=OTHER)] * 47
        assert _choose([best, better, before, *others], before) is best  # of 50: 3.1 standard errors
        assert _choose([best, better, before, *others * 4], before) is better  # of 191: 3.5 standard errors


def test_a_trial_is_what_an_encoder_of_that_choice_gives(tiny_model: LanguageModel, cache: Path) -> None:
    encoder = EchoEncoder(tiny_model, layer=3)
    found = calibrate(encoder, PASSAGES, queries=24)
    trial = next(
        each for each in found.trials if each.choice == replace(found.before.choice, views=parse_views("text:2"))
    )
    asked = pseudo_questions(PASSAGES, limit=24)
    others = [PASSAGES[number] for number in range(len(PASSAGES)) if number not in {each.passage for each in asked}]
    texts = [f"{each.headings[0]}\n{each.text}" if each.headings else each.text for each in [*asked, *others]]
    reader = encoder.with_options(layer="text:2")
    documents, questions = reader.encode_documents(texts), reader.encode_queries([each.query for each in asked])
    read = _Texts.of(PASSAGES, asked)
    assert (list(read.passages), list(read.queries)) == (texts, [each.query for each in asked])
    assert len(read.synthetic_queries) == 3 * len(read.sampled) == 3 * len(texts)
    normalization = estimate_normalization(
        documents.mean(axis=0),
        documents[list(read.sampled)],
        reader.encode_queries(read.synthetic_queries),
        passages=len(texts),
    )
    cosines = normalization.normalize_queries(questions) @ normalization.normalize_documents(documents).T
    ranks = 1 + (cosines > np.diagonal(cosines)[:, None]).sum(axis=1)
    assert np.mean(np.abs(1 / ranks - trial.reciprocal_ranks) < 1e-6) > 0.9  # vectors are kept in half precision


@pytest.mark.parametrize("adapter", [None, "own"])
def test_choices_are_compared_as_an_index_of_the_model_would(
    tiny_model: LanguageModel, cache: Path, monkeypatch: pytest.MonkeyPatch, adapter: str | None
) -> None:
    monkeypatch.setattr(LanguageModel, "adapter_name", adapter)
    told: list[bool] = []

    def estimated(
        mean: Vectors, sampled: Vectors, questions: Vectors, *, passages: int, tuned: bool
    ) -> VectorNormalization:
        told.append(tuned)
        return estimate_normalization(mean, sampled, questions, passages=passages, tuned=tuned)

    monkeypatch.setattr("echo_index.retriever.tuning.calibration.estimate_normalization", estimated)
    calibrate(EchoEncoder(tiny_model), PASSAGES, queries=24)
    assert {*told} == {adapter is not None}


def test_an_encoder_that_reads_a_low_layer_is_tried_too(tiny_model: LanguageModel, cache: Path) -> None:
    found = calibrate(EchoEncoder(tiny_model, layer="echo:1+0.5*text:1"), PASSAGES, queries=24)
    assert found.before.choice.views == parse_views("echo:1+0.5*text:1")


def test_what_was_read_is_not_read_again(
    tiny_model: LanguageModel, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = calibrate(EchoEncoder(tiny_model), PASSAGES, queries=24)
    monkeypatch.setattr(EchoEncoder, "_pooled", lambda *given: pytest.fail("read again"))
    again = calibrate(EchoEncoder(tiny_model), PASSAGES, queries=24)
    assert [trial.choice for trial in again.trials] == [trial.choice for trial in first.trials]


def test_too_few_passages_are_refused(tiny_model: LanguageModel) -> None:
    with pytest.raises(SourceError, match="Only 3 questions can be made of 3 passages"):
        calibrate(EchoEncoder(tiny_model), PASSAGES[:3])


def test_passages_of_an_index_have_their_title_and_headings(tiny_model: LanguageModel, tmp_path: Path) -> None:
    fill(tmp_path / "corpus", {"a.md": "# Whales\n\n## Songs\n\nThey sing.\n", "b.txt": "No title.\n"})
    build_index([Source.parse(str(tmp_path / "corpus"))], tmp_path / "index", encoder=EchoEncoder(tiny_model))
    snapshot = open_snapshot(tmp_path / "index")
    found = [tuple(each) for _, *each in sample_chunks(snapshot.catalog, generation=1, most=10)]
    assert sorted(found) == [((), "No title."), (("Whales", "Songs"), "# Whales\n\n## Songs\n\nThey sing.")]
    assert len(sample_chunks(snapshot.catalog, generation=1, most=1)) == 1


CHOICE = Choice(Prompts('Say "{text}" → {echo}', "{instruction}: {text} {echo}"), Pooling.LAST, parse_views("echo:3"))


def test_a_profile_says_what_the_options_leave_open(tmp_path: Path) -> None:
    path = tmp_path / "profile.toml"
    write_profile(path, CHOICE, model="some-model", layer="echo:3", instruction="Find it.", comment="by hand")
    found = with_profile(EncoderOptions(layer="2", device="cpu"), str(path))
    assert found == EncoderOptions(
        model="some-model",
        layer="2",
        pooling="last",
        document_prompt='Say "{text}" → {echo}',
        query_prompt="{instruction}: {text} {echo}",
        instruction="Find it.",
        device="cpu",
    )


@pytest.mark.parametrize("content", ["layer = ", "weight = 'x'", "layer = 3", b"\xff"])
def test_what_is_no_profile_is_refused(content: str | bytes, tmp_path: Path) -> None:
    path = tmp_path / "profile.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SourceError, match=r"profile\.toml"):
        with_profile(EncoderOptions(), str(path))
    with pytest.raises(SourceError, match=r"no profile .*nowhere\.toml: neither a file nor the"):
        with_profile(EncoderOptions(), str(tmp_path / "nowhere.toml"))


def test_a_profile_of_a_known_model_names_the_model_unless_another_is_given() -> None:
    qwen, name = "Qwen/Qwen3-Embedding-0.6B", "qwen3-embedding-0.6b"
    copied = with_profile(EncoderOptions(model="./copy", layer="2"), qwen)
    assert copied == EncoderOptions(model="./copy", layer="2", profile=name)
    assert with_profile(EncoderOptions(), name) == EncoderOptions(model=qwen)
    assert with_profile(EncoderOptions(), "gemma3-270m") == EncoderOptions(model="gemma3-270m")


def test_the_command_writes_a_profile_with_which_a_build_works(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "corpus", {f"{n}.md": f"# {p.headings[0]}\n\n{p.text}\n" for n, p in enumerate(PASSAGES)})
    runner = CliRunner()
    built = runner.invoke(app, ["build", "corpus", "--model", str(tiny_folder)])
    assert built.exit_code == 0, built.output
    done = runner.invoke(app, ["calibrate", "--questions", "24"])
    assert done.exit_code == 0, done.output
    assert "Chosen: layer" in done.output and "Written to profile.toml" in done.output
    rebuilt = runner.invoke(app, ["build", "--rebuild", "--profile", "profile.toml", "corpus"])
    assert rebuilt.exit_code == 0, rebuilt.output
    settings = with_profile(EncoderOptions(), "profile.toml")
    encoder = open_snapshot(tmp_path / ".echo-index").manifest.encoder
    assert parse_views(encoder["layer"] or "") == parse_views(settings.layer or "")
    assert (encoder["pooling"], encoder["document_prompt"]) == (settings.pooling, settings.document_prompt)
    alone = runner.invoke(app, ["calibrate", "--document-prompt", "{text} {echo}"])
    assert isinstance(alone.exception, PromptError)
