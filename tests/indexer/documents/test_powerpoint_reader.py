"""Of a presentation, what a person sees on the slides and in the notes is read, each slide with its number."""

from __future__ import annotations

from html import escape
from pathlib import Path

import pytest
from indexer_helpers import WordEncoder
from powerpoint_files import (
    Slide,
    cell,
    frame,
    group,
    paragraph,
    part,
    picture,
    powerpoint_file,
    row,
    run,
    shape,
    slide_part,
    table,
    title,
    zip_file,
)

from echo_index.app.services.formatting import location_text
from echo_index.errors import DocumentError
from echo_index.indexer.building.build_documents import index_documents
from echo_index.indexer.documents.document import Document, Heading
from echo_index.indexer.documents.formats import parse_document
from echo_index.indexer.documents.readers.powerpoint.reader import read_pptx
from echo_index.retriever.search.retriever import Retriever

BULLET = '<a:buChar char="•"/>'
NO_BULLET = "<a:buNone/>"


def text_of(*slides: Slide | str, **options: object) -> str:
    return read_pptx(powerpoint_file(*slides, **options)).text  # type: ignore[arg-type]


def places(document: Document) -> list[tuple[str, str]]:
    """Return the texts of the places of a document with their names."""
    edges = [*(place.offset for place in document.places[1:]), len(document.text)]
    return [
        (place.name, document.text[place.offset : edge].strip())
        for place, edge in zip(document.places, edges, strict=True)
    ]


# Slides


def test_slides_are_read_in_the_order_of_the_presentation() -> None:
    document = read_pptx(powerpoint_file(shape("Hull."), title("Keel"), shape("Mast."), order=[3, 1, 2]))
    assert places(document) == [("slide 1", "Mast."), ("slide 2", "Hull."), ("slide 3", "Keel")]
    assert document.headings == (Heading(level=1, title="Keel", offset=document.text.index("Keel")),)


def test_the_first_number_is_that_of_the_presentation() -> None:
    document = read_pptx(powerpoint_file(shape("a"), shape("b"), attributes='firstSlideNum="0"'))
    assert [name for name, _ in places(document)] == ["slide 0", "slide 1"]


def test_hidden_slides_are_read_and_slides_without_text_count() -> None:
    document = read_pptx(powerpoint_file(Slide(shape("a"), attributes='show="0"'), "", shape("c")))
    assert places(document) == [("slide 1", "a"), ("slide 3", "c")]


def test_slides_that_are_missing_or_broken_are_named() -> None:
    content = powerpoint_file(shape("a"), shape("b"), order=[1, 7, 2], parts={"slides/slide2.xml": "<p:sld"})
    document = read_pptx(content)
    assert (document.text, document.omissions) == ("a", ("2 slides",))


def test_a_slide_is_read_once() -> None:
    assert text_of(shape("a"), order=[1] * 1000) == "a"


def test_a_sentence_is_found_with_the_number_of_its_slide(tmp_path: Path) -> None:
    content = powerpoint_file(
        title("Harbour") + shape("The quay is long."),
        title("Fleet") + shape("Ten boats are at sea."),
        title("Dredging") + shape("The dredger Samson starts in May.", "It digs the channel."),
    )
    document = parse_document(content, Path("talk.pptx"))
    index_documents([("talk", document)], tmp_path / "index", encoder=WordEncoder())  # type: ignore[arg-type]
    retriever = Retriever.open(tmp_path / "index", encoder=WordEncoder())  # type: ignore[arg-type]
    hit = retriever.search("When does the dredger Samson start?", mode="lexical")[0]
    assert location_text(hit.location) == "talk, slide 3"
    assert hit.location.headings == ("Dredging",)


def test_the_title_is_that_of_the_file_else_of_the_first_slide() -> None:
    assert read_pptx(powerpoint_file(title("Fleet"), title="The plan")).title == "The plan"
    assert read_pptx(powerpoint_file(title("Fleet"), title="PowerPoint Presentation")).title == "Fleet"


@pytest.mark.parametrize("suffix", [".pptx", ".pptm", ".ppsx", ".potx"])
def test_all_suffixes_are_of_one_format(suffix: str) -> None:
    document = parse_document(powerpoint_file(shape("a")), Path(f"talk{suffix}"))
    assert (document.format, document.title) == ("pptx", "talk")


# Shapes


def test_the_title_comes_first_then_placeholders_then_shapes_by_position() -> None:
    shapes = (
        shape("low", at=(0, 900)) + shape("right", at=(500, 410)) + shape("left", at=(10, 430))
        + group(shape("in group, second", at=(0, 90)), shape("in group, first", at=(0, 0)), at=(10, 10))
        + shape("body", placeholder='idx="1"') + title("top")
    )  # fmt: skip
    assert text_of(shapes).split("\n\n") == [
        "top", "body", "in group, first", "in group, second", "left", "right", "low",
    ]  # fmt: skip


def test_hidden_shapes_and_numbers_of_slides_are_left_out() -> None:
    number = '<a:fld type="slidenum"><a:t>7</a:t></a:fld>'
    shapes = (
        shape("x", names='hidden="1"')
        + shape("12", placeholder='type="sldNum"')
        + shape(paragraph("Page", number, '<a:fld type="datetime1"><a:t>1.2.2003</a:t></a:fld>', " of the log"))
    )
    assert text_of(shapes) == "Page of the log"


def test_footers_are_read_once() -> None:
    footer = shape("Pilot office", placeholder='type="ftr"')
    assert text_of(shape("a") + footer, shape("b") + footer) == "Pilot office\n\na\n\nb"


def test_alternative_texts_of_pictures_are_read() -> None:
    shapes = (
        picture('descr="A brig under sail"')
        + picture('descr="IMG_12.png"', at=(0, 200))
        + shape("Words", names='descr="A box"', at=(0, 400))
    )
    assert text_of(shapes) == "A brig under sail\n\nWords"


def test_of_alternatives_one_is_read() -> None:
    shapes = (
        f'<mc:AlternateContent><mc:Choice Requires="a14">{shape("new")}</mc:Choice>'
        f"<mc:Fallback>{shape('old')}</mc:Fallback></mc:AlternateContent>"
    )
    assert text_of(shapes) == "new"


def test_tables_are_rows() -> None:
    document = read_pptx(
        powerpoint_file(
            shape("before", placeholder='idx="1"')
            + table(
                row("Ship", "Tons", "Crew"),
                row(cell("Gull", attributes='rowSpan="2"'), "90", "4"),
                row(cell("", attributes='vMerge="1"'), "95", "5"),
                row(cell("none", attributes='gridSpan="2"'), cell("", attributes='hMerge="1"'), "0"),
            )
        )
    )
    [found] = document.tables
    assert found.header == "Ship | Tons | Crew"
    assert document.text[found.start : found.end] == "Gull | 90 | 4\nGull | 95 | 5\nnone |  | 0"


@pytest.mark.parametrize(
    ("code", "value", "expected"),
    [
        ("d/m/yyyy", "37261", "2002-01-05"), ("0%", "0.25", "25%"), ("General", "0.25", "0.25"), ("h:mm", "0.5", "0.5"),
        ("yyyy", "1e99", "1e99"), ("yyyy", "-1", "-1"), ('"day "0', "3", "day 3"), ("0%", "many", "many"),
    ],
)  # fmt: skip
def test_values_of_charts_are_read_as_they_are_shown(code: str, value: str, expected: str) -> None:
    points = f"<c:formatCode>{escape(code)}</c:formatCode><c:pt><c:v>{value}</c:v></c:pt>"
    categories = f"<c:cat><c:numRef><c:numCache>{points}</c:numCache></c:numRef></c:cat>"
    chart = part("c:chartSpace", f"<c:chart><c:plotArea><c:ser>{categories}</c:ser></c:plotArea></c:chart>")
    slide = Slide(frame('<c:chart r:id="a"/>'), relations={"a": ("chart", "../charts/c.xml")})
    assert read_pptx(powerpoint_file(slide, parts={"charts/c.xml": chart})).text.strip() == expected


def test_charts_diagrams_and_objects_are_read() -> None:
    chart = part("c:chartSpace", f"<c:chart><c:title><c:tx>{paragraph('Catch')}</c:tx></c:title></c:chart>")
    diagram = part(
        "dgm:dataModel", f"<dgm:ptLst><dgm:pt><dgm:t>{paragraph('Net, then haul')}</dgm:t></dgm:pt></dgm:ptLst>"
    )
    slide = Slide(
        frame('<c:chart r:id="a"/>')
        + frame('<c:chart r:id="a"/>', at=(0, 100))
        + frame('<dgm:relIds r:dm="b"/>', at=(0, 200))
        + frame("<p:oleObj/>", at=(0, 300), names='descr="A price list"')
        + frame("<p:oleObj/>", at=(0, 400)),
        relations={"a": ("chart", "../charts/c.xml"), "b": ("diagramData", "../diagrams/d.xml")},
    )
    document = read_pptx(powerpoint_file(slide, parts={"charts/c.xml": chart, "diagrams/d.xml": diagram}))
    assert document.text == "Catch\n\nNet, then haul\n\nA price list"
    assert document.omissions == ("1 embedded object",)


def test_notes_of_the_speaker_follow_the_slide_and_comments_are_left_out() -> None:
    notes = shape("3", placeholder='type="sldNum"') + shape("Wait here.", placeholder='type="body" idx="1"')
    slide = Slide(
        shape("a"),
        relations={"n": ("notesSlide", "../notesSlides/n1.xml"), "c": ("comments", "../comments/c1.xml")},
    )
    parts = {
        "notesSlides/n1.xml": slide_part(notes, root="p:notes"),
        "comments/c1.xml": part("p:cmLst", "<p:cm><p:text>Why?</p:text></p:cm>"),
    }
    document = read_pptx(powerpoint_file(slide, shape("b"), parts=parts))
    assert places(document) == [("slide 1", "a\n\nNotes: Wait here."), ("slide 2", "b")]


# Text


def test_bullets_and_numbers_have_levels() -> None:
    number = '<a:buAutoNum type="arabicPeriod"/>'
    letter = '<a:buAutoNum type="alphaLcParenR" startAt="2"/>'
    body = shape(
        paragraph("nets", properties=BULLET),
        paragraph("seine", properties=BULLET, level=1),
        paragraph("first", properties=number),
        paragraph("in it", properties=letter, level=1),
        paragraph("more", properties=letter, level=1),
        paragraph(""),
        paragraph("second", properties=number),
        paragraph("plain", properties=NO_BULLET),
        paragraph("anew", properties=number),
    )
    assert text_of(body).split("\n") == [
        "- nets", "  - seine", "1. first", "  b) in it", "  c) more", "2. second", "plain", "1. anew",
    ]  # fmt: skip


def test_bullets_come_from_the_layout_and_the_master() -> None:
    body = f"<p:txStyles><p:bodyStyle><a:lvl1pPr>{BULLET}</a:lvl1pPr></p:bodyStyle></p:txStyles>"
    plain = shape("Click", placeholder='type="body" idx="2"', list_style=f"<a:lvl1pPr>{NO_BULLET}</a:lvl1pPr>")
    slide = Slide(
        title("Gear")
        + shape("nets", placeholder='idx="1"')
        + shape("a note", placeholder='type="body" idx="2"')
        + shape("free"),
        relations={"l": ("slideLayout", "../slideLayouts/l.xml")},
    )
    content = powerpoint_file(
        slide,
        parts={
            "slideLayouts/l.xml": slide_part(plain, root="p:sldLayout"),
            "slideMasters/m.xml": slide_part(shape("Master"), root="p:sldMaster", after=body),
        },
        relations={"slideLayouts/l.xml": {"m": ("slideMaster", "../slideMasters/m.xml")}},
    )
    assert read_pptx(content).text == "Gear\n\n- nets\n\na note\n\nfree"


def test_superscripts_breaks_equations_and_symbols() -> None:
    equation = (
        "<a14:m><m:oMath><m:f><m:num><m:r><m:t>1</m:t></m:r></m:num><m:den><m:r><m:t>2</m:t></m:r></m:den></m:f>"
        "</m:oMath></a14:m>"
    )
    paragraphs = (
        paragraph("10", run("14", attributes='baseline="30000"'), " and CO", run("2", attributes='baseline="-25000"')),
        paragraph("one<a:br/>"[:3], "<a:br/>", "two"),
        paragraph("half: ", equation),
        paragraph(run("\uf0fc", properties='<a:sym typeface="Wingdings"/>'), " done"),
        paragraph(run("a", properties='<a:latin typeface="Symbol"/>'), " rays"),
    )
    assert text_of(shape(*paragraphs)).split("\n") == ["10^14 and CO2", "one", "two", "half: 1/2", "✓ done", "α rays"]


# Broken and hostile files


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "It is encrypted with a password, or an old PowerPoint file (.ppt)"),
        (b"PK\x03\x04", "It is not a readable PPTX: "),
        (zip_file({"a": "b"}), "It is not a readable PPTX: it has no main part."),
        (zip_file({"ppt/presentation.xml": "<p>"}), "It is not a readable PPTX: "),
        (zip_file({"ppt/presentation.xml": "<p/>"}), "It is not a readable PPTX: its main part is no presentation."),
    ],
)
def test_what_is_no_presentation_is_rejected(content: bytes, message: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read_pptx(content)
    assert caught.value.message.startswith(message) and caught.value.message.endswith(".")


def test_groups_in_groups_are_read_or_rejected() -> None:
    nested = shape("deep")
    for _ in range(30):
        nested = group(nested, at=(0, 0))
    assert text_of(nested) == "deep"
    for _ in range(300):
        nested = group(nested, at=(0, 0))
    document = read_pptx(powerpoint_file(shape("a"), nested))
    assert (document.text, document.omissions) == ("a", ("1 slide",))


def test_entities_are_not_expanded() -> None:
    bomb = '<!DOCTYPE s [<!ENTITY a "haha"><!ENTITY b "&a;&a;&a;">]>'
    slide = slide_part(shape("x&b;y")).replace("?>", f"?>{bomb}", 1)
    assert read_pptx(powerpoint_file("", parts={"slides/slide1.xml": slide})).text == "xy"
