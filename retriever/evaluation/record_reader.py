"""Lines of the files that hold questions and judgements, each with its number. Errors name file and line."""

from __future__ import annotations

import csv
import gzip
import json
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from echo_index.errors import SourceError


@dataclass(frozen=True, slots=True)
class Line:
    """The named fields of one line of a file, which is counted from 1."""

    path: Path
    number: int
    fields: Mapping[str, Any]

    def text(self, name: str, *, default: str | None = None) -> str:
        """Return a field that is a text; `default` where it is missing or empty.

        Raises:
            SourceError: it is no text, or is missing or blank and there is no default.
        """
        value = self.fields.get(name)
        if isinstance(value, str) and value.strip():
            return value.encode("utf-8", "replace").decode()  # what is no valid Unicode cannot be embedded
        if default is not None and (value is None or isinstance(value, str)):
            return default
        raise self.error(f'has no text under "{name}"')

    def number_of(self, name: str, *, default: float | None = None) -> float:
        """Return a field that is a number.

        Raises:
            SourceError: it is none, or is missing and there is no default.
        """
        value = self.fields.get(name)
        if value is None and default is not None:
            return default
        with suppress(TypeError, ValueError):  # what is no number at all is told below
            number = float(value)  # type: ignore[arg-type]
            if math.isfinite(number):
                return number
        raise self.error(f'has {value!r} where "{name}" should be a number')

    def grade_of(self, name: str, *, default: int | None = None) -> int:
        """Return a field that is a whole number.

        Raises:
            SourceError: it is none, or is missing and there is no default.
        """
        number = self.number_of(name, default=default)
        if number != int(number):
            raise self.error(f'has {number} where "{name}" should be a whole number')
        return int(number)

    def error(self, complaint: str) -> SourceError:
        """Return the error that says what is wrong with this line."""
        return SourceError(f"Line {self.number} of {self.path} {complaint}.")


def json_lines(path: Path) -> Iterator[Line]:
    """Yield each line that is not blank, a JSON object.

    Raises:
        SourceError: the file cannot be read, or a line is no JSON object.
    """
    with opened(path) as file:
        for number, text in enumerate(file, start=1):
            if not text.strip():
                continue
            try:
                fields = json.loads(text)
            except ValueError:
                fields = None
            line = Line(path, number, fields if isinstance(fields, dict) else {})
            if not line.fields:
                raise line.error("is no JSON object")
            yield line


def table_lines(path: Path, *, columns: Sequence[str]) -> Iterator[Line]:
    """Yield each line of a table with a header, whose columns are separated by tabs. A quotation mark is only that.

    Raises:
        SourceError: the file cannot be read, or lacks one of the columns.
    """
    with opened(path) as file:
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        header = next(rows, [])
        missing = [column for column in columns if column not in header]
        if missing:
            raise SourceError(
                f"The first line of {path} does not name the column {missing[0]!r}.",
                remedy=f"It has to name, separated by tabs: {', '.join(columns)}.",
            )
        for system in rows:
            if system:
                yield Line(path, rows.line_num, dict(zip(header, system, strict=False)))


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """Open a text file for reading; one whose name ends in .gz is decompressed.

    Raises:
        SourceError: it cannot be read, or is no UTF-8.
    """
    try:
        with _open(path) as file:
            yield file
    except (OSError, EOFError, zlib.error) as error:  # the last two of a damaged .gz file
        reason = getattr(error, "strerror", None) or error
        raise SourceError(f"{path} cannot be read: {reason}.") from None
    except UnicodeDecodeError:
        raise SourceError(f"{path} is no text in UTF-8.") from None


def _open(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")
