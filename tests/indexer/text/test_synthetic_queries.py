"""Queries that are made from the chunk that they should find."""

from __future__ import annotations

import random

import pytest

from echo_index.indexer.text.synthetic_queries import synthetic_queries

CHUNK = "# Travel\n\nThe manager approves all travel. Flights are booked by the office two weeks before they leave."


def queries(chunk: str, *, languages: tuple[str, ...] = ("english",), seed: int = 0) -> tuple[str, str, str] | None:
    return synthetic_queries(chunk, languages=languages, rng=random.Random(seed))


def test_the_queries_are_the_first_sentence_a_random_one_and_keywords() -> None:
    found = [made for seed in range(20) if (made := queries(CHUNK, seed=seed))]
    assert len(found) == 20
    assert {first for first, _, _ in found} == {"Travel"}
    sentences = {"The manager approves all travel.", "Flights are booked by the office two weeks before they leave."}
    assert {sentence for _, sentence, _ in found} == sentences
    for _, _, keywords in found:
        words = keywords.split()
        assert 2 <= len(words) <= 5
        assert {*words} <= {*"manager approves all travel flights booked office two weeks before leave".split()}
    assert len({keywords for _, _, keywords in found}) > 4


def test_keywords_are_not_stop_words_of_the_language() -> None:
    german = "Die Eule fliegt in der Nacht über das Feld und sucht nach einer Maus."
    found = {
        keywords
        for seed in range(9)
        for _, _, keywords in [queries(german, languages=("german",), seed=seed) or ("",) * 3]
    }
    assert found <= {"eule fliegt", "eule fliegt nacht", "eule fliegt nacht feld", "eule fliegt nacht feld sucht"}


def test_a_long_sentence_is_truncated() -> None:
    found = queries(" ".join(["word"] * 99))
    assert found is not None
    assert [len(query.split()) for query in found[:2]] == [30, 30]
    assert found[2] == "word"
    assert [len(query) for query in queries("x" * 5000) or ()] == [200, 200, 200]


@pytest.mark.parametrize("chunk", ["", "  \n\n ", "=====", "---\n***\n", "| --- | --- |"])
def test_no_queries_for_a_text_without_words(chunk: str) -> None:
    assert queries(chunk) is None


def test_a_text_of_stop_words_is_used_as_it_is() -> None:
    assert queries("It is what it is.") == ("It is what it is.",) * 3
