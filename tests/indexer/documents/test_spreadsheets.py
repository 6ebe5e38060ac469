"""Workbooks: the tables of the sheets that a person sees, with the place of each row."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from pathlib import Path

import pytest
from indexer_helpers import WordEncoder
from sheet_files import changed, ods_cell, ods_file, with_sheet_xml, xls_file, xlsb_file, xlsx_file

from echo_index.errors import DocumentError
from echo_index.indexer.building.build_documents import index_documents
from echo_index.indexer.documents.chunking import Chunking
from echo_index.indexer.documents.document import Document
from echo_index.indexer.documents.formats import parse_document
from echo_index.indexer.documents.readers.sheets import limits, text
from echo_index.indexer.sandbox.document_reader import DocumentReader, ReadingLimits
from echo_index.retriever.rag.table_rows import read_tables
from echo_index.retriever.search.retriever import Retriever

SHIPS = [["Ship", "Crew"], ["Viking", 151], ["Odin", 90]]


def read(content: bytes, suffix: str = ".xlsx") -> Document:
    return parse_document(content, Path(f"ships{suffix}"))


def place_of(document: Document, text: str) -> str:
    return document.place(document.text.index(text))


def test_a_row_of_a_long_sheet_is_found_with_its_place_and_the_header(tmp_path: Path) -> None:
    rows = [["Fleet"], ["Ship", "Captain", "Crew size"], *([f"K{n}", f"Captain {n}", n] for n in range(400))]
    document = read(xlsx_file({"Costs": rows}))
    index_documents([("ships", document)], tmp_path, encoder=WordEncoder(), chunking=Chunking(60, 10))  # type: ignore[arg-type]
    hit = Retriever.open(tmp_path, encoder=WordEncoder()).search("crew size of K317", mode="lexical")[0]  # type: ignore[arg-type]
    assert hit.location.place == "sheet Costs, row 320"
    assert hit.table_header == "Fleet\nShip | Captain | Crew size"
    assert "Ship: K317; Captain: Captain 317; Crew size: 317." in {row.sentence() for row in read_tables(hit).rows}
    assert hit.headings == ("Costs",)


def test_sheets_are_sections_and_hidden_ones_are_left_out() -> None:
    document = read(xlsx_file({"Ships": SHIPS, "Secret": [["no"]], "Empty": []}, hidden="Secret"))
    assert document.text == "Ships\n\nShip | Crew\nViking | 151\nOdin | 90"
    assert [heading.title for heading in document.headings] == ["Ships"]
    assert document.format == "spreadsheet"
    assert document.omissions == ()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (date(2021, 1, 1), "2021-01-01"),
        (datetime(2021, 1, 1, 12, 30, 5), "2021-01-01 12:30:05"),
        (datetime(2021, 1, 1, 12, 30), "2021-01-01 12:30"),
        (time(7, 5), "07:05"),
        (timedelta(hours=36, minutes=30), "36:30"),
        (0.1 + 0.2, "0.3"),
        (0.5, "0.5"),
        (5.0, "5"),
        (-1234567.25, "-1234567.25"),
        (4006381333931, "4006381333931"),
        (1e300, "1E+300"),
        (True, "TRUE"),
        ("00123", "00123"),
        ("two\nlines | and a bar", "two lines \\| and a bar"),
    ],
)
def test_values_are_written_as_a_person_sees_them(value: object, expected: str) -> None:
    document = read(xlsx_file({"S": [["Name", "Value"], ["a", value]]}))
    assert document.text.endswith(f"a | {expected}")


def test_results_of_formulas_are_read() -> None:
    cells = '<row r="1"><c r="A1"><f>1+2</f><v>3</v></c><c r="B1" t="str"><f>"a"</f><v>total</v></c></row>'
    assert read(with_sheet_xml(cells)).text == "Sheet\n\n3 | total"


def test_tables_between_empty_rows_are_tables_of_their_own() -> None:
    rows = [["Fleet of 1880"], [], *SHIPS, [], ["Total", 241], [], ["Port", "City"], ["x", "y"]]
    document = read(xlsx_file({"S": rows}))
    assert document.text == (
        "S\n\nFleet of 1880\n\nShip | Crew\nViking | 151\nOdin | 90\nTotal | 241\n\nPort | City\nx | y"
    )
    assert [table.header for table in document.tables] == ["Fleet of 1880\nShip | Crew", "Port | City"]
    assert [document.text[table.start : table.end] for table in document.tables][1] == "x | y"
    assert place_of(document, "Total") == "sheet S, row 7"
    assert place_of(document, "Port") == "sheet S, row 9"


def test_rows_keep_their_columns_and_a_table_without_names_has_letters() -> None:
    rows = [[None, "a", "b", "c"], [None, None, 5, None], [None, 1, None, None]]
    document = read(xlsx_file({"S": rows}))
    assert document.text == "S\n\na | b | c\n|  | 5 |  |\n1 |  | "
    numbers = read(xlsx_file({"S": [[None, 1, 2], [None, 3, 4]]}))
    assert numbers.text == "S\n\nB | C\n1 | 2\n3 | 4"
    assert read(xlsx_file({"S": [["", 2019, 2020], ["a", 3, 4]]})).tables[0].header == " | 2019 | 2020"


def test_merged_cells_have_their_value_in_each_row_and_column() -> None:
    rows = [["Report"], ["Name", "2020", None], [None, "Q1", "Q2"], ["a", 1, 2], [None, 3, 4]]
    document = read(xlsx_file({"S": rows}, merged=["A1:C1", "A2:A3", "B2:C2", "A4:A5"]))
    assert document.text == "S\n\nReport\nName | 2020 Q1 | 2020 Q2\na | 1 | 2\na | 3 | 4"


def test_rows_of_wide_tables_stay_readable() -> None:
    names = [f"Measure {n}" for n in range(200)]
    document = read(xlsx_file({"S": [["Key", *names], ["k1", *range(200)], ["k2", *[None] * 150, "far"]]}))
    assert document.text.endswith("\nKey: k2; Measure 150: far")
    line = next(line for line in document.text.splitlines() if "Measure 133: 133" in line)
    assert line.startswith("Key: k1; ")
    assert max(map(len, document.text.splitlines())) < 600
    assert place_of(document, "Measure 199: 199") == "sheet S, row 2"


def test_other_kinds_of_workbooks_are_read() -> None:
    expected = "Ship | Crew\nViking | 151\nOdin | 90"
    assert read(xls_file(SHIPS), ".xls").text == f"Old\n\n{expected}"
    assert read(xlsb_file(SHIPS), ".xlsb").text == f"Binary\n\n{expected}"
    rows = "".join(
        f"<table:table-row>{ods_cell(ship)}{ods_cell(crew, type='float', attributes=f'office:value={crew!r}')}"
        "</table:table-row>"
        for ship, crew in [("Viking", "151"), ("Odin", "90")]
    )
    header = f"<table:table-row>{ods_cell('Ship')}{ods_cell('Crew')}</table:table-row>"
    assert read(ods_file(header + rows), ".ods").text == f"Open\n\n{expected}"
    page = b"<html><table><tr><th>Ship<th>Crew<tr><td>Viking<td>151</table></html>"
    assert read(page, ".xls").text == "Ship | Crew\nViking | 151"
    assert read(b"Ship\tCrew\nViking\t151\n", ".xls").text == "Ship | Crew\nViking | 151"


# Large and hostile files


def test_a_cell_far_from_the_others_needs_no_grid_between_them() -> None:
    near = '<row r="1"><c r="A1"><v>1</v></c><c r="B1"><v>2</v></c></row>'
    far = '<row r="1048576"><c r="A1048576" s="0"/><c r="XFD1048576"><v>3</v></c></row>'
    document = read(with_sheet_xml(near + far))
    assert document.text == "Sheet\n\n1 | 2"
    assert document.omissions == ("cells of a sheet beyond column 256 or row 65,536, which lie far from the others",)
    styled = '<row r="1048576"><c r="XFD1048576" s="0"/></row>'
    assert read(with_sheet_xml(near + styled)).omissions == ()


def test_rows_beyond_the_limits_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    content = xlsx_file({"One": [["a", "b"], *[["text", n] for n in range(100)]], "Two": [["x"]]})
    with monkeypatch.context() as patch:
        patch.setattr(limits, "MAX_CELLS", 20)
        document = read(content)
    assert document.omissions == ("rows after 10 of sheet One", "sheet Two")
    assert document.text.endswith("text | 8")
    monkeypatch.setattr(text, "MAX_CHARACTERS", 100)
    document = read(content)
    assert document.omissions == ("rows after 11 of sheet One", "sheet Two")
    assert len(document.text) <= 100


def test_a_million_rows_have_few_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "MAX_PLACES", 10)
    document = read(xlsx_file({"One": [["a", "b"], *[["text", n] for n in range(40)]]}))
    assert len(document.places) <= 11
    assert place_of(document, "text | 5\n") == "sheet One, rows 5 to 9"


@pytest.mark.parametrize(
    ("content", "suffix", "message"),
    [
        (b"\xd0\xcf\x11\xe0" + b"\0" * 600 + "EncryptedPackage".encode("utf-16-le"), ".xlsx", "encrypted"),
        (b"\xd0\xcf\x11\xe0" + b"\0" * 600, ".xls", "not a readable workbook"),
        (b"PK\3\4 cut off", ".xlsx", "archive is broken"),
        (ods_file("", manifest="<manifest:encryption-data/>"), ".ods", "encrypted with a password"),
        (b"<?xml version='1.0'?><Workbook/>", ".xls", "not a readable workbook"),
        (with_sheet_xml("<row"), ".xlsx", "its structure is broken"),
        (xlsx_file({"S": [[None]]}), ".xlsx", "empty"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_has_a_reason(content: bytes, suffix: str, message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        read(content, suffix)


def test_a_broken_sheet_does_not_lose_the_others() -> None:
    content = changed(
        xlsx_file({"Bad": SHIPS, "Good": SHIPS}), {"xl/worksheets/sheet1.xml": b"<worksheet><sheetData><row"}
    )
    document = read(content)
    assert document.text.startswith("Good\n\nShip")
    assert document.omissions == ("sheet Bad, which is broken",)


def test_a_library_that_gets_no_memory_gives_a_reason(tmp_path: Path) -> None:
    rows = "".join(f'<row r="{row}"><c r="{cell}{row}"><v>1</v></c></row>' for row, cell in ((1, "A"), (1048576, "P")))
    (tmp_path / "grid.xlsx").write_bytes(with_sheet_xml(rows))
    with DocumentReader(ReadingLimits(memory_bytes=400 * 2**20)) as reader:
        failure = reader.read(tmp_path / "grid.xlsx").failure
    assert str(failure) == "Reading it was given up: its structure is broken, or takes too much memory."


def test_archives_that_unpack_to_too_much_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("echo_index.indexer.documents.readers.sheets.archive.MAX_UNPACKED_BYTES", 1000)
    with pytest.raises(DocumentError, match=r"It would unpack to \d+ MB; the limit is"):
        read(xlsx_file({"S": SHIPS}))
