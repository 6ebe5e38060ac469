"""Passages and documents by their format: what is rendered, excerpts, and the mark."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from example_hit import HIT
from seen_html import Seen

from echo_index.app.web.rendering.passages import LAYOUT_FORMATS, document_text_html, passage_html
from echo_index.indexer.catalog.records import ChunkRow
from echo_index.indexer.documents.chunking import Anchor
from echo_index.indexer.documents.formats import FORMATS
from echo_index.indexer.inspection.document_queries import IndexedDocument

_MARKED = "# *One*\n\n- two\n\n| a | b |\n|---|---|\n| c | d |\n\n`code` and **bold**"


def document(
    text: str, *, format: str = "markdown", path: str = "a.md", passages: tuple[ChunkRow, ...] = ()
) -> IndexedDocument:
    return IndexedDocument(path, "Title", format, text, passages)


def test_markdown_is_rendered() -> None:
    tags = Seen(passage_html(replace(HIT, text=_MARKED))).tags
    assert tags[:4] == ["div", "p", "em", "ul"] and {"table", "code", "strong"} <= {*tags}


@pytest.mark.parametrize("format", ["text", "pdf", "rst", "subtitles", "mail", "image", "notebook", "of a plugin"])
def test_in_plain_formats_marks_mean_nothing(format: str) -> None:
    html = passage_html(replace(HIT, text=_MARKED, format=format))
    assert Seen(html).tags == ["p"] and "# *One*" in Seen(html).text
    assert "**bold**" in Seen(document_text_html(document(_MARKED, format=format), (0, 3), first=0, last=80)).text


@pytest.mark.parametrize("format", sorted(LAYOUT_FORMATS))
def test_formats_without_marks_have_tables_and_lists(format: str) -> None:
    assert format in FORMATS.values()
    seen = Seen(passage_html(replace(HIT, text="# *One*\n\n- two\n\na | b\nc | d", format=format)))
    assert {"ul", "table"} <= {*seen.tags} and "# *One*" in seen.text


def test_code_has_colours_by_the_name_of_its_file() -> None:
    code = "def add(a):\n    return a"
    assert '<span class="k">def</span>' in passage_html(replace(HIT, text=code, format="code", source="a/b.py"))
    assert "span" not in passage_html(replace(HIT, text=code, format="code", source="a/b.unknown"))
    shown = document_text_html(document(code, format="code", path="x.py"), (0, 3), first=0, last=len(code))
    assert '<mark class="here">def</mark>' in shown and Seen(shown).text == code


def test_headings_of_other_formats_are_the_lines_that_their_paths_end_with() -> None:
    def headings(text: str, *anchors: tuple[int, str]) -> list[str]:
        at = tuple(Anchor(HIT.start + offset, None, "", ("The ferry", title)) for offset, title in anchors)
        html = passage_html(replace(HIT, text=text, format="docx", anchors=at))
        return re.findall('<p class="heading level-2">(.*?)</p>', html)

    assert headings("Times\n\nAt noon.") == ["Times"], "a passage that begins with its heading has no anchor"
    assert headings("At noon.\n\nAt night.") == []
    below = "Bicycles are free.\n\nTimes\n\nAt noon."
    assert headings(below, (0, "Prices"), (below.index("Times"), "Times")) == ["Times"]
    assert headings(f"Prices\n\n{below}", (0, "Prices"), (8 + below.index("Times"), "Times")) == ["Prices", "Times"]


def test_an_excerpt_of_a_long_table_has_its_header() -> None:
    rows = "".join(f"| row {number} | value {number} |\n" for number in range(60))
    text = f"| Name | Value |\n|---|---|\n{rows}"
    words = "row 40 | value 40"
    start = text.index(words)
    seen = passage_html(replace(HIT, text=text).at((start, start + len(words))))
    assert "<mark>row 40</mark>" in seen and "<mark>value 40</mark>" in seen
    assert Seen(seen).text.startswith("…NameValue") and Seen(seen).text.endswith("…")
    assert Seen(seen).tags.count("tr") < 30
    inside = passage_html(replace(HIT, text=rows, table_header="Table 1: All\n| Name | Value |"))
    assert Seen(inside).text.startswith("Table 1: AllNameValuerow 0")


def test_an_excerpt_of_fenced_code_is_code() -> None:
    lines = "".join(f"line_{number} = {number}\n" for number in range(80))
    text = f"Before.\n\n```python\n{lines}```\n\nAfter *it*."
    start = text.index("line_40")
    seen = passage_html(replace(HIT, text=text).at((start, start + 7)))
    assert Seen(seen).tags[:2] == ["div", "pre"] and "<mark>line_40</mark>" in seen
    assert "Before" not in seen and "After" not in seen
    assert Seen(seen).text.startswith("… ") and Seen(seen).text.endswith(" …")


def test_the_text_before_says_what_a_passage_begins_in() -> None:
    hit = replace(HIT, text="# a comment\n\nx = 1\n```\n\nThen *this*.")
    before = "Do:\n\n```python\nimport it\n\n"
    assert Seen(passage_html(hit, text_before=before)).text == "# a comment\n\nx = 1Then this."
    hit = replace(HIT, text="# a comment\n\nx = 1")
    assert Seen(passage_html(hit)).text == "a commentx = 1", "nothing says that it is code"
    assert Seen(passage_html(hit, text_before=before)).tags == ["div", "pre", "span", "span"]
    assert "import" not in passage_html(hit, text_before=before)


def test_a_document_is_rendered_around_its_passage() -> None:
    text = "# One\n\n" + "filler words *here*.\n\n" * 400 + "\n\n- two\n- three\n\n" + "more words. " * 400
    first = text.index("two")
    html = document_text_html(document(text), (first, first + 11), first=first - 300, last=first + 300)
    assert html.count('<mark class="here">') == 1 and html.index('class="here">two') > 0
    assert "<mark>three</mark>" in html and "<em>here</em>" in html
    assert "One" not in html
    assert 500 < len(Seen(html).text) < 700
    whole = Seen(document_text_html(document(text), (0, 5), first=0, last=len(text)))
    assert whole.attributes[1]["role"] == "heading" and whole.attributes[1]["aria-level"] == "3"


def test_code_far_from_its_passage_has_no_colours() -> None:
    text = "x = 1\n" * 20_000
    html = document_text_html(document(text, format="code", path="x.py"), (60_000, 60_005), first=0, last=len(text))
    assert Seen(html).text == text and '<mark class="here">' in html
    assert html.count('<span class="m">') == 80_005 // 6, "40,000 characters on each side have colours"


def test_all_of_a_very_long_document_is_shown() -> None:
    text = "".join(f"Paragraph *{number}*.\n\n" for number in range(9_000))
    start = text.index("*4500*")
    html = document_text_html(document(text), (start, start + 6), first=0, last=len(text))
    assert "<em><mark" in html and "Paragraph *0*." in html and "Paragraph *8999*." in html
    assert re.sub(r"\D+", " ", Seen(html).text).split() == [str(number) for number in range(9_000)]
