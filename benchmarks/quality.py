"""Measure retrieval quality: all systems on several datasets, and their means.

    python -m benchmarks.quality FOLDER... [--sts FILE...] [--precisions fp32,int8] [--queries N] [--json OUT.json]

Each folder has a corpus, queries and judgements in BEIR's layout; an STS file has the columns score, sentence1 and
sentence2. The rows are those of `echo-index eval`; with several precisions there is one row for each of them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from echo_index.app.cli.evaluation_command import EvaluationFiles
from echo_index.app.cli.evaluation_tables import make_tables, print_tables
from echo_index.app.cli.progress import WorkProgress
from echo_index.app.services.encoder_factory import EncoderOptions
from echo_index.app.services.evaluation_job import EvaluationOptions, evaluate
from echo_index.embeddings.models.bundled import DEFAULT_MODEL
from echo_index.retriever.evaluation.results import BASELINE, DatasetResult, with_differences

_WITHOUT_MODEL = {BASELINE}  # systems that do not depend on the precision


def main(words: Sequence[str] | None = None) -> None:
    """Print a table for each dataset and the means, and write the requested files."""
    given = _arguments(words)
    files = EvaluationFiles(given.json, given.markdown, given.plot)
    files.validate()
    with WorkProgress(Console(file=sys.stderr)) as progress:
        runs = {
            precision: evaluate(
                [*given.folders, *given.sts],
                _options(given, precision),
                notice=lambda line: print(line, file=sys.stderr),
                progress=progress.show,
            )
            for precision in given.precisions
        }
    results = [side_by_side(dict(zip(runs, same, strict=True))) for same in zip(*runs.values(), strict=True)]
    print_tables(Console(highlight=False, markup=False), make_tables(results))
    files.write(results)


def side_by_side(results: dict[str, DatasetResult]) -> DatasetResult:
    """Return one result with the rows of all precisions, compared with the baseline of the first precision."""
    [first, *others] = results.values()
    if not others:
        return first
    rows = [
        replace(row, row=row.row if row.row in _WITHOUT_MODEL else f"{row.row} {precision}")
        for number, (precision, result) in enumerate(results.items())
        for row in result.rows
        if number == 0 or row.row not in _WITHOUT_MODEL
    ]
    names = {row.row for row in rows}
    baseline = first.baseline if first.baseline in names else f"{first.baseline} {next(iter(results))}"
    return with_differences(replace(first, rows=rows), baseline)


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--sts", nargs="*", type=Path, default=[], metavar="FILE")
    parser.add_argument("--precisions", type=lambda names: names.split(","), default=["auto"])
    parser.add_argument("--rows", type=lambda names: tuple(names.split(",")), default=())
    parser.add_argument("--baseline", help="default: bm25, and classical for STS")
    parser.add_argument("--queries", type=int, help="only the first so many questions or pairs")
    parser.add_argument("--sentence-transformers", action="append", default=[], metavar="NAME")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--adapter", type=Path)
    parser.add_argument("--no-adapter", action="store_true")
    parser.add_argument("--layer")
    parser.add_argument("--work", type=Path, help="folder for indexes and vectors; default: the cache folder")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--plot", type=Path)
    return parser.parse_args(words)


def _options(given: argparse.Namespace, precision: str) -> EvaluationOptions:
    return EvaluationOptions(
        encoder=EncoderOptions(
            given.model,
            given.adapter,
            given.no_adapter,
            layer=given.layer,
            precision=precision,  # type: ignore[arg-type]
        ),
        rows=given.rows,
        baseline=given.baseline,
        limit=given.queries,
        baselines=tuple(given.sentence_transformers),
        work=given.work,
    )


if __name__ == "__main__":
    main()
