"""The commands `eval` and `calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from echo_index.app.cli.options import (
    Adapter,
    DocumentPrompt,
    IndexDir,
    Instruction,
    Layer,
    ModelDevice,
    ModelName,
    NoAdapter,
    Precision,
    Profile,
    QueryPrompt,
    err,
    notice,
    out,
)
from echo_index.app.defaults import DEFAULTS


def evaluate(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            help="Folders in BEIR format, files of sentence pairs, or files of questions about the index.",
            metavar="INPUT...",
            show_default=False,
        ),
    ] = [],  # noqa: B006
    index: IndexDir = DEFAULTS.index_dir,
    answers: Annotated[
        Path | None,
        typer.Option(
            help="Measure the answers to the questions in this file, about the index or the one folder INPUT.",
            metavar="FILE",
        ),
    ] = None,
    writer: Annotated[
        list[str],
        typer.Option(
            help="With --answers: model on this machine that writes them. Repeatable. Default: the index's model.",
            metavar="NAME",
        ),
    ] = [],  # noqa: B006
    plain_writer: Annotated[
        list[str],
        typer.Option(help="With --answers: the same, without its adapter for answers. Repeatable.", metavar="NAME"),
    ] = [],  # noqa: B006
    llm: Annotated[
        list[str],
        typer.Option(help="With --answers: model elsewhere that writes them, as for ask. Repeatable.", metavar="NAME"),
    ] = [],  # noqa: B006
    k: Annotated[
        int | None,
        typer.Option("-k", min=1, help="With --answers: number of passages given to the model. Default: as for ask."),
    ] = None,
    rows: Annotated[
        str | None,
        typer.Option(
            help="Systems to compare, such as bm25,echo,hybrid. Default: all but the slow ones.", metavar="ROW,ROW…"
        ),
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="System that the others are compared with. Default: bm25.", metavar="ROW")
    ] = None,
    queries: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Use only the first N questions or pairs of each input; with --answers N from all parts of the file.",
            metavar="N",
        ),
    ] = None,
    instruction: Instruction = None,
    sentence_transformers: Annotated[
        list[str], typer.Option(help="Compare with this sentence-transformers model, too. Repeatable.", metavar="NAME")
    ] = [],  # noqa: B006
    model: ModelName = None,
    adapter: Adapter = None,
    no_adapter: NoAdapter = False,
    profile: Profile = None,
    layer: Layer = None,
    precision: Precision = None,
    device: ModelDevice = "auto",
    work: Annotated[
        Path | None,
        typer.Option(help="Folder for indexes and cached vectors. Default: the cache folder."),
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write all results to this JSON file.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the tables to this Markdown file.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Plot the scores to this .svg or .png file.")] = None,
) -> None:
    """Measure the quality of search, or of answers, on public data sets or on your own questions."""
    from echo_index.app.cli.evaluation_command import EvaluationFiles, run_evaluation
    from echo_index.app.services.encoder_factory import EncoderOptions
    from echo_index.app.services.evaluation_job import EvaluationOptions
    from echo_index.app.services.profile_file import with_profile

    encoder = EncoderOptions(model, adapter, no_adapter, layer=layer, precision=precision, device=device)
    encoder = encoder if profile is None else with_profile(encoder, profile)
    files = EvaluationFiles(json, markdown, plot)
    if answers is not None:
        from echo_index.app.cli.answer_evaluation_command import run_answer_evaluation
        from echo_index.app.services.answer_evaluation_job import AnswerEvaluationOptions

        if len(inputs) > 1:
            raise typer.BadParameter("--answers takes at most one INPUT, the folder of the documents.")
        if rows or baseline or sentence_transformers or instruction or plot:
            raise typer.BadParameter(
                "--rows, --baseline, --sentence-transformers, --instruction and --plot are not for --answers."
            )
        answer_options = AnswerEvaluationOptions(
            corpus=inputs[0] if inputs else None,
            index=index,
            encoder=encoder,
            limit=queries,
            writers=tuple(writer),
            plain_writers=tuple(plain_writer),
            llms=tuple(llm),
            passages=k,
            work=work,
        )
        run_answer_evaluation(answers, answer_options, files, out=out, err=err)
        return
    if not inputs:
        raise typer.BadParameter("Name at least one INPUT, or --answers FILE.")
    if writer or plain_writer or llm:
        raise typer.BadParameter(
            "--writer, --plain-writer and --llm are for --answers: the search needs no model that writes."
        )
    options = EvaluationOptions(
        encoder=encoder,
        index=index,
        rows=tuple(rows.split(",")) if rows else (),
        baseline=baseline,
        limit=queries,
        instruction=instruction,
        baselines=tuple(sentence_transformers),
        work=work,
    )
    run_evaluation(inputs, options, files, out=out, err=err)


def calibrate(
    index: IndexDir = DEFAULTS.index_dir,
    profile: Annotated[Path, typer.Option("--out", help="Profile to write.")] = Path("profile.toml"),
    questions: Annotated[int, typer.Option(min=20, help="Maximum number of questions to make from passages.")] = 300,
    model: ModelName = None,
    adapter: Adapter = None,
    no_adapter: NoAdapter = False,
    document_prompt: DocumentPrompt = None,
    query_prompt: QueryPrompt = None,
    precision: Precision = None,
    device: ModelDevice = "auto",
) -> None:
    """Find the best layer, prompts and pooling of a model for an index; no labelled data is needed.

    --document-prompt and --query-prompt add one pair of templates to those that are tried.
    """
    from echo_index.app.cli.calibration_job import calibrate_index
    from echo_index.app.cli.progress import interruptible
    from echo_index.app.services.encoder_factory import EncoderOptions

    no_prompts = document_prompt is None and query_prompt is None
    options = EncoderOptions(model, adapter, no_adapter, precision=precision, device=device)
    with interruptible(notice, kept="What was read"):
        calibrate_index(
            index,
            options,
            questions=questions,
            extra_prompts=None if no_prompts else (document_prompt, query_prompt),
            file=profile,
            out=out,
            err=err,
            notice=notice,
        )
