"""Numbers in workbooks are read as a person sees them. The expected texts are those of LibreOffice."""

from __future__ import annotations

from pathlib import Path

import pytest
from sheet_files import changed, ods_cell, ods_file, with_sheet_xml, xlsx_file

from echo_index.indexer.documents.document import Document
from echo_index.indexer.documents.formats import parse_document
from echo_index.indexer.documents.readers.office.number_format import number_text
from echo_index.indexer.documents.readers.sheets import workbook_parts

ACCOUNTING = '_-* #,##0.00\\ "€"_-;\\-* #,##0.00\\ "€"_-;_-* "-"??\\ "€"_-;_-@_-'


def read(content: bytes, suffix: str = ".xlsx") -> Document:
    return parse_document(content, Path(f"sales{suffix}"))


@pytest.mark.parametrize(
    ("code", "value", "expected"),
    [
        ("0.0%", 0.153, "15.3%"), ("0%", -0.001, "0%"), ("0.0 %", 1234.5, "123450.0 %"),
        ("#,##0.00", -1234567.891, "-1,234,567.89"), ("#,##0", 999.5, "1,000"), ("#,##0", 1e12, "1,000,000,000,000"),
        ("#,##0.00;(#,##0.00)", -7, "(7.00)"), ("#,##0.00_);[Red](#,##0.00)", 5, "5.00"),
        ("#,##0,", 1234567.891, "1,235"), ('0.0,,"M"', 12345678, "12.3M"), ("0.00", 1.005, "1.01"), ("0", 2.5, "3"),
        ("0.00E+00", 0.000123, "1.23E-04"), ("0.00E+00", 99.995, "1.00E+02"), ("##0.0E+0", 12345678, "12.3E+6"),
        ("0.0E-0", 99.995, "1.0E2"), ("0.0E-0", 0.000123, "1.2E-4"),
        ('0" km"', 5, "5 km"), ('"Total: "0', 5, "Total: 5"), ('"<"0">"', 5, "<5>"), ("$#,##0", 1234.5, "$1,235"),
        ("[$€-407] #,##0.00", 5, "€ 5.00"), ("#,##0.00\\ [$€-407]", 5, "5.00 €"), ("[$USD] #,##0.00", 5, "USD 5.00"),
        (ACCOUNTING, 1234.5, "1,234.50 €"), (ACCOUNTING, -7, "-7.00 €"), (ACCOUNTING, 0, "- €"),
        ("000-0000", 12345678, "1234-5678"), ("(000) 000-0000", 12345678, "(001) 234-5678"), ("00000", 5, "00005"),
        ("0.00##", 0.153, "0.153"), ("0.00##", 0.5, "0.50"), ("0.#", 0.153, "0.2"), ("#.##", 0.5, ".5"),
        ("#,###", 0, ""), ("0.0;;", -7, ""), ("0.0;;", 5, "5.0"), ("#\\ ##0", 1234.5, "1 235"),
        ('[>=1000]#,##0,"K";0', 1234.5, "1K"), ('[>=1000]#,##0,"K";0', 5, "5"),
        ("[<100]0.00;[>=100]0", -7, "-7.00"), ("[<100]0.00;[>=100]0", 1234.5, "1235"), ("[<0](0);0", -7, "(7)"),
        ('[=1]"yes";[=0]"no";0', 1, "yes"), ('[=1]"yes";[=0]"no";0', 0, "no"), ('[=1]"yes";[=0]"no";0', 5, "5"),
        ('General" kg"', 0.153, "0.153 kg"), ("+0.0;-0.0", 5, "+5.0"), ('0"a"0', 5, "0a5"), ("0\\.00", 5, "0.05"),
    ],
)  # fmt: skip
def test_a_number_is_written_by_the_code_of_its_cell(code: str, value: float, expected: str) -> None:
    assert number_text(value, code, general=f"{value:g}") == expected


@pytest.mark.parametrize("code", ["", "General", "yyyy-mm-dd", "h:mm AM/PM", "[h]:mm", "# ?/?", "@", "0" * 501, "0.0x"])
@pytest.mark.parametrize("value", [0.5, -3])
def test_other_codes_leave_a_number_as_it_is(code: str, value: float) -> None:
    expected = f"{value:g}" if code != "0.0x" else f"{value:.1f}x"
    assert number_text(value, code, general=f"{value:g}") == expected


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300, -1e21])
def test_numbers_without_end_stay_as_they_are(value: float) -> None:
    assert number_text(value, "#,##0.00", general="general") == "general"


def test_cells_of_all_sheets_have_their_formats_wherever_they_stand() -> None:
    rows = [["Region", "Share", "Sum"], ["North", 0.153, 1234.5], ["South", 0.2, 0.5]]
    content = xlsx_file({"A": rows, "B": rows}, formats={"B2": "0.0%", "C3": '0.00" €"'})
    assert read(content).text.split("\n\n")[1:4:2] == [
        "Region | Share | Sum\nNorth | 15.3% | 1234.5\nSouth | 0.2 | 0.50 €",
        "Region | Share | Sum\nNorth | 0.153 | 1234.5\nSouth | 0.2 | 0.5",
    ]
    styles = (
        b'<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><cellXfs><xf numFmtId="0"/>'
    )
    styles += b'<xf numFmtId="9"/><xf numFmtId="14"/></cellXfs></styleSheet>'
    cells = (
        '<row r="3"><c r="C3"><v>1</v></c><c s="1"><v>0.5</v></c><c s="9"><v>2</v></c><c s="1" t="b"><v>1</v></c></row>'
    )
    implied = changed(with_sheet_xml(f'{cells}<row><c r="C4" s="1"><v>0.25</v></c></row>'), {"xl/styles.xml": styles})
    assert "| 1 | 50% | 2 | TRUE |" in f"| {read(implied).text.splitlines()[-2]} |"
    assert "25%" in read(implied).text.splitlines()[-1]


def test_beyond_a_number_of_cells_numbers_have_all_of_their_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    content = xlsx_file({"A": [["x", 0.5], ["y", 0.5], ["z", 0.5]]}, formats={f"B{row}": "0%" for row in (1, 2, 3)})
    monkeypatch.setattr(workbook_parts, "_MAX_NUMBERS", 2)
    assert [line[-3:].strip(" |") for line in read(content).text.splitlines()[-3:]] == ["50%", "50%", "0.5"]


def test_numbers_of_opendocument_stand_in_the_file_as_they_are_shown() -> None:
    def number(shown: str, value: str, attributes: str = "", *, type: str = "currency") -> str:
        return ods_cell(shown, type=type, attributes=f'office:value="{value}" {attributes}')

    def row(*cells: str, attributes: str = "") -> str:
        return f"<table:table-row {attributes}>{''.join(cells)}</table:table-row>"

    repeated = row(ods_cell("b"), number("2,00 €", "2", 'table:number-columns-repeated="2"'), number("5 %", "0.05"),
                   attributes='table:number-rows-repeated="2"')  # fmt: skip
    content = ods_file(row(ods_cell("a"), number("1,00 €", "1")) + repeated + row(ods_cell("c"), number("3,00 €", "3")))
    assert [line.strip("| ") for line in read(content, ".ods").text.splitlines()[-4:]] == [
        "a | 1,00 €", "b | 2,00 € | 2,00 € | 5 %", "b | 2,00 € | 2,00 € | 5 %", "c | 3,00 €",
    ]  # fmt: skip


def test_texts_over_the_cells_are_read_at_their_rows() -> None:
    rows = [["Region", "Share"], ["North", 1], ["South", 2]]
    document = read(xlsx_file({"A": rows}, notes={"B3": "Counted twice"}, chart="Share of the regions"))
    assert document.text.endswith("South | 2\n\nNote on B3: Counted twice\n\nShare of the regions")
    assert document.place(document.text.index("Counted")) == "sheet A, row 3"
    assert document.place(document.text.index("Share of")) == "sheet A, row 5"
    only = read(xlsx_file({"A": [], "B": rows}, chart="Alone"))
    assert only.text.startswith("A\n\nAlone\n\nB\n\nRegion | Share")
