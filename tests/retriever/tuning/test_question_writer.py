"""Questions that a model writes for passages: what is read of its text, and what is left out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from echo_index.embeddings.generation.branching_generation import BranchingPrompts
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.errors import ModelError
from echo_index.retriever.tuning import question_writer
from echo_index.retriever.tuning.inverse_cloze import SourcePassage
from echo_index.retriever.tuning.question_writer import (
    QuestionKind,
    QuestionWriter,
    WrittenQuestion,
    _questions,
    _shared_length,
    language_name,
)

PASSAGE = "The ferry to Lunde leaves at 8 and 14, except on Sundays."


def test_the_kinds_are_read_from_the_lines() -> None:
    written = [
        " When does the ferry leave?\nNeed: how to get to the island",
        ' "ferry Lunde times"\nStatement: No ferry.',
    ]
    assert [*_questions(written, PASSAGE)] == [
        WrittenQuestion(QuestionKind.QUESTION, "When does the ferry leave?"),
        WrittenQuestion(QuestionKind.NEED, "how to get to the island"),
        WrittenQuestion(QuestionKind.SEARCH, "ferry Lunde times"),
        WrittenQuestion(QuestionKind.STATEMENT, "No ferry."),
    ]


@pytest.mark.parametrize(
    "line",
    [
        " When does the 9 o'clock ferry leave?",  # a number that the passage does not have
        " What is the main idea of the passage?",
        " What does this article say?",
        " Ja?",
        " " + "ferry " * 31,
        " " + "f" * 241,
        "",
        " When does the ferry leave?\nAnswer: at 8",  # the second line is not one of the four
    ],
)
def test_what_nobody_would_ask_is_left_out(line: str) -> None:
    kept = [question.text for question in _questions([line, ""], PASSAGE)]
    assert kept == (["When does the ferry leave?"] if "Answer" in line else [])


def test_each_kind_and_each_text_comes_once() -> None:
    written = [" ferry times\nNeed: Ferry Times\nNeed: how to cross\nNeed: how to sail", " FERRY times"]
    assert [question.text for question in _questions(written, PASSAGE)] == ["ferry times", "how to cross"]


def test_prompts_share_the_examples_and_never_all_of_a_prompt() -> None:
    assert _shared_length([(1, 2, 3, 4), (1, 2, 5)]) == 2
    assert _shared_length([(1, 2, 3)]) == 2
    assert _shared_length([(1, 2, 3), (1, 2, 3, 4)]) == 2


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Die Fähre legt um acht ab, und sie ist am Sonntag nicht in Betrieb.", "German"),
        ("The ferry leaves at eight, and it does not run on Sundays.", "English"),
        ("渡轮于八点出发，星期日停运。", "Chinese"),
        ("フェリーは八時に出発し、日曜日は運休です。", "Japanese"),
        ("페리는 여덟 시에 출발하며 일요일에는 운항하지 않습니다.", "Korean"),
        ("Linux kernel documentation 内核", ""),
        ("8 14", ""),
    ],
)
def test_the_language_of_a_passage_is_named(text: str, name: str) -> None:
    assert language_name(text) == name


def test_the_prompt_has_examples_and_the_passage_with_its_headings(
    tiny_model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[BranchingPrompts] = []
    monkeypatch.setattr(LanguageModel, "context", 10_000)  # the examples are bytes to this tokenizer

    def note(model: LanguageModel, prompts: BranchingPrompts, *, max_tokens: int, stop: str) -> list[object]:
        given.append(prompts)
        return [([1], [["a fact?", ""]]), ([0], [["", "two words"]])]

    monkeypatch.setattr("echo_index.embeddings.generation.branching_generation.generate_branches", note)
    passages = [SourcePassage(("Islands", "Timetable"), PASSAGE), SourcePassage((), "x " * 5000)]
    assert list(QuestionWriter(tiny_model).write(passages)) == [
        (1, [WrittenQuestion(QuestionKind.QUESTION, "a fact?")]),
        (0, [WrittenQuestion(QuestionKind.SEARCH, "two words")]),
    ]
    [prompts] = given
    decode = tiny_model.tokenizer.decode
    assert "backupctl" in decode(prompts.prefix) and "Rotkehlchen" in decode(prompts.prefix)
    first, second = map(decode, prompts.texts)
    assert "Islands > Timetable" in first and PASSAGE in first
    assert second.count("x") == question_writer._MAX_CHARACTERS // 2
    assert [decode(ending) for ending in prompts.endings] == ["Question:", "Search:"]


def test_no_passage_needs_no_prompt(tiny_model: LanguageModel) -> None:
    assert list(QuestionWriter(tiny_model).write([])) == []


def test_a_passage_that_does_not_fit_into_the_context_ends_in_an_error(
    tiny_model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = replace(tiny_model, profile=replace(tiny_model.profile, context=300), _built={})
    with pytest.raises(ModelError, match="has a context of 300 tokens"):
        list(QuestionWriter(model).write([SourcePassage((), PASSAGE)]))
