"""The commands `export` and `import`: an index as one Parquet file."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from echo_index.app.cli import output
from echo_index.app.cli.options import AsJson, IndexDir, err, notice, out
from echo_index.app.defaults import DEFAULTS


def export(
    file: Annotated[Path, typer.Argument(help="The Parquet file to write, such as index.parquet.", metavar="FILE")],
    index: IndexDir = DEFAULTS.index_dir,
    normalized: Annotated[
        bool,
        typer.Option(
            "--normalized",
            help="Add a column normalized_vector: the vectors as search compares them, by their inner product.",
        ),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if there is one.")] = False,
    json: AsJson = False,
) -> None:
    """Write the index to a Parquet file, a row a passage, for pandas, DuckDB and Lance, or for import."""
    from dataclasses import asdict

    from echo_index.app.cli.progress import WorkProgress, interruptible
    from echo_index.indexer.exchange.export_index import export_index

    with interruptible(notice), WorkProgress(err) as progress:
        report = export_index(
            index,
            file,
            normalized=normalized,
            overwrite=overwrite,
            progress=partial(progress.show, "Writing passages"),
        )
    if json:
        output.print_json(out, asdict(report))
    else:
        output.print_export(out, report)


def import_(
    file: Annotated[Path, typer.Argument(help="A Parquet file that export has written.", metavar="FILE")],
    index: IndexDir = DEFAULTS.index_dir,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the index if there is one.")] = False,
    json: AsJson = False,
) -> None:
    """Make an index of a Parquet file that export has written. Nothing is embedded, and no model is needed."""
    from dataclasses import asdict

    from echo_index.app.cli.progress import WorkProgress, interruptible
    from echo_index.indexer.exchange.import_index import import_index

    with interruptible(notice), WorkProgress(err) as progress:
        report = import_index(file, index, overwrite=overwrite, progress=partial(progress.show, "Storing passages"))
    if json:
        output.print_json(out, asdict(report))
    else:
        output.print_import(out, report)
