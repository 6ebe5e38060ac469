"""Check the archive of a workbook, and take out cells that lie so far apart that no grid could hold them."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterator

from echo_index.errors import DocumentError

MAX_UNPACKED_BYTES = 2**30
_MAX_GRID = 2**24  # cells between the first and the last of a sheet, as many as a sheet of Excel 97 has
_FAR_COLUMN, _FAR_ROW = 256, 65_536
_WORKSHEET = re.compile(r"xl[/\\]worksheets[/\\][^/\\]+\.xml", re.IGNORECASE)
_MANIFEST = "META-INF/manifest.xml"  # of OpenDocument files
_ARCHIVE_ERRORS = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError, ValueError)
# A cell with a value: its column and its row. Empty cells, which only have a style, end with "/>".
_CELL = re.compile(rb"""<(?:\w+:)?c\s(?:[^<>]*?\s)?r\s*=\s*["']([A-Z]{1,7})(\d{1,10})["'][^<>]*(?<!/)>""")
_CELL_END = re.compile(rb"</(?:\w+:)?c\s*>")


def checked_archive(content: bytes) -> tuple[bytes, list[str]]:
    """Return an archive, perhaps without cells that are far from the others, and phrases that name what was taken out.

    Raises:
        DocumentError: it is broken or encrypted, or would unpack to more than 1 GB.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
            if unpacked > MAX_UNPACKED_BYTES:
                limit = MAX_UNPACKED_BYTES / 2**20
                raise DocumentError(f"It would unpack to {unpacked / 2**20:.0f} MB; the limit is {limit:.0f} MB.")
            if _MANIFEST in archive.namelist() and b"encryption-data" in archive.read(_MANIFEST):
                raise DocumentError("It is encrypted with a password.")
            near = {
                name: _without_far_cells(archive.read(name))
                for name in archive.namelist()
                if _WORKSHEET.fullmatch(name) and _is_sparse(archive.read(name))
            }
            return (_replaced(archive, near), [_omission(near)]) if near else (content, [])
    except _ARCHIVE_ERRORS as error:
        raise DocumentError("It is not a readable workbook: its archive is broken.") from error


def _omission(parts: dict[str, bytes]) -> str:
    sheets = "a sheet" if len(parts) == 1 else f"{len(parts)} sheets"
    return f"cells of {sheets} beyond column {_FAR_COLUMN} or row {_FAR_ROW:,}, which lie far from the others"


def _is_sparse(sheet: bytes) -> bool:
    """Return whether the grid from the first cell of a sheet to the last would have too many cells."""
    rows, columns = _spread(sheet)
    return rows * columns > _MAX_GRID


def _spread(sheet: bytes) -> tuple[int, int]:
    """Return over how many rows and columns the cells of a sheet are spread."""
    letters: set[bytes] = set()
    first, last = 2**63, 0
    for cell in _CELL.finditer(sheet):
        letters.add(cell[1])
        row = int(cell[2])
        first, last = min(first, row), max(last, row)
    columns = [*map(_column, letters)]
    return (last - first + 1, max(columns) - min(columns) + 1) if columns else (0, 0)


def _column(letters: bytes) -> int:
    """Return the number of a column, from 1."""
    column = 0
    for letter in letters:
        column = 26 * column + letter - ord("A") + 1
    return column


def _without_far_cells(sheet: bytes) -> bytes:
    """Return a sheet without the cells beyond column 256 and, if that is not enough, those beyond row 65,536."""
    near = b"".join(_kept(sheet, columns=_FAR_COLUMN, rows=2**63))
    return b"".join(_kept(near, columns=_FAR_COLUMN, rows=_FAR_ROW)) if _is_sparse(near) else near


def _kept(sheet: bytes, *, columns: int, rows: int) -> Iterator[bytes]:
    start = 0
    for cell in _CELL.finditer(sheet):
        if _column(cell[1]) > columns or int(cell[2]) > rows:
            end = _CELL_END.search(sheet, cell.end())
            yield sheet[start : cell.start()]
            start = max(start, end.end() if end else len(sheet))
    yield sheet[start:]


def _replaced(archive: zipfile.ZipFile, parts: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as replaced:
        for name in archive.namelist():
            replaced.writestr(name, parts[name] if name in parts else archive.read(name))
    return file.getvalue()
