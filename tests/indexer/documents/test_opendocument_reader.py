"""Of a text or presentation in OpenDocument, what a person sees is read, and what a person does not see is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from indexer_helpers import WordEncoder
from opendocument_files import (
    NAMESPACES,
    box,
    cell,
    flat_opendocument,
    list_style,
    opendocument,
    row,
    slide,
    text_style,
)
from powerpoint_files import zip_file

from echo_index.app.services.formatting import location_text
from echo_index.errors import DocumentError
from echo_index.indexer.building.build_documents import index_documents
from echo_index.indexer.documents.document import Heading, Place
from echo_index.indexer.documents.formats import parse_document
from echo_index.indexer.documents.readers.opendocument.reader import read_odp, read_odt
from echo_index.retriever.search.retriever import Retriever


def text_of(body: str, **options: object) -> str:
    return read_odt(opendocument(body, **options)).text  # type: ignore[arg-type]


# Texts


def test_headings_have_levels_and_the_title_is_that_of_the_file() -> None:
    body = (
        '<text:p text:style-name="P1">The Reef</text:p>'
        '<text:h text:outline-level="2">Tides</text:h><text:p>High.</text:p>'
    )
    styles = '<style:style style:name="P1" style:family="paragraph" style:parent-style-name="Title"/>'
    base = '<style:style style:name="Title" style:family="paragraph"/>'
    document = read_odt(opendocument(body, styles=styles + base, title="A guide"))
    assert document.text == "The Reef\n\nTides\n\nHigh."
    assert document.headings == (Heading(0, "The Reef", 0), Heading(2, "Tides", 10))
    assert (document.title, document.format) == ("A guide", "odt")
    assert read_odt(opendocument(body, styles=styles + base)).title == "The Reef"


def test_headings_have_the_numbers_of_the_outline() -> None:
    outline = "".join(
        f'<text:outline-level-style text:level="{n}" style:num-format="1" text:display-levels="{n}"/>' for n in (1, 2)
    )
    body = "".join(f'<text:h text:outline-level="{level}">x</text:h>' for level in (1, 2, 2, 1, 2))
    found = text_of(body, styles=f"<text:outline-style>{outline}</text:outline-style>")
    assert found.split("\n\n") == ["1 x", "1.1 x", "1.2 x", "2 x", "2.1 x"]


def test_lists_have_bullets_and_numbers_by_level() -> None:
    def item(text: str, inner: str = "", attributes: str = "") -> str:
        return f"<text:list-item {attributes}><text:p>{text}</text:p>{inner}</text:list-item>"

    seventh = 'text:start-value="7"'
    inner = f"<text:list>{item('b')}{item('c')}</text:list>"
    body = (
        f'<text:list text:style-name="L">{item("a", inner)}{item("d")}</text:list><text:p>between</text:p>'
        f'<text:list text:style-name="L" text:continue-numbering="true">{item("e")}</text:list>'
        f'<text:list text:style-name="L">{item("f")}{item("g", attributes=seventh)}</text:list>'
        f'<text:list text:style-name="B">{item("h")}</text:list>'
    )
    found = text_of(body, styles=list_style("L", "1.", "a)") + list_style("B", "-"))
    assert found.split("\n\n") == ["1. a\n  a) b\n  b) c\n2. d", "between", "3. e", "1. f\n7. g", "- h"]


def test_spaces_tabs_and_breaks() -> None:
    body = "<text:p>  one \n two<text:s text:c='3'/>three<text:tab/>four<text:line-break/>five</text:p>"
    assert text_of(body) == "one two   three\tfour\nfive"
    assert len(text_of('<text:p>a<text:s text:c="999999999"/>b</text:p>')) < 200


def test_superscripts_ruby_and_hidden_text() -> None:
    styles = (
        text_style("up", 'style:text-position="super 58%"')
        + text_style("down", 'style:text-position="-33% 58%"')
        + text_style("gone", 'text:display="none"')
        + text_style("P9", 'text:display="none"', family="paragraph")
    )
    span = '<text:span text:style-name="{}">{}</text:span>'
    body = (
        f"<text:p>10{span.format('up', '14')} CO{span.format('down', '2')}{span.format('gone', ' secret')}</text:p>"
        "<text:p text:style-name='P9'>secret</text:p>"
        "<text:section text:display='none'><text:p>secret</text:p></text:section>"
        "<text:p><text:hidden-paragraph text:is-hidden='true'/>secret</text:p>"
        "<text:p>a<text:hidden-text text:string-value='secret'/></text:p>"
        "<text:p><text:ruby><text:ruby-base>漢字</text:ruby-base>"
        "<text:ruby-text>かんじ</text:ruby-text></text:ruby></text:p>"
    )
    assert text_of(body, styles=styles).split("\n\n") == ["10^14 CO2", "a", "漢字(かんじ)"]


def test_notes_follow_their_paragraph_and_comments_and_deletions_are_left_out() -> None:
    note = (
        '<text:note text:note-class="footnote"><text:note-citation>1</text:note-citation>'
        "<text:note-body><text:p>A reef.</text:p></text:note-body></text:note>"
    )
    body = (
        "<text:tracked-changes><text:changed-region><text:deletion><text:p>gone</text:p></text:deletion>"
        "</text:changed-region></text:tracked-changes>"
        f"<text:p>Coral{note} grows<office:annotation><text:p>Really?</text:p></office:annotation>.</text:p>"
        "<text:p>End.</text:p>"
    )
    assert text_of(body) == "Coral[1] grows.\n\n[1] A reef.\n\nEnd."


def test_tables_have_spans_repeats_and_headers() -> None:
    covered = "<table:covered-table-cell/>"
    table = (
        "<table:table><table:table-header-rows>"
        + row("Ship", "Tons", "Crew")
        + "</table:table-header-rows><table:table-rows>"
        + row(cell("Gull", 'table:number-rows-spanned="2"'), "90", "4")
        + row(covered, "95", "5")
        + row(cell("none", 'table:number-columns-spanned="2"'), covered, "0")
        + row(cell("x", 'table:number-columns-repeated="3"'), attributes='table:number-rows-repeated="2"')
        + "</table:table-rows></table:table>"
    )
    document = read_odt(opendocument(f"<text:p>before</text:p>{table}"))
    [found] = document.tables
    assert found.header == "Ship | Tons | Crew"
    assert document.text[found.start : found.end].split("\n") == [
        "Gull | 90 | 4", "Gull | 95 | 5", "none |  | 0", "x | x | x", "x | x | x",
    ]  # fmt: skip


def test_huge_repeats_are_cut() -> None:
    repeated = row(cell("x", 'table:number-columns-repeated="99999"'), attributes='table:number-rows-repeated="99999"')
    assert len(text_of(f"<table:table>{row('a', 'b')}{repeated * 3}</table:table>")) < 50_000


def test_notes_in_tables_stand_behind_them_once() -> None:
    def with_note(text: str, note: str) -> str:
        inner = (
            f"<text:note><text:note-citation>1</text:note-citation><text:note-body>{note}</text:note-body></text:note>"
        )
        return f"<table:table>{row('a', cell(text + inner))}</table:table>"

    assert text_of(with_note("b", "<text:p>A note.</text:p>")) == "a | b[1]\n\n[1] A note."
    nested = "<text:p>deep</text:p>"
    for _ in range(15):
        nested = with_note("b", nested)
    assert text_of(nested).count("deep") == 1


def test_a_long_formula_is_read_once() -> None:
    formula = '<math xmlns="http://www.w3.org/1998/Math/MathML">' + "<mi>x</mi>" * 400 + "</math>"
    body = '<text:p>y<draw:frame><draw:object xlink:href="./O"/></draw:frame></text:p>' * 50
    assert text_of(body, members={"O/content.xml": formula}).count("x") == 400


def test_text_boxes_alternative_texts_and_objects() -> None:
    picture = "<draw:frame><draw:image/><svg:title>{}</svg:title><svg:desc>{}</svg:desc></draw:frame>"
    body = (
        f"<text:p>See.{box('In a box.')}</text:p>{picture.format('A brig', 'under sail')}{picture.format('x1.png', '')}"
        '<text:p><draw:frame><draw:object xlink:href="./Object 1"/></draw:frame></text:p>'
        '<text:p>half <draw:frame><draw:object xlink:href="./Object 2"/></draw:frame> done</text:p>'
    )
    formula = (
        '<math xmlns="http://www.w3.org/1998/Math/MathML"><semantics><mfrac><mn>1</mn><mn>2</mn></mfrac>'
        '<annotation encoding="StarMath 5.0">1 over 2</annotation></semantics></math>'
    )
    sheet = opendocument("<table:table/>", kind="spreadsheet")
    document = read_odt(
        opendocument(body, members={"Object 2/content.xml": formula, "Object 1/content.xml": sheet[:9]})
    )
    assert document.text.split("\n\n") == ["See.", "In a box.", "A brig\nunder sail", "half 1/2 done"]
    assert document.omissions == ("1 embedded object",)


def test_headers_and_footers_of_used_pages_are_read_once() -> None:
    def master(name: str, header: str, footer: str = "") -> str:
        return (
            f'<style:master-page style:name="{name}"><style:header><text:p>{header}</text:p></style:header>'
            f"<style:footer><text:p>{footer}<text:page-number>1</text:page-number></text:p></style:footer>"
            "</style:master-page>"
        )

    masters = master("Standard", "Harbour", "Page ") + master("Unused", "Nobody")
    assert text_of("<text:p>Text.</text:p>", masters=masters) == "Harbour\n\nText."


@pytest.mark.parametrize(("suffix", "format"), [(".odt", "odt"), (".ott", "odt"), (".fodt", "odt")])
def test_texts_have_one_format(suffix: str, format: str) -> None:
    body = '<text:h text:outline-level="1">Quay</text:h>'
    content = flat_opendocument(body, title="Log") if suffix == ".fodt" else opendocument(body, title="Log")
    document = parse_document(content, Path(f"a{suffix}"))
    assert (document.text, document.title, document.format) == ("Quay", "Log", format)


# Presentations


def test_slides_have_titles_places_and_notes() -> None:
    body = (
        slide(box("below", at=(0, 9)), box("right", at=(9, 1)), box("left", at=(1, 1)), box("Tides", kind="title"))
        + slide(box("<text:p>High.</text:p>", kind="outline"), notes="Wait.")
    )  # fmt: skip
    document = read_odp(opendocument(body, kind="presentation"))
    assert document.text == "Tides\n\nleft\n\nright\n\nbelow\n\nHigh.\n\nNotes: Wait."
    assert document.headings == (Heading(1, "Tides", 0),)
    assert document.places == (Place(0, "slide 1"), Place(document.text.index("High."), "slide 2"))
    assert (document.title, document.format) == ("Tides", "odp")


@pytest.mark.parametrize("suffix", [".odp", ".otp", ".fodp"])
def test_a_sentence_is_found_with_the_number_of_its_slide(tmp_path: Path, suffix: str) -> None:
    body = slide(box("The quay is long.")) + slide() + slide(box("The dredger Samson starts in May."))
    make = flat_opendocument if suffix == ".fodp" else opendocument
    document = parse_document(make(body, kind="presentation"), Path(f"talk{suffix}"))
    index_documents([("talk", document)], tmp_path / "index", encoder=WordEncoder())  # type: ignore[arg-type]
    retriever = Retriever.open(tmp_path / "index", encoder=WordEncoder())  # type: ignore[arg-type]
    hit = retriever.search("When does the dredger Samson start?", mode="lexical")[0]
    assert location_text(hit.location) == "talk, slide 3"


# Encrypted, broken and hostile files

ENCRYPTED = (
    f'<manifest:manifest {NAMESPACES}><manifest:file-entry manifest:full-path="content.xml"><manifest:encryption-data/>'
    "</manifest:file-entry></manifest:manifest>"
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (opendocument("", members={"META-INF/manifest.xml": ENCRYPTED}), "It is encrypted with a password."),
        (b"PK\x03\x04", "It is not a readable ODT: "),
        (b"<office", "It is not a readable ODT: "),
        (zip_file({"a": "b"}), "It is not a readable ODT: it has no content.xml."),
        (opendocument("", kind="presentation"), "It is not a readable ODT: its content is of another kind."),
        (opendocument(""), "It is empty."),
    ],
)
def test_what_cannot_be_read_is_rejected(content: bytes, message: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_document(content, Path("a.odt"))
    assert caught.value.message.startswith(message) and caught.value.message.endswith(".")


@pytest.mark.parametrize("element", ["text:section", "text:span", "text:list><text:list-item", "draw:g"])
@pytest.mark.parametrize("depth", [20, 120, 5000])
def test_deep_nesting_is_read_or_rejected(element: str, depth: int) -> None:
    closing = "".join(f"</{tag}>" for tag in reversed(element.split("><")))
    inner = f"<{element}>" * depth + "<text:p>deep</text:p>" + closing * depth
    try:
        found = text_of(f"<text:p>a</text:p>{inner}" if element != "text:span" else f"<text:p>a{inner}</text:p>")
    except DocumentError as error:
        assert depth > 20 and error.message.startswith("It is not a readable ODT: ")
    else:
        assert found.startswith("a")


def test_entities_are_not_expanded() -> None:
    bomb = b'<!DOCTYPE s [<!ENTITY a "haha"><!ENTITY b "&a;&a;&a;">]>'
    content = flat_opendocument("<text:p>x&b;y</text:p>").replace(b"?>", b"?>" + bomb, 1)
    assert read_odt(content).text == "xy"
