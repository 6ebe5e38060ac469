"""Text of formats without marks: rows are tables, dashes and numbers are lists, headings are known by their offsets."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st
from seen_html import Seen

from echo_index.app.web.rendering.layout import write_layout
from echo_index.app.web.rendering.writer import EVERYTHING, PassageWriter, Span

_TAGS = {"p", "ul", "ol", "li", "mark", "div", "table", "thead", "tbody", "tr", "th", "td"}


def laid_out(
    text: str,
    mark: Span | None = None,
    *,
    span: Span = EVERYTHING,
    table_header: str = "",
    headings: tuple[int, ...] = (),
) -> str:
    writer = PassageWriter(span=span, mark=mark)
    write_layout(writer, text, table_header=table_header, headings=frozenset(headings))
    return writer.html()


def rows(html: str) -> list[list[str]]:
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", html)]


def test_rows_are_tables() -> None:
    html = laid_out("Name | Size\nmill | 3\n| 4\nbarn | \n\nA | B is text")
    assert rows(html) == [["Name", "Size"], ["mill", "3"], ["", "4"], ["barn", ""]]
    assert Seen(html).tags.count("th") == 2
    assert html.endswith('<p class="lines">A | B is text</p>')


def test_a_first_row_with_numbers_is_no_header() -> None:
    assert "th" not in Seen(laid_out("mill | 3\nbarn | 4")).tags


def test_rows_that_a_text_begins_with_are_below_their_header() -> None:
    html = laid_out("mill\nbarn | 4\n\nafter", table_header="Sizes of houses\nHouse | Size\nname | m")
    assert html.startswith('<p class="lines">Sizes of houses</p>')
    assert rows(html) == [["House", "Size"], ["name", "m"], ["mill", ""], ["barn", "4"]]
    assert laid_out("1\n2", table_header="Years").count("<th ") == 1


def test_lists_have_levels_and_numbers() -> None:
    html = laid_out("- one\n  - two\n3. three\n4. four\na. five\nText - no item")
    assert html == (
        '<ul dir="auto"><li class="level-0">one</li><li class="level-1">two</li></ul>'
        '<ol dir="auto"><li class="level-0" value="3">three</li><li class="level-0" value="4">four</li></ol>'
        '<p class="lines">a. five\nText - no item</p>'
    )


def test_nothing_is_a_mark() -> None:
    text = "# no heading\n*no emphasis* `no code` [no](http://link.example)\n```\n    indented"
    assert laid_out(text) == f'<p class="lines">{text}</p>'


def test_headings_are_known_by_their_offsets() -> None:
    html = laid_out("Chapter\n\nText", headings=(0,))
    assert html == '<p class="heading level-2">Chapter</p><p class="lines">Text</p>'


def test_a_mark_goes_across_cells_and_items() -> None:
    text = "a | b\nc | d\n\n- e\n- f"
    html = laid_out(text, (text.index("b"), text.index("f")))
    assert re.findall("<mark>(.*?)</mark>", html) == ["b", "c", "d", "e"]


def test_only_the_rows_in_the_part_are_shown() -> None:
    text = "Name | Size\nmill | 3\nbarn | 4\nshed | 5"
    html = laid_out(text, span=(text.index("barn"), text.index("4")))
    assert rows(html) == [["Name", "Size"], ["barn", "4"]]


@given(st.text(st.sampled_from("ab1.-| \n#<&"), max_size=60), st.data())
@settings(max_examples=300, deadline=None)
def test_all_text_is_shown_and_a_mark_changes_nothing_else(text: str, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(text)))
    last = data.draw(st.integers(first, len(text)))
    html = laid_out(text, (first, last))
    assert re.sub("</?mark>", "", html) == laid_out(text)
    seen = Seen(html)
    assert {*seen.tags} <= _TAGS
    numbers = "".join(str(found["value"]) for found in seen.attributes if "value" in found)
    kept = re.sub(r"[\s|.0-9-]", "", text)
    assert re.sub(r"[\s|.0-9-]", "", seen.text) == kept
    assert sum(map(int, re.findall(r"\d", seen.text + numbers))) >= 0
    inside = "".join(re.findall("<mark>(.*?)</mark>", html, re.DOTALL))
    assert re.sub(r"[\s|.0-9-]", "", Seen(inside).text) == re.sub(r"[\s|.0-9-]", "", text[first:last])
