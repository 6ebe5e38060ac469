"""Readers find what files say of themselves: authors, dates, keywords and any other field, within limits."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from datetime import date
from pathlib import PurePosixPath
from typing import Any

import pytest
from epub_files import epub_file
from example_documents import pdf_file
from hypothesis import given
from hypothesis import strategies as st
from opendocument_files import NAMESPACES, opendocument
from powerpoint_files import powerpoint_file, shape
from sheet_files import ods_cell, ods_file, xlsx_file
from word_files import paragraph, word_file

from echo_index.indexer.documents.document import Document, valid_document
from echo_index.indexer.documents.fields import Field, collect_fields, iso_date
from echo_index.indexer.documents.formats import parse_document

CORE = """<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties"
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:dcterms="http://purl.org/dc/terms/">
<dc:creator>Ada Lovelace; Charles Babbage</dc:creator><cp:keywords>engine, notes</cp:keywords>
<dcterms:created>2024-05-17T10:30:00Z</dcterms:created><dcterms:modified>2024-06-01T00:00:00Z</dcterms:modified>
<cp:revision>7</cp:revision><dc:subject/></cp:coreProperties>"""
CUSTOM = """<Properties xmlns="http://schemas.openxmlformats.org/officeDocument/2006/custom-properties"
 xmlns:vt="http://schemas.openxmlformats.org/officeDocument/2006/docPropsVTypes">
<property name="Client" pid="2"><vt:lpwstr>Analytical Ltd</vt:lpwstr></property></Properties>"""
OF_OFFICE = {
    "author": ("Ada Lovelace", "Charles Babbage"),
    "keywords": ("engine", "notes"),
    "date": ("2024-05-17T10:30:00Z",),
    "changed": ("2024-06-01T00:00:00Z",),
    "Client": ("Analytical Ltd",),
}
META = (
    "<meta:initial-creator>Ada Lovelace</meta:initial-creator><dc:creator>Somebody Else</dc:creator>"
    "<meta:creation-date>2024-05-17T10:30:00</meta:creation-date><dc:date>2024-06-01T00:00:00</dc:date>"
    "<meta:keyword>engine</meta:keyword><meta:keyword>notes</meta:keyword>"
    '<meta:user-defined meta:name="Client">Analytical Ltd</meta:user-defined>'
)
OF_OPENDOCUMENT = {
    **{"author": ("Ada Lovelace",), "date": ("2024-05-17T10:30:00",), "changed": ("2024-06-01T00:00:00",)},
    **{"keywords": ("engine", "notes"), "Client": ("Analytical Ltd",)},
}


def fields(content: bytes | str, name: str) -> dict[str, tuple[Any, ...]]:
    content = content.encode() if isinstance(content, str) else content
    return {field.name: field.values for field in parse_document(content, PurePosixPath(name)).fields}


def with_parts(content: bytes, parts: Mapping[str, str]) -> bytes:
    """Return an archive with more parts, or with other ones."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(file, "w") as repacked:
        for name in archive.namelist():
            if name not in parts:
                repacked.writestr(name, archive.read(name))
        for name, part in parts.items():
            repacked.writestr(name, part)
    return file.getvalue()


def meta_part() -> str:
    namespaces = f'{NAMESPACES} xmlns:meta="urn:oasis:names:tc:opendocument:xmlns:meta:1.0"'
    if "xmlns:meta=" in NAMESPACES:
        namespaces = NAMESPACES
    for prefix, name in (("dc", "http://purl.org/dc/elements/1.1/"),):
        if f"xmlns:{prefix}=" not in namespaces:
            namespaces += f' xmlns:{prefix}="{name}"'
    return f"<office:document-meta {namespaces}><office:meta>{META}</office:meta></office:document-meta>"


@pytest.mark.parametrize(
    "front_matter",
    [
        "---\ntitle: Notes\nauthor: [Ada Lovelace, Charles Babbage]\ndate: 2024-05-17\nyear: 2024\ndraft: false\n"
        "book: {place: London, pages: 12.5}\nnothing:\n---\n",
        '+++\ntitle = "Notes"\nauthor = ["Ada Lovelace", "Charles Babbage"]\ndate = 2024-05-17\nyear = 2024\n'
        'draft = false\n[book]\nplace = "London"\npages = 12.5\n+++\n',
        '{"title": "Notes", "author": ["Ada Lovelace", "Charles Babbage"], "date": "2024-05-17", "year": 2024, '
        '"draft": false, "book": {"place": "London", "pages": 12.5}, "nothing": null}\n',
    ],
)
def test_front_matter(front_matter: str) -> None:
    assert fields(front_matter + "\n# Text\n\nIt is here.\n", "a.md") == {
        "author": ("Ada Lovelace", "Charles Babbage"),
        "date": ("2024-05-17",),
        "year": (2024,),
        "draft": ("false",),
        "book.place": ("London",),
        "book.pages": (12.5,),
    }


def test_yaml_values_are_what_a_person_means() -> None:
    text = (
        "---\ntime: 12:30\nversion: '1.10'\nsent: 2024-05-17 10:30:00 +02:00\nday: 2023-02-30\nsize: 0x10\n"
        "base: &base {a: 1}\nmore:\n  <<: *base\n  b: 2\nyes: on\n---\nText.\n"
    )
    found = fields(text, "a.md")
    assert found["time"] == ("12:30",)
    assert found["version"] == ("1.10",)
    assert found["sent"] == ("2024-05-17T10:30:00+02:00",)
    assert found["day"] == ("2023-02-30",)
    assert found["size"] == ("0x10",)
    assert found["more.b"] == (2,)


def test_aliases_of_yaml_cannot_multiply() -> None:
    levels = "".join(f"a{number + 1}: &a{number + 1} [{', '.join([f'*a{number}'] * 9)}]\n" for number in range(9))
    assert len(fields(f"---\ntitle: Bomb\na0: &a0 [x]\n{levels}---\nText.\n", "a.md")) <= 60


def test_authors_are_an_author() -> None:
    found = fields("---\nauthors:\n- Ng\n- {name: Ada, mail: ada@example.org}\n---\nText.\n", "a.md")
    assert found["author"] == ("Ng", "Ada")
    assert found["authors.mail"] == ("ada@example.org",)
    assert fields("% Title\n% Ada; Charles\n% 2024-05-17\n\nText.\n", "a.md") == {
        "author": ("Ada", "Charles"),
        "date": ("2024-05-17",),
    }


def test_pages_pdfs_and_mail() -> None:
    page = (
        "<html><head><title>T</title><meta name=Author content='Ada'><meta name=keywords content='a, b'>"
        "<meta property=article:published_time content=2024/5/7><meta name=viewport content=wide></head>"
        "<body><p>Text <meta name=author content=Mallory></p></body></html>"
    )
    assert fields(page, "a.html") == {"author": ("Ada",), "keywords": ("a", "b"), "date": ("2024-05-07",)}
    content = pdf_file(["One page"], title="T)/Author(Ada)/CreationDate(D:20240517103000+05'30')/Keywords(x; y, z")
    assert fields(content, "a.pdf") == {
        "author": ("Ada",),
        "keywords": ("x", "y, z"),
        "date": ("2024-05-17T10:30:00+05:30",),
    }
    mail = (
        "From: Ada Lovelace <ada@example.org>\nTo: bob@example.org, =?utf-8?q?J=C3=B6rg?= <j@example.org>\n"
        "Date: Fri, 17 May 2024 10:30:00 +0200\nSubject: Hello\n\nText.\n"
    )
    assert fields(mail, "a.eml") == {
        "from": ("Ada Lovelace <ada@example.org>",),
        "to": ("bob@example.org", "Jörg <j@example.org>"),
        "author": ("Ada Lovelace <ada@example.org>",),
        "date": ("2024-05-17T10:30:00+02:00",),
    }


def test_office_files() -> None:
    parts = {"docProps/core.xml": CORE, "docProps/custom.xml": CUSTOM}
    for content, name in (
        (word_file(paragraph("Text")), "a.docx"),
        (powerpoint_file(shape("Text")), "a.pptx"),
        (xlsx_file({"Sheet": [["x", "y"]]}), "a.xlsx"),
    ):
        assert fields(with_parts(content, parts), name) == OF_OFFICE, name
    assert fields(with_parts(word_file(paragraph("Text")), {"docProps/core.xml": "<broken"}), "a.docx") == {}


def test_opendocument_files_and_books() -> None:
    parts = {"meta.xml": meta_part()}
    text = opendocument("<text:p>Text</text:p>")
    assert fields(with_parts(text, parts), "a.odt") == OF_OPENDOCUMENT
    sheet = ods_file(f"<table:table-row>{ods_cell('x')}</table:table-row>")
    assert fields(with_parts(sheet, parts), "a.ods") == OF_OPENDOCUMENT
    book = epub_file(
        {"one": "<p>Text</p>"}, title="T</dc:title><dc:creator>Ada</dc:creator><dc:date>1843</dc:date><dc:title>"
    )
    assert fields(book, "a.epub") == {"author": ("Ada",), "date": ("1843",)}


def test_fields_are_bounded_and_clean() -> None:
    many = collect_fields((f"name {number}", number) for number in range(1000))
    assert len(many) == 60
    [field] = collect_fields([("a", [f"value {number}" for number in range(1000)])])
    assert len(field.values) == 100
    long = collect_fields((f"n{number}", "x" * 5000) for number in range(99))
    assert len(long) == 20_000 // 500
    empty = [("  ", 1), ("n" * 101, 2), ("title", "T"), ("x", None), ("y", ""), ("z", float("nan"))]
    assert collect_fields(empty) == ()
    assert collect_fields([("A", "one\n two\0"), ("a", "one two"), ("a", "\ud800")]) == (Field("A", ("one two", "?")),)
    assert collect_fields([("d", date(2024, 5, 17)), ("big", 10**30)]) == (Field("d", ("2024-05-17",)),)
    nested: object = "deep"
    for _ in range(500):
        nested = {"x": [nested]}
    assert collect_fields([("a", nested)]) == ()


def test_the_fields_of_any_reader_are_bounded() -> None:
    document = Document("text", "title", "plugin", fields=tuple(Field(f"n{i}", ("x" * 9_000,)) for i in range(200)))
    assert sum(len(str(field.values)) for field in valid_document(document).fields) < 25_000


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.dates(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=12), VALUES, max_size=6))
def test_collecting_fields_again_changes_nothing(values: dict[str, object]) -> None:
    once = collect_fields(values.items())
    assert collect_fields((field.name, field.values) for field in once) == once


@given(st.text(max_size=60))
def test_any_text_may_stand_for_a_date(text: str) -> None:
    assert isinstance(iso_date(text), str)
