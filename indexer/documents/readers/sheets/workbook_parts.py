"""Read what the parts of a workbook say beside the values of its cells: how numbers are shown, and texts over cells."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, BinaryIO

from echo_index.indexer.documents.readers.archive import ARCHIVE_ERRORS, Archive, xml_elements
from echo_index.indexer.documents.readers.office.markup import attribute
from echo_index.indexer.documents.readers.office.number_format import BUILT_IN_FORMATS, is_number_format, number_text
from echo_index.indexer.documents.readers.office.package import Package
from echo_index.indexer.documents.readers.sheets.drawn_texts import RowText, drawn_texts
from echo_index.indexer.documents.readers.sheets.values import CellValue, cell_text, one_line

if TYPE_CHECKING:
    from lxml.etree import _Element

_CONTENT = "content.xml"  # of OpenDocument files
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_NUMBERS = {"float", "percentage", "currency"}
_MAX_REPEATED = 1000  # cells beside each other that are one in the file; more are no table
_MAX_NUMBERS = 1_000_000  # of a workbook that are shown by their formats, which takes longer than to read them
_MAX_SHOWN_LENGTH = 100  # characters of a number


@dataclass(frozen=True, slots=True)
class _Rows:
    """Equal rows, counted from 0: for some of their columns, the format code of a number or the text that it is."""

    first: int
    last: int
    formats: dict[int, str]


class ShownNumbers:
    """The numbers of one sheet as a person sees them, for rows that come in ascending order."""

    def __init__(self, rows: Iterable[_Rows] = (), *, are_codes: bool = True) -> None:
        self._rows = iter(rows)
        self._are_codes = are_codes
        self._next: _Rows | None = next(self._rows, None)

    def texts(self, row: int, values: Sequence[CellValue], *, first_column: int) -> list[str]:
        """Return the texts of the cells of a row."""
        while self._next and self._next.last < row:
            self._next = next(self._rows, None)
        texts = [*map(cell_text, values)]
        if self._next and self._next.first <= row:
            for column, shown in self._next.formats.items():
                place = column - first_column
                value = values[place] if 0 <= place < len(values) else ""
                if isinstance(value, int | float) and not isinstance(value, bool):
                    text = number_text(value, shown, general=texts[place]) if self._are_codes else shown
                    texts[place] = one_line(text)
        return texts


class WorkbookParts:
    """What the parts of a workbook say beside the values of its cells: how numbers are shown, and texts over cells."""

    def __init__(self, content: bytes) -> None:
        """Look into the file for formats; the old and the binary formats of Excel are not understood."""
        self._package: Package | None = None
        self._archive: Archive | None = None
        self._codes: list[str] = []
        self._left = _MAX_NUMBERS
        with suppress(*ARCHIVE_ERRORS, zipfile.BadZipFile):
            archive = Archive(content)
            if _CONTENT in archive:
                self._archive = archive
            else:
                self._package = Package(content, format="XLSX", usual_main_part="xl/workbook.xml")
                self._codes = _format_codes(self._package)

    def texts(self, sheet: str) -> list[RowText]:
        """Return the texts over the cells of a sheet by their rows; none if the format is not understood."""
        part = _sheet_part(self._package, sheet) if self._package else ""
        return drawn_texts(self._package, part) if self._package and part else []

    @property
    def omissions(self) -> tuple[str, ...]:
        """The phrases for what is in parts that cannot be read."""
        return self._package.omissions if self._package else ()

    def numbers(self, sheet: str) -> ShownNumbers:
        """Return the numbers of a sheet; all of their digits are shown if the format is not understood."""
        if self._archive and (stream := self._archive.stream(_CONTENT)):
            return ShownNumbers(self._limited(_opendocument_rows(stream, sheet)), are_codes=False)
        if self._package and any(self._codes) and (stream := _sheet_stream(self._package, sheet)):
            return ShownNumbers(self._limited(_office_rows(stream, self._codes)))
        return ShownNumbers()

    def _limited(self, rows: Iterator[_Rows]) -> Iterator[_Rows]:
        """Yield the rows, until there are too many numbers in the workbook."""
        for row in rows:
            self._left -= len(row.formats)
            if self._left < 0:
                return
            yield row


def _format_codes(package: Package) -> list[str]:
    """Return the format code of each cell style; "" for dates, text and numbers that are shown as they are."""
    root = package.related_xml(package.main_part(), "styles")
    if root is None:
        return []
    codes = dict(BUILT_IN_FORMATS)
    for element in root.iterfind("{*}numFmts/{*}numFmt"):
        codes[_number(element.get("numFmtId"))] = element.get("formatCode", "")
    styles = (codes.get(_number(style.get("numFmtId")), "") for style in root.iterfind("{*}cellXfs/{*}xf"))
    return [code if is_number_format(code) else "" for code in styles]


def _sheet_stream(package: Package, name: str) -> BinaryIO | None:
    part = _sheet_part(package, name)
    return package.stream(part) if part else None


def _sheet_part(package: Package, name: str) -> str:
    """Return the part with a sheet, "" if there is none."""
    main_part = package.main_part()
    root = package.xml(main_part)
    sheets = root.iterfind("{*}sheets/{*}sheet") if root is not None else ()
    identifiers = (attribute(sheet, "r:id") for sheet in sheets if sheet.get("name") == name)
    relation = package.relations(main_part).get(next(identifiers, ""))
    return relation.target if relation and not relation.is_external else ""


def _office_rows(stream: BinaryIO, codes: Sequence[str]) -> Iterator[_Rows]:
    row = -1
    for element in xml_elements(stream, "{*}row"):
        row = _number(element.get("r"), default=row + 2) - 1
        formats, column = {}, -1
        for cell in element:
            column = _column(cell.get("r", "").rstrip("0123456789"), default=column + 1)
            style = _number(cell.get("s"))
            if cell.get("t", "n") == "n" and 0 <= style < len(codes) and codes[style]:
                formats[column] = codes[style]
        if formats:
            yield _Rows(row, row, formats)


def _opendocument_rows(stream: BinaryIO, name: str) -> Iterator[_Rows]:
    row = 0
    for element in xml_elements(stream, f"{_TABLE}table-row"):
        table = next(element.iterancestors(f"{_TABLE}table"), None)
        if table is None or table.get(f"{_TABLE}name") != name:
            continue
        count = max(1, _number(element.get(f"{_TABLE}number-rows-repeated"), default=1))
        if formats := _opendocument_numbers(element):
            yield _Rows(row, row + count - 1, formats)
        row += count


def _opendocument_numbers(row: _Element) -> dict[int, str]:
    """Return the text of each cell of a row that has a number, by its column."""
    numbers: dict[int, str] = {}
    column = 0
    for cell in row:
        count = max(1, _number(cell.get(f"{_TABLE}number-columns-repeated"), default=1))
        if cell.get(f"{_OFFICE}value-type") in _NUMBERS and count <= _MAX_REPEATED:
            text = " ".join("".join(map(str, line.itertext())) for line in cell.iterfind(f"{_TEXT}p"))
            if 0 < len(text) <= _MAX_SHOWN_LENGTH:
                numbers |= dict.fromkeys(range(column, column + count), text)
        column += count
    return numbers


def _number(text: str | None, *, default: int = 0) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else default


@lru_cache(maxsize=1000)
def _column(letters: str, *, default: int) -> int:
    """Return the number of a column from 0 by its letters."""
    if not letters.isascii() or not letters.isalpha() or len(letters) > 3:
        return default
    column = 0
    for letter in letters.upper():
        column = 26 * column + ord(letter) - ord("A") + 1
    return column - 1
