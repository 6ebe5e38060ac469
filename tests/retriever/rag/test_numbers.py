"""Numbers in digits and in words."""

from __future__ import annotations

import pytest

from echo_index.indexer.text.letters import fold_text
from echo_index.retriever.rag.numbers import numbers_in


@pytest.mark.parametrize(
    ("text", "language", "numbers"),
    [
        ("He has four sacks and 24 passes.", "english", {"4", "24"}),
        ("Twenty-four of them", "english", {"24"}),
        ("a six-time winner, on the 24-yard line", "english", {"6", "24"}),
        ("one hundred, two thousand", "english", {"100", "2", "1000"}),
        ("17,786,419 people and 5 105 768", "english", {"17786419", "5", "105", "768"}),
        ("5\u202f105\u202f768 Menschen, 1.911 davon", "german", {"5105768", "1911"}),
        ("vierundzwanzig Spieler, drei davon neu", "german", {"24", "3"}),
        ("Er trägt die Nummer ZWÖLF.", "german", {"12"}),
        ("vier", "english", set()),
        ("four", "german", {"4"}),
        ("veintiuno", "spanish", {"21"}),
        ("четыре", "russian", {"4"}),
        ("no one, ein Haus, une fois", "french", set()),
        ("version 3.14 of 1.2.2020", "english", {"3", "14", "1", "2", "2020"}),
        ("B2B, x86, 1990s", "english", set()),
        ("четыре", "klingon", set()),
    ],
)
def test_numbers(text: str, language: str, numbers: set[str]) -> None:
    assert {*numbers_in(text, language).values()} == numbers


def test_every_language_of_the_index_with_known_words_has_numbers() -> None:
    for language, word in {"danish": "fire", "finnish": "neljä", "turkish": "dört", "hungarian": "négy"}.items():
        assert numbers_in(word, language) == {fold_text(word): "4"}
