"""Conditions on fields: what they mean, where they cannot be read, and that no text does any harm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echo_index.errors import ConditionError
from echo_index.indexer.conditions.parser import MAX_DEPTH, MAX_LENGTH, parse_condition
from echo_index.indexer.conditions.tree import Value, fields_of, folded, matches

PAPER: Mapping[str, Sequence[Value]] = {
    "author": ["Andrew Ng", "Ada Lovelace"],
    "year": [2024],
    "volume": ["7"],
    "tags": ["Machine Learning", "straße"],
    "date": ["2024-05-17"],
    "sent": ["2024-05-17T23:30:00Z"],
    "published": ["2024"],
    "version": ["1.10"],
    "draft": ["true"],
    "book.publish date": ["2019-01"],
    "note": ["unknown"],
    "motto": ['say "yes" \\ no'],
}


@pytest.mark.parametrize(
    "condition",
    [
        "year = 2024",
        "year == 2024.0",
        "year = '2024'",
        "year >= 2024 and year <= 2024 and not year > 2024 and not year < 2024",
        "year != 2023",
        "Year > 2023.5",
        'author = "andrew ng"',
        "author has 'ADA  LOVELACE'",
        "author contains lovelace",
        "tags contains STRASSE",
        "tags contains 'machine'",
        'author in ("Knuth", "Andrew Ng")',
        "year in [2023, 2024]",
        "year not in (2022, 2023)",
        "volume > 6 and volume = 7.0 and volume < 10",
        'volume = "7"',
        "draft = TRUE",
        "date = 2024-05-17 and date = 2024-05 and date = 2024",
        "date >= 2024-05-17 and date <= 2024-05-17 and date <= 2024 and date >= 2024",
        "date < 2024-06 and date > 2024-04 and date < 2025 and date > 2023",
        "date > '2024-05-16'",
        "date > '30 days'",
        "sent > 2024-05-15 and sent < 2024-05-17T23:31Z",
        "published = 2024 and published >= 2024 and published < 2025",
        'version = "1.10"',
        "version = 1.1",
        '"book.publish date" = 2019',
        '"Book.Publish  Date" < 2020',
        "note > aardvark and note < 'zebra'",
        "author exists",
        "not editor exists",
        "editor != Knuth",
        "(year = 1 or year = 2024) and (author has 'Andrew Ng')",
        "year = 1 and year = 2 or year = 2024",
        "not (year = 1 or year = 2)",
        "NOT year = 1 AND year = 2024 OR year = 3",
        "“author” = “Andrew Ng”",
        r'motto = "say \"yes\" \\ no"',
        "motto = 'say \"yes\" \\\\ no'",
    ],
)
def test_conditions_that_a_document_meets(condition: str) -> None:
    assert matches(parse_condition(condition, now=datetime(2024, 6, 1).astimezone()), PAPER)


@pytest.mark.parametrize(
    "condition",
    [
        "year = 2023",
        "year != 2024",
        "editor = Knuth",
        "editor > 0",
        "editor exists",
        'author = "Ng"',
        "author in (Knuth, Ng)",
        'version = "1.1"',
        "date > 2024",
        "date > 2024-05",
        "date < 2024",
        "date > '7 days'",
        "note > 2020",
        "note >= 2020-01-01",
        "year > aardvark",
        "year not in (2023, 2024)",
        "tags contains ''  and editor exists",
        "not author exists or year = 2024 and note = 5",
    ],
)
def test_conditions_that_it_does_not_meet(condition: str) -> None:
    assert not matches(parse_condition(condition, now=datetime(2024, 6, 1).astimezone()), PAPER)


@pytest.mark.parametrize(
    ("text", "place", "expected"),
    [
        ("", 1, "expected a field"),
        ("year", 5, "expected =, !=, <, <=, >, >=, in, has, contains or exists after the field, not the end"),
        ("year >", 7, 'expected a value such as 2024, 2024-05-17 or "a text", not the end'),
        ("year > > 3", 8, "expected a value"),
        ("author = Andrew Ng", 17, "a text of several words is written in quotation marks"),
        ('author = "Ng', 10, "never closed"),
        ("(year = 1", 10, 'expected "and", "or" or ), not the end'),
        ("year = 1)", 9, 'expected "and", "or" or the end, not )'),
        ("year in 3", 9, "expected a list"),
        ("year in (3", 11, "expected a comma or )"),
        ("year in ()", 10, "expected a value"),
        ("year not 3", 10, 'expected "in"'),
        ("and = 3", 1, "in quotation marks"),
        ("a = or", 5, "in quotation marks"),
        ("year ! 3", 6, "means nothing here"),
        ("'' = 3", 1, "expected a field"),
        ("year = 1; DROP TABLE documents", 11, 'expected "and", "or" or the end, not DROP'),
    ],
)
def test_an_error_shows_the_place_and_what_was_expected(text: str, place: int, expected: str) -> None:
    with pytest.raises(ConditionError) as error:
        parse_condition(text)
    assert f"at character {place}: " in error.value.message
    assert expected in error.value.message
    line, caret = error.value.excerpt.split("\n")
    assert line == text
    assert caret == " " * (place - 1) + "^"


def test_an_error_in_a_long_condition_shows_the_text_around_it() -> None:
    text = " and ".join(["year = 2024"] * 50) + " and !"
    with pytest.raises(ConditionError) as error:
        parse_condition(text)
    line, caret = error.value.excerpt.split("\n")
    assert len(line) < 130
    assert line[len(caret) - 1] == "!"


def test_length_and_depth_are_bounded() -> None:
    assert parse_condition("(" * (MAX_DEPTH - 1) + "a = 1" + ")" * (MAX_DEPTH - 1))
    for text in ("(" * 1000 + "a = 1", "not " * 900 + "a = 1"):
        with pytest.raises(ConditionError, match="inside each other"):
            parse_condition(text)
    with pytest.raises(ConditionError, match="at most 4,000 characters"):
        parse_condition("a = 1 " * MAX_LENGTH)
    long = " or ".join(["a = 1"] * 400)
    assert matches(parse_condition(long), {"a": [1]})


def test_the_fields_of_a_condition_are_known() -> None:
    assert [*fields_of(parse_condition("A = 1 or not (b > 2 and 'C d' exists) or e in (1, 2)"))] == [
        *("a", "b", "c d", "e", "e")
    ]


WORDS = st.sampled_from(
    [
        *"()[],=<>!'\"“”",
        "<=",
        "!=",
        "and",
        "or",
        "not",
        "in",
        "has",
        "contains",
        "exists",
        "year",
        "2024",
        "'a b'",
        "-1e9",
    ]
)


@given(st.text(max_size=200) | st.lists(WORDS, max_size=30).map(" ".join))
def test_any_text_is_a_condition_or_a_condition_error(text: str) -> None:
    try:
        condition = parse_condition(text)
    except ConditionError as error:
        assert error.message.endswith(".")
        assert len(error.excerpt.split("\n")) == 2
    else:
        assert matches(condition, PAPER) in (True, False)


VALUES = st.text(max_size=20) | st.integers() | st.floats(allow_nan=False)


@given(VALUES, VALUES)
def test_values_can_be_compared_with_any_other(value: Value, other: Value) -> None:
    quoted = '"' + str(other).replace("\\", "\\\\").replace('"', '\\"') + '"'
    fields = {"a": [value]}
    equal, less, more = (matches(parse_condition(f"a {sign} {quoted}"), fields) for sign in ("=", "<", ">"))
    assert less + more <= 1
    if folded(str(value)) == folded(str(other)):
        assert equal
