"""What is seen on the pages of a PDF is read, and what is not seen is not."""

from __future__ import annotations

import time
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from echo_index.errors import DocumentError
from echo_index.indexer.documents.document import Document
from echo_index.indexer.documents.formats import parse_document
from echo_index.indexer.documents.page_rendering import render_page

HELVETICA = "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"
BLACK_PICTURE = "q 600 0 0 800 0 0 cm BI /W 1 /H 1 /BPC 8 /CS /G ID \0 EI Q"


def stream(content: str, entries: str = "") -> str:
    return f"<<{entries}/Length {len(content)}>>stream\n{content}\nendstream"


def pdf(
    pages: Sequence[str],
    objects: Sequence[str] = (),
    *,
    page: str = "",
    catalog: str = "",
    resources: str = "",
) -> bytes:
    """Return a PDF with the content streams of its pages.

    Object 3 is the font F1. The further objects have the numbers from 10; `page`, `catalog` and `resources` are added
    to these dictionaries, of all pages.
    """
    first_page = 10 + len(objects)
    kids = " ".join(f"{first_page + 2 * number} 0 R" for number in range(len(pages)))
    numbered = {
        1: f"<</Type/Catalog/Pages 2 0 R{catalog}>>",
        2: f"<</Type/Pages/Kids[{kids}]/Count {len(pages)}>>",
        3: HELVETICA,
        **dict(enumerate(objects, start=10)),
    }
    for number, content in enumerate(pages):
        numbered[first_page + 2 * number] = (
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]"
            f"/Resources<</Font<</F1 3 0 R>>{resources}>>/Contents {first_page + 2 * number + 1} 0 R{page}>>"
        )
        numbered[first_page + 2 * number + 1] = stream(content)
    file, offsets = "%PDF-1.7\n", {}
    for number, body in numbered.items():
        offsets[number] = len(file)
        file += f"{number} 0 obj\n{body}\nendobj\n"
    sections = "".join(f"{number} 1\n{offset:010d} 00000 n \n" for number, offset in offsets.items())
    table = f"xref\n0 1\n0000000000 65535 f \n{sections}"
    trailer = f"trailer<</Size {max(numbered) + 1}/Root 1 0 R>>\nstartxref\n{len(file)}\n%%EOF"
    return (file + table + trailer).encode("latin-1")


def words(text: str, x: float, y: float, *, size: float = 12) -> str:
    return f"BT /F1 {size} Tf {x} {y} Td ({text}) Tj ET "


def read(content: bytes) -> Document:
    return parse_document(content, Path("a.pdf"))


def form(content: str, widgets: Sequence[str], *, needs_appearances: bool = False, more: Sequence[str] = ()) -> bytes:
    """Return a PDF of one page with fields, which are the objects from 10; `more` are the objects behind them."""
    numbers = " ".join(f"{10 + number} 0 R" for number in range(len(widgets)))
    needs = "/NeedAppearances true" if needs_appearances else ""
    return pdf(
        [content],
        [f"<</Type/Annot/Subtype/Widget{widget}>>" for widget in widgets] + list(more),
        page=f"/Annots[{numbers}]",
        catalog=f"/AcroForm<</Fields[{numbers}]{needs}/DA(/F1 12 Tf 0 g)/DR<</Font<</F1 3 0 R>>>>>>",
    )


def test_the_values_of_fields_stand_behind_their_labels() -> None:
    document = read(
        form(
            words("Name:", 50, 700) + words("Town:", 300, 700) + words("Class", 50, 670) + words("Signed", 50, 640),
            [
                "/FT/Tx/T(name)/V(Rosalind Okonkwo)/Rect[90 695 280 715]/F 4",
                "/FT/Tx/T(town)/V(Trondheim)/Rect[340 695 500 715]/F 4",
                "/FT/Ch/Ff 131072/T(class)/V(b)/Opt[[(a)(First)][(b)(Second)]]/Rect[90 665 280 685]/F 4",
                "/FT/Tx/T(below)/V(A remark)/Rect[50 600 280 620]/F 4",
            ],
        )
    )
    assert document.text == "Name: Rosalind Okonkwo Town: Trondheim\nClass Second\nSigned\nA remark"


def test_a_list_shows_what_is_chosen() -> None:
    options = "/Opt[(red)(green)(blue)]/V[(red)(blue)]/I[0 2]"
    document = read(form(words("Colors:", 50, 700), [f"/FT/Ch/Ff 2097152/T(c){options}/Rect[100 690 200 712]/F 4"]))
    assert document.text == "Colors: red, blue"


def test_boxes_that_are_on_mark_their_labels() -> None:
    states = "/AP<</N<</Yes 12 0 R/Off 12 0 R>>>>"
    empty = stream("", "/Type/XObject/Subtype/Form/BBox[0 0 10 10]")
    document = read(
        form(
            words("Married", 70, 700) + words("Single", 70, 680),
            [
                f"/FT/Btn/T(m)/V/Yes/AS/Yes/Rect[50 698 62 710]/F 4{states}",
                f"/FT/Btn/T(s)/V/Off/AS/Off/Rect[50 678 62 690]/F 4{states}",
            ],
            more=[empty],
        )
    )
    assert document.text == "[x] Married\nSingle"


def test_hidden_fields_and_passwords_are_not_read() -> None:
    document = read(
        form(
            words("Label", 50, 700),
            [
                "/FT/Tx/T(a)/V(hidden)/Rect[90 695 280 715]/F 2",
                "/FT/Tx/T(b)/V(noview)/Rect[90 695 280 715]/F 32",
                "/FT/Tx/T(c)/V(secret)/Ff 8192/Rect[90 695 280 715]/F 4",
            ],
        )
    )
    assert document.text == "Label"


def test_values_are_read_in_pages_that_are_turned_and_in_pages_without_other_text() -> None:
    widget = "/FT/Tx/T(a)/V(value)/Rect[85 100 105 300]/F 4"
    turned = form("BT /F1 12 Tf 0 1 -1 0 100 50 Tm (Name:) Tj 0 -20 Td (Next) Tj ET", [widget])
    turned = turned.replace(b"/MediaBox", b"/Rotate 90/MediaBox")
    shifted = turned.index(b"xref")  # the offsets behind the page are wrong now, which PDFium repairs
    assert shifted
    assert read(turned).text == "Name: value\nNext"
    assert read(form("", ["/FT/Tx/T(a)/V(only)/Rect[50 690 200 710]/F 4"])).text == "only"


def test_fields_are_drawn_with_the_page() -> None:
    field = "/FT/Tx/T(a)/V(Rosalind)/Rect[90 600 580 715]/F 4"
    filled, empty = (
        render_page(form("", [widget], needs_appearances=True), "a.pdf", 1, width=300)
        for widget in (field, field.replace("(Rosalind)", "()"))
    )
    assert filled != empty


def annotated(content: str, *annotations: str, more: Sequence[str] = ()) -> Document:
    """Return a document with one page and its annotations, the objects from 10."""
    numbers = " ".join(f"{10 + number} 0 R" for number in range(len(annotations)))
    objects = [f"<</Type/Annot{annotation}>>" for annotation in annotations]
    return read(pdf([content], [*objects, *more], page=f"/Annots[{numbers}]"))


def test_free_text_and_stamps_are_part_of_the_page() -> None:
    stamp = stream(
        "BT /F1 12 Tf 2 5 Td (APPROVED) Tj ET",
        "/Type/XObject/Subtype/Form/BBox[0 0 100 20]/Resources<</Font<</F1 3 0 R>>>>",
    )
    document = annotated(
        words("First line", 50, 700) + words("Second line", 50, 600),
        "/Subtype/FreeText/Contents(in between)/DA(/F1 12 Tf)/Rect[50 640 200 660]/F 4",
        "/Subtype/Stamp/Rect[300 690 400 710]/F 4/AP<</N 13 0 R>>",
        "/Subtype/Stamp/Rect[300 590 400 610]/F 2/AP<</N 13 0 R>>",
        more=[stamp],
    )
    assert document.text == "First line APPROVED\nin between\nSecond line"


def test_comments_follow_the_page() -> None:
    document = annotated(
        words("A marked word", 50, 700),
        "/Subtype/Text/Contents(Is this right?)/T(Ann)/Rect[10 10 30 30]",
        "/Subtype/Highlight/Contents(See below)/Rect[50 690 100 710]/QuadPoints[50 710 100 710 50 690 100 690]",
        "/Subtype/Highlight/Contents(marked word)/Rect[50 690 100 710]/QuadPoints[50 710 100 710 50 690 100 690]",
        "/Subtype/Text/Contents(Accepted set by Ann)/StateModel(Review)/State(Accepted)/Rect[10 10 30 30]",
        "/Subtype/Text/Contents(hidden)/F 2/Rect[10 10 30 30]",
        "/Subtype/Popup/Contents(popup)/Rect[10 10 30 30]",
        "/Subtype/Link/Contents(link)/Rect[10 10 30 30]",
    )
    assert document.text == "A marked word\n\nComment by Ann: Is this right?\nComment: See below"


def test_layers_that_are_off_are_not_read() -> None:
    content = (
        f"/OC /L1 BDC {words('Draft', 50, 700)}EMC /OC /L2 BDC {words('Final', 50, 680)}EMC {words('Body', 50, 660)}"
        f"/OC /L1 BDC BT 3 Tr /F1 12 Tf 50 640 Td (more) Tj ET EMC"
    )
    layers = ["<</Type/OCG/Name(Drafts)>>", "<</Type/OCG/Name(Finals)>>"]
    names = "/Properties<</L1 10 0 R/L2 11 0 R>>"
    catalog = "/OCProperties<</OCGs[10 0 R 11 0 R]/D<</OFF[{}]>>>>"
    assert read(pdf([content], layers, resources=names, catalog=catalog.format("10 0 R"))).text == "Final\nBody"
    assert read(pdf([content], layers, resources=names, catalog=catalog.format("11 0 R"))).text == "Draft\nBody\nmore"


def test_layers_are_found_in_forms_and_in_compressed_objects() -> None:
    form_entries = (
        "/Type/XObject/Subtype/Form/BBox[0 0 600 800]/Resources<</Font<</F1 3 0 R>>/Properties<</L1 10 0 R>>>>"
    )
    inner = f"{words('on', 50, 580)} /OC /L1 BDC {words('inner', 50, 600)} EMC"
    objects = [
        "<</Type/OCG/Name(Layer)>>",
        stream(inner, form_entries),
        stream(words("form", 50, 500), f"{form_entries}/OC 10 0 R"),
    ]
    content = pdf(
        [words("page", 50, 700) + "/X1 Do /X2 Do"],
        objects,
        resources="/XObject<</X1 11 0 R/X2 12 0 R>>",
        catalog="/OCProperties<</OCGs[10 0 R]/D<</OFF[10 0 R]>>>>",
    )
    assert read(content).text == "page\non"
    compressed = zlib.compress(b"1 0 <</OCProperties 5 0 R>>").decode("latin-1")
    hidden = content.replace(b"/OCProperties", b"/OC#50roperties")
    assert read(hidden).text == "page\non\ninner\nform"
    assert read(hidden + stream(compressed, "/Type/ObjStm/N 1/First 4").encode("latin-1")).text == "page\non"


def test_recognized_text_in_a_layer_of_its_own_is_read() -> None:
    content = f"{BLACK_PICTURE} /OC /L1 BDC BT 3 Tr /F1 12 Tf 50 700 Td (recognized) Tj ET EMC"
    document = read(
        pdf(
            [content],
            ["<</Type/OCG/Name(Text)>>"],
            resources="/Properties<</L1 10 0 R>>",
            catalog="/OCProperties<</OCGs[10 0 R]/D<<>>>>",
        )
    )
    assert document.text == "recognized"


@pytest.mark.parametrize("box", ["/CropBox[40 400 600 800]", "/CropBox[40 400 600 800]/Rotate 90", "/Rotate 270"])
def test_text_outside_of_the_page_is_not_read(box: str) -> None:
    content = words("inside", 50, 700) + words("outside", 50, -100) + words("beside", 700, 700) + words("end", 50, 600)
    assert read(pdf([content], page=box)).text == "inside\nend"


def test_raised_numbers_are_told_from_what_they_follow() -> None:
    def raised(text: str) -> str:
        return f"/F1 7 Tf 5 Ts ({text}) Tj /F1 12 Tf 0 Ts "

    content = (
        f"BT /F1 12 Tf 50 700 Td (about 10) Tj {raised('14')}( cells) Tj ET BT 50 680 Td (y2 is 2024) Tj ET "
        f"BT 50 660 Td (CO) Tj /F1 7 Tf -3 Ts (2) Tj 0 Ts ET BT /F1 12 Tf 50 640 Td (10) Tj {raised('-5')}ET "
        f"BT 50 620 Td (the 1) Tj {raised('st')}ET BT 50 600 Td (12) Tj /F1 9 Tf (34) Tj ET"
    )
    assert read(pdf([content])).text == "about 10^14 cells\ny2 is 2024\nCO2\n10^-5\nthe 1st\n1234"


LEFT = [
    *("The keeper of the light wrote", "down each evening what ships", "had passed the rocks, and in"),
    *("winter he also noted how much", "oil the lamp had burned, for", "the trust counted each barrel"),
    *("that was carried up the steps", "by the men of the small boat"),
]
RIGHT = [
    *("A second account was kept by", "the harbour office, where all", "masters had to sign the book"),
    *("before they went ashore. Both", "accounts agree for most of the", "years, but in the cold spring"),
    *("of that year three ships are", "missing from one of the books"),
]


def side_by_side(left: Sequence[str], right: Sequence[str], *, gutter: float = 260) -> str:
    rows = zip(left, right, strict=True)
    return "".join(
        words(first, 50, 700 - 14 * row) + words(second, gutter, 700 - 14 * row)
        for row, (first, second) in enumerate(rows)
    )


def test_columns_that_are_drawn_line_by_line_are_read_one_after_the_other() -> None:
    content = words("A title over both of the columns, which is long", 50, 740) + side_by_side(LEFT, RIGHT)
    text = read(pdf([content + words("A line below both columns, which is long", 50, 500)])).text
    assert text == "\n".join(
        ["A title over both of the columns, which is long", *LEFT, *RIGHT, "A line below both columns, which is long"]
    )


def test_words_divided_in_a_column_are_joined() -> None:
    left = [*LEFT[:3], "winter he also noted how mu-", "ch oil the lamp had burned, for", *LEFT[5:]]
    assert "noted how much oil" in read(pdf([side_by_side(left, RIGHT)])).text


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (["Height of the tower in feet"] * 8, ["112.5 and 34.25 and 17.125"] * 8),
        ([f"Name of keeper {row}" for row in range(8)], [f"Year of arrival {row}" for row in range(8)]),
        (["oil", "wick", "glass", "rope", "salt", "flour", "coal", "tar"], RIGHT),
        (LEFT[:4], RIGHT[:4]),
    ],
)
def test_tables_are_read_row_by_row(left: Sequence[str], right: Sequence[str]) -> None:
    text = read(pdf([side_by_side(left, right)])).text
    assert text.split("\n") == [f"{first} {second}" for first, second in zip(left, right, strict=True)]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["an exam-", "ple"], "an example"),
        (["is well-", "known"], "is well-known"),
        (["her self-", "ishness"], "her selfishness"),
        (["the Anglo-", "Saxon"], "the Anglo-Saxon"),
        (["an E-", "Mail"], "an E-Mail"),
        (["THE EXAM-", "PLE"], "THE EXAMPLE"),
        (["a fire-proof", "and fire-", "proof"], "a fire-proof\nand fire-proof"),
        (["a McCallum", "and Mc-", "Callum"], "a McCallum\nand McCallum"),
    ],
)
def test_hyphens_at_line_ends(lines: list[str], expected: str) -> None:
    content = "".join(words(line, 50, 700 - 14 * row) for row, line in enumerate(lines))
    assert read(pdf([content])).text == expected


def test_pages_that_are_only_pictures_are_named() -> None:
    page, white = words("text", 50, 700), "1 1 1 rg 0 0 600 800 re f"
    picture = BLACK_PICTURE
    numbers = [page, picture, picture, picture, "", page, picture, white, page, "0 0 9 9 re f", picture]
    document = read(pdf(numbers))
    assert document.omissions == ("no text on pages 2 to 4, 7 and 10 to 11",)
    assert len(document.pages) == 11
    assert read(pdf([page, picture])).omissions == ("no text on page 2",)
    assert read(pdf([page, ""])).omissions == ()
    many = read(pdf([page, picture] * 12)).omissions
    assert many == ("no text on pages 2, 4, 6, 8, 10, 12, 14, 16 and 4 others",)


def test_a_pdf_of_pictures_says_so() -> None:
    with pytest.raises(
        DocumentError, match=r"^It holds only pictures of text: its pages are probably scanned images\.$"
    ):
        read(pdf([BLACK_PICTURE, ""]))
    with pytest.raises(DocumentError, match=r"^It holds no text: its pages are blank\.$"):
        read(pdf([""]))


def test_text_in_fonts_that_do_not_name_their_characters_is_left_out() -> None:
    font = [
        "<</Type/Font/Subtype/Type0/BaseFont/Foo/Encoding/Identity-H/DescendantFonts[11 0 R]>>",
        "<</Type/Font/Subtype/CIDFontType2/BaseFont/Foo/FontDescriptor 12 0 R"
        "/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>>>",
        "<</Type/FontDescriptor/FontName/Foo/Flags 4/FontBBox[0 0 1000 1000]/ItalicAngle 0/Ascent 800/Descent -200"
        "/CapHeight 700/StemV 80>>",
    ]
    page = "BT /F2 12 Tf 50 700 Td <0024004b0048000300240044004a0003> Tj ET"
    unreadable = pdf([page], font).replace(b"/F1 3 0 R", b"/F2 10 0 R")
    with pytest.raises(DocumentError, match="its fonts do not say which characters they draw"):
        read(unreadable)
    mixed = pdf(["BT /F1 12 Tf 50 700 Td (good) Tj ET", page], font, resources="/Font<</F1 3 0 R/F2 10 0 R>>")
    document = read(mixed.replace(b"/Font<</F1 3 0 R>>/Font", b"/Font"))
    assert (document.text.strip(), document.omissions) == ("good", ("no text on page 2",))


def test_a_broken_page_does_not_lose_the_others() -> None:
    content = pdf([words("one", 50, 700), words("two", 50, 700), words("three", 50, 700)])
    broken = content.replace(b"12 0 obj\n<</Type/Page/", b"12 0 obj\n<</Type/Oops/").replace(b"12 0 R", b"99 0 R", 1)
    document = read(broken)
    assert document.text.split() == ["one", "three"]
    assert document.omissions == ("page 2, which is broken",)


def test_attached_files_are_named() -> None:
    objects = [
        "<</Type/Filespec/F(data.csv)/UF(data.csv)/EF<</F 11 0 R>>>>",
        stream("a,b", "/Type/EmbeddedFile"),
        "<</Type/Annot/Subtype/FileAttachment/FS 13 0 R/Rect[10 10 30 30]>>",
        "<</Type/Filespec/F(notes.txt)/UF(notes.txt)/EF<</F 11 0 R>>>>",
    ]
    names = "/Names<</EmbeddedFiles<</Names[(data.csv)10 0 R]>>>>"
    document = read(pdf([words("text", 50, 700)], objects, catalog=names))
    assert document.omissions == ("1 attached file: data.csv",)
    document = read(pdf([words("text", 50, 700)], objects, catalog=names, page="/Annots[12 0 R]"))
    assert document.omissions == ("2 attached files: data.csv and notes.txt",)


def test_an_xfa_form_is_named() -> None:
    catalog = "/NeedsRendering true/AcroForm<</Fields[]/XFA 10 0 R>>"
    document = read(pdf([words("Please wait", 50, 700)], [stream("<xdp/>")], catalog=catalog))
    assert document.omissions == ("the fields of an XFA form",)


def test_the_title_of_the_metadata_is_read() -> None:
    def with_metadata(*titles: str) -> bytes:
        items = "".join(
            f"<dc:title><rdf:Alt><rdf:li xml:lang='x'>{title}</rdf:li></rdf:Alt></dc:title>" for title in titles
        )
        return pdf([words("First line", 50, 700)], [stream(items, "/Type/Metadata/Subtype/XML")])

    assert read(with_metadata("Oil &amp; lamps")).title == "Oil & lamps"
    assert read(with_metadata("One", "Two")).title == "First line"
    assert read(with_metadata("Untitled")).title == "First line"


def test_many_fields_are_read_in_linear_time() -> None:
    begun = time.process_time()
    content = "".join(words(f"label {number}", 50, 790 - number / 4) for number in range(3_000))
    widgets = [
        f"/FT/Tx/T(f{number})/V(value {number})/Rect[150 {790 - number / 4} 300 800]/F 4" for number in range(3_000)
    ]
    assert read(form(content, widgets)).text.count("value") == 3_000
    assert time.process_time() - begun < 20
