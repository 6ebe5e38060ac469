"""A model becomes better at what it is to find."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from echo_index.app.cli.options import ModelDevice, ModelName, err, notice, out


def tune(
    pairs: Annotated[
        list[Path],
        typer.Option(help="A file of pairs, .jsonl or .tsv, may be .gz: query, positive, negative. Repeatable."),
    ] = [],  # noqa: B006
    from_index: Annotated[
        Path | None, typer.Option(help="An index: its headings and sentences ask for its passages.", metavar="INDEX")
    ] = None,
    folder: Annotated[Path, typer.Option("--out", help="The folder of the adapter.")] = Path("adapter"),
    model: ModelName = None,
    adapter: Annotated[
        Path | None,
        typer.Option(
            help="An adapter to begin with. Default: the one that comes along for the model.", metavar="FOLDER"
        ),
    ] = None,
    no_adapter: Annotated[
        bool, typer.Option("--no-adapter", help="Begin a new adapter, with the model as it is.")
    ] = False,
    profile: Annotated[Path | None, typer.Option(help="A file that echo-index calibrate wrote.")] = None,
    layer: Annotated[str | None, typer.Option(help="The layer to read, or views of both copies, as for build.")] = None,
    document_prompt: Annotated[str | None, typer.Option(help="A template with {text} and {echo}.")] = None,
    query_prompt: Annotated[str | None, typer.Option(help="A template, {instruction} too.")] = None,
    head: Annotated[
        bool, typer.Option("--head", help="Leave the model as it is; train a linear map of its vectors: minutes.")
    ] = False,
    steps: Annotated[int | None, typer.Option(min=1, help="Batches that are learned from. Default: 500; 400.")] = None,
    batch: Annotated[
        int | None, typer.Option(min=2, help="Pairs that are told apart at a time. Default: 64; 256.")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(min=0.0, help="At its highest. Default: 0.0005; 0.001.")
    ] = None,
    alike: Annotated[
        int | None, typer.Option(min=1, help="They come in groups of so many that share rare words. Default: 4; 1.")
    ] = None,
    temperature: Annotated[float | None, typer.Option(min=1e-3, help="Of the softmax. Default: 0.05.")] = None,
    held_out: Annotated[int | None, typer.Option(min=0, help="Pairs that are only measured on. Default: 200.")] = None,
    held_out_pairs: Annotated[
        list[Path], typer.Option(help="A file of pairs to measure on instead. Repeatable.", metavar="FILE")
    ] = [],  # noqa: B006
    evaluate_every: Annotated[
        int | None, typer.Option(min=1, help="Steps between two measurements. Default: 50; 20.")
    ] = None,
    patience: Annotated[
        int | None, typer.Option(min=1, help="End after so many measurements without a better one. Default: 5.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Another one, another order of pairs. Default: 0.")] = None,
    max_tokens: Annotated[int, typer.Option(min=8, help="The most tokens of each text.")] = 64,
    rank: Annotated[int | None, typer.Option(min=1, help="Of the matrices of a new adapter. Default: 16.")] = None,
    first_layer: Annotated[
        int | None, typer.Option(min=1, help="A new adapter leaves layers before it as they are: faster. Default: 1.")
    ] = None,
    dimensions: Annotated[
        str | None, typer.Option(help="Shorter lengths at which vectors are to be good too.", metavar="N,N…")
    ] = None,
    teacher: Annotated[
        str | None, typer.Option(help="A sentence-transformers model whose cosines are learned too.", metavar="NAME")
    ] = None,
    teacher_share: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="The teacher's, of the loss. Default: 0.5.")
    ] = None,
    hard_negatives: Annotated[
        int, typer.Option(min=0, help="Look up so many for each pair with the model as it is; slow.")
    ] = 0,
    most_pairs: Annotated[int | None, typer.Option(min=1, help="The most pairs of each source.")] = None,
    device: ModelDevice = "auto",
) -> None:
    """Train an adapter on pairs of queries and what is right for them. Goes on where it was interrupted.

    It begins with the adapter that comes along for the model, if there is one. Of two defaults, the second is that
    of --head.
    """
    from dataclasses import replace

    from echo_index.app.cli.progress import interruptible
    from echo_index.app.cli.tuning_job import TuningSources, tune_model
    from echo_index.app.services.encoder_factory import EncoderOptions
    from echo_index.app.services.profile_file import with_profile
    from echo_index.embeddings.training.head_trainer import HeadOptions
    from echo_index.embeddings.training.trainer import TuningOptions

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
    of_both = _given(
        steps=steps,
        batch=batch,
        alike=alike,
        learning_rate=learning_rate,
        temperature=temperature,
        held_out=held_out,
        evaluate_every=evaluate_every,
        patience=patience,
        seed=seed,
    )
    of_additions = _given(
        rank=rank,
        alpha=None if rank is None else 2 * rank,
        first_layer=first_layer,
        dimensions=_numbers(dimensions),
        teacher_share=teacher_share,
    )
    if head and (of_additions or teacher):
        raise typer.BadParameter(
            "--rank, --first-layer, --dimensions and --teacher are not for a head.", param_hint="--head"
        )
    options = replace(HeadOptions(), **of_both) if head else replace(TuningOptions(), **of_both, **of_additions)
    sources = TuningSources(
        tuple(pairs),
        from_index,
        most_pairs=most_pairs,
        hard_negatives=hard_negatives,
        teacher=teacher,
        held_out=tuple(held_out_pairs),
    )
    with interruptible(notice, kept="What was learned"):
        tune_model(encoder, sources, options, folder, max_tokens=max_tokens, out=out, err=err, notice=notice)


def _given(**options: Any) -> dict[str, Any]:
    """Return the options that a person gave."""
    return {name: value for name, value in options.items() if value is not None}


def _numbers(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = (0,)
    if any(number < 1 for number in numbers):
        raise typer.BadParameter(f"{text!r} is no list of lengths, such as 256,128.", param_hint="--dimensions")
    return numbers
