"""How many passages a model is given: three, a fixed number, or more where they have more words of the question."""

from __future__ import annotations

from dataclasses import replace

import pytest
from example_hit import HIT
from recording_model import Recording

from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.retriever.rag.chat_model import EchoChatModel
from echo_index.retriever.rag.passage_choice import choose_passages
from echo_index.retriever.search.hits import Hit

QUESTION = "Compare the prices of ferries and trains"
TEXTS = (
    "A ferry costs eleven euros.",
    "Prices of the ferry rise in summer.",
    "Children travel free on the ferry.",
    "The ferry leaves at noon.",
    "The train costs nine euros, at noon too.",
    "Trains leave at eight, and at nine in winter.",
    "We compared both: it is a matter of taste.",
    "Nothing of the kind is written here.",
)


def hits(*texts: str) -> list[Hit]:
    """Return a hit in a document of its own for each text."""
    return [replace(HIT, text=text, source=f"{number}.md", title="", headings=()) for number, text in enumerate(texts)]


def chosen(question: str, found: list[Hit], *, k: int | None = None) -> list[str]:
    return [hit.text for hit in choose_passages(question, found, model=Recording(responses=[]), k=k)]


def test_passages_with_more_words_of_the_question_are_added() -> None:
    assert chosen(QUESTION, hits(*TEXTS)) == [*TEXTS[:3], TEXTS[4], TEXTS[6]]


def test_three_are_enough_where_they_have_all_words() -> None:
    assert chosen("What does the ferry cost?", hits(*TEXTS)) == [*TEXTS[:3]]
    assert chosen("What does the ferry cost?", hits(*TEXTS[:2])) == [*TEXTS[:2]]
    assert chosen("?", []) == []


def test_a_number_that_is_given_is_the_number(tiny_model: LanguageModel) -> None:
    assert chosen(QUESTION, hits(*TEXTS), k=2) == [*TEXTS[:2]]
    assert chosen(QUESTION, hits(*TEXTS), k=8) == [*TEXTS]


def test_a_base_model_is_given_three(tiny_model: LanguageModel) -> None:
    base = replace(tiny_model, profile=replace(tiny_model.profile, writes="completion"))
    found = choose_passages(QUESTION, hits(*TEXTS), model=EchoChatModel(language_model=base), k=None)
    assert [hit.text for hit in found] == [*TEXTS[:3]]


@pytest.mark.parametrize("k", [2, None])
def test_neighbours_are_joined(k: int | None) -> None:
    first, second = hits("The ferry leaves", "at noon.")
    first = replace(first, end=first.start + len(first.text))
    second = replace(second, source=first.source, start=first.end + 1, end=first.end + 9)
    assert chosen("When does the ferry leave?", [second, first], k=k) == ["The ferry leaves at noon."]


def test_words_of_other_languages_count_by_their_stems() -> None:
    ferries = (
        "Die Fähre kostet elf Euro, und das ist nicht teuer.",
        "Die Fähre legt am Mittag ab, wenn sie nicht zu spät ist.",
        "Die Fähre ist auch im Winter nicht voll.",
        "Viele Fähren fahren am Abend zu der Insel.",
    )
    found = hits(*ferries, "Die Züge kosten neun Euro, aber nur für die Kinder.")
    question = "Was kosten die Fähren und die Züge?"
    assert chosen(question, found) == [*(hit.text for hit in found[:3]), found[4].text]
