"""Parts of documents: how they are named, and how they are cut out of a text."""

from __future__ import annotations

import pytest

from echo_index.app.services.document_parts import DocumentPart, split_location
from echo_index.app.services.excerpts import read_part
from echo_index.errors import QuestionError
from echo_index.indexer.catalog.records import ChunkRow
from echo_index.indexer.documents.chunking import Anchor
from echo_index.indexer.inspection.document_queries import IndexedDocument

LINES = "".join(f"Line {number}.\n" for number in range(1, 101))
PAGES = "First page.\nSecond page, begun.\nSecond page, ended.\nFourth page.\n"


def chunk(
    text: str,
    start: int,
    *,
    headings: tuple[str, ...] = (),
    page: int | None = None,
    line: int | None = None,
    place: str = "",
    anchors: tuple[Anchor, ...] = (),
) -> ChunkRow:
    return ChunkRow(text, headings, start, start + len(text), page, line, b"", place=place, anchors=anchors)


def document(text: str, *passages: ChunkRow) -> IndexedDocument:
    return IndexedDocument("notes/a", "A", "text", text, passages)


def numbered() -> IndexedDocument:
    """Return 100 numbered lines, in two passages."""
    cut = LINES.index("Line 60.")
    return document(LINES, chunk(LINES[:cut], 0, line=1), chunk(LINES[cut:], cut, line=60))


def paged() -> IndexedDocument:
    """Return four pages, the third of which is empty; the second begins inside of a passage."""
    second, fourth = PAGES.index("Second"), PAGES.index("Fourth")
    cut = PAGES.index("Second page, ended")
    return document(
        PAGES,
        chunk(
            PAGES[:cut], 0, page=1, headings=("B",), anchors=(Anchor(0, 1, "", ("A",)), Anchor(second, 2, "", ("B",)))
        ),
        chunk(PAGES[cut:], cut, page=2, headings=("B", "C"), anchors=(Anchor(fourth, 4, "", ("B", "C")),)),
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.md", ("a.md", DocumentPart())),
        ("a.md:7", ("a.md", DocumentPart("line", 7))),
        ("a.md:7-40", ("a.md", DocumentPart("line", 7, 40))),
        ("a.md#L7-L9", ("a.md", DocumentPart("line", 7, 9))),
        ("a.md, line 7", ("a.md", DocumentPart("line", 7))),
        ("a.md, lines 7 to 40", ("a.md", DocumentPart("line", 7, 40))),
        ("a.md, page 3", ("a.md", DocumentPart("page", 3))),
        ("a.md, pages 3 to 5", ("a.md", DocumentPart("page", 3, 5))),
        ("a.md#page=3", ("a.md", DocumentPart("page", 3))),
        ("a.md, slide 3", ("a.md", DocumentPart("name", name="slide 3"))),
        ("a.md, sheet Costs, row 12", ("a.md", DocumentPart("name", name="sheet Costs, row 12"))),
        ("a.md#The heading", ("a.md", DocumentPart("name", name="The heading"))),
        ("a.md#12", ("a.md", DocumentPart("name", name="12"))),
        ("odd, page 2:9#x.md", ("odd, page 2:9#x.md", DocumentPart())),
        ("odd, page 2:9#x.md:4", ("odd, page 2:9#x.md", DocumentPart("line", 4))),
        ("b.md", None),
        ("b.md:7", None),
        ("a.md:", None),
        ("a.md:x", None),
        ("a.md#", None),
        ("", None),
    ],
)
def test_a_part_is_named_as_search_shows_it(text: str, expected: tuple[str, DocumentPart] | None) -> None:
    assert split_location(text, {"a.md", "odd, page 2:9#x.md"}.__contains__) == expected


def test_a_whole_document_comes_in_parts_that_end_with_lines() -> None:
    start, texts = 0, []
    while start < len(LINES):
        excerpt = read_part(numbered(), DocumentPart(), start=start, characters=200)
        assert len(excerpt.text) <= 200 and excerpt.text.endswith("\n")
        assert (excerpt.start, excerpt.end) == (start, start + len(excerpt.text))
        texts.append(excerpt.text)
        start = excerpt.end
    assert "".join(texts) == LINES and len(texts) > 4


def test_a_text_without_ends_of_lines_ends_with_a_word_or_at_the_limit() -> None:
    words = document("word " * 100, chunk("word " * 100, 0))
    assert read_part(words, DocumentPart(), characters=52).text == "word " * 10
    letters = document("x" * 100, chunk("x" * 100, 0))
    assert read_part(letters, DocumentPart(), characters=52).text == "x" * 52


def test_lines_are_cut_out() -> None:
    excerpt = read_part(numbered(), DocumentPart("line", 70, 72), characters=1000)
    assert excerpt.text == "Line 70.\nLine 71.\nLine 72.\n"
    assert (excerpt.line, excerpt.place, excerpt.page) == (70, "lines 70 to 72", None)
    assert read_part(numbered(), DocumentPart("line", 100, 900), characters=99).text == "Line 100.\n"
    assert read_part(numbered(), DocumentPart("line", 5, 5), characters=99).place == "line 5"


def test_a_line_alone_is_shown_with_its_surroundings() -> None:
    excerpt = read_part(numbered(), DocumentPart("line", 70), characters=90)
    assert excerpt.text.startswith("Line 67.\n") and "Line 70.\nLine 71.\n" in excerpt.text
    assert read_part(numbered(), DocumentPart("line", 2), characters=9000).text == LINES
    assert read_part(numbered(), DocumentPart("line", 70), characters=10).text == "Line 70.\n"


def test_lines_are_counted_from_the_number_of_the_first_passage() -> None:
    text = "After the front matter.\nMore.\n"
    excerpt = read_part(document(text, chunk(text, 0, line=5)), DocumentPart("line", 6, 6), characters=99)
    assert (excerpt.text, excerpt.line) == ("More.\n", 6)


def test_pages_are_cut_out() -> None:
    excerpt = read_part(paged(), DocumentPart("page", 2), characters=1000)
    assert excerpt.text == "Second page, begun.\nSecond page, ended.\n"
    assert (excerpt.page, excerpt.place, excerpt.headings) == (2, "page 2", ("B",))
    both = read_part(paged(), DocumentPart("page", 1, 2), characters=1000)
    assert (both.text, both.place) == (PAGES[: PAGES.index("Fourth")], "pages 1 to 2")
    assert read_part(paged(), DocumentPart("page", 4), characters=1000).text == "Fourth page.\n"


def test_what_is_below_a_heading_or_at_a_place_is_cut_out() -> None:
    assert read_part(paged(), DocumentPart("name", name="A"), characters=1000).text == "First page.\n"
    assert read_part(paged(), DocumentPart("name", name="B"), characters=1000).text == PAGES[12:]
    assert read_part(paged(), DocumentPart("name", name="B > C"), characters=1000).text == PAGES[32:]
    slides = document("One.\nTwo.\n", chunk("One.\n", 0, place="slide 1"), chunk("Two.\n", 5, place="slide 2"))
    assert read_part(slides, DocumentPart("name", name="slide 2"), characters=99).text == "Two.\n"
    assert read_part(slides, DocumentPart(), characters=99).place == "slide 1 to slide 2"


def test_reading_goes_on_inside_of_a_part() -> None:
    first = read_part(paged(), DocumentPart("page", 2), characters=20)
    rest = read_part(paged(), DocumentPart("page", 2), start=first.end, characters=1000)
    assert (first.text, rest.text) == ("Second page, begun.\n", "Second page, ended.\n")
    assert read_part(paged(), DocumentPart("page", 1), start=first.end, characters=1000).text.endswith("Fourth page.\n")


@pytest.mark.parametrize(
    ("given", "part", "said"),
    [
        (numbered(), DocumentPart("line", 101), "notes/a has no line 101. It has 100 lines."),
        (numbered(), DocumentPart("line", 0), "notes/a has no line 0. It has 100 lines."),
        (numbered(), DocumentPart("line", 9, 3), "notes/a has no lines 9 to 3. It has 100 lines."),
        (numbered(), DocumentPart("page", 1), "notes/a has no pages. Name a line: notes/a:1"),
        (numbered(), DocumentPart("name", name="X"), "notes/a has no place or heading 'X'. Name only the document."),
        (paged(), DocumentPart("page", 3), "notes/a has no text on page 3. It has text on pages 1 to 4."),
        (paged(), DocumentPart("page", 7, 8), "notes/a has no text on pages 7 to 8. It has text on pages 1 to 4."),
        (paged(), DocumentPart("line", 1), "notes/a has no numbered lines. Name a place in it: notes/a, page 1"),
        (paged(), DocumentPart("name", name="X"), "notes/a has no place or heading 'X'. It has A, B, C."),
        (document(""), DocumentPart("line", 1), "notes/a has no numbered lines. Name only the document."),
    ],
)
def test_a_part_that_is_not_there_is_named(given: IndexedDocument, part: DocumentPart, said: str) -> None:
    with pytest.raises(QuestionError) as raised:
        read_part(given, part, characters=100)
    assert str(raised.value) == said


@pytest.mark.parametrize("start", [-1, len(LINES) + 1])
def test_a_start_outside_of_the_text_is_named(start: int) -> None:
    with pytest.raises(QuestionError, match=f"notes/a has no character {start}. It has 892, counted from 0."):
        read_part(numbered(), DocumentPart(), start=start, characters=10)


def test_a_document_without_text_is_empty() -> None:
    excerpt = read_part(document(""), DocumentPart(), characters=10)
    assert (excerpt.text, excerpt.start, excerpt.end, excerpt.place) == ("", 0, 0, "")
