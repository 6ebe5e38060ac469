"""XHTML: elements that are closed by themselves, CDATA, prefixes, and pages that are not well-formed."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from echo_index.indexer.documents.formats import read_document
from echo_index.indexer.documents.readers.html.reader import read_html, read_xhtml

NAMESPACE = 'xmlns="http://www.w3.org/1999/xhtml"'


def page(body: str, head: str = "<title/>") -> bytes:
    return f'<?xml version="1.0"?>\n<html {NAMESPACE}><head>{head}</head><body>{body}</body></html>'.encode()


@pytest.mark.parametrize("name", ["title", "script", "style", "noscript", "iframe", "template", "noframes"])
def test_an_element_of_the_head_that_closes_itself_ends_there(name: str) -> None:
    assert read_xhtml(page("<p>The map.</p>", f"<{name} type='a>b'/>")).text == "The map."


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<textarea/><p>a</p>", "a"),
        ("<h1/><p>a</p><h2>b</h2>", "a\n\nb"),
        ("<select/><p>a</p>", "a"),
        ("<a id='x'/>a<nav/><p>b</p>", "a\n\nb"),
        ("<div hidden='hidden'/><p>a</p>", "a"),
        ("<ul><li/><li>a</li></ul>", "- a"),
        ("<br/>a<br />b<hr/>c", "a\nb\n\nc"),
        ("<p>1 <![CDATA[< 2 & <b>]]> 3</p>", "1 < 2 & <b> 3"),
        ("<script>//<![CDATA[\nif (a < b) {}\n//]]></script><p>a</p>", "a"),
        ("<!-- <title/> --><p>a</p><?php b ?>", "a"),
        ("<p title='/>'>a</p>", "a"),
        ("<p>a<b>b</p><p>c &unknown; &amp", "ab\n\nc &unknown; &"),
    ],
)
def test_the_body(body: str, text: str) -> None:
    assert read_xhtml(page(body)).text == text


def test_names_with_a_prefix() -> None:
    source = (
        '<h:html xmlns:h="http://www.w3.org/1999/xhtml" xmlns:m="http://www.w3.org/1998/Math/MathML"><h:body>'
        "<h:h1>Head</h:h1><h:p>x <m:math><m:msup><m:mi>y</m:mi><m:mn>2</m:mn></m:msup></m:math></h:p><o:p>z</o:p>"
        "</h:body></h:html>"
    )
    document = read_xhtml(source.encode())
    assert document.text == "Head\n\nx y^2\n\nz"
    assert document.headings[0].title == "Head"


def test_a_document_type_with_declarations() -> None:
    source = (
        b'<?xml version="1.0"?><!DOCTYPE html [<!ENTITY a "&b;&b;"><!ENTITY b "ha">]><html><body><p>x</p></body></html>'
    )
    assert read_html(source).text == "x"


@pytest.mark.parametrize(
    "start",
    [
        '<?xml version="1.0" encoding="UTF-8"?><html>',
        f"<!DOCTYPE html><html lang='en' {NAMESPACE}>",
        '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "x.dtd"><html>',
    ],
)
def test_a_page_of_another_name_that_is_xhtml(tmp_path: Path, start: str) -> None:
    (tmp_path / "a.html").write_text(f"{start}<head><script src='a.js'/><title/></head><body>The map.</body></html>")
    assert read_document(tmp_path / "a.html").text == "The map."


def test_the_suffix_is_enough(tmp_path: Path) -> None:
    (tmp_path / "a.xhtml").write_text("<html><head><title/></head><body><p>The map.</p></body></html>")
    assert read_document(tmp_path / "a.xhtml").text == "The map."


def test_html_is_not_taken_for_xhtml() -> None:
    assert read_html(b"<p>a<title/></p>and all that follows is a title").text == "a"


def test_hostile_sources_are_fast() -> None:
    begun = time.process_time()
    for piece in ("<!--", "<![CDATA[", "<?", "<!DOCTYPE [", '<a b="', "<a b='\"", "<a /", "<a:b/>", "<div/>", "</"):
        read_xhtml(b"x" + piece.encode() * 50_000)
    assert time.process_time() - begun < 20
