"""Tables in passages: rows with the names of their columns, and values that are not those of another row."""

from __future__ import annotations

from dataclasses import replace

import pytest
from example_hit import HIT

from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.retriever.rag.chat_model import EchoChatModel
from echo_index.retriever.rag.citations import check_answer
from echo_index.retriever.rag.passage_choice import choose_passages
from echo_index.retriever.rag.table_rows import read_tables, text_for_prompt
from echo_index.retriever.search.hits import Hit

HEADER = "| Ship | Crew size | Captain |\n|:---|---:|---|"
ROWS = "\n".join(f"| Ship{n} | {100 + n} | {name} |" for n, name in ((35, "Berg"), (36, "Lund"), (37, "Dahl")))
PLAIN_ROWS = "Ship36 | 136 | Lund\nShip37 | 137 | Dahl"
QUESTION = "What is the crew size of Ship37?"


def passage(text: str, *, header: str = "", format: str = "markdown") -> Hit:
    """Return a hit with a text that may begin inside of a table."""
    return replace(HIT, title="Fleet", headings=(), text=text, table_header=header, format=format)


WHOLE = passage(f"The fleet of 1910:\n\n{HEADER}\n{ROWS}\n\nAll ships sail north.")
PART = passage(PLAIN_ROWS, header="The fleet\nShip | Crew size | Captain", format="html")


@pytest.mark.parametrize("hit", [WHOLE, PART])
def test_rows_have_their_cells_columns_and_places(hit: Hit) -> None:
    row = read_tables(hit).rows[-1]
    assert row.cells == ("Ship37", "137", "Dahl")
    assert row.columns == ("Ship", "Crew size", "Captain")
    assert "Ship37" in hit.text[row.start : row.end]
    assert hit.text[row.start : row.end].count("\n") == 0
    assert row.sentence() == "Ship: Ship37; Crew size: 137; Captain: Dahl."


def test_what_is_no_row_remains() -> None:
    tables = read_tables(WHOLE)
    assert [*filter(None, tables.prose.split("\n"))] == ["The fleet of 1910:", "All ships sail north."]
    assert tables.headers == HEADER.split("\n")[0]
    assert read_tables(PART).prose == "The fleet"


@pytest.mark.parametrize("text", ["Say a | b once.", "No bar at all.", "| One cell |\n| of one column |"])
def test_bars_alone_make_no_table(text: str) -> None:
    assert read_tables(passage(text)).rows == ()
    assert text_for_prompt(passage(text), QUESTION) == text


def test_code_has_no_tables() -> None:
    code = passage("x = a | b\ny = c | d", format="code")
    assert read_tables(code).rows == ()


def test_escaped_bars_belong_to_their_cell() -> None:
    [row] = read_tables(passage("| Sign | Name |\n|---|---|\n| a \\| b | or |")).rows
    assert row.cells == ("a | b", "or")


def test_a_model_is_given_the_rows_that_are_asked_for() -> None:
    text = text_for_prompt(WHOLE, QUESTION)
    assert "Ship: Ship37; Crew size: 137; Captain: Dahl." in text
    assert "Lund" not in text
    assert "The fleet of 1910" in text
    every = text_for_prompt(WHOLE, "Which ships are there?")
    assert all(name in every for name in ("Berg", "Lund", "Dahl"))
    [named] = [text_for_prompt(PART, "Who commands the ship of 136 men?")]
    assert "Lund" in named
    assert "Dahl" not in named


@pytest.mark.parametrize("hit", [WHOLE, PART])
@pytest.mark.parametrize(
    ("question", "right", "wrong"),
    [
        (QUESTION, "137", ("136", "The crew size of Ship37 is 136", "Dahl", "Lund")),
        ("Who is the captain of Ship37?", "Dahl", ("Lund", "137", "Captain Lund")),
        ("Which ship has a crew size of 136?", "Ship36", ("Ship37",)),
        ("Which captain commands Ship36?", "Lund", ("Dahl", "The captain is Dahl")),
    ],
)
def test_values_of_other_rows_and_columns_support_nothing(
    hit: Hit, question: str, right: str, wrong: tuple[str, ...]
) -> None:
    answer = check_answer(question, f"{right}.", [hit])
    assert answer.found
    assert [citation.number for citation in answer.citations] == [1]
    for text in wrong:
        assert not check_answer(question, f"{text}. [1]", [hit]).found, text


def test_an_answer_may_compare_rows_and_name_others() -> None:
    answer = check_answer("Which ship has the largest crew?", "Ship37 has the largest crew, 137. [1]", [WHOLE])
    assert answer.found
    assert check_answer(QUESTION, "Ship36 has 136. [1]", [WHOLE]).found, "which is true, if not asked for"


def test_prose_beside_a_table_supports_as_ever() -> None:
    assert check_answer("Where do the ships sail?", "All ships sail north. [1]", [WHOLE]).found


def test_a_citation_names_the_row() -> None:
    [citation] = check_answer(QUESTION, "137. [1]", [replace(WHOLE, line=10)]).citations
    assert citation.hit.location.line == 10 + WHOLE.text[: WHOLE.text.index("Ship37")].count("\n")


def test_a_part_of_a_table_without_the_code_of_the_question_supports_nothing() -> None:
    other = passage("Ship01 | 101 | Moe\nShip02 | 102 | Vik", header="Ship | Crew size | Captain", format="html")
    assert not check_answer(QUESTION, "102. [1]", [other]).found
    assert check_answer(QUESTION, "137. [2]", [other, PART]).found
    assert check_answer("What is the crew size of Vik?", "102. [1]", [other]).found, "a name is no code"


def test_parts_of_a_table_without_the_code_are_not_given_to_a_model(tiny_model: LanguageModel) -> None:
    other = passage("Ship01 | 101 | Moe\nShip02 | 102 | Vik", header="Ship | Crew size | Captain", format="html")
    prose = passage("The fleet sails north.")
    model = EchoChatModel(language_model=tiny_model)
    hits = [replace(hit, source=f"{number}.html") for number, hit in enumerate((other, PART, prose))]
    assert choose_passages(QUESTION, hits, model=model, k=3) == hits[1:]
    assert choose_passages("What is the crew size of Ship99?", hits, model=model, k=3) == hits, "no passage has it"
    assert choose_passages("Which ship has most men?", hits, model=model, k=3) == hits
