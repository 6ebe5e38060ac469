"""The location of a hit is that of the sentence that answers, not that of its first character."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from example_hit import HIT
from indexer_helpers import WordEncoder

from echo_index.app.services.formatting import location_text
from echo_index.app.services.json_fields import hit_fields
from echo_index.indexer.building.build_documents import index_documents
from echo_index.indexer.documents.chunking import Anchor
from echo_index.indexer.documents.document import Document, Heading, Place
from echo_index.retriever.rag.citations import check_answer
from echo_index.retriever.search.hits import Hit, Location
from echo_index.retriever.search.neighbours import join_neighbours
from echo_index.retriever.search.retriever import Retriever
from echo_index.retriever.search.searcher import Mode

PAGES = (
    "The lighthouse of Farrow Point was built in 1811.\n\n",
    "Its lamp burns colza oil. It is lit on the third of March.\n\n",
    "In fog a siren of brass is sounded.",
)
TEXT = "".join(PAGES)
LAMP, SIREN = TEXT.index("Its lamp"), TEXT.index("In fog")
QUESTIONS = {"When was the lighthouse built?": 1, "What does the lamp burn?": 2, "What is sounded in fog?": 3}


def search(tmp_path: Path, document: Document, question: str, *, mode: Mode = "lexical") -> Hit:
    """Index one document and return the only hit for a question."""
    index_documents([("report", document)], tmp_path / "index", encoder=WordEncoder())  # type: ignore[arg-type]
    retriever = Retriever.open(tmp_path / "index", encoder=WordEncoder())  # type: ignore[arg-type]
    [hit] = retriever.search(question, mode=mode)
    return hit


@pytest.mark.parametrize("mode", ["lexical", "dense", "hybrid"])
@pytest.mark.parametrize("question", QUESTIONS)
def test_the_page_of_the_answering_sentence_is_named(tmp_path: Path, question: str, mode: Mode) -> None:
    hit = search(tmp_path, Document(TEXT, "Report", "pdf", pages=(0, LAMP, SIREN)), question, mode=mode)
    assert (hit.page, hit.location.page) == (1, QUESTIONS[question])
    assert location_text(hit.location) == f"report, page {QUESTIONS[question]}"
    assert hit_fields(hit)["page"] == QUESTIONS[question]


def test_pages_without_text_are_counted(tmp_path: Path) -> None:
    hit = search(tmp_path, Document(TEXT, "Report", "pdf", pages=(0, LAMP, SIREN, SIREN)), "siren of brass")
    assert hit.location.page == 4


def test_without_a_sentence_the_range_of_pages_is_named(tmp_path: Path) -> None:
    document = Document(TEXT, "Report", "pdf", pages=(0, LAMP, SIREN))
    hit = search(tmp_path, document, "zebra stripes", mode="dense")
    assert hit.sentence is None
    assert location_text(hit.location) == "report, pages 1 to 3"
    one_page = search(tmp_path, replace(document, pages=(0,)), "zebra stripes", mode="dense")
    assert location_text(one_page.location) == "report, page 1"


def test_the_line_and_the_headings_of_the_sentence_are_named(tmp_path: Path) -> None:
    text = "# Light\n\nIt burns oil.\n\n## Fog\n\nA siren\nis sounded."
    headings = (Heading(1, "Light", 0), Heading(2, "Fog", text.index("## Fog")))
    document = Document(text, "Light", "markdown", headings=headings, has_lines=True)
    oil = search(tmp_path, document, "Which oil does it burn?").location
    assert (oil.line, oil.headings) == (3, ("Light",))
    siren = search(tmp_path, document, "siren").location
    assert (siren.line, siren.headings) == (7, ("Light", "Fog"))
    assert siren.start == text.index("A siren")


def test_places_in_the_words_of_a_format_are_named(tmp_path: Path) -> None:
    places = (Place(0, "slide 1"), Place(LAMP, "slide 2"), Place(SIREN, "slide 3"))
    hit = search(tmp_path, Document(TEXT, "Talk", "pptx", places=places), "What does the lamp burn?")
    assert location_text(hit.location) == location_text(hit.location, compact=True) == "report, slide 2"
    assert hit_fields(hit)["place"] == "slide 2"


def test_a_compact_location_has_the_line_and_others_the_page() -> None:
    assert location_text(Location("a.md", 0, None, 7), compact=True) == "a.md:7"
    assert location_text(Location("a.pdf", 0, 3, None), compact=True) == "a.pdf, page 3"
    assert location_text(Location("a.html", 0, None, None)) == "a.html"


def test_joined_neighbours_keep_the_pages_of_all_and_the_sentence_of_the_best() -> None:
    first = replace(HIT, text="One. Two.", start=0, end=9, page=1, line=None, anchors=(Anchor(5, 2, "", ()),))
    second = replace(first, text="Two. Three.", start=5, end=16, page=2, anchors=(Anchor(10, 3, "", ()),), score=0.1)
    [hit] = join_neighbours([first, second.at((5, 11))])
    assert hit.text == "One. Two. Three."
    assert [hit.at((start, start + 3)).location.page for start in (0, 5, 10)] == [1, 2, 3]
    [other] = join_neighbours([second.at((5, 11)), first])
    assert other.sentence == (10, 16)
    assert other.location.page == 3


def test_a_join_without_overlap_has_an_anchor_for_the_second() -> None:
    first = replace(HIT, text="One.", start=0, end=4, page=1, line=None)
    second = replace(first, text="Two.", start=6, end=10, page=2)
    [hit] = join_neighbours([first, second])
    assert hit.text == "One.\n\nTwo."
    assert hit.at((6, 10)).location.page == 2
    assert hit.location.last_page == 2


def test_a_citation_is_at_the_sentence_that_the_question_is_about() -> None:
    text = "The shop opens at eight.\n\nThe ferry leaves at eight.\n\nThe bar closes at eight."
    hit = replace(HIT, text=text, line=1)
    [citation] = check_answer("When does the ferry leave?", "At eight. [1]", [hit]).citations
    assert citation.hit.location.line == 3, "all of them have the words of the answer"
