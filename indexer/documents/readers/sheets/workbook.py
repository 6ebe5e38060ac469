"""Read workbooks: the values of all sheets that are not hidden. Macros are not looked at, and nothing is computed."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from python_calamine import (
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetMetadata,
    SheetTypeEnum,
    SheetVisibleEnum,
)

from echo_index.errors import DocumentError
from echo_index.indexer.documents.document import Document
from echo_index.indexer.documents.fields import Field
from echo_index.indexer.documents.readers.html.reader import read_html
from echo_index.indexer.documents.readers.office.package import Package
from echo_index.indexer.documents.readers.office.properties import opendocument_fields
from echo_index.indexer.documents.readers.sheets.archive import checked_archive
from echo_index.indexer.documents.readers.sheets.delimited import read_delimited
from echo_index.indexer.documents.readers.sheets.limits import CellBudget
from echo_index.indexer.documents.readers.sheets.merged_cells import MergedCells
from echo_index.indexer.documents.readers.sheets.tables import Row, find_tables
from echo_index.indexer.documents.readers.sheets.text import SheetText
from echo_index.indexer.documents.readers.sheets.values import one_line
from echo_index.indexer.documents.readers.sheets.workbook_parts import ShownNumbers, WorkbookParts

_ZIP_MARK, _OLE_MARK = b"PK", b"\xd0\xcf\x11\xe0"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")  # the name of the only stream with content
_PAGE = re.compile(rb"<!doctype html|<html|<table", re.IGNORECASE)
_HEAD_BYTES = 1000


def read_workbook(content: bytes) -> Document:
    """Return the sheets that a person sees, each below its name, with a line per row and " | " between cells.

    Formulas are their stored results. The title is empty: most workbooks have none, or that of their template.

    Raises:
        DocumentError: the file is broken or encrypted.
    """
    if not content.startswith((_ZIP_MARK, _OLE_MARK)):
        return _read_text(content)
    content, omissions = checked_archive(content) if content.startswith(_ZIP_MARK) else (content, [])
    workbook = _open(content)
    parts = WorkbookParts(content)
    text, budget = SheetText(), CellBudget()
    names = [sheet.name for sheet in workbook.sheets_metadata if _is_seen(sheet)]
    for index, name in enumerate(names):
        try:
            with _library_errors():
                left_out = _add_sheet(text, workbook.get_sheet_by_name(name), parts, budget)
        except DocumentError:
            if len(names) == 1:
                raise
            omissions.append(f"sheet {one_line(name)}, which is broken")
            continue
        if left_out:
            omissions.append(f"rows after {left_out - 1:,} of sheet {one_line(name)}")
            omissions += [f"sheet {one_line(other)}" for other in names[index + 1 :]]
            break
    document = text.document(format="spreadsheet", omissions=[*omissions, *parts.omissions])
    return replace(document, fields=_fields(content))


def _fields(content: bytes) -> tuple[Field, ...]:
    """Return what the properties of a workbook say; nothing for the old formats."""
    if not content.startswith(_ZIP_MARK):
        return ()
    package = Package(content, format="workbook", usual_main_part="xl/workbook.xml")
    meta = package.xml("meta.xml")  # of OpenDocument
    return package.fields() if meta is None else opendocument_fields(next(meta.iter("{*}meta"), None))


def _read_text(content: bytes) -> Document:
    """Read what programs write under the name of a workbook, and Excel opens: a page of HTML, or delimited text."""
    head = content[:_HEAD_BYTES]
    if not _PAGE.search(head) and head.lstrip().startswith(b"<"):
        raise DocumentError("It is not a readable workbook: it is neither an archive nor a file of Excel 97.")
    document = read_html(content) if _PAGE.search(head) else read_delimited(content)
    return replace(document, format="spreadsheet")


def _open(content: bytes) -> CalamineWorkbook:
    if content.startswith(_OLE_MARK) and _ENCRYPTED in content:
        raise DocumentError("It is encrypted with a password.")
    try:
        with _library_errors():
            return CalamineWorkbook.from_filelike(io.BytesIO(content))
    except DocumentError as error:
        if content.startswith(_OLE_MARK):  # the library does not say which
            raise DocumentError("It is encrypted with a password, or not a readable workbook.") from error
        raise


@contextmanager
def _library_errors() -> Iterator[None]:
    """Raise a DocumentError for what the library raises because of the content, also for its panics.

    Raises:
        DocumentError: the content is broken or encrypted.
        MemoryError: there is not enough memory.
    """
    try:
        yield
    except (DocumentError, MemoryError, KeyboardInterrupt, SystemExit):
        raise
    except PasswordError as error:
        raise DocumentError("It is encrypted with a password.") from error
    except BaseException as error:  # a panic is no Exception
        raise DocumentError("It is not a readable workbook: its structure is broken.") from error


def _is_seen(sheet: SheetMetadata) -> bool:
    return bool(sheet.visible == SheetVisibleEnum.Visible and sheet.typ == SheetTypeEnum.WorkSheet)


def _add_sheet(text: SheetText, sheet: CalamineSheet, parts: WorkbookParts, budget: CellBudget) -> int | None:
    """Add a sheet to the text. Return the number of the first row that was left out, None if all are in the text."""
    name = one_line(sheet.name)
    first_column = sheet.start[1] if sheet.start else 0

    def place_name(first: int, last: int) -> str:
        return f"sheet {name}, row {first}" if first == last else f"sheet {name}, rows {first} to {last}"

    rows = _rows(sheet, parts.numbers(sheet.name), first_column) if sheet.start else iter(())
    tables = find_tables(budget.limited(rows), first_column=first_column)
    return text.add_sheet(tables, place_name, heading=name, texts=parts.texts(sheet.name)) or budget.left_out


def _rows(sheet: CalamineSheet, numbers: ShownNumbers, first_column: int) -> Iterator[Row]:
    """Yield all rows. Their cells begin with the first column that is used in the sheet; empty rows have none."""
    merged = MergedCells(sheet.merged_cell_ranges or [], first_column=first_column)
    for index, values in enumerate(sheet.iter_rows()):
        has_values = any(value != "" for value in values)
        cells = numbers.texts(index, values, first_column=first_column) if has_values else []
        yield Row(index + 1, cells, merged.fill(index, cells))
