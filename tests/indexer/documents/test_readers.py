"""Each format, read from a real file: text, title, and the positions of headings, pages and lines."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docx
import pypdfium2
import pytest
from docx.enum.style import WD_STYLE_TYPE
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from example_documents import MARKDOWN, PAGE, PYTHON, RST, pdf_file
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from echo_index.errors import DocumentError
from echo_index.indexer.documents.decoding import decode, is_binary
from echo_index.indexer.documents.document import Document, Heading
from echo_index.indexer.documents.formats import FORMATS, read_document


def read(folder: Path, name: str, content: str | bytes) -> Document:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_document(path)


def outline(document: Document) -> list[tuple[int, str]]:
    return [(heading.level, heading.title) for heading in document.headings]


def heading_lines(document: Document) -> list[str]:
    return [document.text[heading.offset :].split("\n", 1)[0] for heading in document.headings]


# Positions in a document


def test_heading_path_contains_the_enclosing_headings() -> None:
    headings = tuple(Heading(level, title, offset) for level, title, offset in
                     [(1, "A", 10), (3, "A.x", 20), (2, "A.b", 30), (1, "B", 40)])  # fmt: skip
    document = Document(text="x" * 50, title="", format="markdown", headings=headings)
    assert [document.heading_path(offset) for offset in (0, 9, 10, 20, 29, 30, 40, 49)] == [
        (), (), ("A",), ("A", "A.x"), ("A", "A.x"), ("A", "A.b"), ("B",), ("B",),
    ]  # fmt: skip


def test_lines_and_pages_count_from_one() -> None:
    document = Document(text="a\n\nbc\n", title="", format="text", pages=(0, 3), has_lines=True)
    assert [document.line(offset) for offset in range(7)] == [1, 1, 2, 3, 3, 3, 4]
    assert [document.page(offset) for offset in range(7)] == [1, 1, 1, 2, 2, 2, 2]
    bare = Document(text="a", title="", format="html")
    assert bare.line(0) is None
    assert bare.page(0) is None


# Files and their encodings


def test_text_is_the_file_with_plain_line_ends(tmp_path: Path) -> None:
    document = read(tmp_path, "notes.TXT", "one\r\ntwo\rthree\x0cstill three\n")
    assert document.text == "one\ntwo\nthree\x0cstill three\n"
    assert (document.title, document.format, document.has_lines) == ("notes", "text", True)
    assert document.line(document.text.index("still")) == 3


def test_unknown_suffix_is_text(tmp_path: Path) -> None:
    assert read(tmp_path, "README.unheard-of", "hello").format == "text"
    assert read(tmp_path, "Makefile", "all:\n").title == "Makefile"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    text = "Die Größe der Äpfel überraschte alle Gärtner im schönen Köln, so hieß es früher."
    assert read(tmp_path, "a.txt", text.encode(encoding)).text == text


def test_binary_is_rejected_and_utf16_text_is_not(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"^It is a binary file\.$"):
        read(tmp_path, "a.md", b"# a\0b")
    assert is_binary(tmp_path / "a.md")
    read(tmp_path, "b.md", "# a".encode("utf-16"))
    assert not is_binary(tmp_path / "b.md")
    assert "\0" not in decode(b"x" * 8192 + b"\0y")


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.rst", "a.html", "a.py"])
def test_blank_is_empty(tmp_path: Path, name: str) -> None:
    for content in (b"", b" \n\t\n", b"\xef\xbb\xbf"):
        with pytest.raises(DocumentError, match=r"^It is empty\.$"):
            read(tmp_path, name, content)


def test_too_large_names_size_and_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"x" * 3 * 2**20)
    assert read_document(path, max_bytes=3 * 2**20).text
    with pytest.raises(DocumentError, match=r"3\.0 MB; the limit is 1\.0 MB"):
        read_document(path, max_bytes=2**20)


def test_an_error_says_why_a_file_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"^It cannot be read: no such file or directory\.$"):
        read_document(tmp_path / "gone.txt")
    with pytest.raises(DocumentError, match="It is not a file"):
        read_document(tmp_path)
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(DocumentError, match="It is not a file"):
        read_document(tmp_path / "pipe.txt")


def test_permission_denied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(path: Path, flags: int) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "a.txt").write_text("a")
    monkeypatch.setattr(os, "open", deny)
    with pytest.raises(DocumentError, match=r"^It cannot be read: permission denied\.$"):
        read_document(tmp_path / "a.txt")


# Markdown


def test_markdown(tmp_path: Path) -> None:
    document = read(tmp_path, "a.md", MARKDOWN)
    assert document.text == MARKDOWN
    assert document.title == 'The "real" title'
    assert outline(document) == [(1, "First code & more"), (2, "Second link"), (2, "Third")]
    assert heading_lines(document) == ["First `code` & *more*", "## Second [link](http://x) ##", "Third"]
    assert document.line(document.headings[0].offset) == 7
    assert document.heading_path(document.text.index("> # quoted")) == ("First code & more", "Second link")


@pytest.mark.parametrize(
    ("source", "title"),
    [
        ("## Small\n\n# Large\n", "Large"),
        ("## Small\n\n### Smaller\n", "Small"),
        ("no heading\n", "a"),
        ("---\ntitle: plain # comment\n---\n# H\n", "plain"),
        ("---\ntitle: 'it''s'\n...\n# H\n", "it's"),
        ("---\ntitle: >-\n  folded\n  twice\ntags: []\n---\n# H\n", "folded twice"),
        ("---\nother: x\n---\n# H\n", "H"),
        ("---\ntitle: 2024-01-10 # not a date\n---\n# H\n", "2024-01-10"),
        ("---\nname: &name Ann\ntitle: *name\nmeta:\n  title: inner\n---\n# H\n", "Ann"),
        ("---\ntitle: [a, b]\n---\n# H\n", "H"),
        ("---\ntitle: one: two\n---\n# H\n", "H"),
        ("---\ntitle: 'no end\n---\n# H\n", "H"),
        ('---\ntitle: "\\UFFFFFFFF"\n---\n# H\n', "H"),
        ("---\nlist: " + "[" * 5000 + "\ntitle: x\n---\n# H\n", "H"),
        ("---\ntitle: x\nlong: " + "word " * 20_000 + "\n---\n# H\n", "H"),
        ("---\n\na rule, no front matter\n\n---\n\n# H\n", "H"),
        ("# A [reference] and\\\n\n[reference]: http://x 'y'\n", "A reference and\\"),
    ],
)
def test_markdown_title(tmp_path: Path, source: str, title: str) -> None:
    assert read(tmp_path, "a.md", source).title == title


# reStructuredText


def test_rst(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    document = read(tmp_path, "a.rst", RST)
    assert document.text == RST
    assert document.title == "The Book"
    assert outline(document) == [(1, "The Book"), (2, "Part"), (3, "Inner"), (2, "Part")]
    assert heading_lines(document) == ["==========", "Part", "Inner", "Part"]
    assert [document.line(heading.offset) for heading in document.headings] == [6, 19, 22, 25]
    assert capfd.readouterr() == ("", "")


def test_rst_offsets_survive_unusual_line_ends(tmp_path: Path) -> None:
    document = read(tmp_path, "a.rst", "a\x0cb \u2028 c\n\nTitle\n=====\n\ntext\x85more\n\nNext\x0cone\n========\n")
    assert heading_lines(document) == ["Title", "Next\x0cone"]


def test_rst_that_crashes_the_parser_is_still_text(tmp_path: Path) -> None:
    document = read(tmp_path, "a.rst", "".join(f"{'  ' * depth}deeper\n\n" for depth in range(600)))
    assert document.text
    assert document.title == "a"


# Source code


def test_python(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    document = read(tmp_path, "a.py", PYTHON)
    assert (document.title, document.format, document.has_lines) == ("a.py", "code", True)
    assert outline(document) == [(1, "class Outer"), (2, "def method"), (3, "def inner"), (1, "def last")]
    assert [line.strip() for line in heading_lines(document)] == [
        "@decorated", "async def method(self):", "def inner(): ...", 'def last(): return "\\d"',
    ]  # fmt: skip
    assert not recwarn.list


@pytest.mark.parametrize(
    "source", ["def broken(:\n", "x = " + "(" * 5000, "def f(): pass\n}" + "[" * 300, "-" * 100_000]
)
def test_python_that_does_not_parse_has_no_headings(tmp_path: Path, source: str) -> None:
    assert read(tmp_path, "a.py", source).headings == ()


def test_other_code_has_no_headings(tmp_path: Path) -> None:
    document = read(tmp_path, "a.Rs", "fn main() {}\n")
    assert (document.title, document.format, document.headings) == ("a.Rs", "code", ())


# HTML


PAGE_TEXT = """\
Main head line

One two bold & it
next

loose

- first

para

- second
- inner

  def f():
      return 1

a | b
1 2 | | 3

term

meaning

Two"""


def test_html(tmp_path: Path) -> None:
    document = read(tmp_path, "a.HTM", PAGE)
    assert document.text == PAGE_TEXT
    assert (document.title, document.format, document.has_lines) == ("The page", "html", False)
    assert outline(document) == [(1, "Main head line"), (2, "Two")]
    assert heading_lines(document) == ["Main head line", "Two"]


def test_html_article_is_used_if_it_is_most_of_the_page(tmp_path: Path) -> None:
    assert (
        read(tmp_path, "a.html", "<div>short</div><article>quite a long article</article>").text
        == "quite a long article"
    )
    assert "a long rest" in read(tmp_path, "a.html", "<article>x</article><p>a long rest").text
    assert read(tmp_path, "a.html", "<article>one, longer</article><article>two</article>").text == "one, longer\n\ntwo"
    assert read(tmp_path, "a.html", "<main></main><p>drawn elsewhere").text == "drawn elsewhere"
    assert read(tmp_path, "a.html", "<div role=main>in</div><p>out, and rather long").text == "in"


def test_html_headers_and_footers_are_dropped_except_in_a_section(tmp_path: Path) -> None:
    page = (
        "<header>a</header><aside>b</aside><p>c<section><header>d</header><aside>e</aside></section><footer>f</footer>"
    )
    assert read(tmp_path, "a.html", page).text == "c\n\nd\n\ne"


def test_html_titles(tmp_path: Path) -> None:
    assert read(tmp_path, "a.html", "<h2>x</h2><h1>One</h1>").title == "One"
    assert read(tmp_path, "a.html", "<h2>x</h2>").title == "a"


def test_html_layout_table_has_headings(tmp_path: Path) -> None:
    document = read(tmp_path, "a.html", "<table><tr><td>side<td><h1>H</h1><table><tr><td>x<td>y</table></table>")
    assert document.text == "side\n\nH\n\nx | y"
    assert heading_lines(document) == ["H"]


def test_html_odd_nesting(tmp_path: Path) -> None:
    document = read(
        tmp_path, "a.html", "<ul><li><h1><div>a<h1>b</h1><pre>c  d</pre></div></h1></ul><pre>x<br><pre>y</pre>z</pre>"
    )
    assert outline(document)[0] == (1, "a b c d")
    assert document.text.startswith("- a b c d\n\nx\ny")
    assert document.text[document.headings[0].offset :].startswith("a b c d\n")


def test_html_charset(tmp_path: Path) -> None:
    for name, encoding in (("iso-8859-1", "cp1252"), ("Shift_JIS", "shift_jis"), ("koi8-r", "koi8-r")):
        text = {"cp1252": "é “ü”", "shift_jis": "日本語", "koi8-r": "Привет"}[encoding]
        page = f'<meta http-equiv=Content-Type content="text/html; charset={name}"><p>{text}'
        assert read(tmp_path, "a.html", page.encode(encoding)).text == text
    assert read(tmp_path, "a.html", b"<meta charset=unicode_escape><p>\\x41").text == "\\x41"
    assert read(tmp_path, "a.html", "<meta charset=koi8-r><p>é".encode("utf-16")).text == "é"


def test_html_deep_nesting_is_fast(tmp_path: Path) -> None:
    begun = time.process_time()
    for opening in ("<div>", "<b x=1>", "<ul><li>", "<table><tr><td>", "<h1><span>"):
        assert read(tmp_path, "a.html", f"<p>before{opening * 100_000}deep<p>after").text.split() != []
        assert "deep" in read(tmp_path, "a.html", f"<div>{opening * 600}deep").text
    assert time.process_time() - begun < 8


# PDF


def test_pdf(tmp_path: Path) -> None:
    pages = ["Opening words\nIntroduction\nof the matter", "", "The rest\nIntroduction"]
    entries = [("introduction", 0), ("Nowhere Printed", 2), ("Introduction", 2)]
    document = read(tmp_path, "a.pdf", pdf_file(pages, title="A Title", outline=entries))
    assert document.text == "Opening words\nIntroduction\nof the matter\n\n\n\nThe rest\nIntroduction"
    assert (document.title, document.format, document.has_lines) == ("A Title", "pdf", False)
    assert document.pages == (0, 42, 44)
    assert [document.page(document.text.index(words)) for words in ("Opening", "matter", "The rest")] == [1, 1, 3]
    assert document.line(0) is None
    assert outline(document) == [(1, "introduction"), (1, "Nowhere Printed"), (1, "Introduction")]
    assert heading_lines(document) == ["Introduction", "The rest", "Introduction"]


@pytest.mark.parametrize(
    ("title", "page", "expected"),
    [
        ("Untitled", "First line\nx", "First line"),
        ("", "First line", "First line"),
        ("", "x" * 121, "a"),
        ("T", "x", "T"),
    ],
)
def test_pdf_title(tmp_path: Path, title: str, page: str, expected: str) -> None:
    assert read(tmp_path, "a.pdf", pdf_file([page, "second"], title=title)).title == expected


def test_pdf_hyphenated_words_are_joined(tmp_path: Path) -> None:
    assert read(tmp_path, "a.pdf", pdf_file(["An exam-\nple, well-known"])).text == "An example, well-known"


def test_pdf_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"^It is not a readable PDF: data format error\.$"):
        read(tmp_path, "a.pdf", "not a PDF at all")
    with pytest.raises(DocumentError, match=r"^It holds no text: its pages are blank\.$"):
        read(tmp_path, "a.pdf", pdf_file(["", ""]))
    lock = f"/Encrypt<</Filter/Standard/V 1/R 2/Length 40/P -4/O<{'41' * 32}>/U<{'42' * 32}>>>/ID[<31><31>]"
    with pytest.raises(DocumentError, match=r"^It is encrypted with a password\.$"):
        read(tmp_path, "a.pdf", pdf_file(["secret"], encrypt=lock))


def test_pdf_closes_everything_it_opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []

    def recorded(method: Callable[..., Any]) -> Callable[..., Any]:
        def record(*arguments: Any) -> Any:
            opened.extend((arguments[0], result := method(*arguments)))
            return result

        return record

    # The document closes its pages only when it is closed itself; each page must be closed before the next is opened.
    closed_early: list[bool] = []
    get_page = pypdfium2.PdfDocument.get_page

    def page(pdf: Any, number: int) -> Any:
        closed_early.append(all(handle.raw is None for handle in opened if handle is not pdf))
        return recorded(get_page)(pdf, number)

    monkeypatch.setattr(pypdfium2.PdfDocument, "__getitem__", page)
    monkeypatch.setattr(pypdfium2.PdfPage, "get_textpage", recorded(pypdfium2.PdfPage.get_textpage))
    read(tmp_path, "a.pdf", pdf_file(["one", "two", "three"]))
    assert {type(handle).__name__ for handle in opened} == {"PdfDocument", "PdfPage", "PdfTextPage"}
    assert all(handle.raw is None for handle in opened)
    assert closed_early == [True, True, True]


# DOCX


def add_link(paragraph: Any, text: str) -> None:
    link, run, text_element = OxmlElement("w:hyperlink"), OxmlElement("w:r"), OxmlElement("w:t")
    text_element.text = text
    run.append(text_element)
    link.append(run)
    paragraph._p.append(link)


def test_docx(tmp_path: Path) -> None:
    word = docx.Document()
    word.add_paragraph("The Title", style="Title")
    word.add_paragraph("Opening.")
    word.add_heading("Chapter\tOne", level=1)
    add_link(word.add_paragraph("See "), "the link")
    table = word.add_table(rows=2, cols=2)
    for cell, text in zip((cell for row in table.rows for cell in row.cells), "abcd", strict=True):
        cell.text = text
    table.cell(1, 1).add_paragraph("e")
    word.add_heading("Section", level=2)
    word.add_paragraph("")
    word.add_paragraph("End.\nNew line")
    word.save(str(tmp_path / "a.docx"))
    document = read_document(tmp_path / "a.docx")
    assert document.text == (
        "The Title\n\nOpening.\n\nChapter One\n\nSee the link\n\na | b\nc | d e\n\nSection\n\nEnd.\nNew line"
    )
    assert (document.title, document.format, document.has_lines) == ("The Title", "docx", False)
    assert outline(document) == [(0, "The Title"), (1, "Chapter One"), (2, "Section")]
    assert heading_lines(document) == ["The Title", "Chapter One", "Section"]
    assert document.heading_path(len(document.text)) == ("The Title", "Chapter One", "Section")
    word.core_properties.title = "From properties"
    word.save(str(tmp_path / "a.docx"))
    assert read_document(tmp_path / "a.docx").title == "From properties"


def test_docx_headings_by_outline_level_and_base_style(tmp_path: Path) -> None:
    word = docx.Document()
    styles = word.styles
    own = styles.add_style("Kapitelkopf", WD_STYLE_TYPE.PARAGRAPH)
    level = OxmlElement("w:outlineLvl")
    level.set(qn("w:val"), "1")
    own.element.get_or_add_pPr().append(level)
    derived = styles.add_style("Abgeleitet", WD_STYLE_TYPE.PARAGRAPH)
    derived.base_style = own
    circular = styles.add_style("Im Kreis", WD_STYLE_TYPE.PARAGRAPH)
    circular.base_style = circular
    for style in (own, derived, circular):
        word.add_paragraph(f"In {style.name}", style=style)
    word.save(str(tmp_path / "a.docx"))
    document = read_document(tmp_path / "a.docx")
    assert outline(document) == [(2, "In Kapitelkopf"), (2, "In Abgeleitet")]
    assert document.title == "In Kapitelkopf"


def test_docx_reads_content_controls_and_insertions_and_no_deletions(tmp_path: Path) -> None:
    word = docx.Document()
    for wrapper in (["w:ins"], ["w:del"], ["w:moveFrom"], ["w:sdt", "w:sdtContent"]):
        paragraph = word.add_paragraph("before ")
        inner = paragraph._p
        for name in wrapper:
            inner.append(element := OxmlElement(name))
            inner = element
        inner.append(paragraph.add_run(f"in {wrapper[0]}")._r)
    word.save(str(tmp_path / "a.docx"))
    assert read_document(tmp_path / "a.docx").text == "before in w:ins\n\nbefore\n\nbefore\n\nbefore in w:sdt"


def test_docx_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"^It is not a readable DOCX: file is not a zip file\.$"):
        read(tmp_path, "a.docx", "not a DOCX")
    with pytest.raises(DocumentError, match="encrypted with a password, or an old Word file"):
        read(tmp_path, "a.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
    with zipfile.ZipFile(tmp_path / "a.docx", "w") as archive:
        archive.writestr("word/document.xml", "<x/>")
    with pytest.raises(DocumentError, match="It is not a readable DOCX: "):
        read_document(tmp_path / "a.docx")
    docx.Document().save(str(tmp_path / "a.docx"))
    with pytest.raises(DocumentError, match="It is empty"):
        read_document(tmp_path / "a.docx")


# Arbitrary bytes

FRAGMENTS = b"# h\n|===\n|<h1>|</p>|<pre>|<td>|---\ntitle: x\n|.. x::\n|\0|\xff\xfe|%PDF-1.7\n|def f():\n".split(b"|")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    suffix=st.sampled_from([".txt", ".md", ".rst", ".py", ".rs", ".html", ".pdf", ".docx", ".unknown"]),
    content=st.one_of(
        st.binary(max_size=60),
        st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.text(max_size=9).map(str.encode))).map(b"".join),
    ),
)
def test_arbitrary_bytes_give_a_document_or_a_document_error(tmp_path: Path, suffix: str, content: bytes) -> None:
    try:
        document = read(tmp_path, f"a{suffix}", content)
    except DocumentError as error:
        assert str(tmp_path) not in str(error)
        return
    assert document.text.strip()
    assert document.text.encode("utf-8")
    assert document.title
    assert document.format == FORMATS.get(suffix, "text")
    offsets = [heading.offset for heading in document.headings]
    assert offsets == sorted(offsets)
    assert all(0 <= offset < len(document.text) for offset in offsets)
    if suffix == ".html":
        assert all(document.text.startswith(heading.title, heading.offset) for heading in document.headings)


def test_parsers_are_not_imported_before_they_are_needed() -> None:
    heavy = "{'docutils', 'markdown_it', 'selectolax', 'pypdfium2', 'lxml', 'chardet', 'yaml'}"
    modules = "echo_index.indexer.documents.formats, echo_index.indexer.sources.scanner"
    code = f"import sys, {modules}; print(*{heavy} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""
