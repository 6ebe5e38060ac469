"""Text without markup: its lines, and the mark in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seen_html import Seen

from echo_index.app.web.rendering.plain import mark_html, unwrap


def test_lines_that_only_wrap_are_joined() -> None:
    assert unwrap("The ferry\nleaves at\neight.") == "The ferry leaves at eight."


@pytest.mark.parametrize(
    "text",
    [
        "One paragraph.\n\nAnother.",
        "A list:\n- one\n* two\n+ three",
        "Numbers:\n1. one\n2. two",
        "Title\n=====",
        "Title\n-----",
        "Text\n# Heading",
        "Text\n> quote",
        "| a |\n| b |",
        "Code:\n    indented",
        "Code:\n\ttabbed",
    ],
)
def test_meaningful_line_ends_are_kept(text: str) -> None:
    assert unwrap(text) == text


@pytest.mark.parametrize("fence", ["```", "~~~"])
def test_fenced_code_keeps_its_lines(fence: str) -> None:
    text = f"Add them:\n\n{fence}python\nfirst = 1\nsecond = 2\nprint(first + second)\n{fence}\n\nThat is\nall."
    assert unwrap(text) == text.replace("is\nall", "is all")


@given(st.text(st.sampled_from("ab \n\r\t#->1*|é灯\u2028."), max_size=60))
def test_unwrapping_keeps_offsets(text: str) -> None:
    flows = unwrap(text)
    assert len(flows) == len(text)
    assert all(new == old or (old, new) == ("\n", " ") for old, new in zip(text, flows, strict=True))


@given(st.text("<&>\"'ab", max_size=20), st.data())
def test_marking_changes_no_character(text: str, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(text)))
    last = data.draw(st.integers(first, len(text)))
    html = mark_html(text, (first, last))
    assert Seen(html).text == Seen(mark_html(text, None)).text == text
    assert Seen(html).tags == ["mark"]
    assert Seen(html[html.index("<mark>") :].split("</mark>")[0]).text == text[first:last]


def test_a_mark_is_cut_to_the_shown_span() -> None:
    assert mark_html("abcdef", (1, 3), start=2, end=5) == "<mark>c</mark>de"
    assert mark_html("abcdef", (3, 6), start=2, end=5) == "c<mark>de</mark>"
    assert mark_html("abcdef", None, start=2, end=5) == "cde"
