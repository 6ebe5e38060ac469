"""The command `tune`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from echo_index.app.cli.options import (
    DocumentPrompt,
    IndexDir,
    Layer,
    ModelDevice,
    ModelName,
    Profile,
    QueryPrompt,
    err,
    notice,
    out,
)
from echo_index.app.defaults import DEFAULTS
from echo_index.embeddings.models.bundled import DEFAULT_MODEL


def tune(
    pairs: Annotated[
        list[Path],
        typer.Option(
            help="File of pairs, .jsonl or .tsv, optionally .gz, with query, positive and, optionally, negative. "
            "Repeatable.",
            metavar="FILE",
        ),
    ] = [],  # noqa: B006
    from_index: Annotated[
        Path | None, typer.Option(help="Index whose headings and sentences become queries.", metavar="INDEX")
    ] = None,
    writer: Annotated[
        str | None,
        typer.Option(
            help="A model that writes questions for passages of --from-index; names as for --model.", metavar="NAME"
        ),
    ] = None,
    passages: Annotated[
        int | None,
        typer.Option(min=1, help="Number of passages that --writer writes questions for. Default: 1000."),
    ] = None,
    apart_from: Annotated[
        list[Path],
        typer.Option(
            help="Evaluation collection in BEIR format: pairs that share ten words in a row with it are left out. "
            "Repeatable.",
            metavar="FOLDER",
        ),
    ] = [],  # noqa: B006
    folder: Annotated[Path, typer.Option("--out", help="Folder to write the adapter to.", metavar="FOLDER")] = Path(
        "adapter"
    ),
    model: ModelName = None,
    adapter: Annotated[
        Path | None,
        typer.Option(help="Adapter to train further. Default: the bundled one for the model.", metavar="FOLDER"),
    ] = None,
    no_adapter: Annotated[bool, typer.Option("--no-adapter", help="Train a new adapter for the bare model.")] = False,
    profile: Profile = None,
    layer: Layer = None,
    document_prompt: DocumentPrompt = None,
    query_prompt: QueryPrompt = None,
    head: Annotated[
        bool,
        typer.Option("--head", help="Train only a linear map of the embeddings, in minutes; the model is unchanged."),
    ] = False,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Number of training steps (batches). Default: 500; with --head 400.")
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(min=2, help="Pairs per batch, contrasted with each other. Default: 64; with --head 256."),
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(min=0.0, help="Peak learning rate. Default: 0.0005; with --head 0.001.")
    ] = None,
    alike: Annotated[
        int | None,
        typer.Option(min=1, help="Size of the groups of pairs that share rare words. Default: 4; with --head 1."),
    ] = None,
    temperature: Annotated[
        float | None, typer.Option(min=1e-3, help="Temperature of the softmax. Default: 0.05.")
    ] = None,
    held_out: Annotated[
        int | None, typer.Option(min=0, help="Number of pairs held out for evaluation. Default: 200.")
    ] = None,
    held_out_pairs: Annotated[
        list[Path], typer.Option(help="File of pairs to evaluate on instead. Repeatable.", metavar="FILE")
    ] = [],  # noqa: B006
    evaluate_every: Annotated[
        int | None, typer.Option(min=1, help="Steps between two evaluations. Default: 50; with --head 20.")
    ] = None,
    patience: Annotated[
        int | None, typer.Option(min=1, help="Stop after this many evaluations without improvement. Default: 5.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the random order of pairs. Default: 0.")] = None,
    max_tokens: Annotated[int, typer.Option(min=8, help="Maximum number of tokens of each text.")] = 64,
    rank: Annotated[int | None, typer.Option(min=1, help="Rank of a new adapter's matrices. Default: 16.")] = None,
    first_layer: Annotated[
        int | None, typer.Option(min=1, help="First layer that a new adapter changes; higher is faster. Default: 1.")
    ] = None,
    dimensions: Annotated[
        str | None,
        typer.Option(help="Also train vectors cut to these lengths (Matryoshka), such as 256,128.", metavar="N,N…"),
    ] = None,
    teacher: Annotated[
        str | None, typer.Option(help="A sentence-transformers model whose cosines are distilled.", metavar="NAME")
    ] = None,
    teacher_share: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Weight of the teacher in the loss. Default: 0.5.")
    ] = None,
    hard_negatives: Annotated[
        int, typer.Option(min=0, help="Hard negatives to find for each pair with the untrained model; slow.")
    ] = 0,
    most_pairs: Annotated[int | None, typer.Option(min=1, help="Maximum number of pairs of each source.")] = None,
    device: ModelDevice = "auto",
) -> None:
    """Train an adapter on pairs of queries and relevant passages. An interrupted training continues.

    Training starts from the bundled adapter of the model, if there is one.
    """
    from dataclasses import replace

    from echo_index.app.cli.progress import interruptible
    from echo_index.app.cli.tuning_job import TuningSources, tune_model
    from echo_index.app.services.encoder_factory import EncoderOptions
    from echo_index.app.services.profile_file import with_profile
    from echo_index.embeddings.training.head_trainer import HeadOptions
    from echo_index.embeddings.training.trainer import TuningOptions

    if writer is not None and from_index is None:
        raise typer.BadParameter("--writer needs the passages of an index: --from-index.", param_hint="--writer")
    if passages is not None and writer is None:
        raise typer.BadParameter("--passages needs a model that writes: --writer.", param_hint="--passages")
    encoder = EncoderOptions(
        model=model,
        adapter=adapter,
        no_adapter=no_adapter,
        layer=layer,
        document_prompt=document_prompt,
        query_prompt=query_prompt,
        precision="fp32",
        device=device,
    )
    if profile is not None:
        encoder = with_profile(encoder, profile)
    common_options = _without_none(
        steps=steps,
        batch=batch,
        hard_group_size=alike,
        learning_rate=learning_rate,
        temperature=temperature,
        held_out=held_out,
        evaluate_every=evaluate_every,
        patience=patience,
        seed=seed,
    )
    adapter_options = _without_none(
        rank=rank,
        alpha=None if rank is None else 2 * rank,
        first_layer=first_layer,
        dimensions=_parse_dimensions(dimensions),
        distillation_weight=teacher_share,
    )
    if head and (adapter_options or teacher):
        raise typer.BadParameter(
            "--rank, --first-layer, --dimensions, --teacher and --teacher-share cannot be used with a head.",
            param_hint="--head",
        )
    options = (
        replace(HeadOptions(), **common_options)
        if head
        else replace(TuningOptions(), **common_options, **adapter_options)
    )
    sources = TuningSources(
        tuple(pairs),
        from_index,
        writer=writer,
        passages=passages or TuningSources.passages,
        apart_from=tuple(apart_from),
        max_pairs=most_pairs,
        hard_negatives=hard_negatives,
        teacher=teacher,
        held_out=tuple(held_out_pairs),
    )
    with interruptible(notice, kept="What was learned" if writer is None else "What was written and learned"):
        tune_model(encoder, sources, options, folder, max_tokens=max_tokens, out=out, err=err, notice=notice)


def tune_answers(
    file: Annotated[
        Path,
        typer.Argument(
            help="File of JSON lines with questions, answers and documents, as for eval --answers.",
            metavar="FILE",
            show_default=False,
        ),
    ],
    documents: Annotated[
        Path | None,
        typer.Argument(help="Folder in BEIR format with the documents. Default: the index.", metavar="FOLDER"),
    ] = None,
    index: IndexDir = DEFAULTS.index_dir,
    folder: Annotated[Path, typer.Option("--out", help="Folder to write the adapter to.", metavar="FOLDER")] = Path(
        "answer-adapter"
    ),
    writer: Annotated[
        str, typer.Option(help="The model that learns to answer; names as for --model.", metavar="NAME")
    ] = DEFAULT_MODEL,
    k: Annotated[int, typer.Option("-k", min=1, help="Number of passages given to the model.")] = DEFAULTS.passages,
    steps: Annotated[int, typer.Option(min=1, help="Number of training steps (batches).")] = 300,
    batch: Annotated[int, typer.Option(min=1, help="Examples per batch.")] = 16,
    learning_rate: Annotated[float, typer.Option(min=0.0, help="Peak learning rate.")] = 5e-4,
    rank: Annotated[int, typer.Option(min=1, help="Rank of the adapter's matrices.")] = 16,
    held_out: Annotated[int, typer.Option(min=0, help="Number of examples held out for evaluation.")] = 100,
    evaluate_every: Annotated[int, typer.Option(min=1, help="Steps between two evaluations.")] = 50,
    patience: Annotated[int, typer.Option(min=1, help="Stop after this many evaluations without improvement.")] = 5,
    seed: Annotated[int, typer.Option(help="Seed of the order of the examples and of the adapter.")] = 0,
    work: Annotated[
        Path | None, typer.Option(help="Folder for the index of FOLDER. Default: the cache folder.")
    ] = None,
    model: ModelName = None,
    device: ModelDevice = "auto",
) -> None:
    """Train an adapter that answers questions from passages, with citations. An interrupted training continues.

    Each question is an example twice: with the passages that the search finds, and without its documents, where the
    right answer is that nothing is found.
    """
    from echo_index.app.cli.answer_tuning_job import AnswerTuningSources, train_answer_adapter
    from echo_index.app.cli.progress import interruptible
    from echo_index.embeddings.training.continuation_trainer import ContinuationOptions

    options = ContinuationOptions(
        steps=steps,
        batch=batch,
        learning_rate=learning_rate,
        rank=rank,
        alpha=2 * rank,
        held_out=held_out,
        evaluate_every=evaluate_every,
        patience=patience,
        seed=seed,
    )
    sources = AnswerTuningSources(file, documents, index, passages=k, work=work, model=model, device=device)
    with interruptible(notice, kept="What was learned"):
        train_answer_adapter(writer, sources, options, folder, out=out, err=err, notice=notice)


def _without_none(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _parse_dimensions(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        dimensions = tuple(int(part) for part in text.split(","))
    except ValueError:
        dimensions = (0,)
    if any(length < 1 for length in dimensions):
        raise typer.BadParameter(f"{text!r} is not a list of lengths such as 256,128.", param_hint="--dimensions")
    return dimensions
