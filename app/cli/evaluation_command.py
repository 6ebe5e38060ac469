"""echo-index eval, behind its options: checks what was asked for, shows progress and results, writes files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from echo_index.app.cli.evaluation_plot import PLOT_SUFFIXES, draw_scores, require_matplotlib
from echo_index.app.cli.evaluation_tables import as_json, as_markdown, print_tables
from echo_index.app.cli.progress import WorkProgress, interruptible
from echo_index.app.services.evaluation_job import EvaluationOptions, evaluate
from echo_index.errors import EchoIndexError

if TYPE_CHECKING:
    from echo_index.retriever.evaluation.results import DatasetResult

_PACKAGES = (
    "echo-index", "torch", "transformers", "numpy", "faiss-gpu", "faiss-cpu", "scipy", "ir-measures",
    "pytrec-eval-terrier", "sentence-transformers",
)  # fmt: skip


@dataclass(frozen=True)
class EvaluationFiles:
    """Where the results go, besides the terminal."""

    json: Path | None = None
    markdown: Path | None = None
    plot: Path | None = None

    def validate(self) -> None:
        """See that all files can be written, before hours are spent.

        Raises:
            MissingPackage: matplotlib is not installed, and a plot is wanted.
            EchoIndexError: a folder is not there, or the plot's name ends in something else than .svg or .png.
        """
        for path in (self.json, self.markdown, self.plot):
            if path is not None and not path.absolute().parent.is_dir():
                raise EchoIndexError(f"{path} cannot be written: there is no folder {path.parent}.")
        if self.plot is not None:
            require_matplotlib()
            if self.plot.suffix.lower() not in PLOT_SUFFIXES:
                raise EchoIndexError(f"{self.plot} is no name of a plot.", remedy="It ends in .svg or .png.")

    def write(self, results: Sequence[DatasetResult]) -> None:
        """Write what was asked for.

        Raises:
            EchoIndexError: a file cannot be written.
        """
        if self.json is not None:
            _write_text(self.json, as_json(results, _versions()))
        if self.markdown is not None:
            _write_text(self.markdown, as_markdown(results))
        if self.plot is not None:
            draw_scores(results, self.plot)


def _write_text(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise EchoIndexError(f"{path} cannot be written: {error.strerror}.") from None


def run_evaluation(
    inputs: Sequence[Path], options: EvaluationOptions, files: EvaluationFiles, *, out: Console, err: Console
) -> None:
    """Evaluate, print the tables to `out`, all else to `err`, and write the files.

    Raises:
        typer.BadParameter: a row is named that there is not.
        typer.Exit: with 130, after Ctrl-C.
        EchoIndexError: it cannot be done.
    """
    _refuse_unknown_rows(options)
    files.validate()

    def notice(line: str) -> None:
        err.print(line, style="dim", soft_wrap=True)

    with interruptible(notice, kept="What was embedded"), WorkProgress(err) as progress:
        results = evaluate(inputs, options, notice=notice, progress=progress.show)
    print_tables(out, results)
    files.write(results)


def _refuse_unknown_rows(options: EvaluationOptions) -> None:
    from echo_index.retriever.evaluation.retrieval_systems import SYSTEMS
    from echo_index.retriever.evaluation.similarity_methods import SIMILARITY_METHODS

    known = [*dict.fromkeys((*SYSTEMS, *SIMILARITY_METHODS))]
    named = [(row, "--rows") for row in options.rows]
    if options.baseline is not None:
        named.append((options.baseline, "--baseline"))
    for row, option in named:
        if row not in known:
            raise typer.BadParameter(f"there is no row {row!r}; there are {', '.join(known)}.", param_hint=option)


def _versions() -> Iterator[tuple[str, str]]:
    """Yield the packages that decide what is measured, as far as they are installed, and their versions."""
    for package in _PACKAGES:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            continue
