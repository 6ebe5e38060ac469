"""Cards of hits: their content, excerpts and marks, and hostile documents."""

from __future__ import annotations

from dataclasses import replace

import pytest
from example_hit import HIT, TEXT
from seen_html import HOSTILE, Seen, visible

from echo_index.app.services.formatting import location_text
from echo_index.app.web.hit_cards import citation_text, heading_html, hit_card, hit_cards
from echo_index.retriever.search.hits import Location, RankedScore

MARK = (0, 52)
CARD_TAGS = {"li", "div", "span", "h3", "p", "mark", "button", "pre"}


def test_a_card_shows_location_reasons_and_text() -> None:
    html = hit_card(HIT.at(MARK), number=3, strength=0.5)
    seen = Seen(html)
    for said in ("3", "The ferry › Times", "island/ferry.md, line 7", "2nd by meaning", "11th by words", TEXT):
        assert said in seen.text
    assert "<mark>The ferry to the island leaves at eight and at noon.</mark> Bicycles" in html
    assert 'title="cosine 0.71"' in html and 'title="BM25 3.50"' in html
    assert 'title="50 % of the best score"' in html and 'style="width:50%"' in html


def test_the_buttons_of_a_card_have_its_passage() -> None:
    buttons = [found for found in Seen(hit_card(HIT.at(MARK), number=1)).attributes if found.get("type") == "button"]
    assert [found["data-action"] for found in buttons] == ["open", "copy", "similar"]
    for found in (buttons[0], buttons[2]):
        assert (found["data-source"], found["data-start"]) == ("island/ferry.md", "120")
    assert buttons[1]["data-text"] == citation_text(HIT.at(MARK))
    assert 'data-action="similar"' not in hit_card(HIT.at(MARK), number=1, similar=False)


def test_missing_fields_are_not_shown() -> None:
    bare = hit_card(replace(HIT, dense=None, lexical=None), number=1)
    assert "badge" not in bare and "strength" not in bare and 'class="why"' not in bare and "<mark>" not in bare
    assert "by words" not in hit_card(replace(HIT, lexical=None), number=1)
    assert "likelihood" not in hit_card(HIT, number=1)


def test_a_card_links_to_duplicates() -> None:
    spots = (
        Location(HIT.source, 9, None, 2),
        Location("copy & co.pdf", 30, 4, None),
        Location(HIT.source, 11, None, None),
    )
    seen = Seen(hit_card(replace(HIT, duplicates=spots), number=1))
    assert "The same text: line 2 copy & co.pdf, page 4 elsewhere in it" in " ".join(seen.text.split())
    opened = [
        (found["data-source"], found["data-start"]) for found in seen.attributes if found.get("data-action") == "open"
    ]
    assert opened == [(HIT.source, "9"), ("copy & co.pdf", "30"), (HIT.source, "11"), (HIT.source, "120")]
    many = Seen(hit_card(replace(HIT, duplicates=spots * 3), number=1))
    assert "and 4 more" in many.text
    assert "The same text" not in Seen(hit_card(HIT, number=1)).text


def test_a_card_shows_the_query_likelihood() -> None:
    html = hit_card(replace(HIT, likelihood=RankedScore(3, -2.346)), number=1)
    assert (
        'class="badge likelihood" title="log probability of a token of the question -2.35">3rd by likelihood<' in html
    )


@pytest.mark.parametrize("text", [*HOSTILE, "</pre></p><script>alert(1)</script>", "javascript:alert(1)"])
@pytest.mark.parametrize("format", ["markdown", "code"])
def test_hostile_documents_are_shown_as_text(text: str, format: str) -> None:
    hit = replace(HIT, text=text, source=text, title=text, headings=(text, text), format=format)
    html = hit_cards([hit.at((0, len(text))), replace(hit, page=2)])
    seen = Seen(html)
    assert {*seen.tags} <= CARD_TAGS | {"ol"}
    assert seen.tags.count("li") == 2 and seen.tags.count("mark") == 1
    names = {name for found in seen.attributes for name in found}
    assert {name for name in names if name.startswith("on") or name in ("src", "href")} == set()
    assert visible(seen.text).count(visible(text)) >= 6
    for found in seen.attributes:
        assert {"data-source", "title", "data-text"} & found.keys() or visible(text) not in map(visible, found)


def test_scores_are_relative_to_the_best_hit() -> None:
    hits = [replace(HIT, score=0.8), replace(HIT, score=0.2)]
    html = hit_cards(hits)
    assert [html.count(f"width:{share}%") for share in (100, 25)] == [1, 1]
    for scores in ((0.0, 0.0), (-0.1, -0.5)):
        assert "width:0%" in hit_cards([replace(HIT, score=score) for score in scores])


def test_without_hits_there_is_advice() -> None:
    html = hit_cards([])
    assert "Nothing was found." in html and "Try other words" in html
    assert "No passage has &lt;b&gt;" in hit_cards([], nothing="No passage has <b>")


@pytest.mark.parametrize(
    ("rank", "said"),
    [
        (1, "1st"),
        (2, "2nd"),
        (3, "3rd"),
        (4, "4th"),
        (10, "10th"),
        (11, "11th"),
        (12, "12th"),
        (13, "13th"),
        (21, "21st"),
        (22, "22nd"),
        (23, "23rd"),
        (100, "100th"),
        (101, "101st"),
        (111, "111th"),
        (112, "112th"),
        (113, "113th"),
    ],
)
def test_ranks_are_ordinals(rank: int, said: str) -> None:
    assert f">{said} by meaning<" in hit_card(replace(HIT, dense=RankedScore(rank, 0.5)), number=1)


def test_a_location_has_a_page_or_a_line_if_known() -> None:
    assert location_text(HIT.location) == "island/ferry.md, line 7"
    assert location_text(replace(HIT, page=12, line=None).location) == "island/ferry.md, page 12"
    assert location_text(replace(HIT, line=None).location) == "island/ferry.md"


def test_a_citation_has_the_sentence_and_its_location() -> None:
    sentence = "The ferry to the island leaves at eight and at noon."
    assert citation_text(HIT.at(MARK)) == f"“{sentence}” — The ferry > Times (island/ferry.md, line 7)"
    assert citation_text(HIT) == "The ferry > Times (island/ferry.md, line 7)"
    wrapped = replace(HIT, text=TEXT.replace(" leaves ", "\n  leaves\t"))
    assert citation_text(wrapped.at((0, 54))).startswith(f"“{sentence}”")
    assert citation_text(replace(HIT, title="", headings=())).strip() == "(island/ferry.md, line 7)"


def test_a_heading_has_the_path_to_the_passage() -> None:
    assert Seen(heading_html(HIT)).text == "The ferry › Times"
    assert Seen(heading_html(replace(HIT, headings=("Timetable", "Summer")))).text == "The ferry › Timetable › Summer"
    assert Seen(heading_html(replace(HIT, title="", headings=()))).text == "island/ferry.md"


@pytest.mark.parametrize(("first", "last"), [(0, 40), (900, 960), (1500, 1540), (1960, 2000), (300, 1100), (0, 2000)])
def test_an_excerpt_contains_the_whole_mark(first: int, last: int) -> None:
    text = "".join(f"{number:04} " for number in range(400))  # 2000 characters, none like another
    html = hit_card(replace(HIT, text=text, format="code").at((first, last)), number=1)
    passage = html[html.index('<pre class="passage code"') :].split("</pre>")[0]
    assert f"<mark>{text[first:last]}</mark>" in passage
    shown = Seen(passage).text.removeprefix("… ").removesuffix(" …")
    assert shown in text and len(shown) <= max(520, 160 + last - first)
    assert ("… " in passage) == (not text.startswith(shown)) and (" …" in passage) == (not text.endswith(shown))


def test_a_short_passage_is_shown_whole() -> None:
    assert "…" not in hit_card(replace(HIT, text="x" * 520), number=1)
    assert " …" in hit_card(replace(HIT, text="x" * 521), number=1)
