"""Elements of XML are headings, and the text stays that of the file."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from echo_index.indexer.documents.document import Document
from echo_index.indexer.documents.formats import parse_document


def read(source: str, suffix: str = ".xml") -> Document:
    return parse_document(source.encode(), Path(f"a{suffix}"))


def titles(source: str, suffix: str = ".xml") -> list[tuple[int, str]]:
    return [(each.level, each.title) for each in read(source, suffix).headings]


LONG = "<note>" + "word " * 250 + "</note>\n"
CATALOG = f"""<?xml version="1.0"?>
<!DOCTYPE catalog [<!ENTITY house "Sea &amp; Sons"> <!ELEMENT book (title)>]>
<!-- <book id="commented"> -->
<c:catalog xmlns:c="http://example.org/c">
  <book id="bk101" c:lang="en">
    <price currency="€">44</price>
    <stock>
      <place name="Quay&#x20;3">
        <count>7</count>
      </place>
    </stock>
  </book>
  <book id="bk102">
    <title>Gulls &amp; <em>terns</em></title>
    <data><![CDATA[<book id="data">]]>&house;</data>
  </book>
  <book
      shelf="7">
    <price>3</price>
  </book>
  <line><a>on one line</a></line>
  {LONG}</c:catalog>
"""


def test_a_hit_says_where_it_stands_and_the_text_is_the_file() -> None:
    document = read(CATALOG)
    assert document.heading_path(CATALOG.index("44")) == ("catalog", "book bk101")
    assert document.heading_path(CATALOG.index("7</count")) == ("catalog", "book bk101", "stock Quay 3")
    assert document.heading_path(CATALOG.index("&house;<")) == ("catalog", "Gulls & terns")
    assert (document.text, document.has_lines, document.format) == (CATALOG, True, "code")
    assert [document.line(each.offset) for each in document.headings] == [4, 5, 7, 13, 17]
    assert all(CATALOG[each.offset - 1] == "\n" for each in document.headings)


def test_an_element_without_a_name_is_known_by_its_first_attribute_if_there_are_others_like_it() -> None:
    assert titles(f"<a><b>\n<c x='1'>\n{LONG}</c>\n<c>\n{LONG}</c>\n<e>\n<d/>\n</e>\n</b></a>") == [
        *((1, "a"), (2, "c 1"), (1, "a"), (2, "e")),
    ]


def test_behind_a_long_element_the_one_around_it_goes_on_and_a_short_one_is_no_heading_there() -> None:
    source = f"<a>\n<b>\n<c/>{LONG}</b>\n<last/>\n</a>"
    assert titles(source) == [(1, "a"), (2, "b"), (1, "a")]
    assert read(source).headings[2].offset == source.index("<last/>")
    source = f"<a>\n<b>\n<c/>{LONG}</b>\n<d>\n<short/>\n</d><last/>\n</a>"
    assert [*titles(source), read(source).headings[2].offset] == [(1, "a"), (2, "b"), (1, "a"), source.index("<d>")]
    assert titles("<a>\n<b>\n<c/>\n</b>\n<last/>\n</a>") == [(1, "a")]


BOOK = f"""<book xmlns:xlink="x"><title>The Coast</title>
<chapter xml:id="one"><title>The <emphasis>Quay</emphasis></title>
<para>Ships <emphasis>come</emphasis> in.</para>
<figure><title>A ship</title>
<graphic/></figure>
<itemizedlist xml:id="list"><listitem>
<para>Of <emphasis>wood</emphasis>.</para></listitem></itemizedlist>
<section><info><title>Piers</title></info>
<para>{"Planks. " * 150}</para></section>
</chapter>
<variable name="depth">
<para>Of <emphasis>water</emphasis>.</para></variable>
</book>
"""


TEI = BOOK.replace("<info>", "").replace("</info>", "").replace("title>", "head>")
HEADS = BOOK.replace("<title>", "<head id='x'><TITLE>").replace("</title>", "</TITLE><x/></head>")


@pytest.mark.parametrize("source", [BOOK, TEI, HEADS])
def test_sections_of_prose_are_headings_and_paragraphs_lists_and_figures_are_not(source: str) -> None:
    assert titles(source) == [
        *((1, "The Coast"), (2, "The Quay"), (3, "Piers"), (2, "variable depth")),
    ]


def test_property_lists_and_feeds_name_their_parts() -> None:
    source = (
        "<plist><dict><key>A</key><string>a</string>\n<key>Window</key>\n<dict>\n<key>b</key><true/>\n</dict></dict>"
    )
    assert titles(source, ".plist") == [(1, "plist"), (2, "dict Window")]
    feed = "<rss version='2'><channel><title>News</title>\n" + "".join(
        f"<item>\n<link/><title><![CDATA[Gale {n}]]></title>\n<description>{'Wind. ' * 60}</description></item>"
        for n in range(40)
    )
    assert titles(feed, ".rss")[:3] == [(1, "News"), (2, "Gale 0"), (2, "Gale 1")]


def test_without_line_ends_the_headings_stand_at_the_elements() -> None:
    source = "<a>" + "".join(f"<b id='{n}'><c>{'word ' * 100}</c></b>" for n in range(9)) + "</a>"
    document = read(source)
    assert [each.title for each in document.headings] == ["a", *(f"b {n}" for n in range(9))]
    assert all(source[each.offset :].startswith("<") for each in document.headings)


def test_levels_with_very_short_sections_are_no_headings() -> None:
    source = "<a>" + "".join(f"<b id='{n}'>\n<c/></b>\n" for n in range(30)) + "</a>"
    assert titles(source) == [(1, "a")]


def test_the_declared_encoding_is_used_and_binary_property_lists_are_rejected() -> None:
    source = "<?xml version='1.0' encoding='windows-1253'?>\n<a>\n<b id='Θάλασσα'>\n<c/></b>\n<b id='y'>\n<c/></b></a>"
    document = parse_document(source.encode("cp1253"), Path("a.xml"))
    assert [each.title for each in document.headings] == ["a", "b Θάλασσα", "b y"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("<a>\n<b id='1'>\n<c>\n</b>\n<b id='2'>\n<c/>\n</nothing></b>", ["a", "b 1", "b 2"]),
        ("{% if x %}<a>\n<b/>\n</a>{% endif %}<a id='2'>\n<b/></a>", ["a 2"]),
        ("<a x=1>\n<b y='>'>\n<c/>\n</b>\n<b y=\"<\">\n</b></a>", []),
        ("<a>\n<b/><title>x<c>\n<d>\n<e/>\n</d></c>\n</a>\n<f>\n<g/>\n</f>", ["x", "f"]),
        ("no markup, a < b > c", []),
        ("<a><!-- <b> ", []),
        ("<a>\n<b id='x" + "9" * 5000 + "'>\n<c/></b><b id='&#" + "9" * 5000 + ";'>\n<c/></b></a>", ["a"]),
    ],
)
def test_broken_files_are_read_as_far_as_they_can_be(source: str, expected: list[str]) -> None:
    found = [each.title for each in read(source).headings]
    assert found[: len(expected)] == expected and len(found) <= len(expected) + 2
    assert read(source).text == source


@pytest.mark.parametrize(
    "source",
    [
        *("<a>" * 200_000, "<a>\n" * 200_000, "<a " * 300_000, '<a "' * 300_000, "<a " + '"' * 1_000_000),
        *("<!--" * 300_000, "<![CDATA[" * 200_000, "<!DOCTYPE a [" * 200_000, "<!D [" + "] " * 500_000),
        *("<?" * 500_000, "</" * 500_000, "</" + " " * 1_000_000, "<a>" * 200_000 + "</b>" * 200_000),
        *("<a><b>" * 100_000 + "</a></b>" * 100_000, "<a>\n<title>" * 100_000),
        *("<a " + "x='1' " * 200_000 + "><b/></a>", "<r>" + "<f>\n<t><u/></t></f>\n<x/>" * 40_000, "<a/>" * 2_000_001),
    ],
    ids=range(18),
)  # fmt: skip
def test_hostile_files_are_read_in_time(source: str) -> None:
    start = time.perf_counter()
    assert len(read(source).headings) < 100
    assert time.perf_counter() - start < 5


def test_letters_stand_in_place_of_references_to_them() -> None:
    head = "<title>Comiss&#x000e3;o</title> &eacute;tica &#8212; &#x141;\n&lt;b&gt; &amp;#227; &#60; &#xA0; &house;\n"
    document = read(f"<article>\n<p>&#201;t&#xe9;</p>\n<sec>{head}{'word ' * 60}</sec>\n</article>\n")
    assert "Comissão</title> ética — Ł\n&lt;b&gt; &amp;#227; &#60; &#xA0; &house;\n" in document.text
    [section] = document.headings
    assert section.title == "Comissão"
    assert document.text[section.offset :].startswith("<sec><title>Comissão")
