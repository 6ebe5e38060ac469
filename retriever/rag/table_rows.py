"""Read the tables of a passage row by row, so that a value is never taken for that of another row or column."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from echo_index.indexer.text.language_detection import detect_language
from echo_index.retriever.search.content_terms import content_terms, question_terms
from echo_index.retriever.search.hits import Hit

_BAR = re.compile(r"(?<!\\)\|")
_DELIMITER_CELL = re.compile(r":?-+:?")  # in the line below the header row of a Markdown table
_MAX_ROWS = 5  # that are about a question equally


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row of a table: its span in the text of the passage, its cells, and the name of the column of each."""

    start: int
    end: int
    cells: tuple[str, ...]
    columns: tuple[str, ...]

    def sentence(self) -> str:
        """Return the row with the name of each column: `Ship: Viking; Crew size: 151.`"""
        pairs = zip(self.columns, self.cells, strict=True)
        return "; ".join(f"{column}: {cell}" if column else cell for column, cell in pairs if cell) + "."


@dataclass(frozen=True, slots=True)
class Tables:
    """The rows of the tables in a passage, and the rest of its text: prose with captions, and header rows."""

    rows: tuple[TableRow, ...]
    prose: str
    headers: str


def read_tables(hit: Hit) -> Tables:
    """Return the tables in a hit; source code has none.

    A table is two or more lines of as many cells each, of which the first has the names of the columns. A hit that
    begins inside of one has that line as the end of `table_header`.
    """
    if hit.format == "code" or "|" not in hit.full_text:
        return Tables((), hit.full_text, "")
    caption, _, header = hit.table_header.rpartition("\n")
    rows: list[TableRow] = []
    prose, headers = [caption], [header]
    columns = _cells(header)
    offset = 0
    for line in hit.text.splitlines(keepends=True):
        cells = _cells(line)
        if not columns or len(cells) != len(columns):
            columns = cells  # of a table, if rows follow
            prose.append(line.rstrip())
        elif not all(map(_DELIMITER_CELL.fullmatch, cells)):
            if prose[-1] and _cells(prose[-1]) == columns:
                headers.append(prose.pop())
            rows.append(TableRow(offset, offset + len(line.rstrip()), cells, columns))
        offset += len(line)
    return Tables(tuple(rows), "\n".join(prose).strip(), "\n".join(headers).strip())


def rows_about(rows: Sequence[TableRow], terms: AbstractSet[str], language: str) -> list[TableRow]:
    """Return the rows that share most of the terms which tell rows apart; none if no row shares one."""
    terms_by_row = [{*content_terms(" ".join(row.cells), language)} & terms for row in rows]
    counts = Counter(term for shared in terms_by_row for term in shared)
    telling = {term for term, count in counts.items() if count < len(rows)} or ({*counts} if len(rows) == 1 else set())
    scores = [len(shared & telling) for shared in terms_by_row]
    highest = max(scores, default=0)
    return [row for row, score in zip(rows, scores, strict=True) if score == highest] if highest else []


def cells_about(row: TableRow, terms: AbstractSet[str], language: str) -> list[str]:
    """Return the cells of a row that these terms ask for: those with a term, and those of the columns that are named.

    All cells, if no column is named. A word of the cell that tells the row does not name a column, as in `Ship 37`.
    """
    cell_terms = [{*content_terms(cell, language)} for cell in row.cells]
    telling = set().union(*(found & terms for found in cell_terms))
    named = [len({*content_terms(column, language)} & terms - telling) for column in row.columns]
    most = max(named, default=0)
    return [
        cell
        for cell, found, score in zip(row.cells, cell_terms, named, strict=True)
        if not most or score == most or found & terms
    ]


def rows_named_in(rows: Sequence[TableRow], terms: AbstractSet[str], language: str) -> list[TableRow]:
    """Return the rows of which these terms have a word in two cells or more that no other row has."""
    cell_terms = [[{*content_terms(cell, language)} for cell in row.cells] for row in rows]
    counts = Counter(term for cells in cell_terms for term in set().union(*cells))
    unique = {term for term in terms if counts[term] == 1}
    return [row for row, cells in zip(rows, cell_terms, strict=True) if sum(bool(cell & unique) for cell in cells) > 1]


def text_for_prompt(hit: Hit, question: str) -> str:
    """Return the text of a hit for a model, each row of a table with the names of its columns.

    Small models confuse rows: of a table they are given only the rows that the question is about, if it names some.
    """
    tables = read_tables(hit)
    if not tables.rows:
        return hit.full_text
    language = detect_language(hit.full_text)
    about = rows_about(tables.rows, {*question_terms(question, language)}, language)
    rows = about if 0 < len(about) <= _MAX_ROWS else tables.rows
    return "\n".join([tables.prose, *(row.sentence() for row in rows)]).strip()


def _cells(line: str) -> tuple[str, ...]:
    """Return the cells of a line that may be the row of a table; none if it is not."""
    text = line.strip()
    cells = [cell.strip().replace("\\|", "|") for cell in _BAR.split(text)]
    if text.startswith("|") and text.endswith("|") and len(cells) > 2:  # Markdown's outer bars
        cells = cells[1:-1]
    return tuple(cells) if len(cells) > 1 else ()
