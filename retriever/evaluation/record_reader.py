"""Read JSON lines and tab-separated tables; errors name the file and the line."""

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
    """The named fields of one line of a file; `number` counts from 1."""

    path: Path
    number: int
    fields: Mapping[str, Any]

    def text(self, name: str, *, default: str | None = None) -> str:
        """Return a text field; `default` if it is missing or blank.

        Raises:
            SourceError: the field is not text, or is missing or blank without a default.
        """
        value = self.fields.get(name)
        if isinstance(value, str) and value.strip():
            return value.encode("utf-8", "replace").decode()  # surrogates cannot be embedded
        if default is not None and (value is None or isinstance(value, str)):
            return default
        raise self.error(f'has no text under "{name}"')

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a field that is a text or a list of texts.

        Raises:
            SourceError: the field is neither, is empty, or has a blank text.
        """
        value = self.fields.get(name)
        if not isinstance(value, list):
            return (self.text(name),)
        texts = tuple(Line(self.path, self.number, {name: text}).text(name) for text in value)
        if not texts:
            raise self.error(f'has no text under "{name}"')
        return texts

    def number_field(self, name: str, *, default: float | None = None) -> float:
        """Return a field as a number.

        Raises:
            SourceError: the field is not a finite number, or is missing without a default.
        """
        value = self.fields.get(name)
        if value is None and default is not None:
            return default
        with suppress(TypeError, ValueError):  # the error follows below
            number = float(value)  # type: ignore[arg-type]
            if math.isfinite(number):
                return number
        raise self.error(f'has {value!r} where "{name}" should be a number')

    def integer(self, name: str, *, default: int | None = None) -> int:
        """Return a field as an integer.

        Raises:
            SourceError: the field is not an integer, or is missing without a default.
        """
        number = self.number_field(name, default=default)
        if number != int(number):
            raise self.error(f'has {number} where "{name}" should be a whole number')
        return int(number)

    def error(self, complaint: str) -> SourceError:
        """Return an error about this line, 'Line 3 of FILE …'."""
        return SourceError(f"Line {self.number} of {self.path} {complaint}.")


def read_json_lines(path: Path) -> Iterator[Line]:
    """Yield each line of a JSON lines file; blank lines are skipped.

    Raises:
        SourceError: the file cannot be read, or a line is not a JSON object.
    """
    with open_text(path) as file:
        for number, text in enumerate(file, start=1):
            if not text.strip():
                continue
            try:
                fields = json.loads(text)
            except ValueError:
                fields = None
            line = Line(path, number, fields if isinstance(fields, dict) else {})
            if not line.fields:
                raise line.error("is not a JSON object")
            yield line


def read_table(path: Path, *, columns: Sequence[str]) -> Iterator[Line]:
    """Yield each line of a tab-separated table with a header; quotation marks have no special meaning.

    Raises:
        SourceError: the file cannot be read, or lacks one of the columns.
    """
    with open_text(path) as file:
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        header = next(rows, [])
        missing = [column for column in columns if column not in header]
        if missing:
            raise SourceError(
                f"The first line of {path} does not name the column {missing[0]!r}.",
                remedy=f"It must name these columns, separated by tabs: {', '.join(columns)}.",
            )
        for row in rows:
            if row:
                yield Line(path, rows.line_num, dict(zip(header, row, strict=False)))


@contextmanager
def open_text(path: Path) -> Iterator[TextIO]:
    """Open a UTF-8 text file for reading; files ending in .gz are decompressed.

    Raises:
        SourceError: the file cannot be read, or is not UTF-8.
    """
    try:
        with _open_maybe_gzip(path) as file:
            yield file
    except (OSError, EOFError, zlib.error) as error:  # the last two: a damaged .gz file
        reason = getattr(error, "strerror", None) or error
        raise SourceError(f"{path} cannot be read: {reason}.") from None
    except UnicodeDecodeError:
        raise SourceError(f"{path} is not a text file in UTF-8.") from None


def _open_maybe_gzip(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")
