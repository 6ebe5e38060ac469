"""SentenceMeaning: an answer in another language than its passage is supported by what it says."""

from __future__ import annotations

import pytest

from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.model_loading import load_model
from echo_index.retriever.rag.citations import AnswerChecker
from echo_index.retriever.rag.sentence_meaning import Embed, SentenceMeaning
from echo_index.retriever.search.hits import Hit, RankedScore

MUSEUM = (
    "Das Museum der Stadt liegt am alten Hafen. Es zeigt Werkzeuge der Fischer und Modelle ihrer Boote. "
    "Im Winter ist es nur am Wochenende geöffnet. Kinder bezahlen keinen Eintritt. "
    "Der Leuchtturm daneben wurde 1872 von Johann Petersen gebaut."
)
BAKERY = (
    "Die Bäckerei in der Hauptstraße backt jeden Morgen frisches Brot. Am Montag ist sie geschlossen. "
    "Der Besitzer hat das Handwerk von seinem Vater gelernt."
)
QUESTION = "What does the local museum charge for children?"


@pytest.fixture(scope="module")
def embed() -> Embed:
    """Return the vectors of the default encoder."""
    return EchoEncoder(load_model(adapter="own")).encode_documents


def passage(text: str, *, cosine: float) -> Hit:
    """Return a passage that dense search found."""
    return Hit(text, "guide.md", "", (), "", 0, len(text), None, None, cosine, RankedScore(1, cosine), None)


PASSAGES = (passage(MUSEUM, cosine=0.5), passage(BAKERY, cosine=0.2))


@pytest.mark.model
@pytest.mark.parametrize(
    ("sentence", "number"),
    [
        ("Children do not pay for admission.", 1),
        ("In winter it is only open at the weekend.", 1),
        ("The owner learned the craft from his father.", 2),
        ("It is closed on Monday.", 2),
        ("The train to the airport takes twenty minutes.", None),
        ("The river floods the meadows every spring.", None),
    ],
)
def test_the_passage_that_says_the_same_in_another_language_is_found(
    embed: Embed, sentence: str, number: int | None
) -> None:
    assert SentenceMeaning(embed, [MUSEUM, BAKERY]).passage_that_says(sentence) == number


@pytest.mark.model
def test_an_answer_in_another_language_is_supported_by_what_it_says(embed: Embed) -> None:
    text = "Children do not have to pay for admission."
    checker = AnswerChecker(QUESTION, PASSAGES, embed=embed)
    answer = checker.check(text)
    assert answer.found
    assert answer.text == f"{text} [1]"
    assert checker.check("The lighthouse next to it was built by Johann Petersen in 1872.").found
    assert not AnswerChecker(QUESTION, PASSAGES).check(text).found, "else this shows nothing"


@pytest.mark.model
@pytest.mark.parametrize(
    "text",
    [
        "The lighthouse next to it was built by Johann Petersen in 1873.",  # 1872
        "The lighthouse next to it was built by Otto Petersen in 1872.",  # Johann
        "Parents get a discount at the museum.",
        "In summer it is open every day.",
        "The owner learned the craft from his father.",  # of a passage that is not about the question
    ],
)
def test_numbers_names_and_other_facts_are_not_taken_for_what_a_passage_says(embed: Embed, text: str) -> None:
    assert not AnswerChecker(QUESTION, PASSAGES, embed=embed).check(text).found


@pytest.mark.model
def test_within_one_language_the_meaning_is_not_enough(embed: Embed) -> None:
    checker = AnswerChecker("Was bezahlen Kinder im Museum?", PASSAGES, embed=embed)
    meaning = SentenceMeaning(embed, [MUSEUM, BAKERY])
    for text in ("Es kostet für die Kinder dort sehr viel.", "Kinder zahlen dort viel."):
        assert meaning.passage_that_says(text) == 1, "else this shows nothing"
        assert not checker.check(text).found


def test_the_passages_are_embedded_only_when_a_sentence_needs_it() -> None:
    def embed(sentences: list[str]) -> object:
        raise AssertionError("nothing is to be embedded")

    checker = AnswerChecker("Wann ist die Bäckerei geschlossen?", PASSAGES, embed=embed)  # type: ignore[arg-type]
    assert checker.check("Am Montag [2].").found


def test_too_few_sentences_to_compare_say_nothing() -> None:
    def embed(sentences: list[str]) -> object:
        raise AssertionError("nothing is to be embedded")

    assert SentenceMeaning(embed, ["Am Montag ist sie geschlossen."]).passage_that_says("It is closed.") is None  # type: ignore[arg-type]
