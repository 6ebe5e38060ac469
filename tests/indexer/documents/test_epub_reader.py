"""A book is read chapter by chapter, and each chapter is named as in the table of contents."""

from __future__ import annotations

from pathlib import Path

import pytest
from epub_files import encryption, epub_file, navigation, old_navigation, page
from indexer_helpers import WordEncoder
from powerpoint_files import zip_file

from echo_index.app.services.formatting import location_text
from echo_index.errors import DocumentError
from echo_index.indexer.building.build_documents import index_documents
from echo_index.indexer.documents.document import Document, Heading
from echo_index.indexer.documents.formats import parse_document
from echo_index.indexer.documents.readers.epub.reader import read_epub
from echo_index.retriever.search.retriever import Retriever

PAGES = {"b": "<p>The calm.</p>", "a": "<h1>Second</h1><p>The storm.</p>", "c": "<p>It goes on.</p>"}
ENTRIES = (("b.xhtml", "Before"), ("a.xhtml#x", "The Storm"))


def places(document: Document) -> list[tuple[str, str]]:
    """Return the names of the places of a document with their texts on one line."""
    edges = [*(place.offset for place in document.places[1:]), len(document.text)]
    return [
        (place.name, " ".join(document.text[place.offset : edge].split()))
        for place, edge in zip(document.places, edges, strict=True)
    ]


@pytest.mark.parametrize("contents", [{"nav": navigation(*ENTRIES)}, {"ncx": old_navigation(*ENTRIES)}])
def test_chapters_are_in_the_order_of_the_book_and_named_by_the_contents(contents: dict[str, str]) -> None:
    document = read_epub(epub_file(PAGES, **contents))  # type: ignore[arg-type]
    assert places(document) == [
        ("“Before”", "Before The calm."), ("“The Storm”", "Second The storm."), ("“The Storm”", "It goes on."),
    ]  # fmt: skip
    assert document.headings == (Heading(1, "Before", 0), Heading(1, "Second", document.text.index("Second")))
    assert (document.title, document.format, document.omissions) == ("The Storm", "epub", ())


def test_without_contents_the_parts_are_counted() -> None:
    assert [name for name, _ in places(read_epub(epub_file(PAGES)))] == ["part 1", "part 2", "part 3"]


def test_chapters_that_begin_within_a_page_are_known_by_their_headings() -> None:
    body = "<h2>One</h2><p>a</p><h3>Not listed</h3><p>b</p><h2>Two</h2><p>c</p>"
    nav = navigation(("p.xhtml", "The book"), ("p.xhtml#one", "One"), ("p.xhtml#two", "Two"))
    document = read_epub(epub_file({"p": body}, nav=nav))
    assert [name for name, _ in places(document)] == ["“The book”", "“One”", "“Two”"]
    assert places(document)[-1] == ("“Two”", "Two c")


def test_pages_beside_the_text_are_the_last() -> None:
    assert read_epub(epub_file(PAGES, aside=("b",))).text.split("\n\n") == [
        "Second", "The storm.", "It goes on.", "The calm.",
    ]  # fmt: skip


def test_footnotes_headers_and_tables_of_a_chapter_are_read() -> None:
    body = (
        "<header><p>By A. Mate</p></header><p>Text<a href='#n'><sup>1</sup></a>.</p>"
        "<aside epub:type='footnote'><p>1 A note.</p></aside>"
        "<table><tr><th>Ship</th><th>Tons</th></tr><tr><td>Gull</td><td>90</td></tr></table>"
    )
    document = read_epub(epub_file({"p": "<p>before</p>", "q": body}))
    assert document.text.startswith("before\n\nBy A. Mate\n\nText[1].\n\n1 A note.")
    [table] = document.tables
    assert (table.header, document.text[table.start : table.end]) == ("Ship | Tons", "Gull | 90")


def test_a_sentence_is_found_with_its_chapter(tmp_path: Path) -> None:
    document = parse_document(epub_file(PAGES, nav=navigation(*ENTRIES)), Path("novel.epub"))
    index_documents([("novel", document)], tmp_path / "index", encoder=WordEncoder())  # type: ignore[arg-type]
    retriever = Retriever.open(tmp_path / "index", encoder=WordEncoder())  # type: ignore[arg-type]
    hit = retriever.search("storm", mode="lexical")[0]
    assert location_text(hit.location) == "novel, “The Storm”"
    assert hit.location.headings == ("Second",)


# Protected, broken and hostile books


def test_a_protected_book_is_named_as_such() -> None:
    protected = encryption(*(f"OEBPS/{name}.xhtml" for name in PAGES))
    with pytest.raises(DocumentError, match=r"^It is protected against copying \(DRM\)"):
        read_epub(epub_file(PAGES, members=protected))


def test_protected_pages_are_named_as_missing() -> None:
    document = read_epub(epub_file(PAGES, members=encryption("OEBPS/a.xhtml")))
    assert (document.text, document.omissions) == ("The calm.\n\nIt goes on.", ("1 page",))


def test_fonts_that_are_hard_to_copy_do_not_matter() -> None:
    fonts = encryption("OEBPS/b.xhtml", method="http://www.idpf.org/2008/embedding")
    assert "The calm." in read_epub(epub_file(PAGES, members=fonts)).text


def test_pages_that_are_not_there_are_named_as_missing() -> None:
    content = epub_file(PAGES, spine=("b", "gone", "a"))
    assert read_epub(content).omissions == ("1 page",)


def test_a_page_is_read_once() -> None:
    assert read_epub(epub_file({"b": "<p>The calm.</p>"}, spine=("b",) * 1000)).text == "The calm."


def test_without_a_list_the_pages_are_in_the_order_of_their_names() -> None:
    pages = {f"OEBPS/ch{number}.xhtml": page(f"<p>{number}</p>") for number in (10, 9, 1)}
    assert read_epub(zip_file(pages)).text == "1\n\n9\n\n10"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04", "It is not a readable EPUB: "),
        (zip_file({"mimetype": "application/epub+zip"}), "It is not a readable EPUB: it has no chapters."),
        (epub_file({"x": ""}), "It is empty."),
    ],
)
def test_what_is_no_book_is_rejected(content: bytes, message: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_document(content, Path("a.epub"))
    assert caught.value.message.startswith(message) and caught.value.message.endswith(".")


def test_pages_before_the_first_chapter_are_not_of_it() -> None:
    document = read_epub(epub_file({"t": "<p>A novel.</p>", **PAGES}, nav=navigation(*ENTRIES)))
    assert places(document)[0] == ("before the first chapter", "A novel.")
