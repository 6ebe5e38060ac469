"""Delimited files: the delimiter is found, values stay in their columns, and rows have the number of their line."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import pytest
from indexer_helpers import WordEncoder

from echo_index.indexer.building.build_documents import index_documents
from echo_index.indexer.documents.chunking import Chunking
from echo_index.indexer.documents.document import Document
from echo_index.indexer.documents.formats import parse_document
from echo_index.indexer.documents.readers.sheets import limits
from echo_index.retriever.rag.table_rows import read_tables
from echo_index.retriever.search.retriever import Retriever


def read(text: str, suffix: str = ".csv", *, encoding: str = "utf-8") -> Document:
    return parse_document(text.encode(encoding), Path(f"ships{suffix}"))


def place_of(document: Document, text: str) -> str:
    return document.place(document.text.index(text))


def test_a_row_is_found_with_its_line_and_the_names_of_its_columns(tmp_path: Path) -> None:
    lines = ["Ship;Captain;Crew size", *(f"K{n};Captain {n};{n}" for n in range(300))]
    document = read("\n".join(lines))
    index_documents([("ships", document)], tmp_path, encoder=WordEncoder(), chunking=Chunking(60, 10))  # type: ignore[arg-type]
    hit = Retriever.open(tmp_path, encoder=WordEncoder()).search("crew size of K217", mode="lexical")[0]  # type: ignore[arg-type]
    assert hit.location.place == "line 219"
    assert "Ship: K217; Captain: Captain 217; Crew size: 217." in {row.sentence() for row in read_tables(hit).rows}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_the_delimiter_is_found(delimiter: str, suffix: str) -> None:
    rows = [["Ship", "Crew, or less", "Note"], ["Viking", "1,5", ""], ["Odin", "2,5", "a; b"]]
    lines = [delimiter.join(f'"{cell}"' if delimiter in cell else cell for cell in row) for row in rows]
    document = read("\n".join(lines), suffix)
    assert document.text == "Ship | Crew, or less | Note\nViking | 1,5 | \nOdin | 2,5 | a; b"
    assert (document.format, document.headings, document.has_lines) == ("csv", (), False)
    assert document.tables[0].header == "Ship | Crew, or less | Note"


def test_a_declared_delimiter_is_taken() -> None:
    document = read("sep=;\r\nName;Size\r\na,b;1\r\nc,d;2\r\n")
    assert document.text == "Name | Size\na,b | 1\nc,d | 2"
    assert place_of(document, "a,b") == "line 3"


def test_values_in_quotation_marks_may_span_lines() -> None:
    document = read('Name,Note\na,"first\nsecond ""quoted"", | bar"\nb,last\n')
    assert document.text == 'Name | Note\na | first second "quoted", \\| bar\nb | last'
    assert place_of(document, "b | last") == "line 4"


def test_a_stray_quotation_mark_costs_only_its_line() -> None:
    document = read('Name,Note\na,"5 inches\nb,x\nc,"y"\nd,"an ""odd"" one\ne,z\n')
    assert document.text == 'Name | Note\na | 5 inches\nb | x\nc | y\nd | an "odd" one\ne | z'
    assert place_of(document, "e | z") == "line 6"


def test_empty_lines_count_and_separate_tables() -> None:
    document = read("Ship,Crew\nViking,151\n\nPort,City\nx,y\n,\n5,6\n")
    assert document.text == "Ship | Crew\nViking | 151\n\nPort | City\nx | y\n5 | 6"
    assert place_of(document, "Port") == "line 4"
    assert place_of(document, "5 | 6") == "line 7"


def test_lines_without_a_delimiter_are_plain_text() -> None:
    document = read("One line of text.\nAnother line.\n")
    assert document.text == "One line of text.\nAnother line.\n"
    assert (document.has_lines, document.format, document.places) == (True, "csv", ())


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "cp1252"])
def test_the_encoding_is_found(encoding: str) -> None:
    text = "Name;Größe\nMüller;5\nBäcker;6\nSchröder läuft über die Straße;7\n"
    assert "Name | Größe\nMüller | 5" in read(text, encoding=encoding).text


def test_lines_beyond_the_limit_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_CELLS", 20)
    document = read("a,b\n" + "x,1\n" * 50)
    assert document.omissions == ("lines after 10",)
    assert document.text.count("\n") == 9


def test_many_quotation_marks_take_no_quadratic_time() -> None:
    started = time.monotonic()
    read("a,b\n" + '"x,1\n' * 100_000)
    assert time.monotonic() - started < 20


def test_other_readers_of_csv_in_the_process_keep_their_limit() -> None:
    before = csv.field_size_limit()
    read("Name,Size\nViking,151\n")
    assert csv.field_size_limit() >= before
