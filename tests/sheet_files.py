"""Make workbooks for tests."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import openpyxl
import xlwt
from openpyxl.chart import BarChart, Reference
from openpyxl.comments import Comment

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def xlsx_file(
    sheets: Mapping[str, Sequence[Sequence[Any]]],
    *,
    merged: Sequence[str] = (),
    hidden: str = "",
    formats: Mapping[str, str] | None = None,
    notes: Mapping[str, str] | None = None,
    chart: str = "",
) -> bytes:
    """Return a workbook. `hidden` is the name of a hidden sheet.

    On the first sheet, `merged` are ranges, `formats` and `notes` belong to cells ("B2"), and `chart` is the title of a
    chart at D5.
    """
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.worksheets[0])
    for name, rows in sheets.items():
        sheet = workbook.create_sheet(name)
        sheet.sheet_state = "veryHidden" if name == hidden else "visible"
        for row in rows:
            sheet.append([*row])
    for area in merged:
        workbook.worksheets[0].merge_cells(area)
    first = workbook.worksheets[0]
    for cell, code in (formats or {}).items():
        first[cell].number_format = code
    for cell, note in (notes or {}).items():
        first[cell].comment = Comment(note, "Ann")
    if chart:
        bars = BarChart()
        bars.title = chart
        bars.add_data(Reference(first, min_col=2, min_row=1, max_row=3), titles_from_data=True)
        first.add_chart(bars, "D5")
    file = io.BytesIO()
    workbook.save(file)
    return file.getvalue()


def with_sheet_xml(cells: str) -> bytes:
    """Return a workbook with the rows of its only sheet as XML."""
    xml = f'<worksheet xmlns="{_MAIN}"><sheetData>{cells}</sheetData></worksheet>'
    return changed(xlsx_file({"Sheet": [["x"]]}), {"xl/worksheets/sheet1.xml": xml.encode()})


def changed(content: bytes, parts: Mapping[str, bytes]) -> bytes:
    """Return an archive with other parts."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as repacked:
        for name in archive.namelist():
            repacked.writestr(name, parts.get(name) or archive.read(name))
    return file.getvalue()


def xls_file(rows: Sequence[Sequence[Any]]) -> bytes:
    """Return a workbook of Excel 97."""
    workbook = xlwt.Workbook()
    sheet = workbook.add_sheet("Old")
    for row, values in enumerate(rows):
        for column, value in enumerate(values):
            sheet.write(row, column, value)
    file = io.BytesIO()
    workbook.save(file)
    return file.getvalue()


def ods_file(rows: str, *, manifest: str = "") -> bytes:
    """Return an OpenDocument spreadsheet with the rows of its only sheet as XML."""
    office = "urn:oasis:names:tc:opendocument:xmlns"
    content = (
        f'<office:document-content xmlns:office="{office}:office:1.0" xmlns:table="{office}:table:1.0" '
        f'xmlns:text="{office}:text:1.0"><office:body><office:spreadsheet><table:table table:name="Open">{rows}'
        "</table:table></office:spreadsheet></office:body></office:document-content>"
    )
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("mimetype", kind)
        archive.writestr("content.xml", content)
        archive.writestr(
            "META-INF/manifest.xml",
            f'<manifest:manifest xmlns:manifest="{office}:manifest:1.0"><manifest:file-entry manifest:full-path="/" '
            f'manifest:media-type="{kind}"/>{manifest}</manifest:manifest>',
        )
    return file.getvalue()


def ods_cell(value: str, *, type: str = "string", attributes: str = "") -> str:
    """Return a cell of an OpenDocument spreadsheet."""
    return f'<table:table-cell office:value-type="{type}" {attributes}><text:p>{value}</text:p></table:table-cell>'


def xlsb_file(rows: Sequence[Sequence[str | float]]) -> bytes:
    """Return a binary workbook with one sheet."""
    body = _record(129) + _record(148, struct.pack("<4I", 0, len(rows) - 1, 0, 9)) + _record(145)
    for number, row in enumerate(rows):
        body += _record(0, struct.pack("<I", number) + bytes(13))
        for column, value in enumerate(row):
            place = struct.pack("<II", column, 0)
            if isinstance(value, str):
                body += _record(6, place + _wide(value))
            else:
                body += _record(5, place + struct.pack("<d", value))
    body += _record(146) + _record(130)
    sheet = struct.pack("<II", 0, 1) + _wide("rId1") + _wide("Binary")
    book = _record(131) + _record(143) + _record(156, sheet) + _record(144) + _record(132)
    relation = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet"
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("xl/workbook.bin", book)
        archive.writestr("xl/worksheets/sheet1.bin", body)
        archive.writestr(
            "xl/_rels/workbook.bin.rels",
            '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
            f'<Relationship Id="rId1" Type="{relation}" Target="worksheets/sheet1.bin"/></Relationships>',
        )
    return file.getvalue()


def _record(kind: int, content: bytes = b"") -> bytes:
    head = bytes([kind]) if kind < 128 else bytes([kind & 0x7F | 0x80, kind >> 7])
    length = len(content)
    size = bytes([length]) if length < 128 else bytes([length & 0x7F | 0x80, length >> 7])
    return head + size + content


def _wide(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode("utf-16-le")
