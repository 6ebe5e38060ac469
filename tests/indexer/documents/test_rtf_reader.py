"""Documents in Rich Text Format are read as a person sees them in a word processor."""

from __future__ import annotations

from pathlib import Path

import pytest

from echo_index.errors import DocumentError
from echo_index.indexer.documents.document import Document
from echo_index.indexer.documents.formats import parse_document

FONTS = (
    rb"{\fonttbl{\f0\fswiss\fcharset0 Arial;}{\f1\froman\fcharset204{\*\panose 0202}Times New Roman{\*\falt Tms};}"
    rb"{\f2\fmodern\fcharset128 \'82\'6c\'82\'72;}{\f3\fnil\fcharset2 Symbol;}{\f4\fnil\fcharset238 Arial CE;}}"
)
STYLES = (
    rb"{\stylesheet{\ql \snext0 Normal;}{\s1\outlinelevel0 heading 1;}{\s2 \sbasedon1 Chapter;}{\s3 Title;}"
    rb"{\s4\outlinelevel1 \'dcberschrift;}{\s5 caption;}{\*\cs10 \additive Default Font;}}"
)
NOTE = rb"{\super\chftn}{\footnote%s\pard\plain {\super\chftn} %s}"


def rtf(body: bytes, head: bytes = FONTS + STYLES) -> bytes:
    return rb"{\rtf1\ansi\ansicpg1252\deff0" + head + b"\n" + body + b"}"


def read(content: bytes) -> Document:
    return parse_document(content, Path("a.rtf"))


def text(body: bytes, head: bytes = FONTS + STYLES) -> str:
    return read(rtf(body, head)).text


def row(*cells: bytes, formats: bytes = b"", edges: tuple[int, ...] = ()) -> bytes:
    described = b"".join(rb"\cellx%d" % edge for edge in edges or range(1000, 1000 * len(cells) + 1, 1000))
    inside = b"".join(rb"\pard\intbl %s\cell" % cell + b"\n" for cell in cells)
    return rb"\trowd" + (formats or described) + inside + rb"{\trowd" + (formats or described) + rb"\row}"


@pytest.mark.parametrize(
    ("body", "seen"),
    [
        (rb"Gr\'f6\'dfe {\f4\'e8}", "Größe č"),
        (rb"\f1 \'cf\'f0\'e8\'e2\'e5\'f2 {\f0\'e9} \'e8\plain\'e9", "Привет é иé"),
        (rb"\f2\'93\'fa\'96\'7b \'83A", "日本 ア"),
        (rb"\uc1\u26085?\u26412\'3f{\uc2\u35486\'8c\'ea}\u-255?!", "日本語！!"),
        (rb"\uc0 \u55357\uc1 \u56832\'3f and \u55349?\u56477?", "😀 and \U0001d49d"),
        (rb"a\~b\_c\-d\emdash e\endash\lquote f\rquote \ldblquote g\rdblquote\bullet\{\}\\", "a b-cd—e–‘f’“g”•{}\\"),
        (rb"{\f3 a\'b3\u-3999?}", "α≥α"),
        (rb"no{\v hidden}{\deleted deleted}{\revised new}{\v\plain w}", "noneww"),
        (rb"one{\v\par hidden}two{\deleted\par}three", "onetwothree"),
        (rb"10{\super 14} H{\sub 2}O 1{\super st} x{\up6 2}", "10^14 H2O 1st x^2"),
        (rb"one\line two\tab three", "one\ntwo\tthree"),
        (b"lines\r\n go \non\\\nnext", "lines go on\n\nnext"),
        (rb"kept{\*\unknown dropped{\b too}}{\xe index}{\*\bkmkstart b}{\b bold}", "keptbold"),
        (rb"kept{\pict\pngblip 89504e47}{\pict\bin5 }}}{{}", "kept"),
        (rb"kept{\b\*\cs7 too}", "kepttoo"),
        (rb"{\upr{\*\bkmkstart a}{\*\ud{\*\bkmkstart b}}}x{\*\annotation said}", "x"),
    ],
)  # fmt: skip
def test_characters_are_those_that_a_person_sees(body: bytes, seen: str) -> None:
    assert text(body) == seen


def test_the_code_page_is_that_of_the_font_else_of_the_document() -> None:
    assert read(rb"{\rtf1\ansi\ansicpg1250 \'e8}").text == "č"
    assert read(rb"{\rtf1\mac \'8e}").text == "é"
    assert read(rb"{\rtf1\ansi\ansicpg1251\deff0{\fonttbl{\f0\fnil Arial;}}\f0 \'cf}").text == "П"
    assert read(rb"{\rtf1\ansi\deff1{\fonttbl\f0\fcharset0 A;\f1\fcharset161 B;}\'e1}").text == "α"
    assert read(rb"{\rtf1\ansi\ansicpg932\deff0{\fonttbl{\f0\fcharset0 A;}}{\info{\title \'93\'fa}}x}").title == "日"


def test_headings_have_outline_levels_of_their_own_or_of_their_styles() -> None:
    document = read(
        rtf(
            rb"\pard\s3 On lamps\par\pard\plain\s1\outlinelevel0 Oil\par\pard\s2 Colza\par\pard\s4\b Unit\par"
            rb"\pard\outlinelevel2 Own\par\pard\s1\outlinelevel9 Body\par\pard Text\par"
        )
    )
    headings = [(each.level, each.title, document.text[each.offset :][: len(each.title)]) for each in document.headings]
    titles = [(0, "On lamps"), (1, "Oil"), (1, "Colza"), (2, "Unit"), (3, "Own")]
    assert headings == [(level, title, title) for level, title in titles]
    assert (document.title, document.format) == ("On lamps", "rtf")
    assert document.text.endswith("Own\n\nBody\n\nText")


def test_the_title_is_that_of_the_information() -> None:
    document = read(rtf(rb"Text", rb"{\info{\upr{\title ?}{\*\ud{\title\u26085 ?}}}{\author Ann}{\creatim\yr2004}}"))
    assert (document.title, document.text) == ("日", "Text")


def test_lists_have_the_numbers_that_the_file_shows() -> None:
    assert text(
        rb"{\listtext\pard\plain\f3 \'b7\tab}\ls1 one\par{\listtext\f0 2)\tab}two\par"
        rb"{\pntext\f3\'a8\tab}{\*\pn\pnlvlblt{\pntxtb\'a8}}three\par{\listtext 1.2\tab}\par last"
    ) == "- one\n\n2) two\n\n- three\n\nlast"  # fmt: skip


def test_tables_have_a_line_for_each_row() -> None:
    document = read(
        rtf(
            rb"\pard\s5 Lamps\par"
            + row(b"Ship", rb"Lamp\par type")
            + row(b"Viking", rb"a\line b")
            + rb"\pard After\par"
        )
    )
    assert document.text == "Lamps\n\nShip | Lamp type\nViking | a b\n\nAfter"
    table = document.tables[0]
    assert table.header == "Lamps\nShip | Lamp type"
    assert document.text[table.start : table.end] == "Viking | a b"


def test_merged_cells_leave_each_text_in_its_column() -> None:
    wide = row(b"2020", edges=(1000,)).replace(rb"\cellx1000", rb"\cellx1000\cellx3005")
    wide = wide.replace(rb"\cell" + b"\n", rb"\cell\pard\intbl wide\cell")
    down = row(b"a", b"b", b"c", formats=rb"\clvmgf\cellx1000\cellx2000\cellx3000")
    on = row(b"", b"d", b"e", formats=rb"\clvmrg\cellx1000\cellx2000\cellx3000")
    flat = row(b"f", b"g", b"unseen", formats=rb"\cellx1000\clmgf\cellx2000\clmrg\cellx3000")
    assert text(wide + down + on + flat) == "2020 | wide | \na | b | c\na | d | e\nf | g | "


def test_rows_that_are_marked_are_the_header() -> None:
    rows = row(b"a", b"b").replace(rb"\trowd", rb"\trowd\trhdr") * 2 + row(b"c", b"d")
    assert read(rtf(rows)).tables[0].header == "a | b\na | b"


def test_nested_tables_are_tables_and_what_they_stand_in_is_none() -> None:
    inner = b"".join(
        rb"\pard\intbl\itap2 %s\nestcell %s\nestcell{\*\nesttableprops\trowd\cellx500\cellx900\nestrow}"
        rb"{\nonesttables no\par}" % cells
        for cells in ((b"w", b"x"), (b"y", b"z"))
    )
    outer = (
        rb"\trowd\cellx1000\cellx2000\pard\intbl Outer\cell" + inner + rb"\pard End\par more\cell\row\pard After\par"
    )
    document = read(rtf(outer + row(b"p", b"q") + row(b"r", b"s")))
    assert document.text == "Outer\n\nw | x\ny | z\n\nEnd\n\nmore\n\nAfter\n\np | q\nr | s"
    assert [each.header for each in document.tables] == ["w | x", "p | q"]


def test_cells_without_the_mark_of_a_table_are_cells() -> None:
    assert text(rb"\trowd\cellx1\cellx2 a\par b\cell c\cell\row\trowd\cellx1\cellx2 d\cell e\cell\row x") == (
        "a b | c\nd | e\n\nx"
    )


def test_notes_stand_behind_their_paragraph_with_their_marks() -> None:
    body = (
        rb"One" + NOTE % (b"", b"First.") + rb" two{\super *}{\footnote\pard{\super *} Own.}\par Three"
        + NOTE % (rb"\ftnalt", b"End.") + NOTE % (b"", rb"Second.\par More.") + rb"{\v" + NOTE % (b"", b"Hidden.")
        + rb"}\par" + row(b"a", b"b" + NOTE % (b"", b"In a table.")) + row(b"c", b"d")
    )  # fmt: skip
    assert text(body) == (
        "One[1] two[*]\n\n[1] First.\n\n[*] Own.\n\nThree[i][2]\n\n[i] End.\n\n[2] Second.\n\nMore.\n\n"
        "a | b[3]\nc | d\n\n[3] In a table."
    )
    assert text(rb"\ftnnalc\ftnstart3 One" + NOTE % (b"", b"First.")) == "One[c]\n\n[c] First."


@pytest.mark.parametrize(
    ("code", "result", "seen"),
    [
        (rb'{HYPERLINK {"https://example.org"}}', b"a link", "a link"),
        (rb"TOC {\field{\*\fldinst x}{\fldrslt 7}}", rb"one\tab{\field{\*\fldinst PAGEREF x}{\fldrslt 7}}", "one\t7"),
        (rb"SYMBOL 97 \\f Symbol \\s 12", b"", "α"),
        (rb"FORMCHECKBOX{\*\formfield{\fftype1\ffres25\ffdefres1}}", b"", "☒"),
        (rb"FORMCHECKBOX{\*\formfield{\fftype1\ffres0\ffdefres1}}", b"", "☐"),
        (rb"FORMDROPDOWN{\*\formfield{\fftype2\ffres1{\*\ffname x}{\*\ffl oil}{\*\ffl gas}}}", b"", "gas"),
        (rb'EQ \\* jc2 \\* "Font:Mincho" \\* hps10 \\o\\ad(\\s\\up 9(\uc0\u12363 ),\u28450 )', b"", "漢(か)"),
        (rb"PAGE", b"3", "3"),
    ],
)  # fmt: skip
def test_of_fields_the_results_are_read(code: bytes, result: bytes, seen: str) -> None:
    assert text(rb"<{\field{\*\fldinst " + code + rb"}{\fldrslt " + result + b"}}>") == f"<{seen}>"


def test_equations_are_written_on_one_line() -> None:
    run = rb"{\mr\mscr0{\rtlch\f1 %s}}"
    half = rb"{\mf{\mfPr{\mctrlPr no}}{\mnum" + run % b"a+b" + rb"}{\mden" + run % b"2" + rb"}}"
    root = rb"{\mrad{\mradPr{\mdegHide 1}}{\mdeg}{\me" + run % b"x" + rb"}}"
    total = rb"{\mnary{\mnaryPr{\mchr \u8721?}}{\msub" + run % b"i" + rb"}{\msup}{\me" + run % b"i" + rb"}}"
    body = rb"Is {\mmath{\*\moMathPara{\*\moMath " + half + run % b"=" + root + total + rb"}}{\mmathPict{\pict 01}}} so"
    assert text(body) == "Is (a+b)/2=√x∑_i i so"
    assert text(rb"{\v{\mmath{\*\moMath" + half + rb"}}}kept") == "kept"
    assert text(rb"{\mmath{\*\moMath" + rb"{\me" * 10_000 + run % b"x" + rb"}" * 10_002 + b"kept") == "kept"


def test_headers_and_footers_are_read_once_without_page_numbers() -> None:
    page = rb"Page {\field{\*\fldinst{ PAGE }}{\fldrslt 1}} of {\field{\*\fldinst NUMPAGES}{\fldrslt 9}}"
    body = (
        rb"\sectd{\header Lamps\tab "
        + page
        + rb"\par}{\footer Ann{\b  Co}\par\chpgn\par}{\headerl Left}{\headerf First}"
        rb"Text\par\sect\sectd{\header Lamps}{\headerf First}More"
    )
    assert text(body) == "Lamps\n\nText\n\nMore\n\nAnn Co"
    assert text(rb"\titlepg" + body) == "Lamps\n\nFirst\n\nText\n\nMore\n\nAnn Co"
    assert text(rb"\facingp" + body) == "Lamps\n\nLeft\n\nText\n\nMore\n\nAnn Co"


def test_text_boxes_and_alternative_texts_stand_behind_their_paragraph() -> None:
    shape = rb"{\shp{\*\shpinst\shpleft1{\sp{\sn %s}{\sv %s}}{\shptxt\pard In a box.\par}}{\shprslt{\*\do no}}}"
    picture = rb"{\*\shppict{\pict{\*\picprop{\sp{\sn wzDescription}{\sv %s}}}\pngblip 8950}}{\nonshppict{\pict 01}}"
    assert text(shape % (b"wzDescription", b"A brig") + rb"Text\par More") == "Text\n\nA brig\n\nIn a box.\n\nMore"
    assert text(shape % (b"fHidden", b"1") + rb"Text\par More") == "Text\n\nMore"
    assert text(picture % b"A lamp" + rb"Text\par" + picture % b"lamp.png") == "Text\n\nA lamp"
    assert text(rb"Text{\*\do\dptxbx{\dptxbxtext In a box.\par}}\par") == "Text\n\nIn a box."


def test_objects_without_text_are_named() -> None:
    thing = rb"{\object\objemb{\*\objclass Excel.Sheet}{\*\objdata 0105}{\result %s}}"
    document = read(rtf(b"Text" + thing % rb"{\pict 01}" * 2 + thing % b" shown"))
    assert (document.text, document.omissions) == ("Text shown", ("2 embedded objects",))


def test_the_document_ends_with_its_group_and_may_be_cut_off() -> None:
    assert read(rtf(rb"Text\par") + b"rest {\\b more}").text == "Text"
    cut = rtf(rb"One{\super\chftn}{\footnote\pard Note\par" + row(b"a", b"b"))
    assert read(cut[: cut.index(b"b" + rb"\cell") + 1]).text == "One[1]\n\n[1] Note\n\na\n\nb"


def test_what_does_not_begin_as_rtf_is_plain_text() -> None:
    assert read(b"\xef\xbb\xbf \r\n{\\rtf1 Text}").text == "Text"
    document = read(b"Only {\\b text}\n")
    assert (document.text, document.format) == ("Only {\\b text}\n", "text")
    with pytest.raises(DocumentError, match="binary"):
        read(b"\xd0\xcf\x11\xe0\0\0\0\0\0\1\2\3\4\5")


@pytest.mark.parametrize(
    ("body", "end"),
    [
        (b"{" * 100_000 + b"x" + b"}" * 100_000, "x"),
        (rb"{\footnote " * 20_000 + b"}" * 20_000 + b"x", "x"),
        (rb"{\field{\*\fldinst " * 10_000 + b"}" * 20_000 + b"x", "x"),
        (rb"{\shp{\*\shpinst" * 10_000 + b"}" * 20_000 + b"x", "x"),
        (b"".join(rb"\itap%d x\nestcell" % depth for depth in range(5_000)), "x"),
        (b"".join(rb"\trowd\cellx%d\intbl x\cell\row" % (100 * edge) for edge in range(5_000)), "x"),
        (rb"\u" + b"9" * 100_000 + rb"\bin" + b"9" * 100_000 + rb"x", "\ue3ff"),
        (rb"{\pict " + b"ab" * 1_000_000 + b"}x", "x"),
    ],
)
def test_hostile_documents_are_read_in_time(body: bytes, end: str) -> None:
    assert end in text(body, head=b"")


def test_too_many_nested_groups_are_an_error() -> None:
    with pytest.raises(DocumentError, match=r"^It is not a readable RTF: its groups are nested too deeply\.$"):
        read(rb"{\rtf1" + b"{" * 300_000)
