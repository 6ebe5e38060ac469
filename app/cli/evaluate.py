"""How good the search is, and which settings of a model make it better."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from echo_index.app.cli.options import (
    Adapter,
    IndexDir,
    Instruction,
    ModelDevice,
    ModelName,
    NoAdapter,
    Precision,
    err,
    notice,
    out,
)
from echo_index.app.defaults import DEFAULTS


def evaluate(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            help="Folders in BEIR's layout, files with pairs of sentences, or with questions about the index.",
            metavar="INPUT...",
        ),
    ],
    index: IndexDir = DEFAULTS.index_dir,
    rows: Annotated[
        str | None,
        typer.Option(
            help="Ways to rank, such as bm25,echo,hybrid. Default: all but the slow ones.", metavar="ROW,ROW…"
        ),
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="The row that the others are compared with. Default: bm25.", metavar="ROW")
    ] = None,
    queries: Annotated[int | None, typer.Option(min=1, help="Only the first N questions or pairs.")] = None,
    instruction: Instruction = None,
    sentence_transformers: Annotated[
        list[str], typer.Option(help="A model of sentence-transformers as a further row. Repeatable.", metavar="NAME")
    ] = [],  # noqa: B006
    model: ModelName = None,
    adapter: Adapter = None,
    no_adapter: NoAdapter = False,
    layer: Annotated[str | None, typer.Option(help="The layer to read, or views of both copies, as for build.")] = None,
    precision: Precision = None,
    device: ModelDevice = "auto",
    work: Annotated[
        Path | None,
        typer.Option(help="Where indexes and vectors are kept. Default: the cache folder."),
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write all that was measured to this file.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the tables to this file.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the scores: a name that ends in .svg or .png.")] = None,
) -> None:
    """Measure how good the search is, on public sets or by questions of your own."""
    from echo_index.app.cli.evaluation_command import EvaluationFiles, run_evaluation
    from echo_index.app.services.encoder_factory import EncoderOptions
    from echo_index.app.services.evaluation_job import EvaluationOptions

    options = EvaluationOptions(
        encoder=EncoderOptions(model, adapter, no_adapter, layer=layer, precision=precision, device=device),
        index=index,
        rows=tuple(rows.split(",")) if rows else (),
        baseline=baseline,
        most=queries,
        instruction=instruction,
        peers=tuple(sentence_transformers),
        work=work,
    )
    run_evaluation(inputs, options, EvaluationFiles(json, markdown, plot), out=out, err=err)


def calibrate(
    index: IndexDir = DEFAULTS.index_dir,
    profile: Annotated[Path, typer.Option("--out", help="The file to write.")] = Path("profile.toml"),
    questions: Annotated[int, typer.Option(min=20, help="The most questions that are made of passages.")] = 300,
    model: ModelName = None,
    adapter: Adapter = None,
    no_adapter: NoAdapter = False,
    document_prompt: Annotated[
        str | None, typer.Option(help="One more template to try, with {text} and {echo}.")
    ] = None,
    query_prompt: Annotated[str | None, typer.Option(help="Its counterpart for questions, {instruction} too.")] = None,
    precision: Precision = None,
    device: ModelDevice = "auto",
) -> None:
    """Find the layer, prompt and pooling with which a model finds most in an index, without labels."""
    from echo_index.app.cli.calibration_job import calibrate_index
    from echo_index.app.cli.progress import interruptible
    from echo_index.app.services.encoder_factory import EncoderOptions

    tried = None if document_prompt is None and query_prompt is None else (document_prompt, query_prompt)
    options = EncoderOptions(model, adapter, no_adapter, precision=precision, device=device)
    with interruptible(notice, kept="What was read"):
        calibrate_index(index, options, questions=questions, tried=tried, file=profile, out=out, err=err, notice=notice)
