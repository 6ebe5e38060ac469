"""The work of `eval`: validate options, show progress, print results and write files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from echo_index.app.cli.evaluation_plot import PLOT_SUFFIXES, draw_scores, require_matplotlib
from echo_index.app.cli.evaluation_tables import as_json, as_markdown, make_tables, print_tables
from echo_index.app.cli.progress import WorkProgress, interruptible
from echo_index.app.services.evaluation_job import EvaluationOptions, evaluate
from echo_index.app.services.result_files import write_text
from echo_index.errors import EchoIndexError

if TYPE_CHECKING:
    from echo_index.retriever.evaluation.results import DatasetResult

_PACKAGES = (
    "echo-index", "torch", "transformers", "numpy", "faiss-gpu", "faiss-cpu", "scipy", "ir-measures",
    "pytrec-eval-terrier", "sentence-transformers",
)  # fmt: skip


@dataclass(frozen=True)
class EvaluationFiles:
    """Files to write the results to."""

    json: Path | None = None
    markdown: Path | None = None
    plot: Path | None = None

    def validate(self) -> None:
        """Check before hours of work that the files can be written.

        Raises:
            MissingPackage: a plot is requested and matplotlib is not installed.
            EchoIndexError: a folder does not exist, or the name of the plot does not end in .svg or .png.
        """
        for path in (self.json, self.markdown, self.plot):
            if path is not None and not path.absolute().parent.is_dir():
                raise EchoIndexError(f"{path} cannot be written: the folder {path.parent} does not exist.")
        if self.plot is not None:
            require_matplotlib()
            if self.plot.suffix.lower() not in PLOT_SUFFIXES:
                raise EchoIndexError(
                    f"A plot cannot be written as {self.plot.name}.", remedy="Use a name in .svg or .png."
                )

    def write(self, results: Sequence[DatasetResult]) -> None:
        """Write the results of retrieval to the requested files.

        Raises:
            EchoIndexError: a file cannot be written.
        """
        self.write_texts(
            json=lambda: as_json(results, package_versions()), markdown=lambda: as_markdown(make_tables(results))
        )
        if self.plot is not None:
            draw_scores(results, self.plot)

    def write_texts(self, *, json: Callable[[], str], markdown: Callable[[], str]) -> None:
        """Write texts to the JSON file and the Markdown file, if they are requested.

        Raises:
            EchoIndexError: a file cannot be written.
        """
        if self.json is not None:
            write_text(self.json, json())
        if self.markdown is not None:
            write_text(self.markdown, markdown())


def run_evaluation(
    inputs: Sequence[Path], options: EvaluationOptions, files: EvaluationFiles, *, out: Console, err: Console
) -> None:
    """Evaluate, print tables to `out` and progress to `err`, and write the files.

    Raises:
        typer.BadParameter: a row has an unknown name.
        typer.Exit: Ctrl-C was pressed; the exit code is 130.
        EchoIndexError: an input, model, index or file cannot be used.
    """
    _validate_rows(options)
    files.validate()

    def notice(line: str) -> None:
        err.print(line, style="dim", soft_wrap=True)

    with interruptible(notice, kept="What was embedded"), WorkProgress(err) as progress:
        results = evaluate(inputs, options, notice=notice, progress=progress.show)
    print_tables(out, make_tables(results))
    files.write(results)


def _validate_rows(options: EvaluationOptions) -> None:
    from echo_index.retriever.evaluation.retrieval_systems import SYSTEMS
    from echo_index.retriever.evaluation.similarity_methods import SIMILARITY_METHODS

    known = [*dict.fromkeys((*SYSTEMS, *SIMILARITY_METHODS))]
    names = [(row, "--rows") for row in options.rows]
    if options.baseline is not None:
        names.append((options.baseline, "--baseline"))
    for row, option in names:
        if row not in known:
            raise typer.BadParameter(f"there is no row {row!r}; choose from {', '.join(known)}.", param_hint=option)


def package_versions() -> Iterator[tuple[str, str]]:
    """Yield name and version of the installed packages that affect results."""
    for package in _PACKAGES:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            continue
