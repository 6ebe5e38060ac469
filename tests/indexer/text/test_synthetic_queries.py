"""Ways to look for a passage that are made of itself."""

from __future__ import annotations

import random

import pytest

from echo_index.indexer.text.synthetic_queries import synthetic_queries

PASSAGE = "# Travel\n\nThe manager approves all travel. Flights are booked by the office two weeks before they leave."


def asked(passage: str, *, languages: tuple[str, ...] = ("english",), seed: int = 0) -> tuple[str, str, str] | None:
    return synthetic_queries(passage, languages=languages, chance=random.Random(seed))


def test_a_passage_is_asked_for_by_its_beginning_a_sentence_and_keywords() -> None:
    found = [ways for seed in range(20) if (ways := asked(PASSAGE, seed=seed))]
    assert len(found) == 20
    assert {first for first, _, _ in found} == {"Travel"}
    sentences = {"The manager approves all travel.", "Flights are booked by the office two weeks before they leave."}
    assert {sentence for _, sentence, _ in found} == sentences
    for _, _, keywords in found:
        words = keywords.split()
        assert 2 <= len(words) <= 5
        assert {*words} <= {*"manager approves all travel flights booked office two weeks before leave".split()}
    assert len({keywords for _, _, keywords in found}) > 4


def test_function_words_are_those_of_the_language() -> None:
    german = "Die Eule fliegt in der Nacht über das Feld und sucht nach einer Maus."
    found = {
        keywords
        for seed in range(9)
        for _, _, keywords in [asked(german, languages=("german",), seed=seed) or ("",) * 3]
    }
    assert found <= {"eule fliegt", "eule fliegt nacht", "eule fliegt nacht feld", "eule fliegt nacht feld sucht"}


def test_a_long_sentence_is_cut() -> None:
    found = asked(" ".join(["word"] * 99))
    assert found is not None
    assert [len(way.split()) for way in found[:2]] == [30, 30]
    assert found[2] == "word"
    assert [len(way) for way in asked("x" * 5000) or ()] == [200, 200, 200]


@pytest.mark.parametrize("passage", ["", "  \n\n ", "=====", "---\n***\n", "| --- | --- |"])
def test_what_says_nothing_is_not_asked_for(passage: str) -> None:
    assert asked(passage) is None


def test_words_that_all_say_little_are_asked_as_they_are() -> None:
    assert asked("It is what it is.") == ("It is what it is.",) * 3
