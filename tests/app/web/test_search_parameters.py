"""What the Search tab searches for, in the address of the page: there and back, and wrong values."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echo_index.app.defaults import DEFAULTS, TASKS
from echo_index.app.web.search_parameters import (
    MAX_RESULTS,
    RERANK_COUNTS,
    SearchParameters,
    query_values,
    question_only,
)
from echo_index.errors import QuestionError
from echo_index.retriever.search.searcher import Mode

_TEXT = st.text(st.characters(codec="utf-8"), max_size=30)
_NAME = _TEXT.filter(bool)


def test_only_what_differs_from_the_default_is_in_the_address() -> None:
    assert SearchParameters().to_query() == ""
    assert SearchParameters(question="leave days").to_query() == "q=leave+days"
    everything = SearchParameters(
        "a & b",
        *(TASKS["Code"], "dense", ("docs/a b", "x"), ("code", "pdf"), "2024", "7 days", 'author = "Ng"', 3, 0.25, 20),
        collections=("work", "home notes"),
    )
    assert everything.to_query() == (
        "q=a+%26+b&task=Code&mode=dense&k=3&since=2024&before=7+days&where=author+%3D+%22Ng%22&min_score=0.25&rerank=20"
        "&collection=work&collection=home+notes&folder=docs%2Fa+b&folder=x&format=code&format=pdf"
    )
    assert SearchParameters.from_query(everything.to_query()) == everything


@given(
    st.builds(
        SearchParameters,
        question=_TEXT,
        task=st.sampled_from([*TASKS.values()]) | _NAME.filter(lambda name: name not in TASKS),
        mode=st.sampled_from(get_args(Mode)),
        folders=st.lists(_NAME, max_size=3).map(tuple),
        formats=st.lists(_NAME, max_size=3).map(tuple),
        since=_TEXT.map(str.strip),
        before=_TEXT.map(str.strip),
        where=_TEXT.map(str.strip),
        count=st.integers(1, MAX_RESULTS),
        min_score=st.integers(0, 99).map(lambda percent: percent / 100),
        rerank=st.sampled_from(RERANK_COUNTS),
        collections=st.lists(_NAME, max_size=3).map(tuple),
    )
)
def test_all_parameters_come_back_from_the_address(parameters: SearchParameters) -> None:
    assert SearchParameters.from_query(parameters.to_query()) == parameters
    assert SearchParameters.from_query(f"?{parameters.to_query()}&__theme=dark") == parameters


def test_inputs_that_were_not_used_yet_have_no_value() -> None:
    values = ("leave", None, "hybrid", None, [], [], None, None, " 7 days ", 10.0, 0, 0)
    assert SearchParameters.from_inputs(*values) == SearchParameters("leave", task="", where="7 days")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("query", "message", "remedy"),
    [
        ("mode=wrong", "The address has mode='wrong'.", "Use hybrid, dense or lexical."),
        ("rerank=7", "The address has rerank='7'.", "Use 0, 10, 20 or 50."),
        ("k=0", "The address has k='0'.", "Use a number from 1 to 50."),
        ("k=51", "The address has k='51'.", "Use a number from 1 to 50."),
        ("k=٣", "The address has k='٣'.", "Use a number from 1 to 50."),
        ("k=1e3", "The address has k='1e3'.", "Use a number from 1 to 50."),
        ("min_score=1", "The address has min_score='1'.", "Use a number from 0 to 0.99."),
        ("min_score=nan", "The address has min_score='nan'.", "Use a number from 0 to 0.99."),
        ("min_score=-0.5", "The address has min_score='-0.5'.", "Use a number from 0 to 0.99."),
        (f"mode={'x' * 5000}", f"The address has mode='{'x' * 80}'.", "Use hybrid, dense or lexical."),
    ],
)
def test_wrong_values_are_rejected(query: str, message: str, remedy: str) -> None:
    with pytest.raises(QuestionError) as raised:
        SearchParameters.from_query(f"q=leave&{query}")
    assert (raised.value.message, raised.value.remedy) == (message, remedy)
    assert question_only(f"q=leave&{query}").question == "leave"


def test_long_addresses_are_cut() -> None:
    assert len(question_only("q=" + "a" * 9_000).question) == DEFAULTS.longest_question
    values = query_values("folder=a&" * 3_000 + "since=" + "b" * 90_000)
    assert len(values["folder"]) == 100 and len(values["since"][0]) == 2_000
    assert query_values("q=&mode") == {}


@given(st.text(max_size=80))
def test_any_query_is_read_or_rejected(query: str) -> None:
    try:
        SearchParameters.from_query(query)
    except QuestionError as error:
        assert error.message and error.remedy
