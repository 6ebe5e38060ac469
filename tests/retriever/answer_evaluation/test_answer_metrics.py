"""Answers are compared with gold answers as SQuAD does."""

from __future__ import annotations

import pytest

from echo_index.retriever.answer_evaluation.answer_metrics import exact_match, holds_gold, normalize_answer, token_f1


def test_case_punctuation_articles_and_spaces_do_not_matter() -> None:
    assert normalize_answer("  The Sun-Dial, an  old one!") == "sundial old one"
    assert normalize_answer("«Über den Dächern» (1911)") == "über den dächern 1911"


@pytest.mark.parametrize(
    ("answer", "gold", "holds", "is_exact"),
    [
        ("The Carolina Panthers.", ["Carolina Panthers"], True, True),
        ("It was won by the Denver Broncos.", ["Panthers", "Denver Broncos"], True, False),
        ("In 1308.", ["308"], False, False),
        ("He had 136 sacks.", ["36"], False, False),
        ("Broncos Denver", ["Denver Broncos"], False, False),
        ("", ["Denver"], False, False),
        ("The", ["the"], False, True),  # nothing is left of either, and nothing holds nothing
    ],
)
def test_an_answer_holds_gold_as_whole_words(answer: str, gold: list[str], holds: bool, is_exact: bool) -> None:
    assert holds_gold(answer, gold) is holds
    assert exact_match(answer, gold) is is_exact


def test_f1_counts_shared_words_with_the_best_gold_answer() -> None:
    assert token_f1("the north hall of the castle", ["north hall"]) == pytest.approx(2 * 2 / (4 + 2))
    assert token_f1("north hall", ["south", "the north hall"]) == 1
    assert token_f1("north north", ["north"]) == pytest.approx(2 / 3), "a repeated word is shared once"
    assert token_f1("south", ["north"]) == 0
