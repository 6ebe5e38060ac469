"""Of a Word file, what a person sees is read, and what a person does not see is not."""

from __future__ import annotations

import io
import zipfile

import pytest
from word_files import cell, paragraph, part, row, run, table, word_file

from echo_index.errors import DocumentError
from echo_index.indexer.documents.document import Document
from echo_index.indexer.documents.readers.word.reader import read_docx


def text_of(body: str, **options: object) -> str:
    return read_docx(word_file(body, **options)).text  # type: ignore[arg-type]


def table_parts(document: Document) -> list[tuple[str, str]]:
    return [(table.header, document.text[table.start : table.end]) for table in document.tables]


def field(code: str, result: str | None, *, data: str = "") -> str:
    shown = f'<w:r><w:fldChar w:fldCharType="separate"/></w:r>{run(result)}' if result is not None else ""
    return (
        f'<w:r><w:fldChar w:fldCharType="begin">{data}</w:fldChar></w:r><w:r><w:instrText>{code}</w:instrText></w:r>'
        f'{shown}<w:r><w:fldChar w:fldCharType="end"/></w:r>'
    )


# Packages


def test_macros_templates_and_their_types_do_not_matter() -> None:
    macro = "application/vnd.ms-word.document.macroEnabled.main+xml"
    assert text_of(paragraph("The crane."), main_type=macro) == "The crane."


@pytest.mark.parametrize("target", ["NULL", "#_top", "../../../etc/passwd", "no/such.xml", ""])
def test_relations_that_lead_nowhere_do_not_matter(target: str) -> None:
    relations = {f"rId{n}": (type, target) for n, type in enumerate(("image", "hyperlink", "styles", "settings"))}
    assert text_of(paragraph("The guild met."), relations=relations) == "The guild met."


def test_a_file_in_the_strict_dialect_is_read() -> None:
    plain = word_file(
        paragraph("Rules", properties='<w:outlineLvl w:val="0"/>') + paragraph("A hull<w:r/>"[:6], "x")
        + paragraph('<w:r><w:footnoteReference w:id="2"/></w:r>'),
        parts={"footnotes.xml": part("w:footnotes", f'<w:footnote w:id="2">{paragraph("Deep.")}</w:footnote>')},
        relations={"rId1": ("footnotes", "footnotes.xml")},
    )  # fmt: skip
    strict = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(plain)) as archive, zipfile.ZipFile(strict, "w") as changed:
        for name in archive.namelist():
            content = archive.read(name)
            for old, new in (("wordprocessingml/2006", "wordprocessingml"), ("officeDocument/2006", "officeDocument")):
                content = content.replace(
                    f"http://schemas.openxmlformats.org/{old}/".encode(), f"http://purl.oclc.org/ooxml/{new}/".encode()
                )
            changed.writestr(name, content)
    document = read_docx(strict.getvalue())
    assert document.text == "Rules\n\nA hullx\n\n[1]\n\n[1] Deep."
    assert [heading.level for heading in document.headings] == [1]


def test_a_broken_part_leaves_the_others_readable() -> None:
    document = read_docx(
        word_file(
            paragraph("The lake", '<w:r><w:footnoteReference w:id="1"/></w:r>'),
            parts={"footnotes.xml": "<w:footnotes", "styles.xml": "<<", "numbering.xml": b"\xff\0"},
            relations={
                "rId1": ("footnotes", "footnotes.xml"),
                "rId2": ("styles", "styles.xml"),
                "rId3": ("numbering", "numbering.xml"),
            },
        )
    )
    assert document.text == "The lake[1]"
    assert document.omissions == ("the footnotes",)


def test_another_kind_of_package_is_refused() -> None:
    for name, reason in (("word/document.xml", "its main part is no Word document"), ("x", "it has no main part")):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(name, "<x/>")
        with pytest.raises(DocumentError, match=rf"^It is not a readable DOCX: {reason}\.$"):
            read_docx(file.getvalue())


# Text


def test_hidden_text_is_left_out() -> None:
    styles = part(
        "w:styles",
        '<w:style w:type="character" w:styleId="Secret"><w:rPr><w:vanish/></w:rPr></w:style>'
        '<w:style w:type="character" w:styleId="More"><w:basedOn w:val="Secret"/></w:style>'
        '<w:style w:type="paragraph" w:styleId="Draft"><w:rPr><w:vanish/></w:rPr></w:style>',
    )
    body = paragraph(
        "a", run("B", properties="<w:vanish/>"), run("c", properties='<w:vanish w:val="0"/>'),
        run("D", properties='<w:rStyle w:val="Secret"/>'), run("E", properties='<w:rStyle w:val="More"/>'),
        run("f", properties='<w:rStyle w:val="Secret"/><w:vanish w:val="false"/>'),
        run("g", properties="<w:webHidden/>"),
    )  # fmt: skip
    body += paragraph("H", run("i", properties='<w:vanish w:val="0"/>'), properties='<w:pStyle w:val="Draft"/>')
    assert text_of(body, parts={"styles.xml": styles}, relations={"r": ("styles", "styles.xml")}) == "acfg\n\ni"


def test_what_stands_in_hidden_text_is_left_out() -> None:
    hidden = "<w:r><w:rPr><w:vanish/></w:rPr>{}</w:r>"
    box = f"<w:pict><w:txbxContent>{paragraph('In a box.')}</w:txbxContent></w:pict>"
    ruby = f"<w:ruby><w:rt>{run('a')}</w:rt><w:rubyBase>{run('b')}</w:rubyBase></w:ruby>"
    note = '<w:footnoteReference w:id="1"/>'
    assert text_of(paragraph("Seen", *map(hidden.format, (box, ruby, note, "<w:tab/>")), ".")) == "Seen."


def test_tracked_changes_are_read_as_accepted() -> None:
    body = (
        paragraph(f"<w:del>{run('old ').replace('w:t', 'w:delText')}</w:del>", f"<w:ins>{run('new ')}</w:ins>", "price")
        + paragraph(f"<w:moveFrom>{run('moved')}</w:moveFrom>")
        + paragraph(f"<w:moveTo>{run('moved')}</w:moveTo>")
        + paragraph("One par", properties="<w:rPr><w:del/></w:rPr>") + paragraph("agraph.")
        + paragraph("Above.", properties="<w:rPr><w:del/></w:rPr>")
        + table(row("a", "b"), row("c", "d", properties="<w:del/>"), row("e", "f"))
    )  # fmt: skip
    assert text_of(body) == "new price\n\nmoved\n\nOne paragraph.\n\nAbove.\n\na | b\ne | f"


def test_results_of_fields_are_read_and_their_codes_are_not() -> None:
    nested = (
        '<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>IF </w:instrText></w:r>'
        f"{field('DOCPROPERTY x', 'secret')}<w:r><w:t>CODE</w:t></w:r>"
        '<w:r><w:fldChar w:fldCharType="separate"/></w:r>' + run("yes") + '<w:r><w:fldChar w:fldCharType="end"/></w:r>'
    )
    check = '<w:ffData><w:checkBox><w:default w:val="0"/><w:checked/></w:checkBox></w:ffData>'
    entries = '<w:listEntry w:val="red"/><w:listEntry w:val="blue"/>'
    choice = f'<w:ffData><w:ddList><w:result w:val="1"/>{entries}</w:ddList></w:ffData>'
    body = (
        paragraph(
            field("DATE", "May"), " ", nested, " ", '<w:fldSimple w:instr="AUTHOR">' + run("Ann") + "</w:fldSimple>"
        )
        + paragraph(field("FORMCHECKBOX", None, data=check), " ", field("FORMDROPDOWN", None, data=choice))
        + paragraph(field(r"SYMBOL 179 \f &quot;Symbol&quot; \s 10", None), " 40", field("XE index", None))
    )
    assert text_of(body) == "May yes Ann\n\n☒ blue\n\n≥ 40"


def test_a_result_may_span_paragraphs_and_a_field_without_an_end_hides_nothing() -> None:
    begin, end = '<w:r><w:fldChar w:fldCharType="begin"/></w:r>', '<w:r><w:fldChar w:fldCharType="end"/></w:r>'
    separate = '<w:r><w:fldChar w:fldCharType="separate"/></w:r>'
    body = (
        paragraph(begin, "TOC", separate, "One") + paragraph("Two", end) + paragraph(begin, "Three") + paragraph("Four")
    )
    assert text_of(body) == "One\n\nTwo\n\nThree\n\nFour"


def test_symbols_become_unicode() -> None:
    symbol = '<w:r><w:sym w:font="{}" w:char="{}"/></w:r>'
    body = paragraph(
        symbol.format("Symbol", "F0B3"), symbol.format("Symbol", "0061"), symbol.format("Wingdings", "F0FC"),
        symbol.format("Wingdings", "F0A8"), symbol.format("Wingdings 2", "F052"), symbol.format("Arial", "2022"),
        symbol.format("Arial", "F0A9"), symbol.format("Arial", "junk"), symbol.format("Wingdings", "F026"),
        run("ab\uf0b0 D", properties='<w:rFonts w:ascii="Symbol" w:hAnsi="Symbol"/>'),
        run("b", properties='<w:rFonts w:ascii="Symbol" w:hAnsi="Arial"/>'),
        run("ü", properties='<w:rFonts w:ascii="Wingdings" w:hAnsi="Wingdings"/>'),
    )  # fmt: skip
    assert text_of(body) == "≥α✓☐☑•©αβ° Δβ✓"


def test_superscripts_can_be_told_from_digits_and_subscripts_are_plain() -> None:
    up, down = '<w:vertAlign w:val="superscript"/>', '<w:vertAlign w:val="subscript"/>'
    styles = part("w:styles", f'<w:style w:type="character" w:styleId="Up"><w:rPr>{up}</w:rPr></w:style>')
    body = paragraph("10", run("1", properties=up), run("4", properties='<w:rStyle w:val="Up"/>'), " H",
                     run("2", properties=down), "O, 1", run("st", properties=up))  # fmt: skip
    assert text_of(body, parts={"styles.xml": styles}, relations={"r": ("styles", "styles.xml")}) == "10^14 H2O, 1st"


def test_special_characters() -> None:
    body = paragraph(
        "<w:r><w:t>co</w:t><w:noBreakHyphen/><w:t>op</w:t><w:softHyphen/><w:t>er\xada</w:t><w:tab/><w:t>b</w:t>"
        "<w:ptab/><w:t>c</w:t><w:br/><w:t>d\ne</w:t></w:r>",
        f"<w:bdo><w:smartTag>{run('f')}</w:smartTag></w:bdo><w:customXml>{run('g')}</w:customXml>",
        f"<w:r><w:ruby><w:rt>{run('かんじ')}</w:rt><w:rubyBase>{run('漢字')}</w:rubyBase></w:ruby></w:r>",
        run("Caps", properties="<w:caps/>"),
    )
    assert text_of(body) == "co-opera\tb\tc\nd efg漢字(かんじ)Caps"


def test_content_controls_without_their_prompts() -> None:
    prompt = f"<w:sdt><w:sdtPr><w:showingPlcHdr/></w:sdtPr><w:sdtContent>{run('Click here.')}</w:sdtContent></w:sdt>"
    chosen = (
        '<w:sdt><w:sdtPr><w:dropDownList><w:listItem w:displayText="No"/></w:dropDownList></w:sdtPr>'
        f"<w:sdtContent>{run('Yes')}</w:sdtContent></w:sdt>"
    )
    box = (
        '<w:sdt><w:sdtPr><w14:checkbox><w14:checked w14:val="1"/></w14:checkbox></w:sdtPr>'
        f"<w:sdtContent>{run('☒')}</w:sdtContent></w:sdt>"
    )
    assert text_of(paragraph("a", prompt, chosen, box)) == "aYes☒"


def test_a_drop_cap_belongs_to_its_paragraph() -> None:
    cap = paragraph("T", properties='<w:framePr w:dropCap="drop"/>')
    assert text_of(cap + paragraph("he king.")) == "The king."


EQUATIONS = {
    "<m:f><m:num>{a+b}</m:num><m:den>{2}</m:den></m:f>": "(a+b)/2",
    "<m:sSup><m:e>{x}</m:e><m:sup>{2}</m:sup></m:sSup>": "x^2",
    "<m:sSup><m:e>{x}</m:e><m:sup>{n+1}</m:sup></m:sSup>": "x^(n+1)",
    "<m:sSub><m:e>{H}</m:e><m:sub>{2}</m:sub></m:sSub>{O}": "H2O",
    "<m:sSubSup><m:e>{x}</m:e><m:sub>{i+1}</m:sub><m:sup>{2}</m:sup></m:sSubSup>": "x_(i+1)^2",
    "<m:rad><m:radPr><m:degHide m:val='1'/></m:radPr><m:deg/><m:e>{2a}</m:e></m:rad>": "√2a",
    "<m:rad><m:deg>{3}</m:deg><m:e>{a+b}</m:e></m:rad>": "3√(a+b)",
    (
        "<m:nary><m:naryPr><m:chr m:val='∑'/></m:naryPr><m:sub>{i=1}</m:sub><m:sup>{n}</m:sup><m:e>{i}</m:e></m:nary>"
    ): "∑_(i=1)^n i",
    "<m:d><m:e>{a}</m:e><m:e>{b}</m:e></m:d>": "(a|b)",
    "<m:d><m:dPr><m:begChr m:val='{'/><m:endChr m:val=''/></m:dPr><m:e>{a}</m:e></m:d>": "{a",
    "<m:func><m:fName>{sin}</m:fName><m:e>{x}</m:e></m:func>": "sin x",
    "{a}<m:func><m:fName>{sin}</m:fName><m:e>{x}</m:e></m:func>": "a sin x",
    "<m:sSup><m:e><m:f><m:num>{a+b}</m:num><m:den>{2}</m:den></m:f></m:e><m:sup>{3}</m:sup></m:sSup>": "((a+b)/2)^3",
    "{a}</m:oMath><m:oMath>{b}": "a b",
    "{a}</m:oMath><m:oMathPara><m:oMath>{b}</m:oMath><m:oMath>{c}</m:oMath></m:oMathPara><m:oMath>{d}": "a b c d",
    "<m:m><m:mr><m:e>{a}</m:e><m:e>{b}</m:e></m:mr><m:mr><m:e>{c}</m:e><m:e>{d}</m:e></m:mr></m:m>": "[a, b; c, d]",
    "<m:acc><m:e>{x}</m:e></m:acc>": "x\u0302",
}


@pytest.mark.parametrize(("equation", "expected"), EQUATIONS.items())
def test_equations_are_written_on_one_line(equation: str, expected: str) -> None:
    for inner in ("a+b", "2a", "n+1", "i+1", "i=1", "sin", *"abcdxinHO23"):
        equation = equation.replace(f"{{{inner}}}", f"<m:r><m:t>{inner}</m:t></m:r>")
    assert text_of(paragraph("So ", f"<m:oMath>{equation}</m:oMath>", ".")) == f"So {expected}."


# Notes, headers and footers


def notes(kind: str, **contents: str) -> str:
    separator = f'<w:{kind} w:id="0" w:type="separator">{paragraph("LINE")}</w:{kind}>'
    found = "".join(f'<w:{kind} w:id="{key[1:]}">{content}</w:{kind}>' for key, content in contents.items())
    return part(f"w:{kind}s", separator + found)


def test_notes_follow_the_paragraph_that_refers_to_them() -> None:
    refer = '<w:r><w:rPr><w:vertAlign w:val="superscript"/></w:rPr><w:{}Reference w:id="{}"{}/>{}</w:r>'
    mark = paragraph("<w:r><w:footnoteRef/></w:r>", " The bay.")
    loop = paragraph("It refers to ", refer.format("footnote", 2, "", ""), " itself.") + paragraph("On.")
    body = (
        paragraph("Shores 12", refer.format("footnote", 3, "", ""), " of ", refer.format("endnote", 2, "", ""))
        + paragraph("Fish", refer.format("footnote", 4, ' w:customMarkFollows="1"', "<w:t>*</w:t>"))
        + table(row("a", cell(paragraph("b", refer.format("footnote", 2, "", "")))), row("c", "d"))
        + paragraph(f"<w:del>{refer.format('footnote', 5, '', '')}</w:del>", "End", refer.format("footnote", 3, "", ""))
    )
    document = read_docx(
        word_file(
            body,
            parts={
                "footnotes.xml": notes("footnote", n3=mark, n2=loop, n4=paragraph("* Free."), n5=paragraph("Gone.")),
                "endnotes.xml": notes("endnote", n2=paragraph("Florins.")),
            },
            relations={"a": ("footnotes", "footnotes.xml"), "b": ("endnotes", "endnotes.xml")},
        )
    )
    assert document.text.split("\n\n") == [
        "Shores 12[1] of [i]", "[1] The bay.", "[i] Florins.", "Fish[*]", "[*] Free.", "a | b[2]\nc | d",
        "[2] It refers to  itself.", "On.", "End[3]",
    ]  # fmt: skip


def test_headers_stand_before_and_footers_behind_the_text_once_without_page_numbers() -> None:
    page = field("PAGE", "3")
    parts = {
        "header1.xml": part("w:hdr", paragraph("Guild of Weavers", "<w:r><w:tab/></w:r>", "Page ", page)),
        "header2.xml": part(
            "w:hdr", paragraph("Guild of Weavers") + table(row("Secret", cell(paragraph("p. ", page))))
        ),
        "footer1.xml": part("w:ftr", paragraph("Page ", page, " of ", field("NUMPAGES", "9")) + paragraph("Rule 7")),
        "first.xml": part("w:hdr", paragraph("Never shown")),
    }
    relations = {name: ("header", f"{name}.xml") for name in ("header1", "header2", "footer1", "first")}
    section = (
        '<w:sectPr><w:headerReference w:type="default" r:id="{}"/><w:footerReference w:type="default" r:id="footer1"/>'
        '<w:headerReference w:type="first" r:id="first"/></w:sectPr>'
    )
    body = paragraph("One", properties=section.format("header1")) + paragraph("Two") + section.format("header2")
    assert text_of(body, parts=parts, relations=relations) == "Guild of Weavers\n\nSecret\n\nOne\n\nTwo\n\nRule 7"


def test_comments_are_left_out() -> None:
    comments = part("w:comments", f'<w:comment w:id="1">{paragraph("Really?")}</w:comment>')
    body = paragraph('<w:commentRangeStart w:id="1"/>', "Yes", '<w:r><w:commentReference w:id="1"/></w:r>')
    assert text_of(body, parts={"c.xml": comments}, relations={"a": ("comments", "c.xml")}) == "Yes"


# Lists


def numbered(text: str, number_id: int, level: int = 0) -> str:
    return paragraph(text, properties=f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{number_id}"/></w:numPr>')


def level(index: int, format: str, text: str, more: str = "") -> str:
    shown = f'<w:numFmt w:val="{format}"/>{more}<w:lvlText w:val="{text}"/>'
    return f'<w:lvl w:ilvl="{index}"><w:start w:val="1"/>{shown}</w:lvl>'


def test_labels_of_lists_are_those_that_word_shows() -> None:
    numbering = part(
        "w:numbering",
        f'<w:abstractNum w:abstractNumId="7">{level(0, "decimal", "%1.")}{level(1, "lowerLetter", "%2)")}'
        f"{level(2, 'upperRoman', '%1.%3')}</w:abstractNum>"
        f'<w:abstractNum w:abstractNumId="8">{level(0, "bullet", chr(0xF0B7))}</w:abstractNum>'
        + "".join(f'<w:num w:numId="{n}"><w:abstractNumId w:val="{a}"/></w:num>' for n, a in ((1, 7), (2, 8), (4, 7)))
        + '<w:num w:numId="3"><w:abstractNumId w:val="7"/><w:lvlOverride w:ilvl="0"><w:startOverride w:val="5"/>'
        "</w:lvlOverride></w:num>",
    )
    body = (
        numbered("a", 1) + numbered("b", 1, 1) + numbered("c", 1, 1) + numbered("d", 1) + numbered("e", 1, 1)
        + numbered("f", 1, 2) + numbered("g", 4) + numbered("h", 3) + numbered("i", 2) + numbered("j", 0)
        + numbered("k", 99) + numbered("", 3) + numbered("l", 3)
    )  # fmt: skip
    text = text_of(body, parts={"n.xml": numbering}, relations={"a": ("numbering", "n.xml")})
    assert text.split("\n\n") == [
        "1. a", "a) b", "b) c", "2. d", "a) e", "2.I f", "3. g", "5. h", "- i", "j", "k", "7. l",
    ]  # fmt: skip


def test_headings_have_their_numbers() -> None:
    styles = part(
        "w:styles",
        "".join(
            f'<w:style w:type="paragraph" w:styleId="H{n}"><w:name w:val="heading {n}"/>'
            '<w:pPr><w:numPr><w:numId w:val="1"/></w:numPr></w:pPr></w:style>'
            for n in (1, 2)
        ),
    )
    levels = level(0, "decimal", "%1", '<w:pStyle w:val="H1"/>') + level(
        1, "decimal", "%1.%2", '<w:pStyle w:val="H2"/>'
    )
    numbering = part(
        "w:numbering",
        f'<w:abstractNum w:abstractNumId="0">{levels}</w:abstractNum>'
        '<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num>',
    )
    body = "".join(
        paragraph(text, properties=f'<w:pStyle w:val="H{n}"/>') for text, n in (("A", 1), ("B", 2), ("C", 2))
    )
    document = read_docx(
        word_file(
            body,
            parts={"s.xml": styles, "n.xml": numbering},
            relations={"a": ("styles", "s.xml"), "b": ("numbering", "n.xml")},
        )
    )
    assert [(heading.level, heading.title) for heading in document.headings] == [(1, "1 A"), (2, "1.1 B"), (2, "1.2 C")]


# Tables


def test_merged_cells_do_not_shift_the_columns() -> None:
    begin, goes_on = '<w:vMerge w:val="restart"/>', "<w:vMerge/>"
    rows = (
        row("Region", "Town", "People"),
        row(cell("North", properties=begin), "Hollin", "80"),
        row(cell("", properties=goes_on), "Brekke", "340"),
        row(cell("All", properties='<w:gridSpan w:val="2"/>'), "420"),
        row("Sennen", "12", properties='<w:gridBefore w:val="1"/>'),
    )
    assert text_of(table(*rows)).split("\n") == [
        "Region | Town | People", "North | Hollin | 80", "North | Brekke | 340", "All |  | 420", " | Sennen | 12",
    ]  # fmt: skip


CAPTION = part("w:styles", '<w:style w:type="paragraph" w:styleId="Cap"><w:name w:val="caption"/></w:style>')


def with_captions(body: str) -> Document:
    return read_docx(word_file(body, parts={"s.xml": CAPTION}, relations={"a": ("styles", "s.xml")}))


def caption(text: str) -> str:
    return paragraph(text, properties='<w:pStyle w:val="Cap"/>')


def test_tables_have_their_header_rows_and_captions() -> None:
    mark = "<w:tblHeader/>"
    first = table(
        row("Ship", properties=mark), row("Name", "Crew", properties=mark), row("Argo", "50"), row("Ran", "9")
    )
    second = table(row("Day", "Tide"), row("1", "low"))
    document = with_captions(caption("Table 1: Ships") + first + paragraph("Text.") + caption("Table 2") + second)
    assert table_parts(document) == [
        ("Table 1: Ships\nShip\nName | Crew", "Argo | 50\nRan | 9"),
        ("Table 2\nDay | Tide", "1 | low"),
    ]
    below = with_captions(first + caption("Table 1: Ships") + second + caption("Table 2"))
    assert [header.split("\n")[0] for header, _ in table_parts(below)] == ["Table 1: Ships", "Table 2"]
    assert table_parts(with_captions(table(row("only", "row")))) == []


def test_tables_that_arrange_texts_are_read_as_their_texts() -> None:
    heading = paragraph("Head", properties='<w:outlineLvl w:val="0"/>')
    document = read_docx(word_file(table(row(cell(heading + paragraph("Text."))))))
    assert (document.text, [found.title for found in document.headings]) == ("Head\n\nText.", ["Head"])
    nested = table(row("x", "y"), row("1", "2"))
    document = read_docx(word_file(table(row("left", cell(nested + paragraph("after"))))))
    assert document.text == "left\n\nx | y\n1 | 2\n\nafter"
    assert table_parts(document) == [("x | y", "1 | 2")]


# Drawings


def drawing(content: str, *, properties: str = "") -> str:
    return (
        f"<w:r><w:drawing><wp:inline><wp:docPr {properties}/><a:graphic><a:graphicData>{content}</a:graphicData>"
        "</a:graphic></wp:inline></w:drawing></w:r>"
    )


def test_text_boxes_are_read_once_behind_their_paragraph() -> None:
    box = f"<w:txbxContent>{paragraph('In a box.')}{table(row('a', 'b'), row('c', 'd'))}</w:txbxContent>"
    choice = drawing(f"<wps:wsp><wps:txbx>{box}</wps:txbx></wps:wsp>", properties='descr="A frame"')
    older = f"<w:pict><v:shape><v:textbox>{box}</v:textbox></v:shape></w:pict>"
    both = f'<mc:Choice Requires="wps">{choice}</mc:Choice><mc:Fallback>{older}</mc:Fallback>'
    both = f"<w:r><mc:AlternateContent>{both}</mc:AlternateContent></w:r>"
    expected = "Before. After.\n\nIn a box.\n\na | b\nc | d"
    assert text_of(paragraph("Before. ", both, "After.")) == expected
    assert text_of(paragraph("Before. ", f"<w:r>{older}</w:r>", "After.")) == expected
    unknown = both.replace('Requires="wps"', 'xmlns:z="urn:z" Requires="z"').replace("In a box", "New", 1)
    assert text_of(paragraph("Before. ", unknown, "After.")) == expected


def test_words_of_drawings() -> None:
    chart = part(
        "c:chartSpace",
        "<c:chart><c:title><c:tx><c:rich><a:p><a:r><a:t>Catch of </a:t></a:r><a:r><a:t>eels</a:t></a:r></a:p></c:rich>"
        "</c:tx></c:title><c:plotArea><c:barChart><c:ser><c:tx><c:v>Nets</c:v></c:tx>"
        "<c:cat><c:pt><c:v>May</c:v></c:pt><c:pt><c:v>June</c:v></c:pt></c:cat>"
        "<c:val><c:pt><c:v>17</c:v></c:pt></c:val></c:ser></c:barChart></c:plotArea><c:legend/></c:chart>",
    )
    points = "".join(f"<dgm:pt>{more}<dgm:t><a:p><a:r><a:t>{text}</a:t></a:r></a:p></dgm:t></dgm:pt>"
                     for text, more in (("Plan", ""), ("[Text]", '<dgm:prSet phldr="1"/>')))  # fmt: skip
    parts = {"chart.xml": chart, "data.xml": part("dgm:dataModel", f"<dgm:ptLst>{points}</dgm:ptLst>")}
    body = paragraph(
        drawing('<c:chart r:id="c"/>'), drawing('<dgm:relIds r:dm="d"/>'),
        drawing("", properties='descr="A map\n of it"'),
        drawing("", properties='descr="image1.png"'), drawing("", properties='descr="Out" hidden="1"'),
        '<w:r><w:pict><v:shape alt="An oar"/></w:pict></w:r>',
        '<w:r><w:pict><v:shape><v:textpath string="DRAFT"/></v:shape></w:pict></w:r>',
        '<w:r><w:object><v:shape/><o:OLEObject/></w:object></w:r>',
        drawing("", properties='descr="Unseen"').replace("<w:r>", "<w:r><w:rPr><w:vanish/></w:rPr>"),
    )  # fmt: skip
    relations = {"c": ("chart", "chart.xml"), "d": ("diagramData", "data.xml"), "x": ("chart", "none.xml")}
    document = read_docx(word_file(body + paragraph(drawing('<c:chart r:id="x"/>')), parts=parts, relations=relations))
    assert document.text.split("\n\n") == [
        "Catch of eels",
        "Nets",
        "May | June",
        "Plan",
        "A map of it",
        "An oar",
        "DRAFT",
    ]
    assert document.omissions == ("a chart", "1 embedded object")
    shown = chart.replace("<c:cat>", '<c:dLbls><c:showVal c:val="1" val="1"/></c:dLbls><c:cat>')
    assert "17" in text_of(body, parts={**parts, "chart.xml": shown}, relations=relations)


# Imported parts


def test_imported_parts_are_read_with_their_own_readers() -> None:
    inner = word_file(paragraph("Deep", properties='<w:outlineLvl w:val="1"/>') + table(row("a", "b"), row("c", "d")))
    head = b'MIME-Version: 1.0\nContent-Type: multipart/related; boundary="x"\n\n'
    mail = head + b"--x\nContent-Type: text/html\n\n<p>Mailed.\n--x--\n"
    parts = {
        "a.html": "<h1>Hives</h1><p>Honey.",
        "b.txt": "Plain.",
        "c.docx": inner,
        "d.mht": mail,
        "e.rtf": r"{\rtf1 Rich.}",
        "f.bin": "x",
    }
    chunks = "".join(f'<w:altChunk r:id="{name[0]}"/>' for name in parts)
    relations = {name[0]: ("aFChunk", name) for name in parts}
    document = read_docx(word_file(paragraph("Begin.") + chunks + chunks, parts=parts, relations=relations))
    assert document.text == "Begin.\n\nHives\n\nHoney.\n\nPlain.\n\nDeep\n\na | b\nc | d\n\nMailed.\n\nRich."
    assert [document.text[heading.offset :][:4] for heading in document.headings] == ["Hive", "Deep"]
    assert table_parts(document) == [("a | b", "c | d")]
    assert document.omissions == ("imported content",)


def test_the_declared_type_of_an_imported_part_counts() -> None:
    body, relations = '<w:altChunk r:id="a"/>', {"a": ("aFChunk", "chunk.dat")}
    options = {"parts": {"chunk.dat": "<p>Hives &amp; bees"}, "relations": relations, "types": {"dat": "text/html"}}
    assert text_of(body, **options) == "Hives & bees"


def test_imports_that_cannot_be_read_are_named() -> None:
    chunks = "".join(f'<w:altChunk r:id="{key}"/>' for key in "abcd")
    relations = {"a": ("aFChunk", "document.xml"), "b": ("aFChunk", "gone.html"), "c": ("aFChunk", "x.docx")}
    document = read_docx(word_file(paragraph("Begin.") + chunks, parts={"x.docx": b"PK"}, relations=relations))
    assert document.text == "Begin."
    assert document.omissions == ("imported content",)


def test_documents_imported_into_each_other_are_read_to_a_limit() -> None:
    content = word_file(paragraph("Level 0."))
    for depth in range(1, 8):
        content = word_file(
            paragraph(f"Level {depth}.") + '<w:altChunk r:id="a"/>',
            parts={"x.docx": content},
            relations={"a": ("aFChunk", "x.docx")},
        )
    document = read_docx(content)
    assert document.text.split("\n\n") == ["Level 7.", "Level 6.", "Level 5.", "Level 4."]
    assert document.omissions == ("imported content",)


# Hostile files


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ("<w:sdt><w:sdtContent>", "</w:sdtContent></w:sdt>"),
        ("<w:tbl><w:tr><w:tc>", "</w:tc></w:tr></w:tbl>"),
        ("<w:p><w:r><w:pict><w:txbxContent>", "</w:txbxContent></w:pict></w:r></w:p>"),
    ],
)
def test_deep_nesting_is_read(opening: str, closing: str) -> None:
    depth = 245 // opening.count("<")
    assert text_of(opening * depth + paragraph("Deep.") + closing * depth) == "Deep."


def test_deep_equations_are_read() -> None:
    deep = "<m:f><m:num>" * 120 + "<m:r><m:t>x</m:t></m:r>" + "</m:num></m:f>" * 120
    assert "x" in text_of(paragraph(f"<m:oMath>{deep}</m:oMath>"))


def test_numbers_of_any_size_take_no_time() -> None:
    numbering = part(
        "w:numbering",
        '<w:abstractNum w:abstractNumId="0"><w:lvl w:ilvl="0"><w:start w:val="999999999"/>'
        '<w:numFmt w:val="lowerLetter"/><w:lvlText w:val="%1)"/></w:lvl>'
        '<w:lvl w:ilvl="999999999"><w:lvlText w:val="%1"/></w:lvl></w:abstractNum>'
        '<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num>',
    )
    body = numbered("a", 1) + numbered("b", 1, 999999999) + table(
        row(
            cell("x", properties='<w:gridSpan w:val="999999999"/>'), "y",
            properties='<w:gridBefore w:val="999999999"/>',
        )
    )  # fmt: skip
    text = text_of(body, parts={"n.xml": numbering}, relations={"a": ("numbering", "n.xml")})
    assert text.startswith("999999999) a\n\nb\n\n") and len(text) < 1000
