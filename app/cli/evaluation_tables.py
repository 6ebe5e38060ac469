"""Format the results of an evaluation: tables for the terminal and in Markdown, and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from echo_index.app.cli.output import one_line
from echo_index.app.services.formatting import pluralize
from echo_index.app.services.json_fields import dataset_fields

if TYPE_CHECKING:
    from echo_index.retriever.evaluation.results import DatasetResult, SystemResult


@dataclass(frozen=True)
class Table:
    """A table: title, column names, rows of cells, and notes below them."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def make_tables(results: Sequence[DatasetResult]) -> list[Table]:
    """Return a table for each data set, then the means of each kind that has several data sets."""
    return [*map(_dataset_table, results), *_mean_tables(results)]


def print_tables(console: Console, tables: Sequence[Table]) -> None:
    """Print all tables."""
    for table in tables:
        rich_table = RichTable(title=Text(one_line(table.title)), title_justify="left", box=None, padding=(0, 1, 0, 0))
        for number, column in enumerate(table.columns):
            rich_table.add_column(column, justify="right" if number else "left", no_wrap=True)
        for row in table.rows:
            rich_table.add_row(*map(Text, row))
        console.print(rich_table)
        for note in table.notes:
            console.print(Text(one_line(note), style="dim"), soft_wrap=True)
        console.print()


def as_markdown(tables: Sequence[Table]) -> str:
    """Return all tables in Markdown."""
    blocks = []
    for table in tables:
        rule = ("---", *("---:" for _ in table.columns[1:]))
        lines = [f"| {' | '.join(cells)} |" for cells in (table.columns, rule, *table.rows)]
        blocks += [f"### {table.title}", "\n".join(lines), *table.notes]
    return "\n\n".join(blocks) + "\n"


def as_json(results: Sequence[DatasetResult], versions: Iterable[tuple[str, str]]) -> str:
    """Return all results, and the versions of the packages they were measured with, as JSON."""
    from echo_index.retriever.evaluation.results import mean_scores

    report = {
        "versions": dict(versions),
        "means": {kind: mean_scores(results, kind) for kind in ("rankings", "similarities")},
        "collections": [dataset_fields(result) for result in results],
    }
    return json.dumps(report, ensure_ascii=False, indent=1) + "\n"


def _dataset_table(result: DatasetResult) -> Table:
    count = len(result.questions)
    title = f"{result.collection}: {pluralize(count, 'question' if result.kind == 'rankings' else 'pair')}"
    if result.documents is not None and result.passages is not None:
        title += f", {pluralize(result.documents, 'document')} in {pluralize(result.passages, 'passage')}"
    return Table(
        title,
        ("row", *result.metrics, f"to {result.baseline}", "95 % interval", "ms"),
        tuple(_row_cells(row, result.metrics) for row in result.rows),
        tuple(f"{row} is skipped: {reason}." for row, reason in result.left_out.items()),
    )


def _row_cells(row: SystemResult, metrics: Sequence[str]) -> tuple[str, ...]:
    difference, interval = "", ""
    if row.difference is not None:
        difference = f"{row.difference.value:+.1f}"
        interval = f"{row.difference.low:+.1f} to {row.difference.high:+.1f}"
    milliseconds = 1000 * ((row.seconds_embedding or 0) + row.seconds_ranking)
    scores = (f"{row.scores[metric]:.1f}" for metric in metrics)
    return row.row, *scores, difference, interval, f"{milliseconds:.0f}"


def _mean_tables(results: Sequence[DatasetResult]) -> list[Table]:
    from echo_index.retriever.evaluation.results import mean_scores

    tables = []
    for kind, noun in (("rankings", "collections"), ("similarities", "sets of pairs")):
        of_kind = [result for result in results if result.kind == kind]
        if len(of_kind) > 1:
            metrics = of_kind[0].metrics
            means = mean_scores(of_kind, of_kind[0].kind)
            rows = [(row, *(f"{scores[metric]:.1f}" for metric in metrics)) for row, scores in means.items()]
            tables.append(Table(f"Means over {len(of_kind)} {noun}", ("row", *metrics), tuple(rows)))
    return tables
