"""A part of a Markdown text is read as within the whole: in a list, a table, fenced code."""

from __future__ import annotations

import pytest
from seen_html import Seen

from echo_index.app.web.rendering.markdown import write_markdown
from echo_index.app.web.rendering.markdown_window import markdown_window
from echo_index.app.web.rendering.writer import PassageWriter

_LONG = "filler words " * 2_000


def part(text: str, words: str, *, is_whole: bool = True, table_header: str = "") -> Seen:
    """Render only some words of a text."""
    span = (text.index(words), text.index(words) + len(words))
    window = markdown_window(text, span, is_whole=is_whole, table_header=table_header)
    writer = PassageWriter(span=span)
    write_markdown(
        writer, text[window.start : window.end], start=window.start, before=window.before, after=window.after
    )
    return Seen(writer.html())


@pytest.mark.parametrize(
    ("text", "words", "tags"),
    [
        ("```py\na = 1\n\n# b\n\nc = 3\n```\n\nafter", "# b", ["pre", "span"]),
        ("~~~\na\n\n```\nb\n\n~~~\n\nafter *it*", "after *it*", ["p", "em"]),
        ("~~~\na\n\n```\nb\n\nc # d\n~~~\n", "c # d", ["pre"]),
        ("1. a\n\n   ```sh\n   b\n\n   c\n   ```\n\n2. d", "c", ["ol", "li", "pre"]),
        ("- a\n  - b\n\n    c\n", "c", ["ul", "li", "ul", "li", "p"]),
        (
            "| a | b |\n|---|---|\n| c | d |\n| e | f |\n",
            "f",
            ["div", "table", "thead", "tr", "th", "th", "tbody", "tr", "td", "td"],
        ),
        ("text\n\nsee [it]\n\n[it]: http://x.example", "see [it]", ["p", "a"]),
        (f"```\na\n{_LONG}\n# b\n```\n", "# b", ["pre"]),
        (f"{_LONG}\n\n- a\n- b", "b", ["ul", "li"]),
    ],
)
def test_what_a_part_stands_in(text: str, words: str, tags: list[str]) -> None:
    assert part(text, words).tags == tags


def test_many_fences_and_blank_lines() -> None:
    text = "```\n```\n" * 20_000 + "```\n" + "a\n\n" * 40_000 + "# b"
    assert part(text, "# b").tags == ["pre"]  # at once; what grows with the square would take a minute


@pytest.mark.parametrize(
    ("text", "words", "tags"),
    [
        ("x = 1\n\ny = 2\n```\n\nafter *it*", "after *it*", ["p", "em"]),
        ("x = 1\n\n# y\n```\n\nafter *it*", "# y", ["pre"]),
        ("before *it*\n\n```\nx\n```\n", "before *it*", ["p", "em"]),
        ("before *it*:\n```\nx\n```\n\nafter", "x", ["pre"]),
        ("x\n```\nthen\n```py\ny\n```\n", "then", ["p"]),
        ("# y\n```", "# y", ["pre"]),
    ],
)
def test_a_part_of_a_text_may_begin_within_code(text: str, words: str, tags: list[str]) -> None:
    assert part(text, words, is_whole=False).tags == tags


def test_rows_without_their_header_get_it_with_as_many_columns_as_they_need() -> None:
    seen = part(
        "| 1 | 2 | 3 |\n| 4 |\n", "| 1 | 2 | 3 |\n| 4 |", is_whole=False, table_header="Table 1: Sizes\n| a | b |"
    )
    assert seen.tags.count("th") == 3 and seen.tags.count("td") == 6
    assert seen.text == "ab1234"
    again = part("| a | b |\n|--|--|\n| 1 | 2 |\n", "| 1 | 2 |", table_header="| a | b |")
    assert again.text == "ab12", "a header that stands in the text is not repeated"


def test_a_caption_is_part_of_the_window_only_with_the_header() -> None:
    window = markdown_window("| 1 |\n", (0, 5), is_whole=False, table_header="Table 1: Sizes\nin metres\n| a |")
    assert window.caption == "Table 1: Sizes\nin metres"
    assert markdown_window("| a |\n|--|\n| 1 |\n", (11, 16), table_header="Table 1: Sizes\n| a |").caption == ""
