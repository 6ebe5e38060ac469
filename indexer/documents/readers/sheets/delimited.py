"""Read delimited files: values separated by commas, semicolons, tabs or bars, a record on one line or on several."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice

from echo_index.indexer.documents.decoding import decode
from echo_index.indexer.documents.document import Document
from echo_index.indexer.documents.readers.sheets.limits import CellBudget
from echo_index.indexer.documents.readers.sheets.tables import Row, find_tables
from echo_index.indexer.documents.readers.sheets.text import SheetText
from echo_index.indexer.documents.readers.sheets.values import one_line

_DELIMITERS = "\t|;,"  # in doubt the earlier: decimal commas and commas in texts are frequent
_DECLARED = re.compile(r"sep=([,;\t|])\n")  # a first line that Excel understands
_SAMPLE_CHARACTERS = 100_000
_SAMPLE_RECORDS = 200
_MIN_SHARE = 0.4  # of records that have as many values as most
_MAX_LINES = 100  # of a record
_MAX_UNCLOSED = 10_000  # records that are not well quoted, before all are taken to end with their line


def read_delimited(content: bytes) -> Document:
    """Return the records of a file, a line for each, with " | " between values. The delimiter is found.

    A file without a delimiter is read as plain text.

    Raises:
        DocumentError: the content cannot be decoded.
    """
    text = decode(content)
    declared = _DECLARED.match(text)
    delimiter = declared[1] if declared else _find_delimiter(text)
    if not delimiter:
        return Document(text=text, title="", format="csv", has_lines=True)
    sheet, budget = SheetText(), CellBudget()
    rows = budget.limited(row for row in _rows(text, delimiter) if not declared or row.number > 1)
    left_out = sheet.add_sheet(find_tables(rows), _place_name) or budget.left_out
    return sheet.document(format="csv", omissions=[f"lines after {left_out - 1:,}"] if left_out else [])


def _place_name(first: int, last: int) -> str:
    return f"line {first}" if first == last else f"lines {first} to {last}"


def _rows(text: str, delimiter: str) -> Iterator[Row]:
    for line, record in _records(text, delimiter):
        cells = [*map(one_line, record)]
        yield Row(line, cells, sum(map(bool, cells)))


def _records(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each record with the number of the line on which it begins.

    Text may have quotation marks that enclose no value. So a record goes on below its line only if all of it is well
    quoted.
    """
    csv.field_size_limit(max(len(text) + 1, csv.field_size_limit()))  # of this process: never less than others need
    lines = io.StringIO(text, newline="\n").readlines()
    unclosed = index = 0
    while index < len(lines):
        after = index + 1
        if '"' in lines[index] and unclosed < _MAX_UNCLOSED:
            record_lines = _lines_of_record(lines[index : index + _MAX_LINES], delimiter)
            unclosed += not record_lines
            after = index + max(1, record_lines)
        yield index + 1, next(csv.reader(lines[index:after], delimiter=delimiter), [])
        index = after


def _lines_of_record(lines: Iterable[str], delimiter: str) -> int:
    """Return how many lines the first record takes, 0 if quotation marks in it enclose no value."""
    records = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        next(records)
    except csv.Error:
        return 0
    return records.line_num


def _find_delimiter(text: str) -> str:
    """Return the delimiter with which most records have equally many values; "" if there is none."""
    sample = text[:_SAMPLE_CHARACTERS]
    if len(text) > len(sample):
        sample = sample[: sample.rfind("\n") + 1] or sample
    best = max(_DELIMITERS, key=lambda delimiter: _share_of_equal(sample, delimiter))
    return best if _share_of_equal(sample, best) >= _MIN_SHARE else ""


def _share_of_equal(sample: str, delimiter: str) -> float:
    """Return the share of the records that have the most frequent number of values, which is more than one."""
    if delimiter not in sample:
        return 0.0
    records = islice(_records(sample, delimiter), _SAMPLE_RECORDS)
    counts = Counter(len(record) for _, record in records if any(record))
    several = [count for values, count in counts.items() if values > 1]
    return max(several, default=0) / max(1, counts.total())
