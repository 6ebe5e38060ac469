"""Mutated files of every format give a document or a reason, never a crash. ECHO_INDEX_SOAK=1 runs many more."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

import opendocument_files as odf
import powerpoint_files as slides
import pytest
from compressed_rtf import compress
from epub_files import encryption, epub_file, navigation
from example_documents import MARKDOWN, PAGE, PYTHON, RST, pdf_file
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from outlook_files import EightBit, mail_storage, msg_file
from repository import SOAK
from sheet_files import ods_cell, ods_file, xls_file, xlsb_file, xlsx_file
from word_files import cell, paragraph, part, row, run, table, word_file

from echo_index.errors import DocumentError
from echo_index.indexer.documents.document import Document
from echo_index.indexer.sandbox.document_reader import DocumentReader, ReadingLimits

EXAMPLES = 10_000 if SOAK else 150
MAX_BYTES = 30_000  # of a mutated file
# Mutates the XML within an archive: mutations of the archive rarely reach it.
INSIDE = {
    "-inside.docx": "word/document.xml",
    "-inside.pptx": "ppt/slides/slide1.xml",
    "-inside.epub": "OEBPS/book.opf",
    "-inside.odt": "content.xml",
    "-inside.xlsx": "xl/styles.xml",
}


def _suffix(inside: str) -> str:
    return inside.removeprefix("-inside")


def _word_file() -> bytes:
    """Return a file with something of each kind that the reader treats in its own way."""
    number = '<w:numPr><w:ilvl w:val="1"/><w:numId w:val="1"/></w:numPr>'
    mark = '<w:r><w:fldChar w:fldCharType="{}"/></w:r>'
    box = f"<w:r><w:pict><w:txbxContent>{paragraph('In a box.')}</w:txbxContent></w:pict></w:r>"
    levels = "".join(f'<w:lvl w:ilvl="{n}"><w:start w:val="1"/><w:lvlText w:val="%1.%2"/></w:lvl>' for n in (0, 1))
    return word_file(
        paragraph("Chapter", properties='<w:outlineLvl w:val="0"/>')
        + paragraph("Text", '<w:r><w:footnoteReference w:id="1"/></w:r>', "<m:oMath><m:f><m:num><m:r><m:t>1</m:t></m:r>"
                    "</m:num></m:f></m:oMath>", run("2", properties='<w:vertAlign w:val="superscript"/>'), box)
        + paragraph(mark.format("begin"), "<w:r><w:instrText>DATE</w:instrText></w:r>", mark.format("separate"), "May",
                    mark.format("end"), '<w:r><w:sym w:font="Symbol" w:char="F061"/></w:r>', properties=number)
        + table(row("a", cell("b", properties='<w:gridSpan w:val="2"/><w:vMerge w:val="restart"/>')),
                row("c", cell("d", properties="<w:vMerge/>"), "e"))
        + '<w:altChunk r:id="c"/><w:sectPr><w:headerReference w:type="default" r:id="d"/></w:sectPr>',
        parts={
            "n.xml": part("w:numbering", f'<w:abstractNum w:abstractNumId="1">{levels}</w:abstractNum>'
                          '<w:num w:numId="1"><w:abstractNumId w:val="1"/></w:num>'),
            "f.xml": part("w:footnotes", f'<w:footnote w:id="1">{paragraph("A note.")}</w:footnote>'),
            "c.html": "<h2>Imported</h2><table><tr><td>x<td>y</table>",
            "h.xml": part("w:hdr", paragraph("A header")),
        },
        relations={
            "a": ("numbering", "n.xml"), "b": ("footnotes", "f.xml"), "c": ("aFChunk", "c.html"),
            "d": ("header", "h.xml"),
        },
    )  # fmt: skip


def _powerpoint_file() -> bytes:
    number = '<a:buAutoNum type="romanUcPeriod"/>'
    return slides.powerpoint_file(
        slides.title("Fleet")
        + slides.shape(
            slides.paragraph("Ten", slides.run("14", attributes='baseline="30000"'), properties=number), at=(5, 9)
        )
        + slides.table(slides.row("a", slides.cell("b", attributes='rowSpan="2"')), slides.row("c", "")),
        slides.Slide(
            slides.group(slides.picture('descr="A brig"'), at=(1, 2)) + slides.frame('<c:chart r:id="a"/>'),
            relations={"a": ("chart", "../charts/c.xml"), "n": ("notesSlide", "../notesSlides/n.xml")},
        ),
        parts={
            "charts/c.xml": slides.part("c:chartSpace", f"<c:title>{slides.paragraph('Catch')}</c:title>"),
            "notesSlides/n.xml": slides.slide_part(slides.shape("Wait.", placeholder='type="body"'), root="p:notes"),
        },
    )


def _text_file() -> bytes:
    items = "".join(f"<text:list-item><text:p>{word}</text:p></text:list-item>" for word in ("one", "two"))
    note = "<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>n</text:p></text:note-body>"
    spanned = odf.cell("a", 'table:number-rows-spanned="2"')
    rows = odf.row(spanned, "b") + odf.row(
        "<table:covered-table-cell/>", odf.cell("c", 'table:number-columns-repeated="2"')
    )
    return odf.opendocument(
        '<text:h text:outline-level="1">Quay</text:h>'
        f'<text:p>x<text:s text:c="3"/><text:span text:style-name="up">2</text:span>{note}</text:note></text:p>'
        f'<text:list text:style-name="L">{items}</text:list><table:table>{rows}</table:table>',
        styles=odf.text_style("up", 'style:text-position="super 58%"') + odf.list_style("L", "1.", "-"),
    )


_MAIL = (
    b"From: =?utf-8?Q?J=C3=B6rg?= <j@example.org>\nSubject: =?utf-8?B?w7Y=?=\n"
    b"Content-Type: multipart/mixed; boundary=b\n\n"
    b"--b\nContent-Type: multipart/alternative; boundary=c\n\n--c\nContent-Type: text/plain; format=flowed\n\n> One \n"
    b"> two.\n\n--c\nContent-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n<p>=C3=B6</p>\n--c--\n"
    b"--b\nContent-Type: text/markdown\nContent-Disposition: attachment; filename*=utf-8''%C3%B6.md\n"
    b"Content-Transfer-Encoding: base64\n\nIyBPbmUKClR3by4K\n--b\nContent-Type: message/rfc822\n\n"
    b"Subject: Two\n\nThree.\n-----BEGIN PGP MESSAGE-----\n\nabc\n-----END PGP MESSAGE-----\n--b--\n"
)


def _outlook_file() -> bytes:
    inner = mail_storage({0x0037: EightBit(b"Gr\xf6\xdfe"), 0x1009: compress(_RTF)}, attachments=[{0x3701: b"x"}])
    return msg_file(
        {
            0x0037: "Lamp",
            0x0042: "Ann",
            0x1013: b"<p>Page",
            0x3FFD: 1252,
            0x0039: datetime(2024, 6, 12, tzinfo=timezone.utc),
        },
        recipients=[{0x0C15: 1, 0x3001: "Bob", 0x39FE: "b@example.org"}],
        attachments=[{0x3707: "a.md", 0x3701: b"# One"}, {0x3701: inner, 0x3705: 5}],
    )


_RTF = (
    rb"{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0\fcharset128 A;}{\f1\fcharset2 Symbol;}}{\info{\title T}}"
    rb"{\stylesheet{\s1\sbasedon2 heading 1;}{\s2\sbasedon1\outlinelevel1 x;}}{\header h\chpgn}\pard\s1 One\par"
    rb"\pard\plain "
    rb"{\listtext\f1\'b7\tab}\u26085?\'93\'fa{\super\chftn}{\footnote\ftnalt\pard n}{\v x}{\super 2}\par"
    rb"{\field{\*\fldinst SYMBOL 97 \\f Symbol}{\fldrslt}}"
    rb"{\shp{\*\shpinst{\sp{\sn wzDescription}{\sv d}}{\shptxt b\par}}}"
    rb"\trowd\trhdr\clvmgf\cellx9\cellx99\pard\intbl a\cell"
    rb"{\pard\itap2 i\nestcell{\*\nesttableprops\trowd\cellx5\nestrow}}"
    rb"\pard\intbl b{\mmath{\*\moMath{\mf{\mnum{\mr 1}}{\mden{\mr 2}}}}}"
    rb"\cell\row\trowd\clvmrg\cellx9\cellx99\pard\intbl\cell c\cell\row{\object\objemb{\pict 01}}}"
)
_NOTEBOOK = (
    b'{"cells": [{"cell_type": "markdown", "source": ["# One\\n", "two | <b>three</b>"]}, '
    b'{"cell_type": "code", "source": "x", "outputs": [{"output_type": "stream", "text": "\\u001b[31ma\\rb"}, '
    b'{"output_type": "display_data", "data": '
    b'{"text/html": "<p>c", "text/plain": "<x at 0x1>"}}, '
    b'{"output_type": "error", "traceback": ["d"]}]}], "nbformat": 4}'
)
ROWS = [["Ship", "Crew"], ["Viking", 151.5], ["Odin", "x|y"]]
SEEDS = {
    ".txt": "Größe, zwei\r\nZeilen.\n".encode("cp1252"),
    ".md": MARKDOWN.encode(),
    ".rst": RST.encode(),
    ".html": PAGE.encode(),
    ".py": PYTHON.encode(),
    ".json": '{"name": ["wide", 1.5]}'.encode("utf-16"),
    ".yaml": b"servers:\n  - name: db1\n    host: &a x\n  - {host: *a}\n---\na:\n  b:\n    c: |\n      d\n",
    ".toml": b'[servers.db1]\na = """\n[x]\n"""\nb = [\n  [1]\n]\n[[items]]\nname = "c"\n',
    ".xml": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY e "x">]><a xmlns:b="c">\n<b:c id="1">\n'
    b"<title>T &amp; <e>u</e></title><d><![CDATA[<x>]]></d>\n</b:c><!-- y -->\n"
    b"<c k='2'>\n<key>z</key><d>\n<name>n</name><f/></d>t</c>\n<g/></a>",
    ".ts": b"// a\n@dec\nexport class A<T> {\n  /** b */\n  f(x: number) {\n    return `${x}`;\n  }\n}\n"
    b"const g = () => {\n};\n",
    ".pdf": pdf_file(["One\nFirst", "Two"], title="A title", outline=[("First", 0), ("Two", 1)]),
    ".docx": _word_file(),
    ".pptx": _powerpoint_file(),
    ".epub": epub_file(
        {"a": "<h1>One</h1><p>Calm.</p><h2>Two</h2><p>Storm.</p>", "b": "<p>After.</p>"},
        nav=navigation(("a.xhtml#x", "One"), ("a.xhtml#y", "Two"), ("b.xhtml", "Three")),
        members=encryption("OEBPS/font.otf"),
    ),
    ".odt": _text_file(),
    ".fodp": odf.flat_opendocument(
        odf.slide(odf.box("Tides", kind="title"), odf.box("High.", at=(1, 2)), notes="Wait.") + odf.slide(),
        kind="presentation",
    ),
    ".rtf": _RTF,
    ".eml": _MAIL,
    ".msg": _outlook_file(),
    ".mbox": b"From a@b Wed Jun 12 10:01:02 2024\n" + _MAIL + b"\nFrom - Wed Jun 12 10:01:02 2024\n" + _MAIL,
    ".ipynb": _NOTEBOOK,
    ".srt": b"1\n00:00:01,000 --> 00:00:02,000\n<i>One</i> lamp.\n\n2\n00:00:02,000 --> 00:00:09,000\nOne lamp.\n- Two",
    ".vtt": b"WEBVTT\n\nNOTE x\n\n00:01.000 --> 00:02.000\n<v Ann>One &amp; <c.x>two.\n\n00:02.000 --> 00:03.000\nOne",
    ".xlsx": xlsx_file(
        {"One": ROWS, "Two": ROWS},
        merged=["A2:A3"],
        formats={"B2": '[<9]0.0%;#,##0.00\\ "x"', "B1": "##0.0E+0"},
        notes={"B2": "Counted twice"},
        chart="Crews",
    ),
    ".xls": xls_file(ROWS),
    ".xlsb": xlsb_file(ROWS),
    ".ods": ods_file(f"<table:table-row>{ods_cell('a')}{ods_cell('b')}</table:table-row>" * 3),
    ".csv": b'Ship;Crew\nViking;151\n"a\nb";"90"\n\n"x;1\n',
    ".tsv": b"Ship\tCrew\nViking\t151\nOdin\t90\n",
}

for _inside, _part in INSIDE.items():
    with zipfile.ZipFile(io.BytesIO(SEEDS[_suffix(_inside)])) as archive:
        SEEDS[_inside] = archive.read(_part)

Mutation = Callable[[bytes], bytes]


def _flipped(place: float, bit: int) -> Mutation:
    def mutate(content: bytes) -> bytes:
        at = int(place * len(content))
        return content[:at] + bytes(byte ^ (1 << bit) for byte in content[at : at + 1]) + content[at + 1 :]

    return mutate


def _cut(place: float) -> Mutation:
    return lambda content: content[: int(place * len(content))]


def _doubled(place: float, share: float, times: int) -> Mutation:
    def mutate(content: bytes) -> bytes:
        at, length = int(place * len(content)), int(share * share * len(content))
        return content[:at] + content[at : at + length] * times + content[at + length :]

    return mutate


def _spliced(place: float, other: str, start: float, share: float) -> Mutation:
    """Overwrite a part of the file with as many bytes of a file of any format."""

    def mutate(content: bytes) -> bytes:
        begin, at = int(start * len(SEEDS[other])), int(place * len(content))
        part = SEEDS[other][begin : begin + int(share * len(SEEDS[other]))]
        return content[:at] + part + content[at + len(part) :]

    return mutate


def _inserted(place: float, piece: bytes) -> Mutation:
    return lambda content: content[: int(place * len(content))] + piece + content[int(place * len(content)) :]


PLACE = st.floats(min_value=0, max_value=1)
PIECES = st.one_of(
    st.binary(max_size=12),
    st.sampled_from(
        [b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"-1", b"9" * 11, b"<<", b"[", b"<h1>", b"\n# ", b"&#0;", b"\n==\n"]
    ),
)
MUTATIONS = st.lists(
    st.one_of(
        st.builds(_flipped, PLACE, st.integers(0, 7)),
        st.builds(_cut, PLACE),
        st.builds(_doubled, PLACE, PLACE, st.integers(2, 40)),
        st.builds(_spliced, PLACE, st.sampled_from([*SEEDS]), PLACE, PLACE),
        st.builds(_inserted, PLACE, PIECES),
    ),
    min_size=1,
    max_size=8,
)  # fmt: skip


@pytest.fixture(scope="module")
def reader() -> Iterator[DocumentReader]:
    with DocumentReader(ReadingLimits(seconds=20, memory_bytes=2**30)) as reader:
        yield reader


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.mark.parametrize("suffix", SEEDS)
def test_the_seeds_are_read(folder: Path, reader: DocumentReader, suffix: str) -> None:
    document = reader.read(_write(folder, suffix, SEEDS[suffix])).document
    assert document
    check(document)


@pytest.mark.parametrize("suffix", SEEDS)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=not SOAK,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(mutations=MUTATIONS)
def test_mutated_files_are_read_or_rejected(
    folder: Path, reader: DocumentReader, suffix: str, mutations: list[Mutation]
) -> None:
    content = SEEDS[suffix]
    for mutate in mutations:
        content = mutate(content)[:MAX_BYTES]
    read = reader.read(_write(folder, suffix, content))
    assert read.hash
    assert (read.document is None) == (read.failure is not None)
    if read.document:
        check(read.document)
    if read.failure:
        assert isinstance(read.failure, DocumentError)
        assert read.failure.message.endswith(".")
        assert "crashed" not in read.failure.message
        assert str(folder) not in read.failure.message


def check(document: Document) -> None:
    """Assert that all offsets are within the text and in ascending order."""
    length = len(document.text)
    assert document.text.strip()
    assert document.text.encode()
    assert document.title
    headings = [heading.offset for heading in document.headings]
    places = [place.offset for place in document.places]
    for offsets in (headings, list(document.pages), places):
        assert offsets == sorted(offsets)
        assert all(0 <= offset <= length for offset in offsets)
    edges = [offset for table in document.tables for offset in (table.start, table.end)]
    assert edges == sorted(edges)
    assert all(0 <= offset <= length for offset in edges)
    assert all(heading.title and heading.level >= 0 for heading in document.headings)


def _write(folder: Path, suffix: str, content: bytes) -> Path:
    path = folder / f"a{suffix}"
    path.write_bytes(_repack(content, suffix) if suffix in INSIDE else content)
    return path


def _repack(content: bytes, inside: str) -> bytes:
    """Return the archive with one part replaced."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(SEEDS[_suffix(inside)])) as archive, zipfile.ZipFile(file, "w") as repacked:
        for name in archive.namelist():
            repacked.writestr(name, content if name == INSIDE[inside] else archive.read(name))
    return file.getvalue()
