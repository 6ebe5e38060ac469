"""The work of `eval --answers`: show progress, print the table and write files."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from echo_index.app.cli.evaluation_command import EvaluationFiles, package_versions
from echo_index.app.cli.evaluation_tables import Table, as_markdown, print_tables
from echo_index.app.cli.progress import WorkProgress, interruptible
from echo_index.app.services.answer_evaluation_job import AnswerEvaluationOptions, evaluate_answers
from echo_index.app.services.formatting import pluralize

if TYPE_CHECKING:
    from echo_index.retriever.answer_evaluation.answer_results import AnswerReport, Measure


def run_answer_evaluation(
    file: Path, options: AnswerEvaluationOptions, files: EvaluationFiles, *, out: Console, err: Console
) -> None:
    """Measure answers, print a table to `out` and progress to `err`, and write the files.

    Raises:
        typer.Exit: Ctrl-C was pressed; the exit code is 130.
        EchoIndexError: an input, model, index or file cannot be used.
    """
    files.validate()

    def notice(line: str) -> None:
        err.print(line, style="dim", soft_wrap=True)

    with interruptible(notice, kept="What was written"), WorkProgress(err) as progress:
        report = evaluate_answers(file, options, notice=notice, progress=progress.show)
    table = _table(report)
    print_tables(out, [table])
    files.write_texts(json=lambda: _as_json(report), markdown=lambda: as_markdown([table]))


def _table(report: AnswerReport) -> Table:
    """Return a table with a row for each measure and a column for each writer."""
    from echo_index.retriever.answer_evaluation.answer_results import GROUPS

    rows = []
    for group, title in GROUPS.items():
        by_writer = [[measure for measure in writer.measures if measure.group == group] for writer in report.writers]
        rows.append((title, *(f"({measures[0].count})" for measures in by_writer)))
        rows += [(f"  {same[0].name}", *map(_cell, same)) for same in zip(*by_writer, strict=True)]
    rows.append(
        ("median seconds to the first word", *(f"{writer.first_word_seconds:.1f}" for writer in report.writers))
    )
    rows.append(("median seconds an answer", *(f"{writer.seconds:.1f}" for writer in report.writers)))
    title = (
        f"{report.name}: {pluralize(report.questions, 'question')}, {pluralize(report.documents, 'document')} in "
        f"{pluralize(report.passages, 'passage')}"
    )
    given = report.passages_given
    passages = "as many passages as ask gives" if given is None else pluralize(given, "passage")
    return Table(
        title,
        ("%", *(writer.writer.rsplit("/", 1)[-1] for writer in report.writers)),
        tuple(rows),
        (
            f"Each question was answered from {passages} by the default search.",
            "In parentheses: how many questions or answers are counted, and 95 % intervals.",
        ),
    )


def _cell(measure: Measure) -> str:
    if measure.estimate is None:
        return "–"
    return f"{measure.estimate.value:.1f} ({measure.estimate.low:.0f}–{measure.estimate.high:.0f})"


def _as_json(report: AnswerReport) -> str:
    return json.dumps({"versions": dict(package_versions()), **asdict(report)}, ensure_ascii=False, indent=1) + "\n"
